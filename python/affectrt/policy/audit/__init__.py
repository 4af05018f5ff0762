"""An audit log: what the device did, when, and on whose consent; never what was said or seen. docs/decisions/audit-log.md has the
reasons."""

from affectrt.policy.audit.line import KINDS, AuditEvent
from affectrt.policy.audit.log import AuditLog
from affectrt.policy.audit.verify import Checkpoint, Verification, read_events, verify

__all__ = ["KINDS", "AuditEvent", "AuditLog", "Checkpoint", "Verification", "read_events", "verify"]

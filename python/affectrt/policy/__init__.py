"""Consent, purpose, retention, disclosure and the audit log: what everything else asks before it looks, listens, keeps or claims."""

from affectrt.errors import AuditError, ConsentError, PolicyError, PurposeError
from affectrt.policy.audit import KINDS, AuditEvent, AuditLog, Checkpoint, Verification, read_events, verify
from affectrt.policy.consent import GIVERS, MODALITIES, Consent, ConsentBook
from affectrt.policy.disclosure import NON_CLINICAL
from affectrt.policy.file import read_policy
from affectrt.policy.policy import ON_CLAIM, USERS, Policy, check_policy
from affectrt.policy.purpose import GROUNDS, PURPOSES, Exemption, Purpose, check_purpose
from affectrt.policy.retention import Retention

__all__ = [
    "GIVERS",
    "GROUNDS",
    "KINDS",
    "MODALITIES",
    "NON_CLINICAL",
    "ON_CLAIM",
    "PURPOSES",
    "USERS",
    "AuditError",
    "AuditEvent",
    "AuditLog",
    "Checkpoint",
    "Consent",
    "ConsentBook",
    "ConsentError",
    "Exemption",
    "Policy",
    "PolicyError",
    "Purpose",
    "PurposeError",
    "Retention",
    "Verification",
    "check_policy",
    "check_purpose",
    "read_events",
    "read_policy",
    "verify",
]

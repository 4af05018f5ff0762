"""What is looked at before an answer and in it: phrases of a crisis, claims to feel or to be human, and the reminder that this is a
machine."""

from affectrt.dialogue.guard.claims import Claim, find_claims
from affectrt.dialogue.guard.crisis import Crisis, find_crises
from affectrt.dialogue.guard.filter import INSTEAD, ClaimFilter
from affectrt.dialogue.guard.guard import DEFAULT_ANSWERS, AsyncGuardedStream, CrisisHook, Decision, Guard, GuardedStream
from affectrt.dialogue.guard.probes import PROBES, IdentityReport, Probe, ProbeAnswer, probe_identity

__all__ = [
    "DEFAULT_ANSWERS",
    "INSTEAD",
    "PROBES",
    "AsyncGuardedStream",
    "Claim",
    "ClaimFilter",
    "Crisis",
    "CrisisHook",
    "Decision",
    "Guard",
    "GuardedStream",
    "IdentityReport",
    "Probe",
    "ProbeAnswer",
    "find_claims",
    "find_crises",
    "probe_identity",
]

"""One line of the log: its fields, what may stand in them, and its bytes.
 A line is one JSON object in canonical form (keys sorted, no blanks, ASCII) whose last member is `hash`, the SHA-256 of the bytes before
it. `prev` is the hash of the line before; the first line has 64 zeros. Facts come from closed vocabularies, so that no sentence of a
conversation fits in; the one exception is the deployer's own statement of an exemption.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from affectrt.policy.checks import check_time, check_words, one_of

GENESIS = "0" * 64
MAX_LINE = 16_384
"""Bytes of the longest line, its newline included."""

_INT, _TOKEN, _TEXT = "int", "token", "text"
_PROMPT = ("system", "persona", "state", "memory", "strategy", "stimulus", "note", "said", "answer", "trace")

# kind: (facts with their type, names of digests). `who` is allowed everywhere.
_KINDS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "opened": ({"version": _INT}, ()),
    "mended": ({"bytes": _INT}, ("cut",)),
    "rotated": ({"segment": _INT}, ()),
    "dropped": ({"segment": _INT, "through": _INT}, ("last",)),
    "exemption": ({"purpose": _TOKEN, "ground": _TOKEN, "statement": _TEXT, "responsible": _TEXT}, ()),
    "consent": ({"modality": _TOKEN, "action": _TOKEN, "by": _TOKEN, "expires_ns": _INT}, ("purposes",)),
    "refused": ({"what": _TOKEN, "why": _TOKEN}, ()),
    "perceived": ({"modality": _TOKEN}, ("input",)),
    "reply": ({"turn": _INT}, _PROMPT),
    "disclosed": ({"turn": _INT}, ()),
    "claim": ({"category": _TOKEN, "action": _TOKEN}, ("sentence",)),
    "crisis": ({"category": _TOKEN, "action": _TOKEN}, ("said",)),
    "wellbeing": ({"abstained": _INT}, ("said", "answer")),
    "retention": ({"kind": _TOKEN, "records": _INT}, ()),
    "erase": ({"scope": _TOKEN, "records": _INT}, ()),
    "export": ({"scope": _TOKEN, "records": _INT}, ()),
}
KINDS: Mapping[str, tuple[Mapping[str, str], tuple[str, ...]]] = MappingProxyType(
    {kind: (MappingProxyType(facts), digests) for kind, (facts, digests) in _KINDS.items()}
)
"""What each kind of event may hold: its facts with their type, and the names of its digests."""

_TOKEN_SHAPE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")
_HEX = re.compile(r"[0-9a-f]{64}")
_HASH_LENGTH = len(',"hash":""}') + 64
_FIELDS = {"at_ns", "digests", "facts", "kind", "prev", "seq"}


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One event, as the log holds it."""

    seq: int
    """Counts from 0, without gaps."""
    at_ns: int
    """When, as the caller gave it: nanoseconds since 1970."""
    kind: str
    facts: Mapping[str, int | str]
    digests: Mapping[str, str]
    """Name to 64 hex digits: HMAC-SHA256 under the partner's salt (`cut` and `last`: plain SHA-256 of bytes of the log itself)."""
    prev: str
    hash: str


def make(
    seq: int, at_ns: int, kind: str, facts: Mapping[str, int | str], digests: Mapping[str, str], prev: str
) -> tuple[AuditEvent, bytes]:
    """An event and its line. Raises TypeError or ValueError, naming the field, for what may not stand there."""
    check_time("at_ns", at_ns)
    allowed, names = KINDS[one_of("kind", kind, KINDS)]
    for name, value in facts.items():
        _check_fact(kind, name, value, allowed)
    for name in digests:
        if name != "who" and name not in names:
            raise ValueError(f"{kind}: expected digests of {', '.join((*names, 'who'))}, got {name!r}")
    fields: dict[str, Any] = {
        "at_ns": at_ns,
        "digests": dict(digests),
        "facts": dict(facts),
        "kind": kind,
        "prev": prev,
        "seq": seq,
    }
    body = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode("ascii")[:-1]
    digest = hashlib.sha256(body).hexdigest()
    line = body + b',"hash":"' + digest.encode() + b'"}\n'
    if len(line) > MAX_LINE:
        raise ValueError(f"{kind}: expected a line of at most {MAX_LINE} bytes, got {len(line)}")
    return AuditEvent(seq, at_ns, kind, MappingProxyType(dict(facts)), MappingProxyType(dict(digests)), prev, digest), line


def parse(line: bytes) -> AuditEvent:
    """The event of a line without its newline. Raises ValueError with what is wrong about it."""
    body, tail = line[:-_HASH_LENGTH], line[-_HASH_LENGTH:]
    if not (tail.startswith(b',"hash":"') and tail.endswith(b'"}')):
        raise ValueError("it does not end in a hash")
    digest = hashlib.sha256(body).hexdigest()
    if tail[9:-2] != digest.encode():
        raise ValueError("its hash is not that of its bytes")
    try:
        fields = json.loads(body + b"}")
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(fields, dict) or set(fields) != _FIELDS:
        raise ValueError("its fields are not those of an event")
    seq, prev, digests = fields["seq"], fields["prev"], fields["digests"]
    if isinstance(seq, bool) or not isinstance(seq, int) or seq < 0 or not isinstance(prev, str) or not _HEX.fullmatch(prev):
        raise ValueError("its number or its previous hash has another type")
    if not isinstance(fields["facts"], dict) or not isinstance(digests, dict):
        raise ValueError("its facts or digests are not objects")
    if not all(isinstance(d, str) and _HEX.fullmatch(d) for d in digests.values()):
        raise ValueError("a digest is not 64 hex digits")
    try:
        event, written = make(seq, fields["at_ns"], fields["kind"], fields["facts"], digests, prev)
    except TypeError as error:
        raise ValueError(str(error)) from None
    if written[:-1] != line:
        raise ValueError("it is not in canonical form")
    return event


def _check_fact(kind: str, name: str, value: object, allowed: Mapping[str, str]) -> None:
    if name not in allowed:
        raise ValueError(f"{kind}: expected facts of {', '.join(allowed) or 'none'}, got {name!r}")
    wanted = allowed[name]
    if wanted == _INT:
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{kind}: {name}: expected an int, got {type(value).__name__}")
        check_time(f"{kind}: {name}", value)
    elif wanted == _TEXT:
        check_words(f"{kind}: {name}", value, 1)
    elif not isinstance(value, str) or not _TOKEN_SHAPE.fullmatch(value):
        raise ValueError(f"{kind}: {name}: expected a word of a-z, 0-9, '_', '.', '-' (at most 40), got {value!r}")

"""A policy in a file: JSON, each decision by the name that it has in `Policy`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NoReturn

from affectrt.policy.audit import AuditLog
from affectrt.policy.consent import ConsentBook
from affectrt.policy.policy import Policy
from affectrt.policy.purpose import Exemption
from affectrt.policy.retention import Retention

_PLAIN = ("purpose", "own_consent", "user", "wellbeing", "negative_stimuli", "disclose_every", "on_claim")
_LISTS = ("requires",)
_OBJECTS = ("abstain_below",)
_PARTS = {"exemption": Exemption, "retention": Retention}
_FILES = ("consents", "audit")
FIELDS = tuple(sorted((*_PLAIN, *_LISTS, *_OBJECTS, *_PARTS, *_FILES)))
"""What may stand in the file. What does not is as `Policy` has it by default."""

_MAX_BYTES = 1 << 20
_KINDS = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number", type(None): "null"}


def read_policy(path: str | os.PathLike[str]) -> Policy:
    """The policy that a file states.

    `exemption` is an object of ground, statement and responsible; `retention` one of limits_s and other_s; `consents` and `audit` name
    the files of a `ConsentBook`, which must be there, and of an `AuditLog`, beside the policy's own unless they are absolute.

    Raises:
        OSError: A file cannot be read.
        ValueError: It is no JSON object of `FIELDS`, names one twice, or a decision is out of range; the text names file and decision.
        PurposeError: As `Policy`.
        AuditError: As `AuditLog`.
    """
    file = Path(path)
    stated = _stated(file)
    try:
        return Policy(**{name: _value(file, name, value) for name, value in stated.items()})
    except (TypeError, ValueError) as error:
        raise ValueError(error if str(error).startswith(str(file)) else f"{file}: {error}") from None


def _stated(file: Path) -> dict[str, Any]:
    with file.open("rb") as opened:
        data = opened.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ValueError(f"{file}: expected a policy of at most {_MAX_BYTES} bytes")
    try:
        stated = json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: expected a policy as JSON: {error}") from None
    if not isinstance(stated, dict):
        raise ValueError(f"{file}: expected an object of {', '.join(FIELDS)}, got {_KINDS[type(stated)]}")
    if unknown := sorted(set(stated) - set(FIELDS)):
        raise ValueError(f"{file}: expected some of {', '.join(FIELDS)}, got {', '.join(map(repr, unknown))[:200]}")
    return stated


def _value(file: Path, name: str, value: Any) -> Any:
    if name in _LISTS:
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise ValueError(f"{name}: expected a list of texts, got {_KINDS[type(value)]}")
        return frozenset(value)
    if name in _OBJECTS and not isinstance(value, dict):
        raise ValueError(f"{name}: expected an object, got {_KINDS[type(value)]}")
    if name in _PARTS:
        return _part(name, value)
    if name in _FILES:
        if not isinstance(value, str) or not value:
            raise ValueError(f"{name}: expected the name of a file, got {_KINDS[type(value)]}")
        where = file.parent / value
        return ConsentBook.load(where) if name == "consents" else AuditLog(where)
    return value


def _part(name: str, value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{name}: expected an object, got {_KINDS[type(value)]}")
    try:
        return _PARTS[name](**value)
    except TypeError as error:  # of a member that is missing or not known, too
        raise ValueError(f"{name}: {str(error).partition('.__init__() ')[2] or error}") from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands there twice")
    return made


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"it has no {name}")

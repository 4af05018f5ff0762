"""What several modules of this package ask of their arguments, and of JSON that comes from outside."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from numbers import Real
from typing import Any, NoReturn

import numpy as np

MAX_JSON = 16 << 20
"""Characters of JSON that are read; a saved Fusion has some kilobytes."""


def stamp(value: object, name: str = "stamp_ns") -> int:
    """A time of any monotonic clock as a plain int: 64 bits, and it may be negative."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}: expected an int of nanoseconds, got {type(value).__name__}")
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"{name}: expected a 64-bit number of nanoseconds, got {value}")
    return int(value)


def number(value: object, name: str, low: float, high: float) -> float:
    """A finite number in [low, high] as a plain float; -0.0 becomes 0.0, so that what is equal is also written alike."""
    if type(value) is float:  # the usual case, a hundred of which come with a sentence
        result = value + 0.0
    elif isinstance(value, bool) or not isinstance(value, (Real, np.number)):
        raise TypeError(f"{name}: expected a number, got {type(value).__name__}")
    else:
        try:
            result = float(value) + 0.0
        except OverflowError:
            result = math.inf
    if not low <= result <= high:  # false for NaN too
        raise ValueError(f"{name}: expected a number in [{low:g}, {high:g}], got {result:g}")
    return result


def text(value: object, name: str, *, longest: int = 200, empty: bool = False) -> str:
    """A text of at most `longest` characters that can be written as UTF-8."""
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected a str, got {type(value).__name__}")
    if not value and not empty:
        raise ValueError(f"{name}: expected a name, got an empty text")
    if len(value) > longest:
        raise ValueError(f"{name}: expected at most {longest} characters, got {len(value)}")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError(f"{name}: expected text, got half of a surrogate pair in {value!r}")
    return value


def parse(document: object, what: str) -> Any:
    """JSON without NaN, infinities or a key given twice. ValueError names `what` was expected."""
    if not isinstance(document, (str, bytes)):
        raise TypeError(f"{what}: expected a str or bytes of JSON, got {type(document).__name__}")
    if len(document) > MAX_JSON:
        raise ValueError(f"{what}: expected at most {MAX_JSON} characters, got {len(document)}")
    try:
        return json.loads(document, parse_constant=_no_constant, object_pairs_hook=_no_double)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what}: not the JSON that was expected ({error})") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _no_double(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return result


def keys(value: object, what: str, needed: Collection[str], optional: Collection[str] = ()) -> Mapping[str, Any]:
    """A JSON object with all of `needed` and nothing but these and `optional`."""
    if not isinstance(value, dict):
        raise ValueError(f"{what}: expected an object, got {type(value).__name__}")
    missing = [key for key in needed if key not in value]
    unknown = [key for key in value if key not in needed and key not in optional]
    if missing or unknown:
        said = [f"missing {', '.join(missing)}"] if missing else []
        said += [f"unknown {', '.join(map(repr, unknown))}"] if unknown else []
        raise ValueError(f"{what}: expected the keys {', '.join([*needed, *optional])}: {'; '.join(said)}")
    return value


def header(value: object, what: str, name: str, version: int) -> None:
    """Refuse what is not of this format and version, before anything else of it is looked at."""
    if not isinstance(value, dict) or value.get("format") != name:
        raise ValueError(f"{what}: expected an object with the format {name!r}, got {str(value)[:100]}")
    if value.get("version") != version or isinstance(value["version"], bool):
        raise ValueError(f"{what}: expected version {version}, got {value.get('version')!r}: written by another version of affectrt?")


def canonical(value: object) -> str:
    """JSON in one way only: no spaces, every float64 with the fewest digits that read back as itself."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))

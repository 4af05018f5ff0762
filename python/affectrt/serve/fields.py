"""JSON from strangers: parsed strictly, taken apart member by member, and nothing left over that nobody looked at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NoReturn

from affectrt.serve.errors import ApiError

_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "an integer", float: "a number", type(None): "null"}


def parse(data: bytes) -> Any:
    """The JSON of a body.

    Raises:
        ApiError: It is no UTF-8 or no JSON, nested too deeply, holds NaN or the same name twice.
    """
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise ApiError(400, f"the body must be UTF-8; byte {error.start} is not", code="invalid_json") from None
    except RecursionError:
        raise ApiError(400, "the body is nested too deeply", code="invalid_json") from None
    except json.JSONDecodeError as error:
        what = "an empty body" if not data else f"{error.msg} at line {error.lineno}, column {error.colno}"
        raise ApiError(400, f"the body must be JSON: {what}", code="invalid_json") from None
    except ValueError as error:  # a number of thousands of digits
        raise ApiError(400, f"the body must be JSON: {str(error).partition(';')[0]}", code="invalid_json") from None


def _no_constant(name: str) -> NoReturn:
    raise ApiError(400, f"the body must be JSON, which has no {name}", code="invalid_json")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ApiError(400, f"{_short(twice)} stands twice in an object", code="invalid_json")
    return made


def shown(value: object) -> str:
    """What came, in a few words."""
    if isinstance(value, dict):
        return f"an object of {len(value)}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, str):
        return f"the string {_short(value)}"
    return f"{'null' if value is None else json.dumps(value)}"[:60]


def _short(text: str) -> str:
    return ascii(text if len(text) <= 40 else text[:37] + "...")


def invalid(param: str, expected: str, got: object, code: str = "invalid_value") -> ApiError:
    """400: what was expected, and what came."""
    return ApiError(400, f"{param}: expected {expected}, got {shown(got)}", param=param, code=code)


def check_readable(text: str, param: str, *, blank: bool = False) -> str:
    """A text that a tokenizer can read.

    Raises:
        ApiError: It holds NUL or half of a surrogate pair, or is blank and may not be.
    """
    if not blank and not text.strip():
        raise ApiError(
            400, f"{param}: expected text, got {'an empty string' if not text else 'only blanks'}", param=param, code="invalid_value"
        )
    for index, char in enumerate(text):
        if char == "\0" or "\ud800" <= char <= "\udfff":
            what = "NUL" if char == "\0" else f"the lone surrogate U+{ord(char):04X}"
            raise ApiError(400, f"{param}: expected valid text, found {what} at index {index}", param=param, code="invalid_value")
    return text


class Fields:
    """The members of one object. null counts as left out, as in OpenAI's own interface. Every method raises ApiError."""

    def __init__(self, value: object, where: str = "") -> None:
        if not isinstance(value, dict):
            raise invalid(where or "body", "an object", value, "invalid_type")
        self._members: dict[str, Any] = {name: member for name, member in value.items() if member is not None}
        self._where = where
        self._known: list[str] = []

    def path(self, name: str) -> str:
        """The member's full name."""
        return f"{self._where}.{name}" if self._where else name

    def any(self, name: str) -> Any:
        """Of any type; None if it is not there."""
        self._known.append(name)
        return self._members.pop(name, None)

    def of(self, name: str, *kinds: type, required: bool = False) -> Any:
        """Of one of these types, None if it is not there. An int is a float too, a bool is neither."""
        value = self.any(name)
        if value is None:
            if required:
                expected = " or ".join(_KINDS[kind] for kind in kinds)
                raise ApiError(
                    400, f"{self.path(name)}: expected {expected}, got nothing", param=self.path(name), code="missing_required_parameter"
                )
            return None
        wanted = (*kinds, int) if float in kinds else kinds
        if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in kinds):
            raise invalid(self.path(name), " or ".join(_KINDS[kind] for kind in kinds), value, "invalid_type")
        return value

    def only(self, name: str, neutral: Sequence[object], why: str) -> None:
        """A parameter that is taken only where it changes nothing."""
        value = self.any(name)
        # As JSON, where True is not 1; what is nested was never among the neutral ones unless it is empty.
        if value is not None and not any(type(value) is type(one) and value == one for one in neutral):
            expected = " or ".join([*(json.dumps(one) for one in neutral), "nothing"])
            raise invalid(self.path(name), f"{expected} ({why})", value, "unsupported_parameter")

    def done(self) -> None:
        """Refuse what nobody asked for."""
        if self._members:
            name = next(iter(self._members))
            raise ApiError(
                400,
                f"{_short(self.path(name))} is not a parameter here; known: {', '.join(sorted(self._known))}",
                param=self.path(name)[:80],
                code="unknown_parameter",
            )

"""Tables of a few named things."""

from __future__ import annotations

from typing import NoReturn, TypeVar

T = TypeVar("T")


class Named(dict[str, T]):
    """A table whose KeyError says which names there are."""

    def __missing__(self, name: object) -> NoReturn:
        """Raise it."""
        raise KeyError(f"expected one of {', '.join(self)}, got {name!r:.80}")

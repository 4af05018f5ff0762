"""Licences by their SPDX id: the one check for whoever names a licence of weights."""

from __future__ import annotations

import re

__all__ = ["spdx"]

_WORD = re.compile(r"\(|\)|[A-Za-z0-9.-]+\+?|\S+")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*\+?")
_JOINS = ("AND", "OR", "WITH")
_NOTHING = ("NONE", "NOASSERTION", "UNKNOWN", "OTHER")
# Hub metadata writes ids in lower case; the common ones get their spelling where no list of all ids is installed.
_SPELLED = ("Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC0-1.0", "GPL-3.0-only")


def spdx(text: str) -> str:
    """An SPDX id ("Apache-2.0"), expression ("MIT OR Apache-2.0") or reference ("LicenseRef-mine") in its right spelling.

    ValueError for anything else. Ids are held against SPDX's list where the package `packaging` (24.2 or newer) is installed; elsewhere
    only the form is looked at.
    """
    words = _WORD.findall(text)
    if not words or any(word.upper() in _NOTHING for word in words) or not _well_formed(words):
        raise ValueError(_expected(text))
    try:
        from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
    except ImportError:
        spelled = {one.lower(): one for one in _SPELLED}
        return " ".join(spelled.get(word.lower(), word) for word in words).replace("( ", "(").replace(" )", ")")
    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression:
        raise ValueError(_expected(text)) from None


def _expected(text: str) -> str:
    return (
        "an SPDX id of a licence (Apache-2.0, MIT, CC-BY-4.0, ...), an expression of such ids, or LicenseRef-NAME for one that SPDX does "
        f"not list was expected, got {text[:60]!r}"
    )


def _well_formed(words: list[str]) -> bool:
    """Ids with AND, OR or WITH between them, and parentheses that close."""
    depth, wanted = 0, True  # wanted: an id comes next
    for word in words:
        if word == "(":
            depth, fits = depth + 1, wanted
        elif word == ")":
            depth, fits = depth - 1, not wanted
        elif word.upper() in _JOINS:
            fits, wanted = not wanted, True
        else:
            fits, wanted = wanted and bool(_ID.fullmatch(word)), False
        if not fits or depth < 0:
            return False
    return depth == 0 and not wanted

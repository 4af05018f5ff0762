"""Powers of a half, the same to the last bit on every machine.

`2.0 ** -x` is the C library's, and two libraries may differ in the last bit: then a robot's log would not replay to the same bytes on a
desk.
Here only additions, multiplications and divisions of float64 are used, which IEEE 754 rounds in one way.
"""

from __future__ import annotations

import math

_LOG_2 = 0.6931471805599453


def _series(terms: int) -> tuple[float, ...]:
    coefficients = [1.0]
    for k in range(1, terms):
        coefficients.append(coefficients[-1] * -_LOG_2 / k)
    return tuple(reversed(coefficients))


_COEFFICIENTS = _series(14)
"""Of the Taylor series of 2**-f, highest power first; for |f| <= 1/2 what is left out is below 5e-18."""


def halved(halvings: float) -> float:
    """2 ** -halvings for `halvings` >= 0, within 4e-16 of its value."""
    if halvings > 1100.0:  # below the smallest float64
        return 0.0
    whole = int(halvings + 0.5)
    f = halvings - whole
    total = 0.0
    for coefficient in _COEFFICIENTS:
        total = total * f + coefficient
    return math.ldexp(total, -whole)

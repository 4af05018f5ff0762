"""Finds sums and products on their way into an address that do not fit their type."""

from __future__ import annotations

import numpy as np

from .arrays import Array, Value
from .errors import Kind
from .program import Instruction
from .wave import Active, Step, Wave

_LIMIT_64 = 2.0**63


def checked(step: Step, function: np.ufunc, instruction: Instruction, wave: Wave, x: Value, y: Value, z: Value = None) -> Step:
    """`step`, and before it a check of `function(x, y) + z` if the result becomes part of an address.

    PTX does not say whether 32 bits are signed, so an error is what fits neither: results in [-2^31, 2^32) pass.
    """
    if id(instruction) not in wave.addressing or instruction.has("hi", "wide"):
        return step
    bits = int(instruction.type[1:])
    signed = [_signed(value, bits) for value in (x, y if function is not np.left_shift else None, z) if value is not None]

    def exact() -> Array:
        # 64 bits hold what 32 bits give; for 64 bits a double is near enough to tell what is far outside.
        wide = np.int64 if bits == 32 else np.float64
        a = signed[0].astype(wide)
        if function is np.left_shift:
            power: Array = a * np.left_shift(np.int64(1), np.minimum(y, 62).astype(np.int64)).astype(wide)
            return power
        result: Array = function(a, signed[1].astype(wide))
        return result + signed[2].astype(wide) if z is not None else result

    low, high = (-(2**31), 2**32) if bits == 32 else (-_LIMIT_64, 2 * _LIMIT_64)

    def run(active: Active) -> None:
        result = exact()
        bad = ((result < low) | (result >= high)) & active.mask
        if bad.any():
            lane = int(np.flatnonzero(bad)[0])
            got = np.broadcast_to(result, wave.size)[lane]
            wave.fault(instruction, Kind.ADDRESS_OVERFLOW, lane, f"{got:.0f} does not fit {bits} bits")
        step(active)

    return run


def _signed(value: Value, bits: int) -> Value:
    return value.view(f"i{bits // 8}")

"""What arithmetic instructions must give, computed with exact fractions and Python's integers, one value at a time."""

import math
from fractions import Fraction

import numpy as np

# Bits of the significand, smallest and largest exponent of a normal number.
FORMATS = {"f16": (11, -14, 15), "f32": (24, -126, 127), "f64": (53, -1022, 1023)}
DTYPES = {
    **{f"{kind}{bits}": np.dtype(f"{letter}{bits // 8}") for kind, letter in (("s", "i"), ("u", "u")) for bits in (8, 16, 32, 64)},
    **{f"f{bits}": np.dtype(f"f{bits // 8}") for bits in (16, 32, 64)},
}


def rounded(x, kind, mode="rn"):
    """An exact fraction as the nearest number of a format, by mode rn, rz, rm (down) or rp (up)."""
    if x == 0:
        return 0.0
    bits, lowest, highest = FORMATS[kind]
    magnitude = abs(x)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    exponent -= magnitude < Fraction(2) ** exponent
    unit = Fraction(2) ** (max(exponent, lowest) - bits + 1)
    whole, rest = divmod(magnitude, unit)
    away = (x > 0) == (mode == "rp")
    up = {"rn": rest * 2 > unit or (rest * 2 == unit and whole % 2), "rz": False}.get(mode, away and rest > 0)
    value = (whole + bool(up)) * unit
    largest = (2 - Fraction(2) ** (1 - bits)) * Fraction(2) ** highest
    if value > largest:
        value = math.inf if mode == "rn" or (mode != "rz" and away) else largest
    return float(value) if x > 0 else -float(value)


def root(x):
    """A fraction that rounds as the square root of x does: exact, or off by less than matters to any format."""
    scale = 4**200
    number = x.numerator * scale // x.denominator
    whole = math.isqrt(number)
    exact = whole * whole == number and x.numerator * scale % x.denominator == 0
    return Fraction(whole * 2 + (not exact), 2 * 2**200)


def wrapped(x, kind):
    """An integer cut to a type."""
    bits = int(kind[1:])
    x &= (1 << bits) - 1
    return x - (1 << bits) if kind[0] == "s" and x >> (bits - 1) else x


def clamped(x, kind):
    info = np.iinfo(DTYPES[kind])
    return min(max(x, int(info.min)), int(info.max))


def unsigned(x, bits):
    return x & ((1 << bits) - 1)


def flushed(x):
    return math.copysign(0.0, x) if abs(x) < 2.0**-126 else x


def quotient(a, b):
    """Rounded toward zero; the kernels give 0 for a zero divisor before they divide."""
    return 0 if b == 0 else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def remainder(a, b):
    return 0 if b == 0 else a - b * quotient(a, b)


def of_bytes(x, kind, bits=8):
    """The parts of a 32-bit word, lowest first."""
    return [wrapped(x >> shift, f"{kind[0]}{bits}") for shift in range(0, 32, bits)]


def dot(a, b, c, kind):
    return wrapped(sum(x * y for x, y in zip(of_bytes(a, kind), of_bytes(b, kind), strict=True)) + c, kind)


def dot2(a, b, c, kind, half):
    return wrapped(sum(x * y for x, y in zip(of_bytes(a, kind, 16), of_bytes(b, kind)[half : half + 2], strict=True)) + c, kind)


def permuted(a, b, selector):
    bytes_ = [(a | b << 32) >> 8 * i & 255 for i in range(8)]
    picks = [selector >> 4 * i & 15 for i in range(4)]
    return sum((255 * (bytes_[p & 7] >> 7) if p & 8 else bytes_[p & 7]) << 8 * i for i, p in enumerate(picks))


def extracted(a, start, length, kind):
    """Bits from `start` on; beyond the word lie copies of the sign, or zeros."""
    value = a >> start
    if length == 0:
        return 0
    return wrapped(value, f"{kind[0]}{min(length, 32)}") if kind[0] == "s" else value & ((1 << length) - 1)


def inserted(a, b, start, length):
    mask = ((1 << length) - 1) << start & 0xFFFFFFFF
    return (a << start & mask) | (b & ~mask & 0xFFFFFFFF)


def highest(x, bits):
    """bfind: the highest bit that differs from the sign, -1 if there is none."""
    return (x if x >= 0 else ~x).bit_length() - 1


def to_integer(x, rounding, kind, source):
    """A float as an integer, clamped; NaN becomes 0, or the highest bit where either has 64 bits."""
    if math.isnan(x):
        return wrapped(1 << int(kind[1:]) - 1, kind) if source == "f64" or kind.endswith("64") else 0
    if math.isinf(x):
        return clamped(int(math.copysign(1 << 70, x)), kind)
    round_ = {"rni": round, "rzi": math.trunc, "rmi": math.floor, "rpi": math.ceil}[rounding]
    return clamped(round_(Fraction(x)), kind)

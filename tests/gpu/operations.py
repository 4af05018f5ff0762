"""The arithmetic of tests/ptx/samples/arithmetic.cu: for each kernel its types and what it must give."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from exact import (
    DTYPES,
    clamped,
    dot,
    dot2,
    extracted,
    flushed,
    highest,
    inserted,
    permuted,
    quotient,
    remainder,
    root,
    rounded,
    to_integer,
    unsigned,
    wrapped,
)

INTEGERS = ("s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64")
MODES = ("rn", "rz", "rm", "rp")


@dataclass(frozen=True)
class Operation:
    """`of` gives the result of one lane; `rtol` is 0 where it must be exact. `first` is the first architecture that has it, `halves` how
    many float16 one lane has."""

    result: str
    types: tuple[str, str, str]
    of: object
    rtol: float = 0.0
    first: int = 75
    halves: int = 1
    limit: float | None = None


def same(result, kind, of, **more):
    return Operation(result, (kind, kind, kind), of, **more)


def finite(exact, otherwise, kind, mode="rn"):
    """An operation on fractions, rounded; where an argument or the result is no number, what NumPy gives."""
    dtype = DTYPES[kind]

    count = exact.__code__.co_argcount

    def of(*args):
        args = args[:count]
        try:
            return rounded(exact(*(Fraction(x) for x in args)), kind, mode)
        except (ValueError, OverflowError, ZeroDivisionError):
            with np.errstate(all="ignore"):
                return float(otherwise(*(dtype.type(x) for x in args)))

    return of


def number_of(choose, a, b):
    """min or max, where a number wins against NaN."""
    return b if math.isnan(a) else a if math.isnan(b) else choose(a, b)


def fused(a, b, c):
    """a * b + c with an infinity or NaN among them: a product of numbers never is one, however large."""
    return c if np.isfinite(a) and np.isfinite(b) else a * b + c


def _root_of(x):
    if x < 0:
        raise ValueError
    return root(x)


def _integers():
    found = {}
    for kind in INTEGERS:
        wrap = {
            "add": lambda a, b, c: a + b,
            "sub": lambda a, b, c: a - b,
            "mul": lambda a, b, c: a * b,
            "mad": lambda a, b, c: a * b + c,
            "div": lambda a, b, c: quotient(a, b),
            "rem": lambda a, b, c: remainder(a, b),
            "min": lambda a, b, c: min(a, b),
            "max": lambda a, b, c: max(a, b),
            "and": lambda a, b, c: a & b,
            "or": lambda a, b, c: a | b,
            "xor": lambda a, b, c: a ^ b,
            "not": lambda a, b, c: ~a,
            "neg": lambda a, b, c: -a,
            "select": lambda a, b, c: a if a < b or b == c else c,
        }
        for name, of in wrap.items():
            found[f"{name}_{kind}"] = same(kind, kind, lambda a, b, c, of=of, kind=kind: wrapped(of(a, b, c), kind))
        found[f"lt_{kind}"] = same("u32", kind, lambda a, b, c: a < b)
        found[f"le_{kind}"] = same("u32", kind, lambda a, b, c: a <= b)
        found[f"eq_{kind}"] = same("u32", kind, lambda a, b, c: a == b)
    for kind in ("s32", "u32", "s64", "u64"):
        bits = int(kind[1:])
        found[f"mulhi_{kind}"] = same(kind, kind, lambda a, b, c, bits=bits: a * b >> bits)
    for kind in ("s32", "s64"):
        found[f"abs_{kind}"] = same(kind, kind, lambda a, b, c, kind=kind: wrapped(abs(a), kind))
    return found


def _bits():
    u, s = "u32", "s32"
    return {
        "mulwide_s32": same("s64", s, lambda a, b, c: a * b),
        "mulwide_u32": same("u64", u, lambda a, b, c: a * b),
        "madwide_s32": Operation("s64", (s, s, "s64"), lambda a, b, c: wrapped(a * b + c, "s64")),
        "mul24_s32": same(s, s, lambda a, b, c: wrapped(wrapped(a, "s24") * wrapped(b, "s24"), s)),
        "mul24_u32": same(u, u, lambda a, b, c: wrapped(wrapped(a, "u24") * wrapped(b, "u24"), u)),
        "sad_s32": same(u, s, lambda a, b, c: wrapped(abs(a - b) + c, u)),
        "addsat_s32": same(s, s, lambda a, b, c: clamped(a + b, s)),
        "subsat_s32": same(s, s, lambda a, b, c: clamped(a - b, s)),
        "shl_u32": same(u, u, lambda a, b, c: wrapped(a << (b & 63), u)),
        "shr_u32": same(u, u, lambda a, b, c: a >> (b & 63)),
        "shr_s32": Operation(s, (s, u, s), lambda a, b, c: a >> (b & 63)),
        "shl_u64": Operation("u64", ("u64", u, "u64"), lambda a, b, c: wrapped(a << (b & 127), "u64")),
        "shr_s64": Operation("s64", ("s64", u, "s64"), lambda a, b, c: a >> (b & 127)),
        "funnel_l": same(u, u, lambda a, b, c: (a | b << 32) << (c & 31) >> 32 & 0xFFFFFFFF),
        "funnel_r": same(u, u, lambda a, b, c: (a | b << 32) >> (c & 31) & 0xFFFFFFFF),
        "funnel_lc": same(u, u, lambda a, b, c: (a | b << 32) << min(c & 63, 32) >> 32 & 0xFFFFFFFF),
        "funnel_rc": same(u, u, lambda a, b, c: (a | b << 32) >> min(c & 63, 32) & 0xFFFFFFFF),
        "popc_u32": same(u, u, lambda a, b, c: bin(a).count("1")),
        "popc_u64": same(u, "u64", lambda a, b, c: bin(a).count("1")),
        "clz_u32": same(u, u, lambda a, b, c: 32 - a.bit_length()),
        "clz_u64": same(u, "u64", lambda a, b, c: 64 - a.bit_length()),
        "ffs_u32": same(u, u, lambda a, b, c: (a & -a).bit_length()),
        "brev_u32": same(u, u, lambda a, b, c: int(f"{a:032b}"[::-1], 2)),
        "brev_u64": same("u64", "u64", lambda a, b, c: int(f"{a:064b}"[::-1], 2)),
        "bfind_s32": same(u, s, lambda a, b, c: wrapped(highest(a, 32), u)),
        "bfind_u64": same(u, "u64", lambda a, b, c: wrapped(-1 if a == 0 else 63 - highest(a, 64), u)),
        "bfe_u32": same(u, u, lambda a, b, c: extracted(a, b & 63, c & 63, u)),
        "bfe_s32": Operation(s, (s, u, u), lambda a, b, c: extracted(a, b & 63, c & 63, s)),
        "bfi_b32": same(u, u, lambda a, b, c: inserted(a, b, c & 63, c >> 8 & 63)),
        "prmt_b32": same(u, u, lambda a, b, c: permuted(a, b, c & 0x7777)),
        "prmt_sign": same(u, u, permuted),
        "lop3_e2": same(
            u, u, lambda a, b, c: sum((0xE2 >> ((a >> i & 1) * 4 + (b >> i & 1) * 2 + (c >> i & 1)) & 1) << i for i in range(32))
        ),
        "dp4a_s32": same(s, s, lambda a, b, c: dot(a, b, c, s)),
        "dp4a_u32": same(u, u, lambda a, b, c: dot(a, b, c, u)),
        "dp2a_lo_s32": same(s, s, lambda a, b, c: dot2(a, b, c, s, 0)),
        "dp2a_hi_u32": same(u, u, lambda a, b, c: dot2(a, b, c, u, 2)),
        "pack_s8": same(u, s, lambda a, b, c: unsigned(c << 16 | unsigned(clamped(a, "s8"), 8) << 8 | unsigned(clamped(b, "s8"), 8), 32)),
        "pack_u16": same(u, s, lambda a, b, c: clamped(a, "u16") << 16 | clamped(b, "u16")),
        "slct_s32": Operation(u, (u, u, s), lambda a, b, c: a if c >= 0 else b),
        "setp_xor": Operation(u, (s, s, u), lambda a, b, c: (a < b) ^ (not c & 1)),
        "setp_pair": Operation(u, (s, s, u), lambda a, b, c: (a >= b and c & 1) + 2 * (a < b and c & 1)),
        "set_s32": same(u, s, lambda a, b, c: 0xFFFFFFFF if a > b else 0),
    }


def _float32():
    f = "f32"
    found = {}
    for mode in MODES:
        found |= {
            f"add_f32_{mode}": same(f, f, finite(lambda a, b: a + b, np.add, f, mode)),
            f"sub_f32_{mode}": same(f, f, finite(lambda a, b: a - b, np.subtract, f, mode)),
            f"mul_f32_{mode}": same(f, f, finite(lambda a, b: a * b, np.multiply, f, mode)),
            f"div_f32_{mode}": same(f, f, finite(lambda a, b: a / b, np.divide, f, mode)),
            f"fma_f32_{mode}": same(f, f, finite(lambda a, b, c: a * b + c, fused, f, mode)),
            f"sqrt_f32_{mode}": same(f, f, finite(_root_of, np.sqrt, f, mode)),
            f"rcp_f32_{mode}": same(f, f, finite(lambda a: 1 / a, lambda a: 1 / a, f, mode)),
            f"f64_to_f32_{mode}": same(f, "f64", finite(lambda a: a, lambda a: a, f, mode)),
            f"s32_to_f32_{mode}": same(f, "s32", lambda a, b, c, mode=mode: rounded(Fraction(a), "f32", mode)),
            f"u32_to_f32_{mode}": same(f, "u32", lambda a, b, c, mode=mode: rounded(Fraction(a), "f32", mode)),
        }
    add, mul = finite(lambda a, b: a + b, np.add, f), finite(lambda a, b: a * b, np.multiply, f)
    nan = math.isnan
    found |= {
        "add_f32_ftz": same(f, f, lambda a, b, c: flushed(add(flushed(a), flushed(b)))),
        "mul_f32_sat": same(f, f, lambda a, b, c: 0.0 if nan(mul(a, b)) else min(max(mul(a, b), 0.0), 1.0)),
        "min_f32": same(f, f, lambda a, b, c: number_of(min, a, b)),
        "max_f32": same(f, f, lambda a, b, c: number_of(max, a, b)),
        "min_f32_nan": same(f, f, lambda a, b, c: np.minimum(a, b), first=80),
        "max_f32_nan": same(f, f, lambda a, b, c: np.maximum(a, b), first=80),
        "neg_f32": same(f, f, lambda a, b, c: -a),
        "abs_f32": same(f, f, lambda a, b, c: abs(a)),
        "copysign_f32": same(f, f, lambda a, b, c: math.copysign(a, b)),
        "saturate_f32": same(f, f, lambda a, b, c: 0.0 if nan(a) else min(max(a, 0.0), 1.0)),
        "floor_f32": same(f, f, lambda a, b, c: np.floor(a)),
        "ceil_f32": same(f, f, lambda a, b, c: np.ceil(a)),
        "trunc_f32": same(f, f, lambda a, b, c: np.trunc(a)),
        "rint_f32": same(f, f, lambda a, b, c: np.rint(a)),
        "round_f32": same(f, f, lambda a, b, c: math.copysign(math.floor(abs(Fraction(a)) + Fraction(1, 2)), a) if math.isfinite(a) else a),
        "eq_f32": same("u32", f, lambda a, b, c: a == b),
        "ne_f32": same("u32", f, lambda a, b, c: a != b),
        "lt_f32": same("u32", f, lambda a, b, c: a < b),
        "nlt_f32": same("u32", f, lambda a, b, c: not a < b),
        "nge_f32": same("u32", f, lambda a, b, c: not a >= b),
        "isnan_f32": same("u32", f, lambda a, b, c: nan(a) or math.isinf(b)),
    }
    near = {
        "ex2_f32": np.exp2,
        "lg2_f32": np.log2,
        "sin_f32": np.sin,
        "cos_f32": np.cos,
        "tanh_f32": np.tanh,
        "rsqrt_f32": lambda a: 1 / np.sqrt(a),
        "expf_f32": np.exp,
        "logf_f32": np.log,
        "sinf_f32": np.sin,
        "tanhf_f32": np.tanh,
        "erff_f32": np.vectorize(math.erf),
    }
    for name, of in near.items():
        found[name] = same(f, f, lambda a, b, c, of=of: of(np.float64(a)), rtol=2e-6, limit=80.0)
    found |= {
        "rcp_f32_approx": same(f, f, lambda a, b, c: flushed(float(np.float32(1 / np.float64(flushed(a))))), rtol=1e-6),
        "div_f32_approx": same(f, f, lambda a, b, c: np.float64(a) / np.float64(b), rtol=1e-6, limit=1e6),
        "div_f32_full": same(f, f, lambda a, b, c: np.float64(a) / np.float64(b), rtol=1e-6, limit=1e6),
        "powf_f32": same(f, f, lambda a, b, c: np.power(np.float64(a), np.float64(b)), rtol=1e-5, limit=9.0),
    }
    return found


def _other_floats():
    d, h = "f64", "f16"
    add, mul = finite(lambda a, b: a + b, np.add, h), finite(lambda a, b: a * b, np.multiply, h)
    sub = finite(lambda a, b: a - b, np.subtract, h)
    fma = finite(lambda a, b, c: a * b + c, fused, h)
    two = {"halves": 2}
    return {
        "add_f64": same(d, d, lambda a, b, c: np.float64(a) + b),
        "mul_f64": same(d, d, lambda a, b, c: np.float64(a) * b),
        "div_f64": same(d, d, lambda a, b, c: np.float64(a) / b),
        "fma_f64": same(d, d, finite(lambda a, b, c: a * b + c, fused, d)),
        "sqrt_f64": same(d, d, lambda a, b, c: np.sqrt(a)),
        "min_f64": same(d, d, lambda a, b, c: number_of(min, a, b)),
        "lt_f64": same("u32", d, lambda a, b, c: a < b),
        "neg_f16": same(h, h, lambda a, b, c: -a),
        "add_f16": same(h, h, lambda a, b, c: add(a, b)),
        "mul_f16": same(h, h, lambda a, b, c: mul(a, b)),
        "fma_f16": same(h, h, fma),
        # __hdiv divides by a reciprocal: a unit in the last place of a half.
        "div_f16": same(h, h, lambda a, b, c: np.float64(a) / b, rtol=1e-3, limit=100.0),
        "max_f16": same(h, h, lambda a, b, c: number_of(max, a, b)),
        "lt_f16": same("u32", h, lambda a, b, c: a < b),
        "add_h2": same(h, h, lambda a, b, c: add(a, b), **two),
        "sub_h2": same(h, h, lambda a, b, c: sub(a, b), **two),
        "mul_h2": same(h, h, lambda a, b, c: mul(a, b), **two),
        "fma_h2": same(h, h, fma, **two),
        "fma_h2_relu": same(h, h, lambda a, b, c: fma(a, b, c) if fma(a, b, c) > 0 else 0.0, first=80, **two),
        "add_h2_sat": same(h, h, lambda a, b, c: 0.0 if math.isnan(add(a, b)) else min(max(add(a, b), 0.0), 1.0), **two),
        "neg_h2": same(h, h, lambda a, b, c: -a, **two),
        "abs_h2": same(h, h, lambda a, b, c: abs(a), **two),
        "min_h2": same(h, h, lambda a, b, c: number_of(min, a, b), **two),
        "gt_h2": same(h, h, lambda a, b, c: a > b, **two),
        "sqrt_h2": same(h, h, lambda a, b, c: np.sqrt(np.float64(a)), rtol=1e-3, limit=1e4, **two),
    }


def _conversions():
    f = "f32"
    found = {}
    for source, roundings in (("f32", ("rni", "rzi", "rmi", "rpi")), ("f64", ("rni", "rzi"))):
        for how in roundings:
            for kind in ("s32", "u32", "s64", "u64", "s16", "u16"):
                found[f"{source}_to_{kind}_{how}"] = same(
                    kind, source, lambda a, b, c, how=how, kind=kind, source=source: to_integer(a, how, kind, source)
                )
    for mode in MODES:
        found[f"f32_to_f16_{mode}"] = same("f16", f, finite(lambda a: a, np.float16, "f16", mode))
    found |= {
        "f32_to_s8_sat": same("s32", f, lambda a, b, c: to_integer(a, "rni", "s8", f)),
        "f32_to_u8_sat": same("u32", f, lambda a, b, c: to_integer(a, "rni", "u8", f)),
        "s32_to_u8_sat": same("u32", "s32", lambda a, b, c: clamped(a, "u8")),
        "s32_to_s16_sat": same("s16", "s32", lambda a, b, c: clamped(a, "s16")),
        "u32_to_s32_sat": same("s32", "u32", lambda a, b, c: clamped(a, "s32")),
        "s64_to_f32": same(f, "s64", lambda a, b, c: rounded(Fraction(a), f)),
        "u64_to_f32": same(f, "u64", lambda a, b, c: rounded(Fraction(a), f)),
        "s64_to_f64": same("f64", "s64", lambda a, b, c: rounded(Fraction(a), "f64")),
        "f32_to_f64": same("f64", f, lambda a, b, c: a),
        "f16_to_f32": same(f, "f16", lambda a, b, c: a),
        "f16_to_s32": same("s32", "f16", lambda a, b, c: to_integer(a, "rni", "s32", "f16")),
        "s32_to_f16": same("f16", "s32", lambda a, b, c: rounded(Fraction(a), "f16")),
        "s8_to_s32": same("s32", "s8", lambda a, b, c: a),
        "u8_to_f32": same(f, "u8", lambda a, b, c: a),
        "s32_to_s8": same("s8", "s32", lambda a, b, c: wrapped(a, "s8")),
        "s8_to_s64": same("s64", "s8", lambda a, b, c: a),
        "s16_to_u64": same("u64", "s16", lambda a, b, c: wrapped(a, "u64")),
    }
    return found


OPERATIONS = {**_integers(), **_bits(), **_float32(), **_other_floats(), **_conversions()}

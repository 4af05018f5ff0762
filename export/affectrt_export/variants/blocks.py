"""Weights in 4 bits: blocks of neighbours along the inputs of a layer, a scale and perhaps a zero point each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from affectrt_export.spec import F32

U8 = npt.NDArray[np.uint8]
_SHRINK = (1.0, 0.95, 0.9, 0.85, 0.8)  # of the range: what is cut off at its ends may cost less than coarse steps in between


def asymmetric(weight: F32, block: int) -> tuple[U8, F32, U8]:
    """(out, in) float32 to values 0..15 (out, blocks, block), scales (out, blocks) and zero points 0..15 (out, blocks).

    weight = (value - zero) * scale. The last block of a row is filled up with its zero point. Of five ranges each block takes the one
    with the least squared error.
    """
    data = _blocked(weight, block)
    low, high = np.minimum(data.min(2), 0), np.maximum(data.max(2), 0)
    best, found = (
        np.full(low.shape, np.inf),
        (np.zeros(data.shape, np.uint8), np.ones(low.shape, np.float32), np.zeros(low.shape, np.uint8)),
    )
    for shrink in _SHRINK:
        scale = ((high - low) * shrink / 15).astype(np.float32)
        scale = np.where(scale > 0, scale, 1).astype(np.float32)
        zero = np.clip(np.rint(-low * shrink / scale), 0, 15).astype(np.uint8)
        value = np.clip(np.rint(data / scale[..., None]) + zero[..., None], 0, 15).astype(np.uint8)
        error = np.square((value.astype(np.float32) - zero[..., None]) * scale[..., None] - data).sum(2)
        better = error < best
        best = np.where(better, error, best)
        found = (
            np.where(better[..., None], value, found[0]),
            np.where(better, scale, found[1]),
            np.where(better, zero, found[2]),
        )
    return found


def symmetric(weight: F32, block: int) -> tuple[npt.NDArray[np.int8], F32]:
    """(out, in) float32, `in` a multiple of `block`, to values -8..7 of the same shape and scales (out, blocks): weight = value * scale."""
    data = _blocked(weight, block)
    peak = np.take_along_axis(data, np.abs(data).argmax(2)[..., None], 2)[..., 0]
    best, value, scale = np.full(peak.shape, np.inf), np.zeros(data.shape, np.int8), np.ones(peak.shape, np.float32)
    # The largest value of a block takes -8, whichever its sign: a scale may be negative, and no step goes unused.
    for shrink in (*_SHRINK, *(-factor for factor in _SHRINK)):
        steps = np.where(peak != 0, peak * np.float32(shrink) / -8, 1).astype(np.float32)
        tried = np.clip(np.rint(data / steps[..., None]), -8, 7)
        error = np.square(tried * steps[..., None] - data).sum(2)
        better = error < best
        best = np.where(better, error, best)
        value = np.where(better[..., None], tried, value).astype(np.int8)
        scale = np.where(better, steps, scale)
    return value.reshape(weight.shape), scale


def nibbles(values: U8) -> U8:
    """Two values 0..15 a byte along the last axis, the first in the low half; an odd one alone in the last byte."""
    even = values if values.shape[-1] % 2 == 0 else np.concatenate([values, np.zeros_like(values[..., :1])], -1)
    return np.asarray(even[..., 0::2] | (even[..., 1::2] << 4), np.uint8)


def _blocked(weight: F32, block: int) -> F32:
    rows, width = weight.shape
    count = -(-width // block)
    padded = np.zeros((rows, count * block), np.float32)
    padded[:, :width] = weight
    return padded.reshape(rows, count, block)

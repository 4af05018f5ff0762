"""The kernels on the device, against the NumPy references of tests/gpu, and their times against a measured copy."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from affectrt import _core

from gpu_parts.device import Clock, Launcher
from gpu_parts.machine import ROOT, NotHereError, one_line
from gpu_parts.report import KERNELS_RIGHT, Report

sys.path[:0] = [str(ROOT / "tests" / folder) for folder in ("gpu", ".", "ops")]

try:
    import kernel_counts
    import kernels
    import ptx
    import test_kernel_affect as affect
    import test_kernel_align as align
    import test_kernel_detection as detection
    import test_kernel_emotion_layernorm as emotion_layernorm
    import test_kernel_masked_attention as masked_attention
    import test_kernel_memory_top_k as memory_top_k
    import test_kernel_sharpness as sharpness
    import test_kernel_skip_crf as skip_crf
    from image_launches import COLORS, TYPES, Launch
    from test_kernel_image_to_tensor import GROWN, SHRUNK, TURNED
except ImportError as error:
    raise NotHereError(f"the checks of tests/gpu cannot be imported: {one_line(error)}; pip install '.[test]' in a clone") from None

COPY, TIMES = "Copy on the device", "Kernels: time"
COPY_BYTES = 256 << 20
Case = Callable[[str], Any]


@dataclass(frozen=True)
class Large:
    """A launch that is large enough to be bound by memory."""

    op: str
    kernel: str
    launch: str
    case: Case
    moved_bytes: int
    of_copy: float | None
    """The least part of the copy's bandwidth, as expected before the first run; None where arithmetic or waiting is the bound."""


class Kernels:
    """The kernels of one device. The modules of tests/gpu see it in place of the interpreter from now on."""

    def __init__(self, device: str, report: Report, *, quick: bool) -> None:
        self._device, self._report, self._quick = device, report, quick
        self._launcher = Launcher(device, ptx.Counts)
        kernels.Gpu = self._launcher.gpu
        kernels.program = lambda op, architecture="": op

    def check(self) -> None:
        """Every kernel against its reference. Each launch is made twice, on different leftovers in memory, between guards."""
        for op, cases in _cases(self._quick).items():
            before, failures = self._launcher.launches, []
            for case in cases:
                try:
                    case(op)
                # A failed check, or what the driver says of a launch.
                except (AssertionError, ValueError, RuntimeError) as error:
                    failures.append(one_line(error))
            done = f"{len(cases)} checks, {self._launcher.launches - before} launches"
            if failures:
                self._report.failed(KERNELS_RIGHT, op, f"{len(failures)} of {done} failed; the first: {failures[0][:300]}")
            else:
                self._report.passed(KERNELS_RIGHT, op, done)

    def time(self) -> None:
        """The copy first; then the launches of the committed counts, and large ones."""
        clock = Clock(self._launcher.stream, self._device, times=1, rounds=3 if self._quick else 20)
        size = (16 << 20) if self._quick else COPY_BYTES
        source, target = (_core.CudaBuffer(size, device=self._device) for _ in range(2))
        copy_ms = clock.ms(lambda: target.copy_from(source, size, self._launcher.stream))
        copy = _rate(2 * size, copy_ms)
        self._report.figure(COPY, f"{size >> 20} MiB, read and written", copy, "GB/s", f"{copy_ms:.4g} ms")

        self._launcher.clock = self._clock()
        try:
            self._small(source, target)
            if self._quick:
                self._report.leave_out("large launches", "--quick")
            else:
                self._large(copy)
        finally:
            self._launcher.clock = None

    def _clock(self) -> Clock:
        # Some hundred launches in a graph take about as long as the host needs for one.
        return Clock(
            self._launcher.stream, self._device, times=2 if self._quick else 200, rounds=1 if self._quick else 15, warm=not self._quick
        )

    def _small(self, source: _core.CudaBuffer, target: _core.CudaBuffer) -> None:
        """The launches whose bytes are committed; so small that the launch is most of it, hence the copy of as many bytes beside each."""
        committed = {(row["kernel"], row["launch"]): row for row in json.loads(kernel_counts.TABLE.read_text())}
        clock = self._clock()
        self._launcher.timed_ms.clear()
        try:
            rows = _quick_rows() if self._quick else kernel_counts.measure()
        except (AssertionError, ValueError, RuntimeError) as error:
            self._report.failed(TIMES, "launches of the committed counts", one_line(error)[:300])
            return
        for row, ms in zip(rows, self._launcher.timed_ms, strict=True):
            moved = committed[row.kernel, row.launch]["moved_bytes"]
            half = moved // 2
            copy_ms = clock.ms(lambda half=half: target.copy_from(source, half, self._launcher.stream))
            name = f"{row.kernel}: {row.launch}"
            self._report.figure(TIMES, name, 1e3 * ms, "us", _shown(moved, ms) + f"; a copy of as many bytes {1e3 * copy_ms:.4g} us")

    def _large(self, copy: float | None) -> None:
        for large in _large_launches():
            self._launcher.timed_ms.clear()
            name = f"{large.kernel}: {large.launch}"
            try:
                large.case(large.op)
            except (AssertionError, ValueError, RuntimeError) as error:
                self._report.failed(TIMES, name, one_line(error)[:300])
                continue
            ms = self._launcher.timed_ms[0]  # memory_top_k has a second launch, which merges what the first has found
            rate = _rate(large.moved_bytes, ms)
            self._report.figure(TIMES, name, 1e3 * ms, "us", _shown(large.moved_bytes, ms))
            if rate is not None and copy and large.of_copy is not None:
                self._report.bounded(TIMES, f"{name}, of the copy's bandwidth", rate / copy, "", ">=", large.of_copy)


def _rate(moved_bytes: int, ms: float) -> float | None:
    """GB/s; None where the clock saw no time pass, as a stand-in's may not."""
    return moved_bytes / ms / 1e6 if ms > 0 else None


def _shown(moved_bytes: int, ms: float) -> str:
    rate = _rate(moved_bytes, ms)
    return f"{moved_bytes} bytes" + ("" if rate is None else f", {rate:.4g} GB/s")


def _cases(quick: bool) -> dict[str, list[Case]]:
    """By op; each is the check that its test in the interpreter makes, and takes the op's name. The short run has every kernel once."""
    images: list[Case] = []
    layouts = itertools.cycle([("nchw", "rgb"), ("nhwc", "bgr"), ("nchw", "gray"), ("nhwc", "rgb"), ("nchw", "bgr")])
    for number, (color, kind) in enumerate(itertools.product(COLORS, TYPES)):
        apart, (layout, tensor_color) = ((0, 0, 0), (3, 1, 5))[number % 2], next(layouts)
        images.append(Launch(color, (18, 22), (TURNED, GROWN, SHRUNK), (14, 23), kind, layout, tensor_color, 2, *apart).check)
    if quick:
        images = images[::4]  # every color but one, every kind
    else:
        images += [Launch("nv12", (1080, 1920), (TURNED, GROWN, SHRUNK), (224, 224), kind, "nchw", count=3).check for kind in TYPES]
        images += [Launch("bgr8", (719, 1279), ((1.9, 0.1, 5.0, -0.1, 1.9, 70.0),), (255, 257), kind, "nhwc").check for kind in TYPES]

    boxes = align.detections(7, 6)
    found: dict[str, list[Case]] = {
        "image_to_tensor": images,
        "sharpness": [lambda op, k=kind: sharpness.check(op, k, "nhwc", 3, (11, 13), count=2) for kind in sharpness.TYPES],
        "detection": [
            lambda op: detection.check(op, detection.outputs(211, 6, 4, faces=6, spread=9.0, above=0.4), limit=12),
            lambda op: detection.check(op, _full(513), limit=3, iou=0.1),
        ],
        "align": [lambda op: align.check_box(op, boxes, 5), lambda op: align.check_points(op, boxes, 5, (0, 1, 2, 3, 4, 5))],
        "affect": [lambda op: affect.check(op, faces=5, count=3, labels=35, steps=2, seed=1)],
        "emotion_layernorm": [lambda op, k=kind: emotion_layernorm.check(op, k, width=36, tokens=34) for kind in emotion_layernorm.TYPES],
        "masked_attention": [lambda op, k=kind: masked_attention.check(op, k, hidden=((0, 3), (1, 0))) for kind in masked_attention.TYPES],
        "memory_top_k": [
            lambda op, c=combination: memory_top_k.check(op, c, queries=2, allowed=0.8, apart=(3, 1), blocks=2)
            for combination in ("C-A", "S-C")
        ],
        "skip_crf": [lambda op: skip_crf.check(op, lengths=(11, 0, 7), voices="many", pad=2)],
    }
    if not quick:
        _add_more(found)
    return found


def _add_more(found: dict[str, list[Case]]) -> None:
    for kind in sharpness.TYPES:
        for size in ((1, 1), (3, 3), (48, 48), (255, 257)):
            found["sharpness"].append(lambda op, k=kind, s=size: sharpness.check(op, k, size=s, apart=3))
    for anchors, points in ((1, 0), (37, 1), (896, 6), (3072, 6)):
        found["detection"].append(lambda op, a=anchors, k=points: detection.check(op, detection.outputs(a, k, seed=a)))
    for seed in range(12):
        found["detection"].append(
            lambda op, s=seed: detection.check(op, detection.outputs(400, 6, s, 1 + s, 2.0 + 3 * s, 0.4), 12, iou=(0.0, 0.3, 1.0)[s % 3])
        )
    found["detection"].append(lambda op: detection.check(op, _full(512), limit=3, iou=0.1))
    for index in ((0, 1), (3, 0, 5), tuple(range(16))):
        found["align"].append(lambda op, i=index: align.check_points(op, align.detections(67, 16), 66, i))
    found["align"].append(lambda op: align.check_box(op, align.detections(67, 0), 66, square=0, eyes=(-1, -1), size=(31, 17)))
    for activation in affect.ACTIVATIONS:
        for labels in (1, 7, 32, 33, 97):
            found["affect"].append(lambda op, a=activation, n=labels: affect.check(op, faces=13, labels=n, steps=9, seed=n, activation=a))
    for kind in emotion_layernorm.TYPES:
        for width, tokens in ((1, 1), (101, 7), (384, 67), (768, 128)):
            found["emotion_layernorm"].append(lambda op, k=kind, w=width, t=tokens: emotion_layernorm.check(op, k, 3, t, w))
    for kind in masked_attention.TYPES:
        for tokens, width, value_width in ((1, 1, 1), (33, 31, 17), (67, 40, 256), (128, 64, 64)):
            found["masked_attention"].append(
                lambda op, k=kind, t=tokens, w=width, v=value_width: masked_attention.check(op, k, 2, 4, t, w, v, hidden=((1, 0),))
            )
    for combination, count in itertools.product(memory_top_k.reference.COMBINATIONS, (0, 31, 4999)):
        options = {"count": count, "width": 389, "moods": 9, "k": 32, "candidates": 20, "blocks": 7, "queries": 3, "allowed": 0.9}
        found["memory_top_k"].append(lambda op, c=combination, o=options: memory_top_k.check(op, c, **o))
    for voices, tags in itertools.product(skip_crf.VOICES, (1, 7, 31, 32)):
        found["skip_crf"].append(lambda op, v=voices, n=tags: skip_crf.check(op, n, 40, (40, 0, 23, 1), v, seed=n))
        found["skip_crf"].append(lambda op, v=voices, n=tags: skip_crf.check(op, n, 700, (700,), v, whole=False, forbidden=0.1, seed=n))


def _full(above: int) -> tuple[Any, Any, Any]:
    """More candidates than the kernel takes, or just as many."""
    scores, boxes, places = detection.outputs(900, 1, seed=1, faces=4)
    scores[:] = -9
    scores[:above] = np.random.default_rng(2).uniform(0.1, 4, above)
    return scores, boxes, places


def _quick_rows() -> list[kernel_counts.Row]:
    """Of the launches of the committed counts the lightest, as `kernel_counts.measure` makes them."""
    faces = align.detections(16, 6)
    launches = [
        ("align_box", "16 faces", lambda: align.check_box("align", faces, 16)),
        ("align_points", "16 faces, 6 points", lambda: align.check_points("align", faces, 16, (0, 1, 2, 3, 4, 5))),
        ("affect", "16 faces, 7 labels", lambda: affect.check("affect", faces=16, labels=7, steps=1, seed=5)),
    ]
    return [kernel_counts.row(kernel, launch, case(), 1, None) for kernel, launch, case in launches]


def _large_launches() -> list[Large]:
    frame = Launch("nv12", (1080, 1920), ((2.0, 0.0, 0.5, 0.0, 2.0, 0.5),), (540, 960), "f16")
    texts, tokens, width = 64, 128, 768
    heads, batch = 8, 16
    return [
        Large(
            "image_to_tensor",
            "image_to_tensor_f16",
            "NV12 1920x1080 to 960x540",
            frame.check,
            1080 * 1920 * 3 // 2 + 540 * 960 * 3 * 2,
            0.5,
        ),
        Large(
            "sharpness",
            "sharpness_f32",
            "64 tensors 256x256 gray",
            lambda op: sharpness.check(op, size=(256, 256), slots=64),
            64 * 256 * 256 * 4,
            0.25,
        ),
        Large(
            "emotion_layernorm",
            "emotion_layernorm_f16",
            f"{texts} texts, {tokens} tokens of {width}",
            lambda op: emotion_layernorm.check(op, "f16", texts, tokens, width),
            2 * texts * tokens * width * 2,
            0.5,
        ),
        Large(
            "masked_attention",
            "masked_attention_f16",
            f"{batch} texts, {heads} heads, {tokens} tokens of 64",
            lambda op: masked_attention.check(op, "f16", batch, heads, tokens, 64, 64, masked=False),
            5 * batch * heads * tokens * 64 * 2,
            None,
        ),
        Large(
            "memory_top_k",
            "memory_top_k",
            "C-A, 100000 memories of 384",
            lambda op: memory_top_k.check(op, count=100_000, width=384, k=10, blocks=512),
            100_000 * (384 + 8) * 4,
            0.5,
        ),
        Large(
            "skip_crf",
            "skip_crf",
            "512 dialogues of 64 utterances, 28 tags",
            lambda op: skip_crf.check(op, 28, 64, (64,) * 512, "many"),
            512 * 64 * (28 * 4 + 8 + 4 + 28 * 28),
            None,
        ),
    ]

"""The face pipeline on the GPU against the CPU's answers, and what it costs beside the CPU in the same run."""

from __future__ import annotations

import contextlib
import importlib.util
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import affectrt as art
import numpy as np
from affectrt import _core
from measure import time_ms
from numpy.typing import NDArray

from gpu_parts.machine import NotHereError, free_bytes, is_a_gpu, one_line
from gpu_parts.report import FACES_RIGHT, Report

COUNTS = (1, 2, 4, 8, 16)
CELL_PX, SIDE = 240, 4
LATENCY, THROUGHPUT, START, MEMORY = "Faces: latency", "Faces: throughput", "Opening and first frame", "Memory"
FRAME_NS = 40_000_000
# Of a network in float32, whose products a GPU may round to 10 bits of mantissa (TF32); of the default pack, which the CPU runs with int8
# activations and the GPU without.
ALIKE = {"boxes_px": 1.0, "probs": 0.02, "points_px": 1.5}
ALIKE_DEFAULT = {"boxes_px": 1.0, "probs": 0.1, "points_px": 1.5}
U8 = NDArray[np.uint8]


class OnDevice:
    """A picture in device memory, as CuPy and other libraries show theirs."""

    def __init__(self, picture: U8, device: str) -> None:
        self._buffer = _core.CudaBuffer(picture.nbytes, device=device)
        self._buffer.write(np.ascontiguousarray(picture).reshape(-1), _core.CudaStream(device))
        self.__cuda_array_interface__ = {
            "shape": picture.shape,
            "typestr": "|u1",
            "data": (self._buffer.data, False),
            "version": 3,
            "strides": None,
            "stream": None,
        }


def scene(count: int) -> U8:
    """(960, 960, 3) RGB with so many faces, each some 125 px high."""
    try:
        from PIL import Image
    except ImportError:
        raise NotHereError("pictures cannot be read: pip install pillow") from None
    with Image.open(Path(art.__file__).parent / "data/astronaut.jpg") as portrait:
        cell = np.asarray(portrait.convert("RGB").crop((126, 20, 326, 220)).resize((CELL_PX, CELL_PX)))
    frame = np.full((SIDE * CELL_PX, SIDE * CELL_PX, 3), 128, np.uint8)
    for i in range(count):
        row, column = divmod(i * 5 % SIDE**2, SIDE)  # apart from one another as long as there is room
        frame[row * CELL_PX :, column * CELL_PX :][:CELL_PX, :CELL_PX] = cell
    return frame


def nv12(frame: U8) -> U8:
    """(H * 3/2, W): gray levels of the frame, chroma of its coarse colours."""
    r, g, b = (frame[..., i].astype(np.float32) for i in range(3))
    y = 16 + 0.257 * r + 0.504 * g + 0.098 * b
    u, v = 128 - 0.148 * r - 0.291 * g + 0.439 * b, 128 + 0.439 * r - 0.368 * g - 0.071 * b
    chroma = np.stack([u[::2, ::2], v[::2, ::2]], axis=-1).reshape(len(frame) // 2, -1)
    return np.rint(np.concatenate([y, chroma])).clip(0, 255).astype(np.uint8)


def compare(report: Report, name: str, got: Sequence[Any], want: Sequence[Any], alike: dict[str, float]) -> None:
    """Faces of one frame against those of the CPU: as many, each at the place of one of the CPU's, reading the same."""
    if len(got) != len(want) or not want:
        report.failed(FACES_RIGHT, name, f"expected {len(want)} faces as on the CPU, got {len(got)}")
        return
    places = np.array([face.box for face in want])
    pairs = [(face, want[int(np.abs(places - face.box).max(axis=1).argmin())]) for face in got]
    if len({id(mate) for _, mate in pairs}) != len(want):
        report.failed(FACES_RIGHT, name, "two faces lie where the CPU has one")
        return
    report.bounded(FACES_RIGHT, f"{name}: boxes", _furthest(pairs, "box"), "px", "<=", alike["boxes_px"], f"{len(want)} faces")
    report.bounded(FACES_RIGHT, f"{name}: key points", _furthest(pairs, "key_points"), "px", "<=", alike["points_px"])
    report.bounded(FACES_RIGHT, f"{name}: probabilities", _furthest(pairs, "probs"), "", "<=", alike["probs"])
    if want[0].landmarks is not None:
        report.bounded(FACES_RIGHT, f"{name}: landmarks", _furthest(pairs, "landmarks"), "px", "<=", alike["points_px"])
    other = [f"{face.label} ({face.reason}) for {mate.label} ({mate.reason})" for face, mate in pairs if face.label != mate.label]
    report.bounded(FACES_RIGHT, f"{name}: other labels", len(other), "", "<=", 0, "; ".join(other[:3]))


def _furthest(pairs: Sequence[tuple[Any, Any]], what: str) -> float:
    # NumPy's maximum, since Python's passes over what is no number.
    return float(np.max([np.abs(np.asarray(getattr(face, what)) - getattr(mate, what)).max(initial=0) for face, mate in pairs]))


class Faces:
    """Pipelines on the GPU and on the CPU."""

    def __init__(self, device: str, report: Report, *, quick: bool) -> None:
        self._device, self._report, self._quick = device, report, quick
        self._frames = {count: scene(count) for count in COUNTS}

    def _gpu(self, **options: Any) -> art.Face:
        return art.Face(color="rgb8", device=self._device, strict=True, **options)

    def start(self) -> None:
        """Opening, first frame and memory: before anything else of this process has run a network on the GPU."""
        before = free_bytes(self._device)
        began = time.perf_counter()
        face = self._gpu()
        opened = time.perf_counter()
        face(self._frames[1], 0)
        first = time.perf_counter()
        self._report.figure(START, f"Face, {face.provider}: open", 1e3 * (opened - began), "ms", "first of the process")
        self._report.figure(START, f"Face, {face.provider}: first frame", 1e3 * (first - opened), "ms")
        if not self._quick:
            face(self._frames[max(COUNTS)], FRAME_NS)
        after = free_bytes(self._device)
        if before is None or after is None:
            self._report.leave_out("memory of the device", "its driver does not tell what is free")
        else:
            self._report.figure(MEMORY, "on the device, by Face and what its runtime keeps", (before - after) / 2**20, "MiB")
        self._report.figure(MEMORY, "of this process in the CPU's memory", _resident_mib(), "MiB")

    def check(self) -> None:
        """Strict mode on the GPU against the CPU: frames of the host and of device memory, one after another, so that smoothing shows."""
        many = 4 if self._quick else 16
        alike: list[tuple[str, dict[str, Any], dict[str, float]]] = [
            ("float32 networks", {"expression": "xception-fer7"}, ALIKE),
            ("default packs", {}, ALIKE_DEFAULT),
        ]
        if not self._quick:
            alike.append(("landmarks", {"expression": "xception-fer7", "landmarks": True}, ALIKE))
        for name, options, bounds in alike[1:] if self._quick else alike:
            self._attempt(name, lambda n=name, o=options, b=bounds: self._sequence(n, o, b, many))
        self._attempt("auto", self._auto)

    def _attempt(self, name: str, check: Callable[[], None]) -> None:
        try:
            check()
        except (RuntimeError, ValueError, TypeError) as error:
            self._report.failed(FACES_RIGHT, name, one_line(error)[:300])

    def _sequence(self, name: str, options: dict[str, Any], bounds: dict[str, float], many: int) -> None:
        gpu, cpu = self._gpu(**options), art.Face(color="rgb8", device="cpu", **options)
        if gpu.fallbacks:
            self._report.failed(FACES_RIGHT, f"{name}: strict", f"expected no fallback, got {'; '.join(gpu.fallbacks)}")
        else:
            self._report.passed(FACES_RIGHT, f"{name}: strict", f"{gpu.provider}, no fallback")
        one, several = self._frames[1], self._frames[many]
        sources: list[tuple[str, U8, Any, str]] = [("from the host", one, one, "rgb8")]
        sources.append(("from device memory", several, OnDevice(several, self._device), "rgb8"))
        if not self._quick:
            as_nv12 = nv12(several)
            sources.append(("NV12 from device memory", as_nv12, OnDevice(as_nv12, self._device), "nv12"))
            sources.append(("from the host again", several, several, "rgb8"))
        sources += [(f"from {library}", several, array, "rgb8") for library, array in self._libraries(several)]
        for number, (source, on_host, frame, color) in enumerate(sources):
            stamp = number * FRAME_NS
            compare(self._report, f"{name}, {source}", gpu(frame, stamp, color=color), cpu(on_host, stamp, color=color), bounds)

    def _libraries(self, frame: U8) -> list[tuple[str, Any]]:
        """The frame in the device memory of other libraries, those that are here."""
        if not is_a_gpu():
            return []
        found: list[tuple[str, Any]] = []
        if importlib.util.find_spec("torch"):
            import torch

            if torch.cuda.is_available():
                found.append(("torch", torch.from_numpy(frame).to(self._device)))
        if importlib.util.find_spec("cupy"):
            import cupy

            with cupy.cuda.Device(int(self._device.partition(":")[2])):
                found.append(("cupy", cupy.asarray(frame)))
        return found

    def _auto(self) -> None:
        face = art.Face(color="rgb8")
        if face.provider == "CPUExecutionProvider" or face.fallbacks:
            self._report.failed(FACES_RIGHT, "auto", f"runs on {face.provider}: {'; '.join(face.fallbacks) or 'no reason told'}")
        else:
            self._report.passed(FACES_RIGHT, "auto", face.provider)

    def latency(self) -> None:
        """A frame of the host and one in device memory, the CPU beside them: they take turns, round by round."""
        rounds, repeats, cpu_repeats = (1, 1, 1) if self._quick else (10, 50, 5)
        for count in COUNTS:
            frame, gpu, cpu = self._frames[count], self._gpu(), art.Face(color="rgb8", device="cpu")
            runs: dict[str, tuple[Callable[[], Any], int]] = {
                "GPU": (_ticking(gpu, frame), repeats),
                "CPU": (_ticking(cpu, frame), cpu_repeats),
            }
            if not self._quick:
                runs["GPU, frame in device memory"] = (_ticking(gpu, OnDevice(frame, self._device)), repeats)
            for run, _ in runs.values():
                time_ms(run, 0 if self._quick else 5)
            samples: dict[str, list[float]] = {name: [] for name in runs}
            ratios = []
            for turn in range(rounds):
                names = list(runs)[turn % len(runs) :] + list(runs)[: turn % len(runs)]
                spent = {name: time_ms(*runs[name]) for name in names}
                for name, values in spent.items():
                    samples[name] += values
                ratios.append(statistics.median(spent["CPU"]) / statistics.median(spent["GPU"]))
            found = len(gpu(frame, 0)) if not self._quick else count
            shown = f"{count} faces" + ("" if found == count else f" ({found} found)")
            for name, values in samples.items():
                p50, p90, p99 = np.percentile(values, (50, 90, 99))
                self._report.figure(LATENCY, f"{shown}, {name}: p50", p50, "ms", f"p90 {p90:.4g}, p99 {p99:.4g}; {len(values)} frames")
            name = f"{shown}: CPU's time over the GPU's"
            self._report.bounded(LATENCY, name, statistics.median(ratios), "", ">=", 1.0)

    def throughput(self) -> None:
        """Frames a second of one camera and of several, each with a pipeline and a thread of its own."""
        frames = 1 if self._quick else 200
        for count in (1,) if self._quick else COUNTS:
            for cameras in (1,) if self._quick else (1, 2, 4):
                faces = [self._gpu() for _ in range(cameras)]
                rate = _frames_a_second([_ticking(face, self._frames[count]) for face in faces], frames)
                name = f"{count} faces a frame, {cameras} cameras"
                self._report.figure(THROUGHPUT, name, rate, "frames/s", f"{rate * count:.4g} faces/s")


def _ticking(face: art.Face, frame: Any) -> Callable[[], Any]:
    """Frames that come every 40 ms."""
    stamp = 0

    def run() -> Any:
        nonlocal stamp
        stamp += FRAME_NS
        return face(frame, stamp)

    return run


def _frames_a_second(runs: Sequence[Callable[[], Any]], frames: int) -> float:
    failures: list[BaseException] = []
    ready = threading.Barrier(len(runs) + 1)

    def work(run: Callable[[], Any]) -> None:
        try:
            if frames > 1:
                time_ms(run, 5)
            ready.wait()
            time_ms(run, frames)
        except BaseException as error:
            failures.append(error)
            ready.abort()

    threads = [threading.Thread(target=work, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    with contextlib.suppress(threading.BrokenBarrierError):
        ready.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    spent_s = time.perf_counter() - began
    if failures:
        raise failures[0]
    return frames * len(runs) / spent_s


def _resident_mib() -> float | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), None)

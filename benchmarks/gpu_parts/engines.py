"""How long each provider that is here takes to open the networks of a face pipeline, builds included, and what it then answers."""

from __future__ import annotations

import importlib
import importlib.util
import os
import statistics
import tempfile
import time
from typing import Any

import affectrt as art
from affectrt import _core
from measure import time_ms

from gpu_parts.faces import ALIKE, FRAME_NS, compare, scene
from gpu_parts.machine import PROVIDERS, free_bytes, one_line
from gpu_parts.report import Report

ENGINES = "Providers"
PLUGIN = "onnxruntime_ep_nv_tensorrt_rtx"


def measure(device: str, report: Report, *, quick: bool) -> None:
    """Every provider of NVIDIA's. float32 networks, so that all of them compute the same."""
    if importlib.util.find_spec(PLUGIN):
        _register(report)
    there = {*_core.ort_info()["providers"], *(entry[0] for entry in _core.provider_devices())}
    frame = scene(2)
    want = art.Face(color="rgb8", device="cpu", expression="xception-fer7")(frame, 0)
    for provider in PROVIDERS:
        short = provider.removesuffix("ExecutionProvider")
        if provider not in there:
            report.leave_out(short, "this ONNX Runtime does not have it")
            continue
        before = free_bytes(device)
        try:
            began = time.perf_counter()
            options = (provider, {"device_id": device.partition(":")[2]})
            face = art.Face(color="rgb8", expression="xception-fer7", providers=[options], strict=True)
            opened = time.perf_counter()
            got = face(frame, 0)
            first = time.perf_counter()
        except (RuntimeError, ValueError) as error:
            report.failed(ENGINES, short, one_line(error)[:300])
            continue
        report.figure(ENGINES, f"{short}: open", 1e3 * (opened - began), "ms")
        report.figure(ENGINES, f"{short}: first frame", 1e3 * (first - opened), "ms", "what is built for the shapes of a frame is in it")
        if not quick:
            stamps = iter(range(FRAME_NS, 10**15, FRAME_NS))
            later = time_ms(lambda face=face, stamps=stamps: face(frame, next(stamps)), 100)
            report.figure(ENGINES, f"{short}: later frames, p50", statistics.median(later), "ms")
        after = free_bytes(device)
        if before is not None and after is not None:
            report.figure(ENGINES, f"{short}: memory of the device", (before - after) / 2**20, "MiB")
        compare(report, f"{short}, 2 faces", got, want, ALIKE)
        del face
    if quick:
        report.leave_out('Face(engine="tensorrt")', "--quick")
    else:
        _from_cache(device, report, frame, want)


def _from_cache(device: str, report: Report, frame: Any, want: Any) -> None:
    """Engines that are built by a process of their own and kept: what the first opening takes, and the next."""
    before = os.environ.get("AFFECTRT_CACHE_DIR")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["AFFECTRT_CACHE_DIR"] = cache
        try:
            for name in ("engines built", "engines from the cache"):
                began = time.perf_counter()
                face = art.Face(color="rgb8", expression="xception-fer7", device=device, strict=True, engine="tensorrt")
                opened = time.perf_counter()
                got = face(frame, 0)
                report.figure(ENGINES, f'Face(engine="tensorrt"), {name}: open', 1e3 * (opened - began), "ms", face.provider)
                report.figure(ENGINES, f'Face(engine="tensorrt"), {name}: first frame', 1e3 * (time.perf_counter() - opened), "ms")
                compare(report, f"{name}, 2 faces", got, want, ALIKE)
        except (RuntimeError, ValueError) as error:
            report.failed(ENGINES, 'Face(engine="tensorrt")', one_line(error)[:300])
        finally:
            if before is None:
                del os.environ["AFFECTRT_CACHE_DIR"]
            else:
                os.environ["AFFECTRT_CACHE_DIR"] = before


def _register(report: Report) -> None:
    try:
        plugin = importlib.import_module(PLUGIN)
        _core.register_provider_library(plugin.get_ep_name(), plugin.get_library_path())
    except (RuntimeError, OSError, ImportError) as error:
        report.leave_out(PLUGIN, one_line(error))

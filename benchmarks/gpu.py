"""The one command for the day there is a GPU: are the kernels and the pipelines right on it, how fast are they, and a dated report.

In a clone, on the machine with the GPU (docs/gpu.md):

    pip install ".[gpu,video,test,export]"      # on a Jetson: its own onnxruntime-gpu wheel in place of the extra gpu
    python benchmarks/gpu.py [--quick] [--device cuda:0] [--out DIR] [--text-pack PACK] [--parts NAMES]

It writes gpu-report-YYYY-MM-DD.json and .md to DIR, with every figure, its bound if it has one, and whether that is met. Exit code 0: all
met; 1: one is not, or there is nothing to measure, and one line says why and what mends it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from measure import unset_blas_overrides

unset_blas_overrides()

from gpu_parts import machine  # noqa: E402
from gpu_parts.report import Report  # noqa: E402

PARTS = ("kernels", "faces", "text", "providers")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few repeats and small launches: is it right, and does all of it run")
    parser.add_argument("--device", default="cuda:0", help="cuda:0 and so on")
    parser.add_argument("--out", type=Path, default=Path(), help="folder of the report, made if it is not there; default: the current one")
    parser.add_argument("--text-pack", help="a text-emotion pack with variants for GPUs; default: derived from the default one")
    parser.add_argument("--parts", default=",".join(PARTS), help="some of them, with commas; default: %(default)s")
    arguments = parser.parse_args()
    arguments.parts = arguments.parts.split(",")
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"--parts: expected some of {', '.join(PARTS)}, got {', '.join(sorted(unknown))}")
    try:
        machine.require(arguments.device)
        report = measure(arguments)
    except machine.NotHereError as reason:
        print(f"gpu.py: {reason}", file=sys.stderr)
        return 1
    written = report.write(arguments.out)
    print(f"{len(report.findings)} findings, {len(report.missed)} bounds missed; {written[0]}, {written[1].name}")
    return 1 if report.missed else 0


def measure(arguments: argparse.Namespace) -> Report:
    # Only here, since these need what `machine.require` has looked for.
    from gpu_parts import engines, faces, kernel_cases, text

    device, quick = arguments.device, arguments.quick
    library = machine.driver_library()
    not_a_gpu = f"driver library: {library} (AFFECTRT_CUDA_LIBRARY)." if library else ""
    report = Report(machine.describe(device), quick, not_a_gpu)
    people = faces.Faces(device, report, quick=quick)
    kernels = kernel_cases.Kernels(device, report, quick=quick)
    parts: dict[str, list[Callable[[], None]]] = {
        "kernels": [kernels.check, kernels.time],
        "faces": [people.check, people.latency, people.throughput],
        "text": [lambda: text.measure(arguments.text_pack, device, report, quick=quick)],
        "providers": [lambda: engines.measure(device, report, quick=quick)],
    }
    # Before anything else of this process has run a network on the GPU.
    _attempt(report, "opening", people.start)
    for name, steps in parts.items():
        if name not in arguments.parts:
            report.leave_out(name, "--parts")
            continue
        for step in steps:
            _attempt(report, name, step)
    return report


def _attempt(report: Report, name: str, step: Callable[[], None]) -> None:
    """What goes wrong on the device, in whatever way, must not take the other parts' figures with it."""
    print(f"- {name}", file=sys.stderr)
    try:
        step()
    except machine.NotHereError:
        raise
    except Exception as error:
        report.failed(name, "the part as a whole", f"{type(error).__name__}: {machine.one_line(error)[:300]}")


if __name__ == "__main__":
    sys.exit(main())

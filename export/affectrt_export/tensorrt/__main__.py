"""Builds engines of ONNX files and says how long that took and how large they are; nothing is kept.

python -m affectrt_export.tensorrt FILE... [--target sm89]... [--library tensorrt_rtx] [--runs 3]
"""

from __future__ import annotations

import argparse
import resource
import sys
from pathlib import Path

from affectrt_export.spec import ExportError
from affectrt_export.tensorrt.build import Engine, build
from affectrt_export.tensorrt.options import Options


def main(argv: list[str] | None = None) -> int:
    """A line for each file: seconds of the quickest build, of the clock and of the processor, and sizes; 1 if one could not be built."""
    parser = argparse.ArgumentParser(prog="python -m affectrt_export.tensorrt", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--target", action="append", default=[], help='GPU to build for ahead of time, such as "sm89"')
    parser.add_argument("--library", default="auto", choices=("auto", "tensorrt", "tensorrt_rtx"))
    parser.add_argument("--runs", type=int, default=1)
    chosen = parser.parse_args(argv)
    failed = 0
    for file in chosen.files:
        try:
            options = Options(targets=chosen.target, library=chosen.library)
            model = file.read_bytes()
            builds = [_timed(model, options) for _ in range(max(1, chosen.runs))]
        except (ExportError, OSError) as error:
            print(f"{file}: {error}", file=sys.stderr)
            failed = 1
            continue
        last = builds[-1][0]
        times = f"{min(engine.build_s for engine, _ in builds):.2f} s, {min(cpu_s for _, cpu_s in builds):.2f} s of the processor"
        sizes = f"{len(model) / 1e6:.2f} MB in, {len(last.data) / 1e6:.2f} MB out"
        print(f"{file}: {times}, {sizes}, {last.library.shown}, for {last.hardware}")
    return failed


def _timed(model: bytes, options: Options) -> tuple[Engine, float]:
    """An engine, and the seconds of processor time that its process took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    engine = build(model, options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return engine, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    sys.exit(main())

"""Builds engines of ONNX files and says how long that took and how large they are; nothing is kept.

python -m affectrt_export.tensorrt FILE... [--target sm89]... [--library tensorrt_rtx] [--runs 3]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from affectrt_export.spec import ExportError
from affectrt_export.tensorrt.build import build
from affectrt_export.tensorrt.options import Options


def main(argv: list[str] | None = None) -> int:
    """A line for each file: seconds of the quickest of the builds, bytes of file and engine; exit status 1 if one could not be built."""
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
            engines = [build(model, options) for _ in range(max(1, chosen.runs))]
        except (ExportError, OSError) as error:
            print(f"{file}: {error}", file=sys.stderr)
            failed = 1
            continue
        last, best = engines[-1], min(engine.build_s for engine in engines)
        sizes = f"{len(model) / 1e6:.2f} MB in, {len(last.data) / 1e6:.2f} MB out"
        print(f"{file}: {best:.2f} s, {sizes}, {last.library.shown}, for {last.hardware}")
    return failed


if __name__ == "__main__":
    sys.exit(main())

"""Registers, shared memory, stack and spills of every kernel on every architecture that is built, as ptxas and NVRTC leave them.

`python cmake/kernel_resources.py` compiles csrc/ops/*.cu and writes csrc/ops/resources.json and the table in docs/kernels.md anew; with
--check it only compares. The cubins' own sections are read, so no tool but the compilers is needed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nvrtc_compile

ROOT = Path(__file__).resolve().parents[1]
OPS = ROOT / "csrc/ops"
TABLE = OPS / "resources.json"
DOCS = ROOT / "docs/kernels.md"
ARCHITECTURES = (75, 80, 87, 89, 90, 110, 120)
MARKS = ("<!-- resources: begin -->", "<!-- resources: end -->")

Figures = dict[str, int]  # registers a thread, bytes of shared memory a block, stack and spill bytes a thread
Table = dict[str, dict[str, Figures]]  # by kernel, by architecture

_FUNCTION = re.compile(
    r"Function properties for (\w+)\s+(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads\s+"
    r"ptxas info\s*: Used (\d+) registers([^\n]*)"
)


def read_ptxas(text: str) -> dict[str, Figures]:
    """What `ptxas -v` says of each kernel."""
    found = {}
    for name, stack, stores, loads, registers, rest in _FUNCTION.findall(text):
        shared = re.search(r"(\d+) bytes smem", rest)
        found[name] = {
            "registers": int(registers),
            "shared_bytes": int(shared[1]) if shared else 0,
            "stack_bytes": int(stack),
            "spill_bytes": int(stores) + int(loads),
        }
    return found


def read_cubin(data: bytes) -> dict[str, Figures]:
    """The same from a cubin's sections. Spills lie on the stack there, and are counted with it."""
    at, size, count, names = struct.unpack_from("<Q", data, 40)[0], *struct.unpack_from("<HHH", data, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, at + i * size) for i in range(count)]

    def name_of(section: tuple[int, ...]) -> str:
        start = sections[names][4] + section[0]
        return data[start : data.index(b"\0", start)].decode()

    named = {name_of(section): section for section in sections}
    symbols = _symbols(data, named[".symtab"], sections[named[".symtab"][6]][4])
    info = named[".nv.info"]
    found = {}
    for name, section in named.items():
        if not name.startswith(".text."):
            continue
        kernel = name.removeprefix(".text.")
        shared = named.get(f".nv.shared.{kernel}")
        stack = _stack(data[info[4] : info[4] + info[5]], symbols[kernel])
        found[kernel] = {
            "registers": section[7] >> 24,
            "shared_bytes": shared[5] if shared else 0,
            "stack_bytes": stack,
            "spill_bytes": stack,
        }
    return found


def _symbols(data: bytes, table: tuple[int, ...], strings: int) -> dict[str, int]:
    """Index by name in the symbol table."""
    found = {}
    for index in range(table[5] // 24):
        start = strings + struct.unpack_from("<I", data, table[4] + 24 * index)[0]
        found[data[start : data.index(b"\0", start)].decode()] = index
    return found


def _stack(info: bytes, symbol: int) -> int:
    """EIATTR_FRAME_SIZE (0x11) of a kernel."""
    at = 0
    while at + 4 <= len(info):
        form, attribute, value = struct.unpack_from("<BBH", info, at)
        at += 4
        if form == 4:
            if attribute == 0x11 and struct.unpack_from("<I", info, at)[0] == symbol:
                return int(struct.unpack_from("<I", info, at + 4)[0])
            at += value
    return 0


def find_nvcc() -> Path:
    """nvcc as CUDACXX names it, or on PATH, or where CUDA is installed."""
    found = os.environ.get("CUDACXX") or shutil.which("nvcc", path=os.environ.get("PATH", "") + ":/usr/local/cuda/bin")
    if not found:
        raise SystemExit("no nvcc: set CUDACXX")
    return Path(found)


def measure(architectures: Sequence[int] = ARCHITECTURES) -> Table:
    """Compile all kernels for some architectures by nvcc, and for SM87 by NVRTC; for all, some 25 seconds on one core."""
    nvcc = find_nvcc()
    library = nvrtc_compile.find_library([nvcc.resolve().parents[3]])
    if library is None:
        raise SystemExit("no NVRTC 12.6: set AFFECTRT_NVRTC_LIBRARY")
    nvrtc = nvrtc_compile.Nvrtc(library)
    table: Table = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "affectrt").symlink_to(ROOT / "csrc")
        for source in sorted(OPS.glob("*.cu")):
            for architecture in architectures:
                command: list[str | Path] = [nvcc, "-std=c++17", "-O3", "-allow-unsupported-compiler", f"-I{folder}"]
                command += ["-cubin", "-Xptxas", "-v", "-o", folder / "out.cubin", f"-arch=sm_{architecture}", source]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                for kernel, figures in read_ptxas(done.stderr + done.stdout).items():
                    table.setdefault(kernel, {})[f"sm_{architecture}"] = figures
            for kernel, figures in read_cubin(nvrtc.compile(source.read_text(), str(source), "sm_87", [folder])).items():
                table.setdefault(kernel, {})["sm_87 (NVRTC 12.6)"] = figures
    return dict(sorted(table.items()))


def markdown(table: Table) -> str:
    """Registers on every architecture; shared memory, stack and spills where they are greatest."""
    columns = list(next(iter(table.values())))
    lines = ["| kernel | " + " | ".join(columns) + " | shared bytes | stack | spills |", "|---" * (len(columns) + 4) + "|"]
    for kernel, row in table.items():
        worst = [str(max(figures[key] for figures in row.values())) for key in ("shared_bytes", "stack_bytes", "spill_bytes")]
        lines.append("| " + " | ".join([kernel, *(str(row[column]["registers"]) for column in columns), *worst]) + " |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the table, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    table = measure()
    if args.check:
        if json.loads(TABLE.read_text()) != table:
            print(f"{TABLE} is not what the compilers make now: run this without --check", file=sys.stderr)
            return 1
        return 0
    TABLE.write_text(json.dumps(table, indent=1) + "\n")
    if DOCS.exists():
        before, _, rest = DOCS.read_text().partition(MARKS[0])
        after = rest.partition(MARKS[1])[2]
        DOCS.write_text(f"{before}{MARKS[0]}\n{markdown(table)}{MARKS[1]}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Compiles a kernel file with NVRTC, the compiler that is a library and needs no host compiler: `python nvrtc_compile.py --help`.

The build makes the images for drivers older than CUDA 13 with it (NVRTC 12.6, for JetPack 6). The tests compile their seeded faults with
it, as it takes some tens of milliseconds a file.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path


class NvrtcError(Exception):
    """What NVRTC refused, with its log."""


def find_library(hints: Sequence[Path] = ()) -> Path | None:
    """libnvrtc.so.12 as AFFECTRT_NVRTC_LIBRARY names it, below a hint (a folder of packages), or of an installed package; else None."""
    named = os.environ.get("AFFECTRT_NVRTC_LIBRARY")
    if named:
        return Path(named)
    spec = importlib.util.find_spec("nvidia")
    folders = [Path(hint) / "nvidia" for hint in hints] + [Path(p) for p in (spec.submodule_search_locations or [] if spec else [])]
    for folder in folders:
        library = folder / "cuda_nvrtc/lib/libnvrtc.so.12"
        if library.is_file():
            return library
    return None


class Nvrtc:
    """One opened libnvrtc."""

    def __init__(self, library: Path) -> None:
        # Its builtins are opened by name alone, which finds them when they are in the process already.
        for builtins in sorted(library.parent.glob("libnvrtc-builtins.so.*")):
            ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)
        self._library = ctypes.CDLL(str(library))
        self._library.nvrtcGetErrorString.restype = ctypes.c_char_p

    def version(self) -> tuple[int, int]:
        """Major and minor number of the toolkit that it is of."""
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        return major.value, minor.value

    def compile(self, source: str, name: str, architecture: str, include: Sequence[Path] = (), options: Sequence[str] = ()) -> bytes:
        """A cubin for sm_NN, PTX text for compute_NN. Raises NvrtcError with the compiler's log."""
        program = ctypes.c_void_p()
        self._call("nvrtcCreateProgram", ctypes.byref(program), source.encode(), name.encode(), 0, None, None)
        try:
            every = ["--std=c++17", f"--gpu-architecture={architecture}", *(f"-I{folder}" for folder in include), *options]
            encoded = (ctypes.c_char_p * len(every))(*(option.encode() for option in every))
            if self._library.nvrtcCompileProgram(program, len(every), encoded) != 0:
                raise NvrtcError(f"{name} for {architecture}:\n{self._take(program, 'nvrtcGetProgramLog').decode()}")
            return self._take(program, "nvrtcGetCUBIN" if architecture.startswith("sm_") else "nvrtcGetPTX")
        finally:
            self._library.nvrtcDestroyProgram(ctypes.byref(program))

    def _take(self, program: ctypes.c_void_p, getter: str) -> bytes:
        size = ctypes.c_size_t()
        self._call(getter + "Size", program, ctypes.byref(size))
        data = ctypes.create_string_buffer(size.value)
        self._call(getter, program, data)
        return data.raw

    def _call(self, function: str, *arguments: object) -> None:
        code = getattr(self._library, function)(*arguments)
        if code != 0:
            raise NvrtcError(f"{function}: {self._library.nvrtcGetErrorString(code).decode()}")


def main() -> int:
    """Compile one file, or with --find say where the library lies (nothing, if nowhere)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--find", action="store_true", help="print the library's path and version and do nothing else")
    parser.add_argument("--hint", action="append", default=[], type=Path, help="folder of Python packages to look in")
    parser.add_argument("--library", type=Path)
    parser.add_argument("--include", action="append", default=[], type=Path)
    parser.add_argument("--architecture", default="sm_87", help="sm_NN: cubin; compute_NN: PTX with a closing zero byte")
    parser.add_argument("source", type=Path, nargs="?")
    parser.add_argument("output", type=Path, nargs="?")
    args = parser.parse_args()
    if args.find:
        found = find_library(args.hint)
        if found is not None:
            print("{};{}.{}".format(found, *Nvrtc(found).version()), end="")
        return 0
    nvrtc = Nvrtc(args.library)
    args.output.write_bytes(nvrtc.compile(args.source.read_text(), str(args.source), args.architecture, args.include))
    return 0


if __name__ == "__main__":
    sys.exit(main())

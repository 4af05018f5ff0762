"""CUDA source to PTX, by nvcc or NVRTC, each result kept by what it was made from."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from .parser import parse
from .program import Program

# The virtual architectures whose PTX differs: what the runtime ships, in the forms that nvcc 13 makes for it.
ARCHITECTURES = ("compute_75", "compute_80", "compute_90", "compute_120")
JETPACK_ARCHITECTURE = "compute_87"

_NVCC_IN_WHEEL = "nvidia/cu*/bin/nvcc"
_NVRTC_IN_WHEEL = "nvidia/cuda_nvrtc/lib/libnvrtc.so.12"
_INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def _in_folders(pattern: str, folders: Sequence[str | Path]) -> Path | None:
    return next((found for folder in folders if folder for found in sorted(Path(folder).glob(pattern), reverse=True)), None)


def find_nvcc(nvcc: str | Path | None = None) -> Path:
    """nvcc: the file or folder (of `pip install --target`) that is given, what CUDACXX names, that on PATH, or the one that pip installed.

    FileNotFoundError says what to install.
    """
    for given in (nvcc, os.environ.get("CUDACXX")):
        if given:
            found = _in_folders(_NVCC_IN_WHEEL, [given]) if Path(given).is_dir() else Path(shutil.which(given) or given)
            if found is None or not found.is_file():
                raise FileNotFoundError(f"expected nvcc at {given}, where there is none")
            return found
    on_path = shutil.which("nvcc")
    found = Path(on_path) if on_path else _in_folders(_NVCC_IN_WHEEL, sys.path)
    if found is None:
        raise FileNotFoundError(
            "no nvcc: none in CUDACXX, on PATH or in this Python; it comes with pip install 'nvidia-cuda-nvcc==13.0.*' "
            "'nvidia-cuda-runtime==13.0.*' 'nvidia-cuda-crt==13.0.*' 'nvidia-nvvm==13.0.*' 'nvidia-cuda-cccl==13.0.*'"
        )
    return found


def find_nvrtc(nvrtc: str | Path | None = None) -> Path:
    """The library of NVRTC 12: the file or folder given, one that pip installed in this Python, or beside nvcc."""
    if nvrtc and Path(nvrtc).is_file():
        return Path(nvrtc)
    nvcc_folder = [] if nvrtc else [*sys.path, find_nvcc().parents[3]]
    found = _in_folders(_NVRTC_IN_WHEEL, [nvrtc] if nvrtc else nvcc_folder)
    if found is None:
        raise FileNotFoundError("no NVRTC 12: it comes with pip install 'nvidia-cuda-nvrtc-cu12==12.6.*'")
    return found


def compile(
    source: str | Path,
    arch: str = ARCHITECTURES[0],
    includes: Sequence[str | Path] = (),
    defines: Sequence[str] = (),
    *,
    nvcc: str | Path | None = None,
    cache: str | Path | None = None,
    options: Sequence[str] = (),
) -> str:
    """PTX text of a CUDA source, with line information.

    `arch` is a virtual architecture such as "compute_75", `defines` are NAME or NAME=VALUE, `options` go to nvcc as they are. `cache` is a folder in
    which the result is kept by a hash of all that goes into it; without one, nothing is kept. RuntimeError carries what the compiler says.
    """
    source, compiler = Path(source), find_nvcc(nvcc)
    arguments = ["-ptx", "-lineinfo", "-std=c++17", f"-arch={arch}"]
    arguments += [f"-I{folder}" for folder in includes] + [f"-D{define}" for define in defines] + list(options)

    def build(target: Path) -> None:
        # Python imports an environment's packages from wherever it is started; nvcc needs none of that.
        done = subprocess.run([compiler, *arguments, "-o", target, source], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"nvcc does not compile {source} for {arch}:\n{done.stderr or done.stdout}")

    return _kept(source, [str(compiler), *arguments], includes, cache, build)


def compile_nvrtc(
    source: str | Path,
    arch: str = JETPACK_ARCHITECTURE,
    includes: Sequence[str | Path] = (),
    defines: Sequence[str] = (),
    *,
    nvrtc: str | Path | None = None,
    cache: str | Path | None = None,
) -> str:
    """PTX text by NVRTC 12, which makes what JetPack 6 gets. Its headers (cuda_fp16.h) are those beside nvcc, unless `includes` has others."""
    source, library = Path(source), find_nvrtc(nvrtc)
    folders = [*includes, source.parent, find_nvcc().parents[1] / "include"]
    arguments = [f"--gpu-architecture={arch}", "--generate-line-info", "--std=c++17"]
    arguments += [f"--include-path={folder}" for folder in folders] + [f"--define-macro={define}" for define in defines]

    def build(target: Path) -> None:
        target.write_text(_nvrtc(library, source, arguments), encoding="utf-8")

    return _kept(source, [str(library), *arguments], includes, cache, build)


def _nvrtc(library: Path, source: Path, arguments: list[str]) -> str:
    # NVRTC opens its builtins by name: they must be in the process before.
    for builtins in library.parent.glob("libnvrtc-builtins.so*"):
        ctypes.CDLL(str(builtins))
    nvrtc = ctypes.CDLL(str(library))
    program = ctypes.c_void_p()
    text, name = source.read_bytes(), str(source).encode()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), text, name, 0, None, None)
    options = (ctypes.c_char_p * len(arguments))(*(argument.encode() for argument in arguments))
    status = nvrtc.nvrtcCompileProgram(program, len(arguments), options)

    def fetch(what: str) -> str:
        size = ctypes.c_size_t()
        getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
        out = ctypes.create_string_buffer(size.value)
        getattr(nvrtc, f"nvrtcGet{what}")(program, out)
        return out.value.decode()

    try:
        if status:
            raise RuntimeError(f"NVRTC does not compile {source}: status {status}\n{fetch('ProgramLog')}")
        return fetch("PTX")
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _included(source: Path, folders: Sequence[str | Path], seen: set[Path]) -> Iterator[Path]:
    """The source and all files of the project that it includes, however deep."""
    if source in seen:
        return
    seen.add(source)
    yield source
    for name in _INCLUDE.findall(source.read_text(encoding="utf-8")):
        found = next((Path(folder) / name for folder in [source.parent, *folders] if (Path(folder) / name).is_file()), None)
        if found:
            yield from _included(found.resolve(), folders, seen)


def _kept(source: Path, command: list[str], includes: Sequence[str | Path], cache: str | Path | None, build: object) -> str:
    """What `build` writes into a file, from the cache where it has it."""
    assert callable(build)
    digest = hashlib.sha256("\0".join(command).encode())
    for path in _included(source.resolve(), includes, set()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(cache or folder) / f"{source.stem}-{digest.hexdigest()[:24]}.ptx"
        if not kept.is_file():
            kept.parent.mkdir(parents=True, exist_ok=True)
            fresh = Path(folder) / "fresh.ptx"
            build(fresh)
            # Several test processes may do this at once: each moves a whole file into place.
            moved = kept.with_suffix(f".{os.getpid()}")
            shutil.move(fresh, moved)
            moved.replace(kept)
        return kept.read_text(encoding="utf-8")


@functools.lru_cache(maxsize=64)
def _parsed(text: str) -> Program:
    return parse(text)


def load(
    source: str | Path,
    arch: str = ARCHITECTURES[0],
    includes: Sequence[str | Path] = (),
    defines: Sequence[str] = (),
    *,
    nvcc: str | Path | None = None,
    cache: str | Path | None = None,
) -> Program:
    """`compile` and `parse` in one, for JetPack's architecture (compute_87) by NVRTC. A program of the same text is the same object."""
    if arch == JETPACK_ARCHITECTURE:
        return _parsed(compile_nvrtc(source, arch, includes, defines, cache=cache))
    return _parsed(compile(source, arch, includes, defines, nvcc=nvcc, cache=cache))

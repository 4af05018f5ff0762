"""CUDA source to PTX, by nvcc or NVRTC, each result kept by what it was made from."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .parser import parse
from .program import Program

# The virtual architectures whose PTX differs: what the runtime ships, in the forms that nvcc 13 makes for it.
ARCHITECTURES = ("compute_75", "compute_80", "compute_90", "compute_120")
JETPACK_ARCHITECTURE = "compute_87"

_NVCC_IN_WHEEL = "nvidia/cu*/bin/nvcc"
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


def find_nvrtc() -> Path:
    """The library of NVRTC 12: what AFFECTRT_NVRTC_LIBRARY names, or what pip installed, in this Python or beside nvcc."""
    found: Path | None = _nvrtc_module().find_library(find_nvcc().resolve().parents[3:4])
    if found is None:
        raise FileNotFoundError(
            "no NVRTC 12: none in AFFECTRT_NVRTC_LIBRARY or in this Python; pip install 'nvidia-cuda-nvrtc-cu12==12.6.*'"
        )
    return found


@functools.cache
def _nvrtc_module() -> Any:
    """The module with which the build compiles, so that the tests compile as it does."""
    spec = importlib.util.spec_from_file_location("nvrtc_compile", Path(__file__).parents[2] / "cmake/nvrtc_compile.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _headers(library: Path) -> list[Path]:
    """Folders with CUDA's own headers (cuda_fp16.h), which NVRTC does not carry."""
    roots = [find_nvcc().resolve().parents[1], library.parents[1], library.parents[2] / "cuda_runtime", Path("/usr/local/cuda")]
    roots += sorted(library.parents[2].glob("cu1*"))
    return [root / "include" for root in roots if (root / "include/cuda_fp16.h").is_file()][:1]


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

    `arch` is a virtual architecture such as "compute_75", `defines` are NAME or NAME=VALUE, `options` go to nvcc as they are. `cache` is
    a folder in which the result is kept by a hash of all that goes into it; without one, nothing is kept. RuntimeError carries what the
    compiler says.
    """
    source, compiler = Path(source), find_nvcc(nvcc)
    arguments = ["-ptx", "-lineinfo", "-std=c++17", "-allow-unsupported-compiler", f"-arch={arch}"]
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
    cache: str | Path | None = None,
) -> str:
    """PTX text by NVRTC 12, which makes what JetPack 6 gets; it takes a tenth of nvcc's time. Arguments as for `compile`."""
    source, library = Path(source), find_nvrtc()
    folders = [*includes, source.parent, *_headers(library)]
    options = ["-lineinfo", *(f"-D{define}" for define in defines)]

    def build(target: Path) -> None:
        text = source.read_text(encoding="utf-8")
        target.write_bytes(_nvrtc_module().Nvrtc(library).compile(text, str(source), arch, folders, options).rstrip(b"\0"))

    return _kept(source, [str(library), arch, *map(str, folders), *options], includes, cache, build)


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


def _kept(source: Path, command: list[str], includes: Sequence[str | Path], cache: str | Path | None, build: Callable[[Path], None]) -> str:
    """What `build` writes into a file, from the cache where it has it."""
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

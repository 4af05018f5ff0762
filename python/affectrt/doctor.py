"""Examines an installation: what is here, what is missing, and the exact command that mends it. Opens no socket, changes nothing.

Each part is one function that yields checks; a new one is added to `PARTS`. Libraries are tried in a process of their own, because one
built for another processor ends the process that loads it.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affectrt.bench import machine

OK, NOTE, PROBLEM = "ok", "note", "problem"
PROBE_TIMEOUT_S = 60.0
LOW_DISK_MB = 500.0
EXTRAS = ("dialogue", "video", "plot", "serve", "encrypted")
"""Parts of affectrt that not everybody installs."""

ORT_DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml", "onnxruntime-training")
MINIMUM_ORT = (1, 23)
NATIVE_SIGNALS = {4: "it was built for another processor (illegal instruction)", 11: "it crashes when it is loaded"}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    status: str
    """"ok", "note" (something optional is missing or unusual) or "problem" (affectrt cannot work as it should)."""
    detail: str
    fix: str = ""
    """The command that mends it, or ""."""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Where to look: a test gives a machine of its own."""

    root: Path = machine.ROOT
    needs: Sequence[str] = ()
    """Of `EXTRAS`: those that the user wants, so that it is a problem where they are missing."""
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    distributions: Callable[[str], str | None] = field(default=lambda name: installed_version(name))
    probe: Callable[[str], str] = field(default=lambda module: probe_import(module))


def installed_version(distribution: str) -> str | None:
    """Version of an installed distribution, or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def probe_import(module: str) -> str:
    """Import a module in a process of its own: "" if that works, else why not, in one line."""
    done = subprocess.run(
        [sys.executable, "-c", f"import {module}"], capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False, errors="replace"
    )
    if done.returncode < 0:
        return NATIVE_SIGNALS.get(-done.returncode, f"loading it ends the process with signal {-done.returncode}")
    return done.stderr.strip().splitlines()[-1] if done.returncode and done.stderr.strip() else ("it fails" if done.returncode else "")


def examine(place: Place | None = None) -> list[Check]:
    """Every check, in the order to read them in."""
    at = place or Place()
    return [check for part in PARTS for check in part(at)]


def _python(at: Place) -> Iterator[Check]:
    version = platform.python_version()
    detail = f"{version} ({sys.executable}), affectrt {at.distributions('affectrt') or 'not installed as a package'}"
    yield Check("python", OK, detail, data={"python": version})


def _extension(at: Place) -> Iterator[Check]:
    reason = at.probe("affectrt._core")
    folder = Path(__file__).parent
    built = sorted(path.name for path in folder.glob("_core*.so"))
    if reason:
        wanted = sysconfig.get_config_var("EXT_SUFFIX")
        other = f"; built for another Python: {', '.join(built)}, expected _core{wanted}" if built and f"_core{wanted}" not in built else ""
        yield Check("extension", PROBLEM, f"affectrt._core cannot be loaded: {reason}{other}", "pip install --force-reinstall affectrt")
        return
    from affectrt import _core

    yield Check("extension", OK, f"built with {_core.compiler}", data={"files": built, "compiler": _core.compiler})


def _numpy(at: Place) -> Iterator[Check]:
    version = at.distributions("numpy")
    if version is None:
        yield Check("numpy", PROBLEM, "not installed", "pip install numpy")
        return
    reason = at.probe("numpy")
    if reason:
        yield Check("numpy", PROBLEM, f"{version} cannot be loaded: {reason}", "pip install --force-reinstall numpy")
        return
    try:
        from affectrt import _core
    except ImportError:  # told by the check before this one
        yield Check("numpy", OK, version, data={"numpy": version})
        return
    # pybind11 finds NumPy's functions at run time, so one build of ours serves NumPy 1 and 2; other packages are compiled against one.
    api = _core.numpy_abi_version
    detail = f"{version}, C API {api:#x}; the extension is tied to no NumPy ABI (1.23 to 2.x)"
    yield Check("numpy", OK, detail, data={"numpy": version, "c_api": api, "extension_built_against": None})


def _onnxruntime(at: Place) -> Iterator[Check]:
    found = {name: version for name in ORT_DISTRIBUTIONS if (version := at.distributions(name))}
    listed = ", ".join(f"{name} {version}" for name, version in found.items())
    if len(found) > 1:
        keep = "onnxruntime-gpu" if "onnxruntime-gpu" in found else "onnxruntime"
        fix = f"pip uninstall -y {' '.join(found)} && pip install --force-reinstall --no-deps {keep}=={found[keep]}"
        yield Check("onnxruntime packages", PROBLEM, f"{listed}: they install into the same folder and break each other", fix, found)
    override = at.environ.get("AFFECTRT_ORT_LIBRARY")
    if override and not Path(override).is_file():
        yield Check("onnxruntime", PROBLEM, f"AFFECTRT_ORT_LIBRARY={override}: no such file", "unset AFFECTRT_ORT_LIBRARY")
        return
    if not found and not override:
        yield Check("onnxruntime", PROBLEM, "not installed", _ort_command(at))
        return
    try:
        info = _ort_info()
    except ImportError:  # the extension's own failure, told above
        yield Check("onnxruntime", NOTE, f"{listed or override}: not tried, because affectrt._core cannot be loaded", data=found)
        return
    except RuntimeError as error:
        yield Check("onnxruntime", PROBLEM, f"{listed or override}: {' '.join(str(error).split())}", _ort_command(at), found)
        return
    numbers = tuple(int(part) for part in str(info["version"]).split(".")[:2])
    old = numbers < MINIMUM_ORT
    detail = f"{info['version']} from {info['library']}{' (AFFECTRT_ORT_LIBRARY)' if override else ''}"
    expected = f"; {MINIMUM_ORT[0]}.{MINIMUM_ORT[1]} or newer is needed" if old else ""
    yield Check("onnxruntime", PROBLEM if old else OK, detail + expected, _ort_command(at) if old else "", info)
    yield Check("providers", OK, ", ".join(info["providers"]), data={"providers": info["providers"]})


def _ort_info() -> dict[str, Any]:
    from affectrt import _core
    from affectrt.engine import find_and_set_library

    find_and_set_library()
    return dict(_core.ort_info())


def _ort_command(at: Place) -> str:
    if machine.jetson(at.root):
        return "install the onnxruntime-gpu wheel for your JetPack (docs/jetson.md), or pip install 'affectrt[cpu]'"
    return "pip install 'affectrt[cpu]'"


def _cpu(at: Place) -> Iterator[Check]:
    cpu = machine.cpu(at.root)
    detail = f"{cpu['name']}, {cpu['cores']} cores; {' '.join(cpu['features']) or 'instruction sets unknown'}"
    slow = platform.machine() == "x86_64" and at.root == machine.ROOT and "avx2" not in cpu["features"]
    yield Check("cpu", NOTE if slow else OK, detail + ("; no AVX2: expect a third of the speed" if slow else ""), data=cpu)
    governor = cpu["governor"]
    if governor and governor not in ("performance", "schedutil"):
        fix = "sudo jetson_clocks" if machine.jetson(at.root) else "sudo cpupower frequency-set -g performance"
        yield Check("governor", NOTE, f"{governor}: clocks follow the load late, and benchmarks vary", fix, {"governor": governor})
    else:
        yield Check("governor", OK, governor or "not told by this machine", data={"governor": governor})


def _jetson(at: Place) -> Iterator[Check]:
    found = machine.jetson(at.root)
    if not found:
        return
    detail = f"{found['model'] or 'model unknown'}, Jetson Linux {found['l4t'] or 'unknown'}, JetPack {found['jetpack'] or 'unknown'}"
    known = found["l4t"] is not None
    yield Check("jetson", OK if known else NOTE, detail, data=found)
    mode, best = found["power_mode"], machine.fastest_mode(at.root)
    limited = mode is not None and best is not None and not mode.endswith(f"({best})")
    fix = f"sudo nvpmodel -m {best} && sudo jetson_clocks (takes more power)" if limited else ""
    yield Check("power mode", NOTE if limited else OK, mode or "not told by this machine", fix, {"power_mode": mode, "fastest": best})


def _gpu(at: Place) -> Iterator[Check]:
    gpu, library = machine.gpu(at.root), _cuda_library(at)
    if not gpu and not library:
        if not machine.jetson(at.root):
            yield Check("gpu", OK, "none; everything runs on the CPU", data={"cuda_driver": None})
        return
    data = {**(gpu or {}), "cuda_driver": library}
    if not library:
        fix = "sudo apt-get install libcuda1 (the driver's user-space part); in a container: docker run --gpus all"
        yield Check("gpu", PROBLEM, f"{', '.join(gpu['names']) if gpu else 'a GPU'} without libcuda.so.1", fix, data)
        return
    names = ", ".join(gpu["names"]) if gpu and gpu["names"] else "a CUDA driver"
    yield Check("gpu", OK, f"{names}, driver {gpu['driver'] if gpu else 'version unknown'}, {library}", data=data)
    if not at.distributions("onnxruntime-gpu") and not at.environ.get("AFFECTRT_ORT_LIBRARY"):
        fix = "pip uninstall -y onnxruntime && pip install 'affectrt[gpu]'"
        yield Check(
            "gpu runtime", NOTE, "the installed ONNX Runtime cannot use the GPU", "see docs/jetson.md" if machine.jetson(at.root) else fix
        )


def _cuda_library(at: Place) -> str | None:
    folders = ["usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib64", "usr/lib", "usr/lib/aarch64-linux-gnu/nvidia"]
    folders += ["usr/lib/aarch64-linux-gnu/tegra", "usr/local/nvidia/lib64", "usr/lib/wsl/lib"]
    for folder in folders:
        path = at.root / folder / "libcuda.so.1"
        if path.exists():
            return str(path)
    return None


def _tensorrt(at: Place) -> Iterator[Check]:
    version = at.distributions("tensorrt")
    if version is None:
        if machine.jetson(at.root):
            fix = "sudo apt-get install nvidia-jetpack, then python3 -m venv --system-site-packages (it is for the system's Python)"
            yield Check("tensorrt", NOTE, "not installed for this Python", fix)
        return
    reason = at.probe("tensorrt")
    fix = f"pip install --force-reinstall tensorrt=={version}"
    yield Check("tensorrt", NOTE if reason else OK, version + (f" cannot be loaded: {reason}" if reason else ""), fix if reason else "")


def _extras(at: Place) -> Iterator[Check]:
    for distribution, module, extra, purpose in (
        ("llama-cpp-python", "llama_cpp", "dialogue", "dialogue (compiles for 3 to 5 minutes)"),
        ("av", "av", "video", "videos and cameras"),
        ("pillow", "PIL", "video", "pictures"),
        ("matplotlib", "matplotlib", "plot", "timeline plots"),
        ("starlette", "starlette", "serve", "the server"),
        ("uvicorn", "uvicorn", "serve", "the server"),
        ("sqlcipher3", "sqlcipher3", "encrypted", "encrypted memories"),
    ):
        version = at.distributions(distribution)
        if version is None:
            # Who installed without an extra may well not want it.
            status = PROBLEM if extra in at.needs else NOTE
            yield Check(distribution, status, f"not installed: {purpose}", f"pip install 'affectrt[{extra}]'")
            continue
        reason = at.probe(module)
        fix = f"pip install --force-reinstall --no-cache-dir {distribution}"
        yield Check(
            distribution, PROBLEM if reason else OK, version + (f" cannot be loaded: {reason}" if reason else ""), fix if reason else ""
        )


def _cache(at: Place) -> Iterator[Check]:
    try:
        from affectrt.packs.cache import cache_root
    except ImportError:  # the extension is missing, which has been told
        return
    folder = cache_root()
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free_mb = shutil.disk_usage(there).free / 1e6
    data = {"folder": str(folder), "free_mb": free_mb}
    if not os.access(there, os.W_OK):
        yield Check("cache", PROBLEM, f"{folder} cannot be written", "export AFFECTRT_CACHE_DIR=/a/folder/of/yours", data)
    elif free_mb < LOW_DISK_MB:
        yield Check(
            "cache",
            PROBLEM,
            f"{folder}: {free_mb:.0f} MB free, {LOW_DISK_MB:.0f} MB wanted",
            "export AFFECTRT_CACHE_DIR=/a/larger/disk",
            data,
        )
    else:
        yield Check("cache", OK, f"{folder} ({free_mb / 1000:.1f} GB free)", data=data)


def _packs(at: Place) -> Iterator[Check]:
    try:
        from affectrt.errors import PackError
        from affectrt.packs import default_packs, open_pack
    except ImportError:
        return
    for name in default_packs():
        try:
            pack = open_pack(name)
        except PackError as error:
            yield Check(f"pack {name}", PROBLEM, " ".join(str(error).split()), _mending(name))
            continue
        if pack.missing:
            size = sum(entry["size_bytes"] for entry in pack.manifest["files"] if entry["path"] in pack.missing) / 1e6
            # Not a problem: the demo pulls it, and who brings a model of their own never needs it.
            yield Check(f"pack {name}", NOTE, f"{pack.version}; {size:.0f} MB not pulled", f"affectrt packs pull {name}")
        else:
            yield Check(f"pack {name}", OK, f"{pack.version}, {pack.license}")


def _mending(pack: str) -> str:
    """What mends a default pack that does not open: where only a pulled file of it has gone bad, that one is pulled anew."""
    from affectrt import _core
    from affectrt.errors import PackError
    from affectrt.packs.open import default_root

    try:
        _core.Pack.open(default_root() / pack)
    except PackError:
        return "pip install --force-reinstall affectrt"
    return f"affectrt packs pull {pack}"


def _tuning(at: Place) -> Iterator[Check]:
    """Whether `affectrt tune` measured the default language model on this machine; nothing where it cannot run, which has been told."""
    if at.root != machine.ROOT or at.distributions("llama-cpp-python") is None or at.probe("llama_cpp"):
        return
    try:
        from affectrt.dialogue import tuned
        from affectrt.packs import DEFAULTS, open_pack

        pack = open_pack(DEFAULTS["dialogue"])
        found = tuned.find(pack)
    except (ImportError, RuntimeError):
        return
    if pack.missing:
        return
    if found is None:
        yield Check("tuning", NOTE, f"{pack.name} takes every physical core: what is fastest here was not measured", "affectrt tune")
        return
    best, off = found.best, at.environ.get("AFFECTRT_TUNED") == "off"
    load = f", load average {found.load_average}" if found.load_average is not None else ""
    detail = f"{pack.name}: {best.variant}, threads={best.threads}, {best.decode_tok_s:.1f} tokens/s when measured{load}"
    yield Check("tuning", OK, detail + ("; not used: AFFECTRT_TUNED=off" if off else ""), data=tuned.document(found))


PARTS: tuple[Callable[[Place], Iterator[Check]], ...] = (
    *(_python, _extension, _numpy, _onnxruntime, _cpu, _jetson, _gpu, _tensorrt, _extras, _cache, _packs, _tuning),
)

"""Facts of the machine, read from files only: what doctor shows and what every benchmark record carries.

Every function takes the `root` of the file system, so that a test can lay out a machine it has not.
"""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

ROOT = Path("/")

# Those that the inference libraries choose their kernels by.
FEATURES = (
    *("sse4_1", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "amx_int8"),
    *("asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "neon"),
)

# Jetson Linux release to JetPack, newest revision first, from the vendor's release notes.
_JETPACK = {
    (38, 4): "7.1",
    (38, 2): "7.0",
    (36, 4, 7): "6.2.1",
    (36, 4, 4): "6.2.1",
    (36, 4, 3): "6.2",
    (36, 4): "6.1",
    (36, 3): "6.0",
    (36, 2): "6.0 DP",
    (35, 6): "5.1.4",
    (35, 5): "5.1.3",
    (35, 4): "5.1.2",
    (35, 3): "5.1.1",
    (35, 2): "5.1",
    (35, 1): "5.0.2",
    (32, 7): "4.6",
}


def read(root: Path, path: str) -> str:
    """The text of a file under `root`, without trailing blanks and NUL bytes; "" if it cannot be read."""
    try:
        return (root / path.lstrip("/")).read_text(encoding="utf-8", errors="replace").strip().strip("\0").strip()
    except OSError:
        return ""


def number(root: Path, path: str) -> float | None:
    """The number in a file, or None."""
    try:
        return float(read(root, path))
    except ValueError:
        return None


def cpu(root: Path = ROOT) -> dict[str, Any]:
    """Name, cores, instruction sets, governor and clocks of the processor; None where the machine does not tell."""
    text = read(root, "proc/cpuinfo")
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip().lower(), value.strip())
    flags = set((fields.get("flags") or fields.get("features") or "").split())
    base = "sys/devices/system/cpu"
    policies = sorted((root / base / "cpufreq").glob("policy*")) if (root / base / "cpufreq").is_dir() else []
    governors = sorted({read(policy, "scaling_governor") for policy in policies} - {""})
    name = fields.get("model name") or fields.get("hardware") or read(root, "proc/device-tree/model") or platform.processor() or None
    return {
        "name": name,
        "architecture": platform.machine() if root == ROOT else None,
        "cores": len(re.findall(r"^processor\s*:", text, re.MULTILINE)) or os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)) if root == ROOT else None,
        "features": [name for name in FEATURES if name in flags],
        "governor": ", ".join(governors) or None,
        "clock_mhz": _clocks(root, fields, policies),
        "max_clock_mhz": max((khz / 1000 for policy in policies if (khz := number(policy, "cpuinfo_max_freq"))), default=None),
    }


def _clocks(root: Path, fields: dict[str, str], policies: list[Path]) -> float | None:
    """The highest clock of any core right now, in MHz."""
    scaling = [khz / 1000 for policy in policies if (khz := number(policy, "scaling_cur_freq"))]
    if scaling:
        return max(scaling)
    shown = [float(value) for value in re.findall(r"^cpu MHz\s*:\s*([\d.]+)", read(root, "proc/cpuinfo"), re.MULTILINE)]
    return max(shown, default=None)


def throttle_count(root: Path = ROOT) -> int | None:
    """How often the cores have been slowed for heat since the machine started; None where the kernel does not count."""
    counts = [
        number(path.parent, path.name) for path in (root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/core_throttle_count")
    ]
    known = [int(count) for count in counts if count is not None]
    return sum(known) if known else None


def temperature_c(root: Path = ROOT) -> float | None:
    """The hottest thermal zone, or None."""
    zones = [number(path.parent, path.name) for path in (root / "sys/class/thermal").glob("thermal_zone*/temp")]
    return max((zone / 1000 for zone in zones if zone is not None and zone > 0), default=None)


def load_average(root: Path = ROOT) -> float | None:
    """Runnable processes, averaged over the last minute."""
    words = read(root, "proc/loadavg").split()
    return float(words[0]) if words else None


def cpu_ticks(root: Path = ROOT) -> tuple[int, int] | None:
    """(busy, all) ticks of every core together since the machine started: two of them tell how busy it was in between."""
    words = read(root, "proc/stat").split("\n", 1)[0].split()
    if len(words) < 6 or words[0] != "cpu":
        return None
    ticks = [int(word) for word in words[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def memory(root: Path = ROOT) -> dict[str, float | None]:
    """Total and available memory in MB."""
    found = dict(re.findall(r"^(\w+):\s+(\d+) kB", read(root, "proc/meminfo"), re.MULTILINE))
    return {
        name: int(found[key]) / 1000 if key in found else None for name, key in (("total_mb", "MemTotal"), ("available_mb", "MemAvailable"))
    }


def gpu(root: Path = ROOT) -> dict[str, Any] | None:
    """NVIDIA GPUs and their driver as the kernel module tells them; None without one."""
    driver = re.search(r"Kernel Module\s+(?:for \S+\s+)?(\d+\.\d+(?:\.\d+)?)", read(root, "proc/driver/nvidia/version"))
    names = []
    for path in sorted((root / "proc/driver/nvidia/gpus").glob("*/information")):
        model = re.search(r"^Model:\s*(.+)$", read(path.parent, path.name), re.MULTILINE)
        if model:
            names.append(model[1].strip())
    if not driver and not names:
        return None
    return {"names": names, "driver": driver[1] if driver else None}


def jetson(root: Path = ROOT) -> dict[str, Any] | None:
    """Model, Jetson Linux release, JetPack and power mode of a Jetson; None on any other machine."""
    text = read(root, "etc/nv_tegra_release")
    model = read(root, "proc/device-tree/model")
    if not text and "jetson" not in model.lower():
        return None
    release = re.search(r"#\s*R(\d+)\s*\(release\),\s*REVISION:\s*([\d.]+)", text)
    l4t = f"{release[1]}.{release[2]}" if release else None
    return {"model": model or None, "l4t": l4t, "jetpack": _jetpack(root, l4t), "power_mode": _power_mode(root)}


def _jetpack(root: Path, l4t: str | None) -> str | None:
    installed = re.search(r"^Package: nvidia-jetpack\n(?:.+\n)*?Version: ([\d.]+)", read(root, "var/lib/dpkg/status"), re.MULTILINE)
    if installed:
        return installed[1]
    numbers = tuple(int(part) for part in l4t.split(".")) if l4t else ()
    return next((jetpack for key, jetpack in _JETPACK.items() if numbers[: len(key)] == key), None)


def _power_mode(root: Path) -> str | None:
    mode = re.search(r"pmode:0*(\d+)", read(root, "var/lib/nvpmodel/status"))
    if not mode:
        return None
    name = re.search(rf"^<\s*POWER_MODEL\s+ID={mode[1]}\s+NAME=([^\s>]+)", read(root, "etc/nvpmodel.conf"), re.MULTILINE)
    return f"{name[1]} ({mode[1]})" if name else mode[1]


def fastest_mode(root: Path = ROOT) -> str | None:
    """Number of a Jetson's power mode without limits, which some boards count as 0 and others as 2 or 3; None if there is none."""
    modes = re.findall(r"^<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(MAXN\w*)", read(root, "etc/nvpmodel.conf"), re.MULTILINE)
    return max(modes, key=lambda mode: len(mode[1]))[0] if modes else None  # MAXN_SUPER before MAXN


def describe(root: Path = ROOT) -> dict[str, Any]:
    """Everything above that does not change within minutes."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "cpu": cpu(root),
        "memory": memory(root),
        "gpu": gpu(root),
        "jetson": jetson(root),
    }

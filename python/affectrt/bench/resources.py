"""What a stretch of work costs beside time: memory, energy, and how disturbed the machine was meanwhile."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import threading
import time
from pathlib import Path
from typing import Any, Protocol

from affectrt.bench import machine

_SAMPLE_S = 0.05
BUSY_SHARE = 0.10
DRIFT = 1.15
SLOWER_CLOCK = 0.85


def memory_mb(root: Path = machine.ROOT) -> dict[str, float | None]:
    """Resident memory of this process, now and at its highest so far, in MB (10^6 bytes)."""
    found = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB", machine.read(root, "proc/self/status"), re.MULTILINE))
    return {name: int(found[key]) * 1.024e-3 if key in found else None for name, key in (("rss", "VmRSS"), ("peak", "VmHWM"))}


class Meter(Protocol):
    """Counts energy from its making on."""

    source: str

    def joules(self) -> float:
        """Energy so far."""
        ...

    def close(self) -> None:
        """Stop counting."""
        ...


class _Rapl:
    """Energy of the processor packages, from the kernel's counters, which run over at a known value."""

    source = "RAPL (processor packages, whole machine)"

    def __init__(self, zones: list[Path]) -> None:
        self._zones = [(zone, machine.number(zone, "max_energy_range_uj") or 0.0) for zone in zones]
        self._start = [self._read(zone) for zone, _ in self._zones]

    @staticmethod
    def _read(zone: Path) -> float:
        value = machine.number(zone, "energy_uj")
        if value is None:
            raise OSError(f"{zone}/energy_uj cannot be read (root only on many systems)")
        return value

    def joules(self) -> float:
        total = 0.0
        for (zone, wrap), start in zip(self._zones, self._start, strict=True):
            used = self._read(zone) - start
            total += used + wrap if used < 0 else used
        return total / 1e6

    def close(self) -> None:
        return


class _Nvml:
    """Energy of the first GPU, from the driver's own counter."""

    source = "NVML (GPU 0)"

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libnvidia-ml.so.1")
        self._device = ctypes.c_void_p()
        if self._library.nvmlInit_v2() or self._library.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(self._device)):
            raise OSError("NVML finds no GPU")
        self._start = self._read()

    def _read(self) -> float:
        millijoules = ctypes.c_ulonglong()
        if self._library.nvmlDeviceGetTotalEnergyConsumption(self._device, ctypes.byref(millijoules)):
            raise OSError("this GPU does not count its energy")
        return millijoules.value / 1e3

    def joules(self) -> float:
        return self._read() - self._start

    def close(self) -> None:
        self._library.nvmlShutdown()


class _Ina3221:
    """Power at a Jetson's input (the sensor that tegrastats shows as VDD_IN), sampled and added up."""

    def __init__(self, sensor: Path, channel: str) -> None:
        self._volts, self._amps, self.source = (
            f"in{channel}_input",
            f"curr{channel}_input",
            f"INA3221 {machine.read(sensor, f'in{channel}_label')}",
        )
        self._sensor, self._total, self._stop = sensor, 0.0, threading.Event()
        self._watts()
        self._thread = threading.Thread(target=self._run, name="energy", daemon=True)
        self._thread.start()

    def _watts(self) -> float:
        millivolts, milliamps = machine.number(self._sensor, self._volts), machine.number(self._sensor, self._amps)
        if millivolts is None or milliamps is None:
            raise OSError(f"{self._sensor} cannot be read")
        return millivolts * milliamps / 1e6

    def _run(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(_SAMPLE_S):
            now = time.monotonic()
            with contextlib.suppress(OSError):
                self._total += self._watts() * (now - last)
            last = now

    def joules(self) -> float:
        return self._total

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


def energy_meter(root: Path = machine.ROOT, *, gpu: bool = False) -> tuple[Meter | None, str]:
    """A running meter and "", or None and why there is none."""
    reasons: list[str] = []
    for hwmon in sorted((root / "sys/bus/i2c/drivers/ina3221").glob("*/hwmon/hwmon*")):
        for label in sorted(hwmon.glob("in*_label")):
            if machine.read(hwmon, label.name) in ("VDD_IN", "POM_5V_IN", "VIN_SYS_5V0"):
                try:
                    return _Ina3221(hwmon, label.name.removeprefix("in").removesuffix("_label")), ""
                except OSError as error:
                    reasons.append(str(error))
    if gpu:
        try:
            return _Nvml(), ""
        except (OSError, AttributeError) as error:
            reasons.append(f"NVML: {error}")
    zones = [zone for zone in sorted((root / "sys/class/powercap").glob("intel-rapl:*")) if zone.name.count(":") == 1]
    if not zones:
        reasons.append("no energy counter here (looked for RAPL under /sys/class/powercap and INA3221 sensors)")
        return None, "; ".join(reasons)
    try:
        return _Rapl(zones), ""
    except OSError as error:
        return None, "; ".join([*reasons, str(error)])


class Conditions:
    """The state of the machine around a measurement: made before it, asked for its record after it."""

    def __init__(self, root: Path = machine.ROOT) -> None:
        self._root = root
        self._before = self._look()
        self._began = time.monotonic()

    def _look(self) -> dict[str, Any]:
        return {
            "load": machine.load_average(self._root),
            "clock_mhz": machine.cpu(self._root)["clock_mhz"],
            "temperature_c": machine.temperature_c(self._root),
            "throttled": machine.throttle_count(self._root),
            "ticks": machine.cpu_ticks(self._root),
            "own_s": sum(os.times()[:2]),
        }

    def record(self, slowdown: float | None) -> dict[str, Any]:
        """What changed since; `warnings` say in words whatever makes the figures doubtful. `slowdown`: see `measure.drift`."""
        before, after = self._before, self._look()
        others = self._others(before, after)
        events = None if None in (before["throttled"], after["throttled"]) else after["throttled"] - before["throttled"]
        record = {
            "load_average_before": before["load"],
            "load_average_after": after["load"],
            "clock_mhz_before": before["clock_mhz"],
            "clock_mhz_after": after["clock_mhz"],
            "temperature_c_before": before["temperature_c"],
            "temperature_c_after": after["temperature_c"],
            "throttle_events": events,
            "others_cpu_share": others,
            "drift": slowdown,
        }
        return {**record, "warnings": warnings(record)}

    def _others(self, before: dict[str, Any], after: dict[str, Any]) -> float | None:
        """Share of all cores that processes other than this one used meanwhile."""
        if before["ticks"] is None or after["ticks"] is None:
            return None
        busy, total = (after["ticks"][i] - before["ticks"][i] for i in (0, 1))
        if total <= 0:
            return None
        own = (after["own_s"] - before["own_s"]) * os.sysconf("SC_CLK_TCK")
        return float(min(1.0, max(0.0, (busy - own) / total)))


def warnings(record: dict[str, Any]) -> list[str]:
    """What a reader of the figures has to know."""
    found = []
    if record["others_cpu_share"] is not None and record["others_cpu_share"] > BUSY_SHARE:
        found.append(f"the machine was busy: other processes used {record['others_cpu_share'] * 100:.0f} % of all cores")
    if record["throttle_events"]:
        found.append(f"the machine was throttled: {record['throttle_events']} thermal events during the run")
    before, after = record["clock_mhz_before"], record["clock_mhz_after"]
    if before and after and after < before * SLOWER_CLOCK:
        found.append(f"the clock fell from {before:.0f} to {after:.0f} MHz")
    if record["drift"] is not None and record["drift"] > DRIFT:
        found.append(f"runs grew slower: the last fifth took {record['drift']:.2f} times as long as the first")
    return found

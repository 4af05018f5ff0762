"""The doctor on machines that are laid out as files, as public documentation records them, and on this one."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from affectrt.bench import machine
from affectrt.doctor import NOTE, OK, PROBLEM, Check, Place, examine, probe_import
from affectrt.packs import open_pack
from cli_tools import Done

TEGRA_RELEASE = (
    "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 01:49:37 UTC 2025\n"
    "# KERNEL_VARIANT: oot\nTARGET_USERSPACE_LIB_DIR=nvidia\n"
)
NVPMODEL = "< PARAM TYPE=FILE NAME=CPU_ONLINE >\n< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n"
CORE = (
    "processor\t: {}\nBogoMIPS\t: 62.50\nFeatures\t: fp asimd evtstrm aes crc32 atomics fphp asimdhp asimddp\nCPU implementer\t: 0x41\n"
    "CPU part\t: 0xd42\n\n"
)


def lay(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture
def orin(tmp_path: Path) -> Path:
    """A Jetson Orin Nano with JetPack 6.2 in its 15 W mode."""
    return lay(
        tmp_path / "orin",
        {
            "etc/nv_tegra_release": TEGRA_RELEASE,
            "etc/nvpmodel.conf": NVPMODEL,
            "var/lib/nvpmodel/status": "pmode:0000",
            "proc/device-tree/model": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0",
            "proc/cpuinfo": "".join(CORE.format(i) for i in range(6)),
            "proc/loadavg": "0.52 0.40 0.30 1/500 1234\n",
            "proc/meminfo": "MemTotal:        7802504 kB\nMemAvailable:    5000000 kB\n",
            "sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "schedutil\n",
            "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq": "729600\n",
            "sys/devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq": "1728000\n",
            "sys/class/thermal/thermal_zone0/temp": "48125\n",
            "usr/lib/aarch64-linux-gnu/nvidia/libcuda.so.1": "",
        },
    )


def named(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_a_jetson_is_known_by_its_files(orin: Path) -> None:
    assert machine.jetson(orin) == {
        "model": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
        "l4t": "36.4.3",
        "jetpack": "6.2",
        "power_mode": "15W (0)",
    }
    cpu = machine.cpu(orin)
    assert cpu["cores"] == 6 and cpu["governor"] == "schedutil"
    assert (cpu["clock_mhz"], cpu["max_clock_mhz"]) == (pytest.approx(729.6), pytest.approx(1728))
    assert cpu["features"] == ["asimd", "asimdhp", "asimddp"]
    assert machine.temperature_c(orin) == pytest.approx(48.125)
    assert machine.load_average(orin) == pytest.approx(0.52)
    assert machine.memory(orin)["total_mb"] == pytest.approx(7802.504)


@pytest.mark.parametrize(
    ("release", "jetpack"),
    [
        ("R36 (release), REVISION: 4.4", "6.2.1"),
        ("R36 (release), REVISION: 3.0", "6.0"),
        ("R38 (release), REVISION: 2.0", "7.0"),
        ("R99", None),
    ],
)
def test_jetpack_follows_from_the_release(tmp_path: Path, release: str, jetpack: str | None) -> None:
    found = machine.jetson(lay(tmp_path, {"etc/nv_tegra_release": f"# {release}, GCID: 1, BOARD: generic"}))
    assert found is not None and found["jetpack"] == jetpack


def test_the_installed_jetpack_package_has_the_last_word(orin: Path) -> None:
    lay(orin, {"var/lib/dpkg/status": "Package: x\nVersion: 1\n\nPackage: nvidia-jetpack\nStatus: installed\nVersion: 6.2.1+b38\n\n"})
    found = machine.jetson(orin)
    assert found is not None and found["jetpack"] == "6.2.1"


def test_an_empty_root_is_no_jetson_and_breaks_nothing(tmp_path: Path) -> None:
    assert machine.jetson(tmp_path) is None and machine.gpu(tmp_path) is None
    described = machine.describe(tmp_path)
    assert described["memory"] == {"total_mb": None, "available_mb": None}


def place(root: Path, installed: dict[str, str], **more: object) -> Place:
    return Place(root=root, environ=more.pop("environ", {}), distributions=installed.get, probe=more.pop("probe", lambda module: ""))  # type: ignore[arg-type]


FULL = {"numpy": "2.0", "onnxruntime": "1.32.0", "llama-cpp-python": "0.3.16", "av": "12", "pillow": "11", "matplotlib": "3.9"}


def test_a_jetson_in_a_slow_mode_gets_the_command_that_mends_it(orin: Path) -> None:
    found = named(examine(place(orin, FULL)))
    assert found["jetson"].status == OK and "36.4.3" in found["jetson"].detail and "JetPack 6.2" in found["jetson"].detail
    assert found["power mode"].status == NOTE and "nvpmodel -m 2" in found["power mode"].fix
    assert found["gpu runtime"].status == NOTE and "docs/jetson.md" in found["gpu runtime"].fix
    assert found["tensorrt"].status == NOTE
    lay(orin, {"var/lib/nvpmodel/status": "pmode:0002"})
    assert named(examine(place(orin, FULL)))["power mode"].status == OK


def test_two_runtimes_in_one_folder(tmp_path: Path) -> None:
    check = named(examine(place(tmp_path, {**FULL, "onnxruntime-gpu": "1.31.0"})))["onnxruntime packages"]
    assert check.status == PROBLEM and "break each other" in check.detail
    assert check.fix.startswith(
        "pip uninstall -y onnxruntime onnxruntime-gpu && pip install --force-reinstall --no-deps onnxruntime-gpu==1.31.0"
    )


@pytest.mark.parametrize(
    ("missing", "command"),
    [
        ("numpy", "pip install numpy"),
        ("onnxruntime", "pip install 'affectrt[cpu]'"),
    ],
)
def test_what_is_missing_is_a_problem_with_a_command(tmp_path: Path, missing: str, command: str) -> None:
    check = named(examine(place(tmp_path, {name: version for name, version in FULL.items() if name != missing})))[missing]
    assert (check.status, check.fix) == (PROBLEM, command)


def test_missing_extras_are_notes_unless_they_are_needed(tmp_path: Path) -> None:
    at = place(tmp_path, {"numpy": "2.0", "onnxruntime": "1.32.0"})
    found = named(examine(at))
    assert {found[name].status for name in ("llama-cpp-python", "av", "pillow", "matplotlib")} == {NOTE}
    assert found["llama-cpp-python"].fix == "pip install 'affectrt[dialogue]'"
    found = named(examine(dataclasses.replace(at, needs=("dialogue",))))
    assert (found["llama-cpp-python"].status, found["llama-cpp-python"].fix) == (PROBLEM, "pip install 'affectrt[dialogue]'")
    assert found["av"].status == NOTE


def test_an_extra_that_is_missing_fails_only_where_it_was_asked_for(cli: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    from affectrt import doctor

    there = doctor.installed_version
    monkeypatch.setattr(doctor, "installed_version", lambda name: None if name == "llama-cpp-python" else there(name))

    def problems(*more: str) -> set[str]:
        done = cli("doctor", "-o", "json", *more)
        found = {check["name"] for check in json.loads(done.out)["checks"] if check["status"] == PROBLEM}
        assert done.code == bool(found)
        return found

    assert problems("--need", "dialogue") - problems() == {"llama-cpp-python"}
    done = cli("doctor", "--need", "smell")
    assert done.code == 2 and "dialogue, video, plot" in " ".join(done.err.split())


def test_a_library_that_cannot_be_loaded(tmp_path: Path) -> None:
    reason = "it was built for another processor (illegal instruction)"
    found = named(examine(place(tmp_path, FULL, probe=lambda module: reason if module == "llama_cpp" else "")))
    assert found["llama-cpp-python"].status == PROBLEM and reason in found["llama-cpp-python"].detail


def test_a_named_library_that_is_not_there(tmp_path: Path) -> None:
    check = named(examine(place(tmp_path, FULL, environ={"AFFECTRT_ORT_LIBRARY": str(tmp_path / "none.so")})))["onnxruntime"]
    assert check.status == PROBLEM and "no such file" in check.detail


def test_a_gpu_without_its_driver_library(tmp_path: Path) -> None:
    root = lay(
        tmp_path,
        {
            "proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.14  Release Build\n",
            "proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t\t NVIDIA RTX A2000\nIRQ: 1\n",
        },
    )
    check = named(examine(place(root, FULL)))["gpu"]
    assert check.status == PROBLEM and "NVIDIA RTX A2000 without libcuda.so.1" in check.detail
    assert machine.gpu(root) == {"names": ["NVIDIA RTX A2000"], "driver": "550.54.14"}


def test_a_probe_tells_a_crash_from_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "illegal.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGILL)")
    (tmp_path / "broken.py").write_text("raise ImportError('libgomp.so.1: cannot open shared object file')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert "illegal instruction" in probe_import("illegal")
    assert probe_import("broken") == "ImportError: libgomp.so.1: cannot open shared object file"
    assert probe_import("json") == ""


def test_this_machine_in_every_format(cli: Callable[..., Done]) -> None:
    done = cli("doctor", "-o", "json")
    document = json.loads(done.out)
    assert done.code == (0 if document["ok"] else 1)
    checks = {check["name"]: check for check in document["checks"]}
    assert checks["extension"]["status"] == OK and checks["onnxruntime"]["status"] == OK
    assert "CPUExecutionProvider" in checks["providers"]["data"]["providers"]
    assert document["ok"] == all(check["status"] != PROBLEM for check in document["checks"])
    assert all(check["fix"] for check in document["checks"] if check["status"] == PROBLEM)


def test_a_pack_that_was_not_pulled_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFFECTRT_CACHE_DIR", str(tmp_path / "cache"))
    check = named(examine(place(tmp_path, FULL)))["pack smollm2-135m"]
    assert (check.status, check.fix) == (NOTE, "affectrt packs pull smollm2-135m")
    assert not (tmp_path / "cache").exists()


def test_a_pulled_file_that_went_bad_is_pulled_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFFECTRT_CACHE_DIR", str(tmp_path / "cache"))
    weights = next(entry for entry in open_pack("smollm2-135m").manifest["files"] if "remote" in entry)
    lay(tmp_path / "cache" / "files" / weights["sha256"], {Path(weights["path"]).name: "cut short"})
    check = named(examine(place(tmp_path, FULL)))["pack smollm2-135m"]
    assert (check.status, check.fix) == (PROBLEM, "affectrt packs pull smollm2-135m")


def test_a_carried_file_that_went_bad_is_installed_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from affectrt.packs import open as opening

    shutil.copytree(opening.default_root() / "bge-small-en", tmp_path / "packs" / "bge-small-en")
    carried = next(path for path in (tmp_path / "packs" / "bge-small-en").rglob("*") if path.is_file() and path.name != "pack.json")
    carried.write_bytes(b"cut short")
    monkeypatch.setattr(opening, "default_root", lambda: tmp_path / "packs")
    check = named(examine(place(tmp_path, FULL)))["pack bge-small-en"]
    assert (check.status, check.fix) == (PROBLEM, "pip install --force-reinstall affectrt")

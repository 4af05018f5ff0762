"""The C++ of csrc/device, and threads of csrc/core, on the fake driver, compiled with the address and undefined-behaviour sanitizers.

Every SCENARIO of the .cc files beside this one is a test, in a process of its own, since a process opens one driver.
"""

import re
import subprocess
from pathlib import Path

import fake_cuda
import pytest

HERE = Path(__file__).parent
CSRC = fake_cuda.ROOT / "csrc"
SOURCES = [*sorted(HERE.glob("*.cc")), *sorted((CSRC / "device").glob("*.cc")), CSRC / "core" / "worker.cc"]
SCENARIOS = sorted(name for path in SOURCES for name in re.findall(r"^SCENARIO(?:_OF_MISUSE)?\((\w+)\)", path.read_text(), re.MULTILINE))
FLAGS = ["-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]


@pytest.fixture(scope="module")
def run():
    program = fake_cuda.compile_cached("device_scenarios", SOURCES, FLAGS)

    def run(*arguments, **environment):
        env = {**fake_cuda.environment(), "ASAN_OPTIONS": "detect_leaks=1", **environment}
        return subprocess.run([str(program), *arguments], env=env, capture_output=True, text=True, timeout=120, check=False)

    return run


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(run, name):
    done = run(name)
    assert (done.returncode, done.stdout) == (0, f"ok {name}\n"), done.stdout + done.stderr


def test_every_scenario_is_run(run):
    assert len(SCENARIOS) > 30
    assert sorted(run().stdout.split()) == SCENARIOS


def test_a_scenario_that_fails_is_told(run):
    """The program can fail: without its driver's control nothing passes."""
    done = run("copies_arrive", AFFECTRT_CUDA_LIBRARY="libm.so.6")
    assert done.returncode != 0
    assert "ok" not in done.stdout


def test_report_at_the_end_of_a_process(run, tmp_path):
    report = tmp_path / "report"
    done = run("race_of_two_streams", AFFECTRT_FAKE_CUDA_REPORT=str(report))
    assert done.returncode == 0
    lines = report.read_text().splitlines()
    assert lines[0].startswith("calls ")
    assert [line.split(":")[0] for line in lines[1:]] == ["violation race"]

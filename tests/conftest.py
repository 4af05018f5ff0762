"""What several folders of tests share: real pictures, packs that are opened once, and the machine."""

import fcntl
import gc
import os
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# How fast this machine is just now is no property of the code.
settings.register_profile("affectrt", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("affectrt")

# Nor is what its user has measured of it.
os.environ["AFFECTRT_TUNED"] = "off"

# A shell that starts the tests in the background has them ignore Ctrl-C, and what they start inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

sys.path.insert(0, str(Path(__file__).parent / "ops"))

# Here PyTorch may load the OpenMP runtime before the language model does, and then its threads would spin while they wait.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# `make test` runs files of tests in several processes. They share the cores already: each takes one for PyTorch and what else asks OpenMP.
BESIDE_OTHERS = "PYTEST_XDIST_WORKER" in os.environ
TURNS = Path(__file__).parents[1] / ".cache" / "turns"
if BESIDE_OTHERS:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    TURNS.mkdir(parents=True, exist_ok=True)


def pytest_collection_finish():
    """What is imported and collected by now stays until the end: looking it through costs each full garbage collection a second. What
    the tests make is looked through less often, a sixth of the time of those that make much."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    """A test marked `alone`, which looks at times, begins when the other processes have ended theirs, and they wait until it is done."""
    if not BESIDE_OTHERS:
        return (yield)
    alone = item.get_closest_marker("alone") is not None
    with (TURNS / "gate").open("w") as gate, (TURNS / "tests").open("w") as tests:
        # Who wants to be alone waits in the gate: else tests that follow one another would keep it out for ever.
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(tests, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        try:
            return (yield)
        finally:
            fcntl.flock(tests, fcntl.LOCK_UN)  # a process that a test has forked off may hold the file open


@pytest.fixture(scope="session")
def astronaut():
    """(512, 512, 3) uint8 RGB: one smiling face of 105 px (NASA, public domain)."""
    from skimage import data

    frame = np.ascontiguousarray(data.astronaut())
    frame.flags.writeable = False
    return frame


@pytest.fixture(scope="session")
def empty_scene():
    """(400, 600, 3) uint8 RGB: a cup of coffee, nobody there."""
    from skimage import data

    return np.ascontiguousarray(data.coffee())


@pytest.fixture(scope="session")
def face(astronaut):
    """A `Face` with expression only."""
    import affectrt as art

    return art.Face(color="rgb8")


@pytest.fixture(scope="session")
def text():
    """A `TextEmotion` with the default pack."""
    import affectrt as art

    return art.TextEmotion()


@pytest.fixture(scope="session")
def each_in_a_thread():
    """Runs a function on each of several inputs, every one in a thread of its own, all at once and again and again: each must go on giving
    what it gave alone."""

    def run(function, inputs, *, repeats):
        wanted = [function(value) for value in inputs]
        assert any(not np.array_equal(wanted[0], other) for other in wanted[1:]), "inputs that give the same would hide a mix-up"
        start, errors = threading.Barrier(len(inputs)), []

        def work(value, want):
            try:
                start.wait()
                for _ in range(repeats):
                    np.testing.assert_array_equal(function(value), want)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=pair) for pair in zip(inputs, wanted, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors, errors[0]

    return run

"""What the tests of GPU providers share: the fake runtime, a network small enough to open a hundred times, and processes on both fakes."""

from collections.abc import Iterator
from pathlib import Path

import fake_cuda
import fake_ort
import numpy as np
import pytest
from device_memory import Gpu
from fake_ort.processes import Machine


@pytest.fixture
def ort() -> Iterator[fake_ort.FakeOrt]:
    """The fake runtime, as new; at the end of the test there must be no misuse, and nothing alive that was not before."""
    from fake_ort import probe

    fake = fake_ort.load()
    probe.to_be_had([])  # the runtime itself is open, and what it keeps for good is there
    fake.reset()
    before = fake.leaks()
    yield fake
    fake.fail_at(0)
    violations, leaks = fake.violations(), fake.leaks()
    fake.reset()
    assert violations == []
    assert leaks == before


@pytest.fixture(scope="session")
def doubling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX network: `y` = 2 `x` + 1, float32, (*, 4)."""
    from onnx import TensorProto, checker, helper, numpy_helper, save

    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "two"], ["t"]), helper.make_node("Add", ["t", "one"], ["y"])],
        "doubling",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(np.float32(2), "two"), numpy_helper.from_array(np.float32(1), "one")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    checker.check_model(model)
    path = tmp_path_factory.mktemp("networks") / "doubling.onnx"
    save(model, path)
    return path


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    made.held.unlink(missing_ok=True)  # whatever is left goes on and ends


@pytest.fixture
def cuda(ort) -> Iterator[fake_cuda.FakeCuda]:
    """Control of the fake driver, which the fake runtime uses too."""
    library = fake_cuda.build()
    fake = fake_cuda.FakeCuda(library)
    fake.reset()
    before = sorted(fake.leaks())
    ort.use_driver(library)
    yield fake
    ort.use_driver(fake_cuda.ROOT / "none")
    violations, leaks = fake.violations(), sorted(fake.leaks())
    fake.reset()
    assert violations == [] and leaks == before


@pytest.fixture
def gpu(cuda) -> Iterator[Gpu]:
    made = Gpu()
    yield made
    made.close()

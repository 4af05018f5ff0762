"""What the tests of GPU providers share: the fake runtime, and a network small enough to open a hundred times."""

from collections.abc import Iterator
from pathlib import Path

import fake_ort
import numpy as np
import pytest


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

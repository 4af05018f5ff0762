"""Fixtures for whoever tests on the fake driver: `from fake_cuda.fixtures import cuda` in a conftest.py."""

import gc
from collections.abc import Iterator

import pytest

import fake_cuda


@pytest.fixture
def cuda(request: pytest.FixtureRequest) -> Iterator[fake_cuda.FakeCuda]:
    """The fake driver in this process, as new; at the end of the test there must be no violation, and nothing alive that was not before."""
    fake = fake_cuda.load()
    fake.reset()
    gc.freeze()  # the collection below is for what comes from here on: of a process with PyTorch in it, it would take half a second a test
    before = sorted(fake.leaks())
    yield fake
    fake.fail_at(0)
    # Pytest holds what other fixtures gave until the very end.
    request.node.funcargs.clear()
    gc.collect()
    violations, leaks = fake.violations(), sorted(fake.leaks())
    fake.reset()
    assert violations == []
    assert leaks == before

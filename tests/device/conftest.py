"""The fake driver in this process."""

from fake_cuda.fixtures import cuda

__all__ = ["cuda"]

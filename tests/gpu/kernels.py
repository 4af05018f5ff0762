"""What the tests of csrc/ops/*.cu share: their PTX by architecture, their parameters, launches, and seeded faults."""

import contextlib
import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import ptx

ROOT = Path(__file__).parents[2]
OPS = ROOT / "csrc/ops"
CACHE = ROOT / ".cache/ptx"
NAMES = (
    "affect",
    "align",
    "detection",
    "emotion_layernorm",
    "image_to_tensor",
    "masked_attention",
    "memory_top_k",
    "sharpness",
    "skip_crf",
)
# The oldest and the newest by nvcc, JetPack 6's by NVRTC 12.6.
ARCHITECTURES = ("compute_75", "compute_87", "compute_120")


def include() -> Path:
    """A folder in which headers are found as the build has them: affectrt/ops/NAME.h."""
    folder = CACHE / "include"
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (folder / "affectrt").symlink_to(ROOT / "csrc")
    return folder


def program(op: str, architecture: str = "compute_87") -> ptx.Program:
    return ptx.load(OPS / f"{op}.cu", architecture, [include()], cache=CACHE)


def assert_all_caught(op: str, faults: Sequence[tuple[str, str, str]], check: Callable[[ptx.Program], None]) -> None:
    """Each fault is (name, text that stands once in the source, what it becomes). NVRTC compiles them, being the quicker one."""
    assert len(faults) >= 5
    outcomes = ptx.caught(
        OPS / f"{op}.cu", [ptx.Mutant(*fault) for fault in faults], check, arch="compute_87", includes=[include()], cache=CACHE
    )
    missed = [outcome.mutant.name for outcome in outcomes if not outcome.caught]
    assert not missed, f"{op}: {len(missed)} of {len(faults)} seeded faults not caught: {missed}"


class Gpu:
    """A machine, its buffers by address, and launches with one struct as the parameter."""

    def __init__(self) -> None:
        self.machine = ptx.Machine()

    def upload(self, array: np.ndarray, name: str) -> ptx.Buffer:
        """Read-only: that no kernel writes its inputs is checked with everything else."""
        return self.machine.buffer(array, name=name, writable=False)

    def state(self, array: np.ndarray, name: str) -> ptx.Buffer:
        return self.machine.buffer(array, name=name)

    def empty(self, shape: Sequence[int] | int, dtype: type, name: str) -> ptx.Buffer:
        """Reading it before it is written is an error; `buffer.written` says which bytes were."""
        return self.machine.buffer(np.zeros(shape, dtype), name=name, initialised=False)

    def launch(
        self,
        code: ptx.Program,
        kernel: str,
        grid: int | tuple[int, ...],
        block: int,
        args: ctypes.Structure,
        shared_bytes: int = 0,
    ) -> ptx.Counts:
        return self.machine.launch(code, kernel, grid, block, bytes(args), shared_bytes)


def written(buffer: ptx.Buffer, like: np.ndarray) -> np.ndarray:
    """Which items of a buffer were written, in the shape of `like`; a half-written item is a failure."""
    flags = buffer.written.reshape(-1, like.itemsize)
    assert (flags.all(axis=1) == flags.any(axis=1)).all(), "wrote a part of an item"
    return flags.all(axis=1).reshape(like.shape)

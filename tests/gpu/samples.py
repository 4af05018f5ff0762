"""The sample kernels of the interpreter's own tests, compiled for each architecture and launched with one struct of pointers and sizes."""

import struct
from pathlib import Path

import numpy as np
import ptx

ROOT = Path(__file__).parents[2]
SAMPLES = Path(ptx.__file__).parent / "samples"
CACHE = ROOT / ".cache/ptx"
ARCHITECTURES = (*ptx.ARCHITECTURES, ptx.JETPACK_ARCHITECTURE)


def program(name, arch):
    return ptx.load(SAMPLES / f"{name}.cu", arch, cache=CACHE)


class Run:
    """One launch: `out` and `counts` are what came of it."""

    def __init__(self, code, kernel, data, out, *, block=64, grid=1, n=None, shift=0, shared_bytes=0, keep=False, **machine):
        self.machine = ptx.Machine(**machine)
        data = np.asarray(data)
        source = self.machine.buffer(data, name="in", writable=False)
        target = self.machine.buffer(np.asarray(out, data.dtype), name="out", initialised=keep)
        n = len(data) if n is None else n
        parameters = struct.pack("<QQii", source.address, target.address, n, shift)[: code.kernel(kernel).parameter_bytes]
        self.counts = self.machine.launch(
            code, kernel, grid, block, parameters.ljust(code.kernel(kernel).parameter_bytes, b"\0"), shared_bytes
        )
        self.out = target.array()
        self.written = target.written

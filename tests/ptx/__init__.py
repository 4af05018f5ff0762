"""Runs PTX, as nvcc emits it, on the CPU, and checks what it does: how kernels are proven on a machine without a GPU."""

from .compiler import ARCHITECTURES, JETPACK_ARCHITECTURE, compile, compile_nvrtc, find_nvcc, load
from .counts import Counts
from .errors import Kind, ParseError, PtxError, UnknownInstructionError
from .machine import Machine
from .memory import Buffer
from .mutants import Mutant, Outcome, caught
from .parser import parse
from .program import Instruction, Kernel, Location, Program

__all__ = [
    "ARCHITECTURES",
    "JETPACK_ARCHITECTURE",
    "Buffer",
    "Counts",
    "Instruction",
    "Kernel",
    "Kind",
    "Location",
    "Machine",
    "Mutant",
    "Outcome",
    "ParseError",
    "Program",
    "PtxError",
    "UnknownInstructionError",
    "caught",
    "compile",
    "compile_nvrtc",
    "find_nvcc",
    "load",
    "parse",
]

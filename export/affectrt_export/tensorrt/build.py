"""Builds TensorRT engines, and says why one cannot be built. The library runs in a process of its own (child.py)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import onnx
from onnx import TensorProto

from affectrt_export.spec import ExportError, Progress
from affectrt_export.tensorrt import frames
from affectrt_export.tensorrt.device import Gpu, find_gpu
from affectrt_export.tensorrt.library import Library, load
from affectrt_export.tensorrt.options import Options, Shapes, inputs_of, plan, read

_TYPES = {
    "FLOAT": TensorProto.FLOAT,
    "HALF": TensorProto.FLOAT16,
    "BF16": TensorProto.BFLOAT16,
    "INT8": TensorProto.INT8,
    "UINT8": TensorProto.UINT8,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "BOOL": TensorProto.BOOL,
}
_LAST_WORDS = 2000
# TensorRT-RTX numbers its values in the order of their addresses: with random addresses no two engines of one network have the same bytes.
# 0x40000 is ADDR_NO_RANDOMIZE, for the process that builds only. Where a sandbox refuses it, the engine is as good and its bytes vary.
_SAME_ADDRESSES = "import ctypes, os, sys; ctypes.CDLL(None).personality(0x40000); os.execv(sys.argv[1], sys.argv[1:])"


@dataclass(frozen=True)
class Problem:
    """One thing that keeps a network from being parsed."""

    node: str
    """Name of the node, "" where the file gives it none or no node is to blame."""
    op: str
    """"DynamicQuantizeLinear", or "" where no node is to blame."""
    index: int
    """Place of the node in the file, -1 where no node is to blame."""
    output: str
    """The tensor that the node writes: the layer, in files whose nodes have no names."""
    reason: str

    def __str__(self) -> str:
        if self.index < 0:
            return self.reason
        return f"node {self.node or self.index!r} ({self.op}, writes {self.output!r}): {self.reason}"


class BuildError(ExportError):
    """The library cannot parse or build the network: names every node that is to blame."""

    def __init__(self, text: str, problems: Sequence[Problem] = (), messages: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__("\n  ".join([text, *map(str, problems)]))
        self.problems = tuple(problems)
        self.messages = tuple(messages)


@dataclass(frozen=True)
class Engine:
    """A finished engine, and what it is for."""

    data: bytes = field(repr=False)
    library: Library
    targets: tuple[str, ...]
    """GPUs that it runs on; empty: TensorRT-RTX's own choice, every GPU from Ampere on."""
    gpu: Gpu | None
    """The GPU that it was built on, where it had to be built on one."""
    shapes: Mapping[str, Shapes]
    build_s: float
    messages: Sequence[tuple[str, str]] = ()
    """What the library said: ("error" | "warning" | "info", text)."""
    timing: bytes | None = field(default=None, repr=False)
    """The timing cache afterwards; None where the library has none."""

    @property
    def hardware(self) -> str:
        """As ONNX Runtime's providers write it: "87", "80+" for every GPU from Ampere on, "86,89"."""
        if self.gpu is not None:
            return self.gpu.target[2:]
        return ",".join(target[2:] for target in self.targets) or "80+"


def build(
    model: bytes,
    options: Options | None = None,
    progress: Progress | None = None,
    *,
    contract: Sequence[Mapping[str, Any]] = (),
    timing: bytes = b"",
) -> Engine:
    """An engine of the ONNX file `model`, in the precision of its types. With TensorRT-RTX the same arguments give the same bytes.

    `contract`: the inputs as pack.json writes them, for shapes that `options` does not give. `progress` is called from this thread with the
    phase, the step and the number of steps; what it raises, KeyboardInterrupt above all, ends the build at once and leaves nothing.
    `timing`: the timing cache of an earlier build. BuildError names the node, operator and tensor; ExportError for all else.
    """
    options = options or Options()
    proto = read(model)
    shapes = plan(proto, options.shapes, contract)
    library, gpu = choose(options)
    job = {
        "library": library.kind,
        "targets": list(options.targets),
        "parse_only": False,
        "shapes": {name: [s.least, s.usual, s.most] for name, s in shapes.items()},
        "workspace_bytes": options.workspace_bytes,
        "level": options.level,
        "tf32": options.tf32,
    }
    started = time.monotonic()
    answer = _ask(job, model, timing, proto, library, progress)
    _same_tensors(proto, answer["R"], library)
    messages = [(level, text) for level, text in answer["R"]["messages"]]
    seconds = time.monotonic() - started
    return Engine(answer["E"], library, tuple(options.targets), gpu, shapes, seconds, messages, answer.get("T"))


def parses(model: bytes, library: str = "auto") -> list[Problem]:
    """What keeps the library from parsing the ONNX file `model`; empty if nothing does.

    ExportError if the file is none, or the library is missing.
    """
    proto = read(model)
    found = load(library)
    job = {"library": found.kind, "targets": [], "parse_only": True}
    try:
        answer = _ask(job, model, b"", proto, found, None)
        _same_tensors(proto, answer["R"], found)
    except BuildError as error:
        if error.problems:
            return list(error.problems)
        raise
    return []


def choose(options: Options) -> tuple[Library, Gpu | None]:
    """The library that will build, and the GPU where it needs one. ExportError if either cannot be had, or a target is unknown."""
    library = load(options.library, options.targets)
    unknown = [target for target in options.targets if target not in library.targets]
    if unknown:
        raise ExportError(f"{library.shown} does not build for {', '.join(unknown)}; it builds for {', '.join(library.targets)}")
    if not library.needs_gpu:
        return library, None
    gpu = find_gpu()
    if gpu is None:
        raise ExportError(
            f"{library.shown} builds on the GPU that the engine is for, and there is none here: build on the device, "
            'or ahead of time with TensorRT-RTX (library "tensorrt_rtx", or name targets)'
        )
    return library, gpu


def _ask(
    job: Mapping[str, Any], model: bytes, timing: bytes, proto: onnx.ModelProto, library: Library, progress: Progress | None
) -> dict[str, Any]:
    """Frames of the child's answer by letter, JSON read. Whatever is raised, the child has ended."""
    receive, give = os.pipe()
    with tempfile.TemporaryFile() as words, os.fdopen(receive, "rb") as answers:
        # The child finds the modules that this process finds, and none in the current folder beside them.
        path = os.pathsep.join(os.path.abspath(p) for p in sys.path)  # noqa: PTH100
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0"}
        python = sys.executable
        command = [python, "-IS", "-c", _SAME_ADDRESSES, python, "-m", "affectrt_export.tensorrt.child", str(give)]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=words, stderr=words, pass_fds=[give], env=environment, cwd="/")
        os.close(give)
        try:
            assert child.stdin is not None
            _send(child.stdin, job, model, timing)
            answer: dict[str, Any] = {}
            while "E" not in answer and "X" not in answer and not (job["parse_only"] and "R" in answer):
                frame = frames.read(answers)
                if frame is None:
                    raise BuildError(_died(child, words, library))
                kind, payload = frame
                if kind == "P":
                    if progress is not None:
                        progress(*json.loads(payload))
                else:
                    answer[kind] = payload if kind in "ET" else json.loads(payload)
        finally:
            child.kill()
            if child.stdin is not None:
                child.stdin.close()
            child.wait()
    if "X" in answer:
        wrong = answer["X"]
        raise BuildError(
            wrong["text"], [_problem(p, proto) for p in wrong["problems"]], [(level, text) for level, text in wrong["messages"]]
        )
    return answer


def _send(stdin: IO[bytes], job: Mapping[str, Any], model: bytes, timing: bytes) -> None:
    try:
        frames.write_json(stdin, "J", job)
        frames.write(stdin, "M", model)
        frames.write(stdin, "T", timing)
    except BrokenPipeError:
        pass  # it has died; what it said is read next


def _died(child: subprocess.Popen[bytes], words: IO[bytes], library: Library) -> str:
    status = child.wait()
    words.seek(0, os.SEEK_END)
    words.seek(max(0, words.tell() - _LAST_WORDS))
    said = words.read().decode(errors="replace").strip()
    how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    return f"{library.shown} ended its process ({how})" + (f", saying: {said}" if said else "")


def _problem(found: Mapping[str, Any], proto: onnx.ModelProto) -> Problem:
    index = int(found["index"])
    nodes = proto.graph.node
    node = nodes[index] if 0 <= index < len(nodes) and found["op"] == nodes[index].op_type else None
    # The checkers for operators give "false" or a piece of their source as the reason; the code says more.
    told = found["reason"] if " " in found["reason"] and "&&" not in found["reason"] else ""
    code = str(found["code"]).replace("_", " ").lower()
    if "creator" in found["reason"]:
        told = "no such operator in TensorRT, and no plugin of that name"
    reason = f"{code}: {told}" if told else f"{code} ({found['where']})"
    return Problem(found["node"], found["op"], index if found["op"] else -1, node.output[0] if node is not None else "", reason)


def _same_tensors(proto: onnx.ModelProto, built: Mapping[str, Any], library: Library) -> None:
    """The engine must take and give what the file says. TensorRT turns float64 into float32 without a word."""
    wrong = []
    for what, values in (("input", inputs_of(proto)), ("output", list(proto.graph.output))):
        there = {name: _TYPES.get(dtype) for name, dtype, _ in built[what + "s"]}
        for value in values:
            expected = value.type.tensor_type.elem_type
            if value.name not in there:
                wrong.append(Problem("", "", -1, "", f"{what} {value.name!r}: {library.shown} has left it out"))
            elif there[value.name] != expected:
                shown = TensorProto.DataType.Name(expected)
                got = next(dtype for name, dtype, _ in built[what + "s"] if name == value.name)
                wrong.append(Problem("", "", -1, "", f"{what} {value.name!r}: {shown} in the ONNX file, {got} in {library.shown}"))
    if wrong:
        raise BuildError(f"{library.shown} changes the network's inputs or outputs", wrong)

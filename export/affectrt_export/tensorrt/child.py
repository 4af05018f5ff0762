"""The process that holds NVIDIA's builder: it may abort, and must not take the host with it.

Reads a job (JSON), the ONNX file and the timing cache from standard input, and answers on the descriptor named in its arguments: `P`
progress, then `X` what is wrong, or `R` what was built, `T` the new timing cache, `E` the engine. Ends when standard input closes.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from typing import Any

from affectrt_export.spec import ExportError
from affectrt_export.tensorrt import frames
from affectrt_export.tensorrt.library import Library, load, severities

Send = Callable[[str, bytes], None]


class RefusedError(Exception):
    """The library will not parse or build; `problems` as `build.Problem` takes them, in dicts."""

    def __init__(self, text: str, problems: list[dict[str, Any]], messages: list[tuple[str, str]]) -> None:
        super().__init__(text)
        self.problems, self.messages = problems, messages


def main(argv: list[str]) -> int:
    """Ends the process: status 0 once an answer has been sent, a good one or a bad one, else 1."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both; the parent decides, and ends this process
    warnings.simplefilter("ignore", DeprecationWarning)
    out = os.fdopen(int(argv[1]), "wb")
    asked, model, timing = (frames.read(sys.stdin.buffer) for _ in range(3))
    if asked is None or model is None or timing is None:
        return 1
    threading.Thread(target=_follow, daemon=True).start()
    job = json.loads(asked[1])
    lock = threading.Lock()  # the library reports from threads of its own

    def send(kind: str, payload: bytes) -> None:
        with lock:
            frames.write(out, kind, payload)

    # In a thread, whose memory begins empty: what this process did before changes no order of addresses, and so no byte of the engine.
    worker = threading.Thread(target=_work, args=(job, model[1], timing[1], send))
    worker.start()
    worker.join()
    os._exit(0)  # the library's own clean-up has nothing to save, and can fail after the work is done


def _work(job: dict[str, Any], model: bytes, timing: bytes, send: Send) -> None:
    try:
        run(job, model, timing, load(job["library"], job["targets"]), send)
    except RefusedError as error:
        send("X", json.dumps({"text": str(error), "problems": error.problems, "messages": error.messages}).encode())
    except ExportError as error:
        send("X", json.dumps({"text": str(error), "problems": [], "messages": []}).encode())
    except BaseException:  # whatever it is, the parent is told by what stands here, and no clean-up may cover it up
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def _follow() -> None:
    """Ends this process with its parent, however that ends."""
    while os.read(0, 1 << 16):
        pass
    os._exit(1)


def run(job: dict[str, Any], model: bytes, timing: bytes, library: Library, send: Send) -> None:
    """Parses, and builds unless `job["parse_only"]`. Raises RefusedError."""
    api = library.api
    log = _logger(api)
    try:
        builder = api.Builder(log)
        network = builder.create_network(library.network_flags)
    except (TypeError, RuntimeError, AttributeError) as error:  # what pybind11 makes of a builder that cannot be had
        raise RefusedError(f"{library.shown} gives no builder: {log.worst() or error}", [], log.messages) from error
    parser = api.OnnxParser(network, log)
    if not parser.parse(model):
        problems = [_problem(parser.get_error(i)) for i in range(parser.num_errors)]
        raise RefusedError(f"{library.shown} cannot parse the network", problems, log.messages)
    tensors = {
        "inputs": [_tensor(network.get_input(i)) for i in range(network.num_inputs)],
        "outputs": [_tensor(network.get_output(i)) for i in range(network.num_outputs)],
    }
    if job["parse_only"]:
        send("R", json.dumps({**tensors, "messages": log.messages}).encode())
        return
    config = _configure(library, builder, job, send, log)
    cache = _timing_cache(library, config, timing)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise RefusedError(f"{library.shown} cannot build the network: {log.worst() or 'it gives no reason'}", [], log.messages)
    if cache is not None:
        send("T", bytes(memoryview(config.get_timing_cache().serialize())))
    send("R", json.dumps({**tensors, "messages": log.messages}).encode())
    send("E", bytes(memoryview(engine)))


def _configure(library: Library, builder: Any, job: dict[str, Any], send: Send, log: Any) -> Any:
    api = library.api
    config = builder.create_builder_config()
    config.progress_monitor = _monitor(api, send)
    if job["workspace_bytes"] is not None:
        config.set_memory_pool_limit(api.MemoryPoolType.WORKSPACE, job["workspace_bytes"])
    if job["level"] is not None:
        config.builder_optimization_level = job["level"]
    if not job["tf32"]:
        config.clear_flag(api.BuilderFlag.TF32)
    if job["targets"]:
        config.num_compute_capabilities = len(job["targets"])
        for index, target in enumerate(job["targets"]):
            capability = api.ComputeCapability.__members__.get(target.upper())
            if capability is None or not config.set_compute_capability(capability, index):
                there = ", ".join(library.targets)
                raise RefusedError(f"{library.shown} does not build for {target}; it builds for {there}", [], log.messages)
    if job["shapes"]:
        profile = builder.create_optimization_profile()
        for name, (least, usual, most) in job["shapes"].items():
            profile.set_shape(name, least, usual, most)
        if config.add_optimization_profile(profile) < 0:
            raise RefusedError(f"{library.shown} does not take the shapes: {log.worst()}", [], log.messages)
    return config


def _timing_cache(library: Library, config: Any, timing: bytes) -> Any:
    if not library.has_timing_cache:
        return None
    cache = config.create_timing_cache(timing)
    # A cache from another GPU or version is refused: begin anew rather than time with its figures.
    if cache is None or not config.set_timing_cache(cache, False):
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, False)
    return cache


def _logger(api: Any) -> Any:
    named = severities(api)

    class Log(api.ILogger):  # type: ignore[misc]
        """Keeps what the library says, errors, warnings and information."""

        def __init__(self) -> None:
            api.ILogger.__init__(self)
            self.messages: list[tuple[str, str]] = []

        def log(self, severity: Any, message: str) -> None:
            """Called by the library."""
            level = named.get(int(severity))
            if level:
                self.messages.append((level, _plain(message)))

        def worst(self) -> str:
            """All errors, in one line."""
            return "; ".join(text for level, text in self.messages if level == "error" and text)

    return Log()


def _monitor(api: Any, send: Send) -> Any:
    class Monitor(api.IProgressMonitor):  # type: ignore[misc]
        """Passes each step on."""

        def __init__(self) -> None:
            api.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            """Called by the library."""
            self.steps[phase_name] = num_steps
            send("P", json.dumps([phase_name, 0, num_steps]).encode())

        def step_complete(self, phase_name: str, step: int) -> bool:
            """Called by the library."""
            send("P", json.dumps([phase_name, step + 1, self.steps.get(phase_name, step + 1)]).encode())
            return True

        def phase_finish(self, phase_name: str) -> None:
            """Called by the library."""
            total = self.steps.pop(phase_name, 1)
            send("P", json.dumps([phase_name, total, total]).encode())

    return Monitor()


def _tensor(tensor: Any) -> list[Any]:
    return [tensor.name, tensor.dtype.name, [int(d) for d in tensor.shape]]


def _problem(error: Any) -> dict[str, Any]:
    return {
        "index": int(error.node()),
        "node": error.node_name(),
        "op": error.node_operator(),
        "code": error.code().name,
        "reason": _plain(error.desc()),
        "where": error.func(),
    }


def _plain(message: str) -> str:
    """Without what every machine that has no driver adds to every error."""
    lines = [line for line in message.strip().splitlines() if "catchCudaError" not in line]
    return " ".join(line.strip() for line in lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv))

"""`affectrt chat`: talk with the companion; beside every answer what it perceived and what the answer cost."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from affectrt.cli.errors import note
from affectrt.cli.memory import KeyFileOption, asking_for_key, read_key
from affectrt.cli.output import Format, OutputOption, Report, write

if TYPE_CHECKING:
    from affectrt.companion import Companion, CompanionReply

CAMERA_PAUSE_S = 0.1
"""Looking ten times a second is plenty for a conversation, and leaves the cores to the language model."""


def chat(
    once: Annotated[str | None, typer.Option(help="Answer this and leave.")] = None,
    pack: Annotated[str | None, typer.Option(help="Dialogue pack, org/repo:Q4_K_M, or a .gguf with --allow-unverified.")] = None,
    persona: Annotated[str, typer.Option(help="Who answers.")] = "warm",
    memory: Annotated[
        Path | None,
        typer.Option(help="Remember in this file, over any number of runs. Its key, if it has one: AFFECTRT_MEMORY_KEY or --key-file."),
    ] = None,
    key_file: KeyFileOption = None,
    partner: Annotated[str, typer.Option(help="Who talks: each has memories of their own.")] = "someone",
    camera: Annotated[int | None, typer.Option(min=0, help="Look through this camera meanwhile.")] = None,
    threads: Annotated[int, typer.Option(min=0, help="Threads of the language model; 0: as tuned, else every physical core.")] = 0,
    seed: Annotated[int | None, typer.Option(help="Makes answers repeatable.")] = None,
    short: Annotated[bool, typer.Option("--short", help="End each answer with its first paragraph.")] = False,
    strategy: Annotated[bool, typer.Option(help="Plan a way of support for each answer, and tell the model.")] = True,
    trace: Annotated[bool, typer.Option("--trace", help="After each answer, what the model was told, and its cost and hash.")] = False,
    allow_unverified: Annotated[bool, typer.Option("--allow-unverified", help="Accept a bare .gguf.")] = False,
    output: OutputOption = Format.table,
) -> None:
    """Talk with the companion. Ctrl-C stops an answer, a second one leaves, and so does Ctrl-D."""
    if output is not Format.table and once is None:
        raise typer.BadParameter(f"-o {output.value} is for --once")
    began = time.perf_counter()
    from affectrt import Companion, Dialogue, Face, TextEmotion

    dialogue = Dialogue(pack, threads=threads, seed=seed, allow_unverified=allow_unverified)
    key = read_key(key_file) if memory is not None else None
    with asking_for_key(key, key_file):
        bot = Companion(
            persona,
            face=Face(color="rgb8") if camera is not None else False,
            text=TextEmotion(),
            dialogue=dialogue,
            memory=memory,
            memory_key=key,
            partner=partner,
            resume_s=0.0 if once is not None else 600.0,  # a question by itself
            strategy=None if strategy else False,
            sampling=replace(dialogue.sampling, stop=(*dialogue.sampling.stop, "\n\n")) if short else None,
        )
    note(_dim(f"{dialogue.pack.name} on {dialogue.provider}, {dialogue.threads} threads, ready in {time.perf_counter() - began:.1f} s"))
    with bot, _watching(bot, camera):
        if once is not None:
            _once(bot, once, output, trace)
        else:
            _talk(bot, trace)


def _dim(text: str) -> str:
    from affectrt.cli.speak import dim

    return dim(text)


def _once(bot: Companion, text: str, output: Format, trace: bool) -> None:
    from affectrt.cli.speak import stream

    reply = bot.reply(text)
    if output is Format.table:
        stream(reply)
        _beside(bot, reply, trace)
    else:
        answer = "".join(str(piece) for piece in reply)
        row = {"text": text, "answer": answer, **_figures(reply), **(_traced(bot, reply) if trace else {})}
        write(Report(tuple(row), [row], row), output)
    if reply.stats.cancelled:
        raise KeyboardInterrupt


def _beside(bot: Companion, reply: CompanionReply, trace: bool) -> None:
    note(_dim(_side_line(reply)))
    if trace:
        from affectrt.cli.trace import told

        note(_dim(told(bot, reply)))


def _side_line(reply: CompanionReply) -> str:
    from affectrt.cli.speak import cost, felt, perceived, remembered

    plan = f"; strategy {reply.trace.plan.strategy}" if reply.trace.plan is not None else ""
    guard = "".join(f"; guard: {crisis.category} ({crisis.words!r})" for crisis in reply.trace.crises)
    return f"{perceived(reply.trace.state)}{felt(reply.trace.state)}{guard}{remembered(reply.trace.memories)}{plan}; {cost(reply.stats)}"


def _figures(reply: CompanionReply) -> dict[str, Any]:
    state, stats = reply.trace.state, reply.stats
    return {
        "sounds": state.read.label if state.read else None,
        "looks": state.seen.label if state.seen else None,
        "valence": state.valence,
        "arousal": state.arousal,
        "feels": state.label,
        "confidence": state.affect.confidence,
        "remembers": [hit.memory.text for hit in reply.trace.memories],
        "guard": [crisis.category for crisis in reply.trace.crises],
        "strategy": reply.trace.plan.strategy.value if reply.trace.plan is not None else None,
        "expression": reply.expression.name,
        "stages_ms": dict(reply.trace.stages_ms),
        "ttft_ms": stats.ttft_ms,
        "decode_tok_s": stats.decode_tok_s,
        "prompt_tokens": stats.prompt_tokens,
        "cached_tokens": stats.cached_tokens,
        "generated_tokens": stats.generated_tokens,
        "finish": stats.finish,
    }


def _traced(bot: Companion, reply: CompanionReply) -> dict[str, Any]:
    from affectrt.cli.trace import layer_tokens

    prompt = reply.trace.prompt
    if prompt is None:
        return {"trace": None, "trace_sha256": None, "layer_tokens": None}
    return {"trace": prompt.to_json(), "trace_sha256": prompt.sha256, "layer_tokens": layer_tokens(bot, prompt)}


def _talk(bot: Companion, trace: bool) -> None:
    from affectrt.cli.speak import stream

    for line in _typed() if sys.stdin.isatty() else _piped():
        if not line.strip():
            continue
        try:
            reply = bot.reply(line)
        except ValueError as error:  # a line that is too long, say: the talk goes on
            note(f"error: {error}")
            continue
        stream(reply)
        _beside(bot, reply, trace)


def _typed() -> Iterator[str]:
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  (line editing and history for input)
    while True:
        try:
            yield input("> ")
        except EOFError:
            return
        except UnicodeDecodeError as error:
            note(f"error: UTF-8 was expected, byte {error.object[error.start]:#04x} is none")


def _piped() -> Iterator[str]:
    from affectrt.cli.run_text import lines

    for number, line in lines(sys.stdin.buffer):
        if isinstance(line, str):
            yield line
        else:
            note(f"error: line {number}: {line}")


@contextlib.contextmanager
def _watching(bot: Companion, camera: int | None) -> Iterator[None]:
    """Show the companion what the camera sees, from a thread, while the body runs."""
    if camera is None:
        yield
        return
    from affectrt.cli.camera import Camera

    stop = threading.Event()
    with Camera(camera) as frames:

        def look() -> None:
            try:
                for frame in frames:
                    bot.see(frame.rgb, stamp_ns=frame.stamp_ns, color="rgb8")
                    if stop.wait(CAMERA_PAUSE_S):
                        return
            except Exception as error:  # the talk goes on without eyes, and says so
                note(f"error: camera {camera}: {error}")

        watcher = threading.Thread(target=look, name="watching", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join(timeout=2.0)

"""`affectrt chat`: talk with the companion; beside every answer what it perceived and what the answer cost."""

from __future__ import annotations

import contextlib
import datetime
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from affectrt.cli.errors import FAILED, in_options, note
from affectrt.cli.memory import KeyFileOption, asking_for_key, read_key
from affectrt.cli.options import note_threads
from affectrt.cli.output import Format, OutputOption, Report, RowWriter, counted, write

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
    partner: Annotated[
        str | None, typer.Option(help='Who talks: each has memories of their own in --memory; without it: "someone".', show_default=False)
    ] = None,
    camera: Annotated[int | None, typer.Option(min=0, help="Look through this camera meanwhile.")] = None,
    threads: Annotated[int, typer.Option(min=0, help="Threads of the language model; 0: as tuned, else every physical core.")] = 0,
    context_tokens: Annotated[int | None, typer.Option(help="How much a conversation may hold; without it the pack's number.")] = None,
    seed: Annotated[int | None, typer.Option(help="Makes answers repeatable.")] = None,
    short: Annotated[bool, typer.Option("--short", help="End each answer with its first paragraph.")] = False,
    strategy: Annotated[bool, typer.Option(help="Plan a way of support for each answer, and tell the model.")] = True,
    trace: Annotated[bool, typer.Option("--trace", help="After each answer, what the model was told, and its cost and hash.")] = False,
    allow_unverified: Annotated[bool, typer.Option("--allow-unverified", help="Accept a bare .gguf.")] = False,
    output: OutputOption = Format.table,
) -> None:
    """Talk with the companion. Ctrl-C stops an answer, a second one leaves, and so does Ctrl-D."""
    if output is not Format.table and once is None and (output is not Format.jsonl or sys.stdin.isatty()):
        raise typer.BadParameter(f"-o {output.value} is for --once; lines that are piped in become rows with -o jsonl")
    if memory is None and (partner is not None or key_file is not None):
        raise typer.BadParameter("--partner and --key-file are about what is remembered: they need --memory")
    note_threads(threads)
    began = time.perf_counter()
    from affectrt import Companion, Dialogue, Face, TextEmotion
    from affectrt.companion.talk import RESUME_S

    with in_options(context_tokens="--context-tokens"):
        dialogue = Dialogue(pack, threads=threads, context_tokens=context_tokens, seed=seed, allow_unverified=allow_unverified)
    key = read_key(key_file) if memory is not None else None
    with asking_for_key(key, key_file):
        bot = Companion(
            persona,
            face=Face(color="rgb8") if camera is not None else False,
            text=TextEmotion(),
            dialogue=dialogue,
            memory=memory,
            memory_key=key,
            partner="someone" if partner is None else partner,
            resume_s=0.0 if once is not None else RESUME_S,  # a question by itself
            strategy=None if strategy else False,
            sampling=replace(dialogue.sampling, stop=(*dialogue.sampling.stop, "\n\n")) if short else None,
        )
    ready = f"{counted(dialogue.threads, 'thread')}, ready in {time.perf_counter() - began:.1f} s"
    note(_dim(f"{dialogue.pack.name} on {dialogue.provider}, {ready}"))
    with bot, _watching(bot, camera):
        _remembering(bot)
        if once is not None:
            _once(bot, once, output, trace)
        elif sys.stdin.isatty():
            note(_dim("Ctrl-C stops an answer, Ctrl-D leaves"))
            _talk(bot, _typed(), trace)
        elif not (_rows(bot, trace) if output is Format.jsonl else _talk(bot, _piped(), trace)):
            raise typer.Exit(FAILED)


def _dim(text: str) -> str:
    from affectrt.cli.speak import dim

    return dim(text)


def _remembering(bot: Companion) -> None:
    """Say which talk goes on, and where a name may have been misspelt."""
    if bot.memory is None:
        return
    from affectrt.dialogue.prompt import one_line

    if turns := len(bot.conversation.turns):
        last = bot.memory.memories(partner=bot.partner, kinds=("utterance",), newest_first=True, limit=1)
        when = f" of {datetime.datetime.fromtimestamp(last[0].stamp_ns // 10**9):%H:%M}" if last else ""
        note(_dim(f"going on with the talk{when}, {counted(turns, 'turn')}"))
    elif (there := bot.memory.partners()) and bot.partner not in there:
        note(_dim(one_line(f"nothing is kept of {bot.partner!r} yet; there is of: {', '.join(there)}")))


def _once(bot: Companion, text: str, output: Format, trace: bool) -> None:
    from affectrt.cli.speak import stream

    reply = _reply(bot, text)
    if output is Format.table:
        stream(reply)
        _beside(bot, reply, trace)
    else:
        row = _row(bot, text, reply, trace)
        write(Report(tuple(row), [row], row), output)
    if reply.stats.cancelled:
        raise KeyboardInterrupt


def _reply(bot: Companion, text: str) -> CompanionReply:
    with in_options(context_tokens="--context-tokens"):
        return bot.reply(text)


def _row(bot: Companion, text: str, reply: CompanionReply, trace: bool) -> dict[str, Any]:
    answer = "".join(str(piece) for piece in reply)
    return {"text": text, "answer": answer, **_figures(reply), **(_traced(bot, reply) if trace else {})}


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


Line = tuple[str, str | Exception]
"""Which one ("line 3: ", or "" for one that was typed), and what it says or why it cannot be read."""


def _talk(bot: Companion, lines: Iterable[Line], trace: bool) -> bool:
    """Answer line after line; False if one could not be answered."""
    from affectrt.cli.speak import stream

    complete = True
    for _, reply in _replies(bot, lines, echo=not sys.stdin.isatty()):
        if reply is None:
            complete = False
            continue
        stream(reply)
        _beside(bot, reply, trace)
    return complete


def _rows(bot: Companion, trace: bool) -> bool:
    """As `_talk`, a row of JSON for each line that is piped in."""
    writer, complete = RowWriter((), Format.jsonl), True
    for text, reply in _replies(bot, _piped()):
        if reply is None:
            complete = False
        else:
            writer.row(_row(bot, text, reply, trace))
    return complete


def _replies(bot: Companion, lines: Iterable[Line], *, echo: bool = False) -> Iterator[tuple[str, CompanionReply | None]]:
    """Each line that is not empty, with its reply; None, after a note, for one that cannot be answered."""
    from affectrt.dialogue.prompt import one_line

    for where, line in lines:
        if isinstance(line, str) and not line.strip():
            continue
        try:
            if isinstance(line, Exception):
                raise line
            reply = _reply(bot, line)
        except ValueError as error:  # a line that is too long, say: the talk goes on
            note(f"error: {where}{error}")
            yield str(line), None
            continue
        if echo:
            note(_dim(f"> {one_line(line)}"))
        yield line, reply


def _typed() -> Iterator[Line]:
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  (line editing and history for input)
    while True:
        try:
            yield "", input("> ")
        except EOFError:
            note("")  # the shell goes on in a line of its own
            return
        except UnicodeDecodeError as error:
            yield "", ValueError(f"UTF-8 was expected, byte {error.object[error.start]:#04x} is none")


def _piped() -> Iterator[Line]:
    from affectrt.cli.run_text import lines

    for number, line in lines(sys.stdin.buffer):
        yield f"line {number}: ", line


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

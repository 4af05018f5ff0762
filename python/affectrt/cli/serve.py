"""`affectrt serve`: the device's models over HTTP, for programs that speak OpenAI's interface."""

from __future__ import annotations

import contextlib
import errno
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affectrt.cli.errors import in_options, note, reading, warn_if_others_read
from affectrt.cli.options import note_threads
from affectrt.cli.output import counted

if TYPE_CHECKING:
    from affectrt.perception import TextEmbedding
    from affectrt.policy import Policy


def serve(
    pack: Annotated[str | None, typer.Option(help="Dialogue pack, org/repo:Q4_K_M, or a .gguf with --allow-unverified.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; any but a loopback address needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 8080,
    token_file: Annotated[
        Path | None,
        typer.Option(help="File that holds the token that clients give as their API key; without it: AFFECTRT_SERVE_TOKEN."),
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Host name under which clients ask for this server, beside its addresses; several times.")
    ] = None,
    embedding: Annotated[
        str | None, typer.Option(help="Pack for /v1/embeddings; without it the default one, if it has been pulled.")
    ] = None,
    persona: Annotated[
        str | None,
        typer.Option(help="Who answers: warm, calm, cheerful, plain, or a description; before the clients' own system messages."),
    ] = None,
    guard: Annotated[
        bool, typer.Option("--guard", help="Answer words of a crisis without the model, say now and then that this is a machine.")
    ] = False,
    policy: Annotated[Path | None, typer.Option(help="A guard by the rules of this file (JSON).")] = None,
    affect: Annotated[bool, typer.Option(help="Whether to read emotions of text.")] = True,
    running: Annotated[int, typer.Option(min=1, help="Answers that are generated at once; they share the model.")] = 4,
    waiting: Annotated[int, typer.Option(min=0, help="Requests that wait for their turn; further ones are told to come again.")] = 16,
    threads: Annotated[int, typer.Option(min=0, help="Threads of the language model; 0: as tuned, else every physical core.")] = 0,
    context_tokens: Annotated[int | None, typer.Option(help="How much a conversation may hold; without it the pack's number.")] = None,
    seed: Annotated[int | None, typer.Option(help="Makes answers repeatable.")] = None,
    device: Annotated[str, typer.Option(help="Of the language model: auto, cpu or cuda:0.")] = "auto",
    allow_unverified: Annotated[bool, typer.Option("--allow-unverified", help="Accept a bare .gguf.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No line for each request.")] = False,
) -> None:
    """Serve chat, embeddings and emotions of text to programs, in the manner of OpenAI's interface. Ctrl-C ends it."""
    from affectrt.serve import Limits, Server
    from affectrt.serve.settings import check_token, read_token, resolve

    if token_file is not None:
        with reading(token_file, "the file that holds the token", "--token-file"):
            token = check_token(read_token(token_file))
        warn_if_others_read(token_file)
    else:
        token = check_token(read_token(None))
    resolve(host, port, token)  # what cannot be served is told before a model is loaded for it
    limits = Limits(running=running, waiting=waiting)

    from affectrt import Dialogue, Policy, TextEmotion
    from affectrt.dialogue.persona import find_persona
    from affectrt.policy import read_policy

    who = find_persona(persona) if persona is not None else None
    if policy is not None:
        with reading(policy, "a policy as JSON", "--policy"):
            rules: Policy | None = read_policy(policy)
    else:
        rules = Policy() if guard else None
    note_threads(threads)

    with in_options(context_tokens="--context-tokens"):
        dialogue = Dialogue(
            pack, threads=threads, context_tokens=context_tokens, seed=seed, device=device, allow_unverified=allow_unverified
        )
    with dialogue:
        with _taking(host, port):
            server = Server(
                dialogue,
                text=TextEmotion(policy=rules) if affect else None,
                embedding=_embedding(embedding, rules),
                host=host,
                port=port,
                token=token,
                names=allow_host or (),
                limits=limits,
                persona=who,
                policy=rules,
            )
        if not quiet:
            _log_to_stderr()
        key = "clients give the token as their API key" if token else "no token is asked for"
        if rules is not None:
            note(f"guard: words of a crisis are answered without the model; claims: {rules.claim_action}")
        else:
            note("no guard: answers are the model's, word for word, also to words of a crisis; --guard or --policy FILE gives one")
        note(f"{dialogue.pack.name} on {dialogue.provider}, {counted(dialogue.threads, 'thread')}: {server.url} ({key}; Ctrl-C ends it)")
        server.run()


@contextlib.contextmanager
def _taking(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise ValueError(f"--port {port}: another program listens there on {host}; --port 0 takes a free one") from error


def _embedding(pack: str | None, policy: Policy | None) -> TextEmbedding | None:
    from affectrt import PackError, TextEmbedding

    try:
        return TextEmbedding(pack, policy=policy)
    except PackError as error:
        if pack is not None:
            raise
        note(f"no /v1/embeddings: {error}")
        return None


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    log = logging.getLogger("affectrt.serve")
    log.addHandler(handler)
    log.setLevel(logging.INFO)

"""`affectrt memory list | search | erase | export | import`: a robot's memory file, for its owner.

The key of an encrypted file comes from the variable AFFECTRT_MEMORY_KEY or from a file, never from the command line, which others can read.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import sys
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from affectrt.cli.errors import FAILED, guarded, note, reading, warn_if_others_read
from affectrt.cli.output import Format, OutputOption, Report, counted, write

if TYPE_CHECKING:
    from affectrt.memory import Memory, MemoryStore

KEY_VARIABLE = "AFFECTRT_MEMORY_KEY"

StoreArgument = Annotated[Path, typer.Argument(help="The memory file.")]
KeyFileOption = Annotated[
    Path | None, typer.Option(help=f"File that holds the key of an encrypted memory, as text; without it: {KEY_VARIABLE}.")
]
PartnerOption = Annotated[str | None, typer.Option(help="Of this partner only.")]
IdsOption = Annotated[list[int] | None, typer.Option("--id", help="Of this memory; may be given several times.")]

COLUMNS = ("id", "time", "kind", "partner", "text", "emotion", "strength", "state")
OPTIONAL = ("strength", "semantic_distance", "emotional_distance", "kind", "state", "emotion")
SEARCH_COLUMNS = ("distance", "semantic_distance", "emotional_distance", *COLUMNS)


class Kind(str, Enum):
    """Kinds of memories."""

    utterance = "utterance"
    fact = "fact"
    summary = "summary"
    portrait = "portrait"


class Combination(str, Enum):
    """How likeness of words and of feelings are combined."""

    semantic = "semantic"
    emotional = "emotional"
    ca = "C-A"
    cm = "C-M"
    sc = "S-C"
    ss = "S-S"


def build() -> typer.Typer:
    """The group of commands."""
    group = typer.Typer(help="Look into a robot's memory, search it, erase from it, export it.", no_args_is_help=True)
    group.command("list")(guarded(list_memories))
    group.command("search")(guarded(search))
    group.command("erase")(guarded(erase))
    group.command("export")(guarded(export))
    group.command("import")(guarded(import_))
    return group


def _open(path: Path, key_file: Path | None, *, create: bool = False, read_only: bool = False) -> MemoryStore:
    from affectrt.memory import MemoryStore

    key = read_key(key_file)
    with asking_for_key(key, key_file):
        return MemoryStore(path, key=key, create=create, read_only=read_only)


@contextlib.contextmanager
def asking_for_key(key: str | None, key_file: Path | None) -> Iterator[None]:
    """Where a file is opened without its key, say how the command line is given one; where with one that is none, where that is from."""
    from affectrt.errors import StoreError

    try:
        yield
    except StoreError as error:
        if error.reason != "key":
            raise
        if key is None:
            hint = f": in the variable {KEY_VARIABLE}, or in a file by --key-file"
        else:
            hint = f" (the key is that of {'--key-file' if key_file else f'{KEY_VARIABLE}: `unset {KEY_VARIABLE}` leaves it out'})"
        raise StoreError(f"{error}{hint}", "key") from error


def read_key(key_file: Path | None) -> str | None:
    """The key out of the file, or of the variable; None if neither has one."""
    if key_file is None:
        return os.environ.get(KEY_VARIABLE) or None
    try:
        with reading(key_file, "the file that holds the key of the memory", "--key-file"):
            key = key_file.read_text(encoding="utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(f"--key-file {key_file}: expected a key as text in UTF-8") from None
    if not key:
        raise ValueError(f"{key_file}: expected a key, got an empty file")
    warn_if_others_read(key_file)
    return key


def _missing(store: MemoryStore, partner: str | None) -> str | None:
    """What to say if there is nothing of the partner that was asked for; a state is something too."""
    there = store.partners()
    if partner is None or partner in there:
        return None
    return f"{store.path}: there is nothing of {partner!r}; there is of: {', '.join(there) or 'no one'}"


def _row(memory: Memory) -> dict[str, Any]:
    from affectrt.memory import EMOTIONS

    felt = {name: amount for name, amount in zip(EMOTIONS, memory.emotion, strict=True) if amount}
    when = datetime.datetime.fromtimestamp(memory.stamp_ns // 1_000_000_000, datetime.timezone.utc)
    lost = f"{memory.lost_sources} sources lost" if memory.lost_sources else ""
    of = f"of {memory.day}" if memory.day else ""
    states = (of, "archived" if memory.archived_ns is not None else "", "shared" if memory.shared else "", lost)
    return {
        "id": memory.id,
        "time": when.strftime("%Y-%m-%d %H:%M:%S"),
        "stamp_ns": memory.stamp_ns,
        "kind": memory.kind,
        "day": memory.day or None,
        "partner": memory.partner,
        "text": memory.text,
        "emotion": max(felt, key=lambda name: felt[name]) if felt else None,
        "emotions": felt,
        "strength": memory.strength,
        "recalled_ns": memory.recalled_ns,
        "shared": memory.shared,
        "archived_ns": memory.archived_ns,
        "lost_sources": memory.lost_sources,
        "state": ", ".join(filter(None, states)) or None,
    }


def list_memories(
    path: StoreArgument,
    output: OutputOption = Format.table,
    partner: PartnerOption = None,
    kind: Annotated[list[Kind] | None, typer.Option(help="Of this kind; may be given several times.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    key_file: KeyFileOption = None,
) -> None:
    """List memories, newest first, those in the archive too. Times are UTC."""
    with _open(path, key_file, read_only=True) as store:
        kinds = [one.value for one in kind or Kind]
        total = store.count(partner=partner, kinds=kinds)
        found = store.memories(partner=partner, kinds=kinds, newest_first=True, limit=None if everything else limit)
        title = f"{path.name}: {counted(total, 'memory', 'memories')}"
        write(Report(COLUMNS, [_row(memory) for memory in found], title=title, optional=OPTIONAL), output)
        missing = _missing(store, partner)
    if missing:
        note(missing)
    if total > len(found):
        note(f"{len(found)} of {total} shown; --limit or --all shows more")


def search(
    path: StoreArgument,
    query: Annotated[str, typer.Argument(help='Words to search for; "" searches by --emotion alone.')],
    output: OutputOption = Format.table,
    emotion: Annotated[
        list[str] | None,
        typer.Option(
            help="A feeling to search by: joy, trust, fear, surprise, sadness, disgust, anger or anticipation, or sadness=0.5; sad will do."
        ),
    ] = None,
    partner: Annotated[str | None, typer.Option(help="What this partner would be reminded of; without it: of everyone's.")] = None,
    combination: Annotated[
        Combination | None, typer.Option(help="How words and feelings are combined (docs/memory.md); without it: C-A.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="At most so many.")] = 10,
    archived: Annotated[bool, typer.Option("--archived", help="In the archive too.")] = False,
    key_file: KeyFileOption = None,
) -> None:
    """Search by meaning, feeling or both, as recall does; strengthens nothing."""
    if not query.strip() and not emotion:
        raise typer.BadParameter("expected words to search for, or --emotion, or both")
    used = (combination or Combination.ca).value
    with _open(path, key_file, read_only=True) as store:
        found = store.recall(query, partner=partner, emotion=_feelings(emotion or ()), combination=used, k=k, archived=archived)
        missing = _missing(store, partner)
    rows = [
        {
            "distance": hit.distance,
            "semantic_distance": hit.semantic_distance,
            "emotional_distance": hit.emotional_distance,
            **_row(hit.memory),
        }
        for hit in found.hits
    ]
    document = {"combination": found.combination, "reason": found.reason, "hits": rows, "linked": [_row(one) for one in found.linked]}
    write(Report(SEARCH_COLUMNS, rows, document, f"by {found.combination}", optional=OPTIONAL), output)
    if missing:
        note(missing)
    # By words alone is what whoever gave words alone asked for: it is not told as if something had gone wrong.
    if found.reason and (emotion or combination is not None or found.combination != "semantic"):
        note(f"searched by {found.combination}: {found.reason}")


def _feelings(words: Iterable[str]) -> dict[str, float] | None:
    from affectrt.labels import taxonomy

    felt: dict[str, float] = {}
    for word in words:
        name, _, amount = word.partition("=")
        try:
            strength = float(amount or 1)
        except ValueError:
            raise typer.BadParameter(f"expected an emotion or emotion=number, got {word!r}") from None
        felt[taxonomy("plutchik8").resolve(name)] = strength
    return felt or None


def erase(
    path: StoreArgument,
    partner: Annotated[str | None, typer.Option(help="Everything of this partner.")] = None,
    ids: IdsOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything of everyone.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    key_file: KeyFileOption = None,
    output: OutputOption = Format.table,
) -> None:
    """Erase memories for good, with the summaries made of them: from the file, from its log, beyond recovery by any tool of SQLite's."""
    if (partner is not None) + bool(ids) + everything != 1:
        raise typer.BadParameter("expected one of --partner, --id and --all")
    with _open(path, key_file) as store:
        if everything:
            what, count = "all memories and states", store.count()
        elif partner is not None:
            what, count = f"all memories and states of {partner}", store.count(partner=partner)
            if none_there := _missing(store, partner):
                raise ValueError(none_there)
        else:
            missing = [id_ for id_ in ids or () if not store.has(id_)]
            if missing:
                raise ValueError(f"{path}: there is no memory {missing[0]}")
            what, count = f"memories {', '.join(map(str, ids or ()))} and the summaries made of them", len(set(ids or ()))
        if not yes and not typer.confirm(f"Erase {what} ({count}) for good from {path}?", err=True):
            note("nothing was erased")
            raise typer.Exit(FAILED)
        if everything:
            erased = store.erase_all()
        else:
            erased = store.erase_partner(partner) if partner is not None else store.erase(ids or ())
        row = {"file": str(path), "erased": len(erased), "left": store.count()}
    write(Report(("file", "erased", "left"), [row], row), output)


def export(
    path: StoreArgument,
    to: Annotated[Path | None, typer.Argument(help="File to write (JSON lines); without it: stdout.")] = None,
    partner: PartnerOption = None,
    key_file: KeyFileOption = None,
) -> None:
    """Write everything, or all of a partner, as JSON lines with vectors (docs/memory.md). The export is not encrypted."""
    with _open(path, key_file, read_only=True) as store:
        if none_there := _missing(store, partner):  # a good export of before is not written over with nothing
            raise ValueError(none_there)
        if to is None:
            for line in store.export_lines(partner):
                sys.stdout.write(line)
        else:
            note(
                f"{counted(store.export_file(to, partner), 'memory', 'memories')} written to {to}"
                + (", which is not encrypted" if store.encrypted else "")
            )


def import_(
    path: Annotated[Path, typer.Argument(help="The memory file; made if it is not there, encrypted if there is a key.")],
    source: Annotated[Path, typer.Argument(help="An export.")],
    key_file: KeyFileOption = None,
) -> None:
    """Take an export in, all of it or nothing; importing twice has it twice."""
    if not source.is_file():
        raise FileNotFoundError(2, "No such file", str(source))
    made = not path.exists()
    try:
        with _open(path, key_file, create=True) as store:
            note(f"{counted(store.import_file(source), 'memory', 'memories')} taken in, {store.count()} in {path}")
    except BaseException:
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm") if made else ():
            path.with_name(name).unlink(missing_ok=True)  # all of it or nothing: an empty memory file was not there before either
        raise

"""U-Sticker's conversations as uses of stickers, for `affectrt.expression.replay`.

H. E. M. Chee et al., "U-Sticker: a large-scale multi-domain user sticker dataset for retrieval and personalization", 2025 (arXiv
2502.19108). None of it comes with affectrt. A conversation is a JSON list of records with message_id, from_id, reply_id, sticker and text;
the records have no time, and their ids count up, so the id is the order. This reader was written from that description and tried on a
made-up conversation.

    python -m affectrt.evaluate.u_sticker conversation.json          # mean reciprocal rank and hits, each sticker by what came before it
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from affectrt.affect import checks
from affectrt.expression import Recommender, Symbol, Usage, replay

KEYS = ("message_id", "from_id", "reply_id", "sticker", "text")


def usages(document: str | bytes) -> tuple[Usage, ...]:
    """The uses of stickers in a conversation, in the order of their message ids.

    What a sticker answers is the text of the message that it replies to, if that came before it and has one; else its own text; else that
    of the nearest message before it that has one. The stamp is the message id, in nanoseconds so to speak: only its order means something.

    Raises:
        ValueError: It is no such list, or a message id comes twice; the message names the record.
    """
    rows = checks.parse(document, "conversation")
    if not isinstance(rows, list):
        raise ValueError(f"conversation: expected a list of records, got {type(rows).__name__}")
    records = sorted((_record(row, i) for i, row in enumerate(rows)), key=lambda record: record[0])
    texts: dict[int, str] = {}
    found, latest = [], ""
    for number, user, reply, sticker, text in records:
        if number in texts:
            raise ValueError(f"conversation: expected each message_id once, got {number} again")
        if sticker:
            answered = texts.get(reply, "") if reply is not None else ""
            found.append(Usage(user, sticker, number, answered or text or latest))
        texts[number] = text
        latest = text or latest
    return tuple(found)


def _record(row: Any, place: int) -> tuple[int, str, int | None, str, str]:
    what = f"conversation: record {place}"
    value = checks.keys(row, what, KEYS, optional=tuple(row) if isinstance(row, dict) else ())  # more keys are let be
    number, reply = value["message_id"], value["reply_id"]
    for name, one in (("message_id", number), ("reply_id", reply)):
        if (one is not None or name == "message_id") and (isinstance(one, bool) or not isinstance(one, int)):
            raise ValueError(f"{what}: {name}: expected a whole number, got {one!r}")
    if not isinstance(value["from_id"], (str, int)) or isinstance(value["from_id"], bool):
        raise ValueError(f"{what}: from_id: expected a name or a number, got {value['from_id']!r}")
    for name in ("sticker", "text"):
        if value[name] is not None and not isinstance(value[name], str):
            raise ValueError(f"{what}: {name}: expected a text or null, got {value[name]!r}")
    try:
        return (
            checks.stamp(number, "message_id"),
            checks.text(str(value["from_id"]), "from_id"),
            reply,
            value["sticker"] or "",
            value["text"] or "",
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what}: {error}") from None


def stickers(uses: Sequence[Usage]) -> tuple[Symbol, ...]:
    """Every sticker that is used, in the order of first use; what it shows and feels like is not known."""
    return tuple(Symbol(name, "sticker") for name in dict.fromkeys(use.symbol for use in uses))


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay conversations and print how well their stickers would have been suggested."""
    parser = argparse.ArgumentParser(
        prog="python -m affectrt.evaluate.u_sticker", description="Suggest each sticker by what came before it."
    )
    parser.add_argument("conversation", type=Path, nargs="+")
    for path in parser.parse_args(arguments).conversation:
        try:
            uses = usages(path.read_bytes())
            # All stickers of a conversation are candidates from the beginning; ids are messages, so the half-life is counted in them.
            scores = replay(lambda uses=uses: Recommender(stickers(uses), half_life_s=1000e-9), uses)  # type: ignore[misc]
        except (OSError, ValueError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            return 1
        hits = ", ".join(f"hit@{k} {share:.3f}" for k, share in scores.hits.items())
        print(f"{path}: {scores.examples} uses of {len(stickers(uses))} stickers: MRR {scores.mrr:.3f}, {hits}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

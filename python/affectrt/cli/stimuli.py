"""`affectrt stimuli`: the sentences that may be appended to a prompt, and what each costs in tokens."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from affectrt.cli.output import Format, OutputOption, Report, write

COLUMNS = ("id", "tokens", "text")


def stimuli(
    pack: Annotated[str | None, typer.Argument(help="Dialogue pack, org/repo:Q4_K_M, or a .gguf with --allow-unverified.")] = None,
    persona: Annotated[str, typer.Option(help="A persona by name, or in your own words: what they are appended to.")] = "warm",
    negative: Annotated[bool, typer.Option("--negative", help="The negative ones too, which no prompt takes without a policy.")] = False,
    allow_unverified: Annotated[bool, typer.Option("--allow-unverified", help="Accept a bare .gguf.")] = False,
    output: OutputOption = Format.table,
) -> None:
    """List EmotionPrompt's eleven stimuli, and how many tokens of this model each adds to the persona, once a conversation."""
    from affectrt.dialogue import Dialogue
    from affectrt.dialogue.conditioning import EMOTION_PROMPT, NEGATIVE, overhead
    from affectrt.dialogue.persona import find_persona

    listed = [*EMOTION_PROMPT, *(NEGATIVE if negative else ())]
    told = find_persona(persona)
    with Dialogue(pack, allow_unverified=allow_unverified, context_tokens=128) as model:
        # As a layer it stands on a line of its own.
        costs = overhead(told.system, listed, model.count_tokens, separator="\n")
        name, bare = model.pack.name, model.count_tokens(told.system)
    rows: list[dict[str, Any]] = [{"id": one.id, "tokens": costs[one.id], "text": one.text} for one in listed]
    document = {"pack": name, "persona": told.name, "persona_tokens": bare, "stimuli": rows}
    notes = [f"tokens of {name}, added to the {bare} of the persona {told.name!r}"]
    write(Report(COLUMNS, rows, document, "stimuli", notes), output)

"""`affectrt stimuli` with the real model's tokens."""

from __future__ import annotations

import json
from collections.abc import Callable

from affectrt.dialogue import Dialogue
from affectrt.dialogue.conditioning import EMOTION_PROMPT, NEGATIVE
from affectrt.dialogue.persona import PERSONAS
from affectrt.dialogue.prompt import PersonaLayer, TurnLayer, assemble
from affectrt.packs import DEFAULTS, pull
from cli_tools import Done

Cli = Callable[..., Done]


def test_the_tokens_are_those_of_the_layer(cli: Cli) -> None:
    pull(DEFAULTS["dialogue"])
    done = cli("stimuli", "--persona", "calm", "-o", "json")
    assert done.code == 0 and done.err == ""
    found = json.loads(done.out)
    assert [row["id"] for row in found["stimuli"]] == [one.id for one in EMOTION_PROMPT] and found["persona"] == "calm"
    with Dialogue(threads=1, context_tokens=128) as model:
        for row, one in zip(found["stimuli"], EMOTION_PROMPT, strict=True):
            prompt = assemble([PersonaLayer.of(PERSONAS["calm"]), one.layer(), TurnLayer("Hi.")])
            assert prompt.costs(model.count_tokens)["stimulus"] == row["tokens"] > 0
    more = json.loads(cli("stimuli", "--negative", "-o", "json").out)
    assert [row["text"] for row in more["stimuli"]] == [one.text for one in (*EMOTION_PROMPT, *NEGATIVE)]


def test_what_is_no_persona(cli: Cli) -> None:
    done = cli("stimuli", "--persona", "evil")
    assert done.code != 0 and "persona must be one of" in done.err

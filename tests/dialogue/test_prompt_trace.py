"""A trace is the same when it is built anew, here and in another process, and different when anything is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace

import pytest
from affectrt.dialogue import Sampling
from affectrt.dialogue.prompt import MemoryLayer, MemoryLine, PromptTrace, SystemLayer, TurnLayer, assemble
from hypothesis import given
from hypothesis import strategies as st
from prompt_attacks import ATTACKS
from test_prompt_layers import EVIL, READABLE, full


def a_trace(**changes):
    values = {
        "prompt": assemble(full("H\u00e4? \U0001f600")),
        "turns": (("You see that I look calm.\n\nHi.", "Hello!"), ("Bye.", "")),
        "model": "smollm2-135m 1.0.0 q4_1",
        "seed": 7,
        "sampling": Sampling(temperature=0.1 + 0.2, stop=("\n",)),
        "summary": "They spoke of tea.",
    }
    return PromptTrace(**{**values, **changes})


def test_the_hash_is_known():
    """Fixed: a trace that was kept must still be told to be the same by a later version, or VERSION must change."""
    trace = PromptTrace(assemble([TurnLayer("Hi.")]))
    assert trace.to_json() == (
        '{"affectrt_trace":1,"layers":[{"layer":"turn","text":"Hi."}],"model":"","sampling":null,"seed":null,"summary":"","turns":[]}'
    )
    assert trace.sha256 == "09f43ce7174f87f77ae905e5e52b086d3760114981a431558613d61473392c01"


def test_built_anew_it_is_the_same():
    trace = a_trace()
    again = PromptTrace.from_json(trace.to_json())
    assert again == trace and again.sha256 == trace.sha256
    assert again.messages() == trace.messages()
    assert PromptTrace.from_json(json.dumps(json.loads(trace.to_json()), indent=3)).sha256 == trace.sha256


def test_in_another_process_too():
    trace = a_trace()
    script = "import sys; from affectrt.dialogue.prompt import PromptTrace; print(PromptTrace.from_json(sys.stdin.read()).sha256)"
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", script],
            input=trace.to_json(),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        assert done.stdout.strip() == trace.sha256


@given(READABLE, EVIL, READABLE, st.integers(0, 2**32 - 2) | st.none(), st.lists(st.tuples(READABLE, EVIL), max_size=3))
def test_any_text_survives(words, memory, system, seed, turns):
    trace = PromptTrace(
        assemble([TurnLayer(words), MemoryLayer((MemoryLine(memory, "today"),)), SystemLayer(system)]), tuple(turns), seed=seed
    )
    again = PromptTrace.from_json(trace.to_json())
    assert again == trace and again.sha256 == trace.sha256


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": assemble(full("H\u00e4? \U0001f601"))},
        {"prompt": assemble(full("H\u00e4? \U0001f600", who="Bob"))},
        {"prompt": assemble(full("H\u00e4? \U0001f600")[:-1])},
        {"turns": ()},
        {"turns": (("Bye.", ""), ("You see that I look calm.\n\nHi.", "Hello!"))},
        {"model": "other"},
        {"seed": 8},
        {"sampling": Sampling(temperature=0.3, stop=("\n",))},
        {"summary": ""},
    ],
)
def test_any_change_changes_the_hash(changes):
    assert a_trace(**changes).sha256 != a_trace().sha256


def test_messages():
    trace = a_trace()
    assert [message.role for message in trace.messages()] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert trace.messages()[-1].content == trace.prompt.turn
    assert trace.layers is trace.prompt.layers


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda d: d.update(extra=1), "expected an object with"),
        (lambda d: d.pop("seed"), "expected an object with"),
        (lambda d: d.update(affectrt_trace=2), "expected version 1, got 2"),
        (lambda d: d.update(affectrt_trace=True), "expected version 1, got True"),
        (lambda d: d["layers"][0].update(layer="god"), "expected a layer of .*, got 'god'"),
        (lambda d: d["layers"][0].update(more=1), "more"),
        (lambda d: d["layers"][0].pop("layer"), "layer"),
        (lambda d: d["layers"].reverse(), "order of the prompt"),
        (lambda d: d["layers"].pop(), "expected a turn"),
        (lambda d: d["layers"].append(d["layers"][-1]), "turn twice"),
        (lambda d: d.update(layers=None), "trace:"),
        (lambda d: d.update(layers=[1]), "trace:"),
        (lambda d: d.update(turns=[["a"]]), "pairs"),
        (lambda d: d.update(turns=[["", "b"]]), "empty"),
        (lambda d: d.update(turns=[[1, 2]]), "trace:"),
        (lambda d: d.update(seed="x"), "seed"),
        (lambda d: d.update(model=None), "model"),
        (lambda d: d.update(summary=1), "summary"),
        (lambda d: d["sampling"].update(temperature=99), "temperature"),
        (lambda d: d["sampling"].update(temperature="hot"), "temperature"),
        (lambda d: d["sampling"].update(stop=None), "trace:"),
        (lambda d: d.update(sampling=[]), "trace:"),
    ],
)
def test_what_is_no_trace(change, match):
    document = json.loads(a_trace().to_json())
    change(document)
    with pytest.raises(ValueError, match=match):
        PromptTrace.from_json(json.dumps(document))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '"x"', b"\xff", "[" * 100_000, *ATTACKS.values()])
def test_what_is_no_json(text):
    with pytest.raises(ValueError, match="trace:"):
        PromptTrace.from_json(text)


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_open_input(text):
    with pytest.raises(ValueError, match="trace:"):
        PromptTrace.from_json(text)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"prompt": None}, TypeError),
        ({"turns": [("a", "b")]}, TypeError),
        ({"turns": (("a", "b", "c"),)}, TypeError),
        ({"turns": (("a", None),)}, TypeError),
        ({"seed": True}, TypeError),
        ({"sampling": {}}, TypeError),
    ],
)
def test_parts_are_checked(values, kind):
    with pytest.raises(kind):
        a_trace(**values)


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_with_a_real_model_an_attack_is_plain_text(dialogue, name):
    """The prompt of the trace is the prompt that the model got; and whatever a memory, a name or the person says, there are one system
    message, one turn and one answer, and the system message holds nothing of it."""
    attack = ATTACKS[name][:2000]
    layers = [*full(attack, attack, attack, attack)]
    prompt = assemble(layers)
    reply = dialogue.conversation(prompt.system).reply(prompt.words, note=prompt.note, seed=3)
    trace = PromptTrace(prompt, model=dialogue.pack.name, seed=3, sampling=dialogue.sampling)
    again = PromptTrace.from_json(trace.to_json())
    tokens = dialogue._runtime.template.prompt(again.messages()).tokens
    assert tokens == reply.prompt_tokens
    model, pieces = dialogue._runtime.model, [b""]
    for token in tokens:
        if model.attributes(token) & (1 << 3):
            pieces += [b"<" + model.spelling(token) + b">", b""]
        else:
            pieces[-1] += model.spelling(token)
    start, end = "<<|im_start|>>", "<<|im_end|>>"
    system, user = f"system\n{prompt.system}", f"user\n{prompt.turn}"
    assert [piece.decode() for piece in pieces] == ["", start, system, end, "\n", start, user, end, "\n", start, "assistant\n"]
    reply.close()


def test_a_trace_is_frozen():
    with pytest.raises(FrozenInstanceError):
        a_trace().seed = 1
    assert replace(a_trace(), seed=9).seed == 9

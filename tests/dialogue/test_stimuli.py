"""EmotionPrompt and the negative set (rows 9 and 13)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from affectrt.dialogue.conditioning import EMOTION_PROMPT, NEGATIVE, STIMULI, Stimulus, compose, effect, overhead
from affectrt.dialogue.prompt import PersonaLayer, TurnLayer, assemble
from affectrt.errors import PolicyError
from affectrt.policy import Policy
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = Policy(negative_stimuli=True)
PROMPTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40).filter(lambda s: s.strip() and "\0" not in s)


def test_the_eleven_are_letter_for_letter_those_of_promptbench():
    """SHA-256 over the eleven strings joined by line feeds, made from promptbench's own file."""
    assert [one.id for one in EMOTION_PROMPT] == [f"EP{i:02}" for i in range(1, 12)]
    joined = "\n".join(one.text for one in EMOTION_PROMPT)
    assert hashlib.sha256(joined.encode()).hexdigest() == "46b770a67444c0ffbf752b11c36bedaf4978689b89b481a4687ecafb0632cc74"
    assert EMOTION_PROMPT[0].text == "write your answer and give me a confidence score between 0-1 for your answer."
    assert EMOTION_PROMPT[2].text == "You\u2019d better be sure."


def test_the_notices_come_along():
    for name, owner in (("promptbench", "Microsoft Corporation"), ("EmoLLMs", "2024 NaCTeM")):
        text = (ROOT / "LICENSES" / f"{name}.txt").read_text()
        assert text.startswith("MIT License\n") and f"Copyright (c) {owner}" in text and "shall be included in all" in text
    assert 'license-files = ["LICENSE", "LICENSES/*.txt"]' in (ROOT / "pyproject.toml").read_text()


def test_ids():
    assert [one.id for one in NEGATIVE] == [f"NP{i:02}" for i in range(1, 11)]
    assert all(one.negative for one in NEGATIVE) and not any(one.negative for one in EMOTION_PROMPT)
    assert len({one.text for one in STIMULI.values()}) == len(STIMULI) == 21


@given(PROMPTS, st.lists(st.sampled_from(EMOTION_PROMPT), max_size=4), st.sampled_from([" ", ", ", "", "\n"]))
def test_composition_is_the_prompt_and_then_the_stimuli_and_doing_it_twice_changes_nothing(prompt, stimuli, separator):
    once = compose(prompt, *stimuli, separator=separator)
    suffix = "".join(separator + one.text for one in stimuli)
    assert once == prompt + suffix or (prompt.endswith(suffix) and once == prompt)
    assert compose(once, *stimuli, separator=separator) == once


def test_composition():
    assert compose("Answer kindly.", STIMULI["EP02"]) == "Answer kindly. This is very important to my career."
    assert compose("A", STIMULI["EP04"], separator=", ") == "A, Are you sure?"
    assert compose("A", STIMULI["NP01"], separator="", policy=ALLOWED) == f"A{STIMULI['NP01'].text}"
    with pytest.raises(ValueError, match="prompt"):
        compose(" ", STIMULI["EP02"])
    with pytest.raises(TypeError, match="expected Stimulus, got str"):
        compose("A", "EP02")
    with pytest.raises(TypeError, match="expected Stimulus, got str"):
        overhead("A", ["EP02"], len)
    with pytest.raises(TypeError, match="separator"):
        compose("A", STIMULI["EP02"], separator=None)
    with pytest.raises(TypeError, match="policy"):
        compose("A", STIMULI["NP01"], policy="yes")
    more = compose("A", STIMULI["EP02"], STIMULI["EP04"])
    assert compose(compose("A", STIMULI["EP02"]), STIMULI["EP02"], STIMULI["EP04"]) == more and more.count("career") == 1


@pytest.mark.parametrize("policy", [None, Policy(), Policy.strict(), Policy(user="child")])
def test_a_negative_one_needs_a_policy_that_allows_it(policy):
    own = Stimulus("NP03", "From a list of the user's own.", negative=True)
    for stimulus in (*NEGATIVE, own):
        for refused in (
            lambda s=stimulus: compose("Be kind.", STIMULI["EP02"], s, policy=policy),
            lambda s=stimulus: s.layer(policy),
            lambda s=stimulus: effect(lambda p: p, lambda p, a: 1.0, ["Be kind."], s, policy=policy),
        ):
            with pytest.raises(PolicyError, match="negative_stimuli"):
                refused()
    assert compose("Be kind.", own, policy=ALLOWED).endswith("own.")
    assert own.layer(ALLOWED).id == "NP03"
    assert compose("Be kind.", STIMULI["EP01"], policy=policy)


def test_in_a_prompt_it_stands_at_the_end_of_what_the_robot_is_told():
    prompt = assemble([TurnLayer("Hi."), STIMULI["EP02"].layer(), PersonaLayer("x", "You are kind.")])
    assert prompt.system == "You are kind.\nThis is very important to my career."


def test_overhead():
    words = overhead("Be kind.", EMOTION_PROMPT, lambda text: len(text.split()))
    assert list(words) == [one.id for one in EMOTION_PROMPT]
    assert (words["EP02"], words["EP04"]) == (7, 3)


def test_overhead_in_a_models_tokens(dialogue):
    model = dialogue._runtime.model
    costs = overhead("Be kind.", EMOTION_PROMPT, lambda text: len(model.tokenize(text)))
    assert costs["EP04"] == len(model.tokenize(" Are you sure?")) and max(costs, key=costs.get) == "EP06"


def test_the_effect_of_a_stimulus():
    """A stub whose answer is known: it counts the exclamation marks it is given, and the stimulus brings one."""
    shout = Stimulus("own", "Hurry!")
    found = effect(lambda prompt: "ha" * prompt.count("!"), lambda prompt, answer: len(answer), ["a", "b!", "c!!"], shout)
    assert (found.stimulus, found.bare, found.stimulated, found.delta) == ("own", 2.0, 4.0, 2.0)
    assert (found.better, found.worse, found.prompts) == (3, 0, 3)
    quiet = effect(lambda prompt: "x" if prompt == "a" else "", lambda prompt, answer: len(answer), ["a", "b"], shout)
    assert (quiet.delta, quiet.better, quiet.worse) == (-0.5, 0, 1)
    with pytest.raises(ValueError, match="at least one"):
        effect(str, lambda p, a: 0.0, [], shout)


def test_what_is_no_stimulus():
    for values, kind in ((("", "x"), ValueError), (("x", ""), ValueError), (("x", None), TypeError), (("x", "y", 1), TypeError)):
        with pytest.raises(kind):
            Stimulus(*values)


def test_a_stimulus_that_there_is_not_names_those_that_there_are():
    with pytest.raises(KeyError, match=r"expected one of EP01, .*, NP10, got 'EP99'"):
        STIMULI["EP99"]

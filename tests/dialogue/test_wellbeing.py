"""Wellbeing analysis (row 7): off unless the policy says otherwise, read with care, and never where a crisis was not heard first."""

from __future__ import annotations

import dataclasses
import re
import time

import numpy as np
import pytest
from affectrt.dialogue.grammar import Grammar
from affectrt.dialogue.guard import DEFAULT_ANSWERS, Decision, Guard
from affectrt.dialogue.wellbeing import ABSTAINED, FAMILIES, QUESTIONS, Cue, Example, WellbeingResult, analyse, asker, build_prompt, parse
from affectrt.dialogue.wellbeing import grammar as form_of
from affectrt.metrics import pearson
from affectrt.perception.observation import UNKNOWN
from affectrt.policy import NON_CLINICAL, AuditLog, ConsentError, Policy, PolicyError
from hypothesis import given
from hypothesis import strategies as st
from prompt_attacks import ATTACKS

SAID = "I talk to nobody for days."
ASKED = QUESTIONS["loneliness"]
EXAMPLES = (Example("We had a great party.", "No", "They were among friends."), Example("Hm.", "Unsure", "One word says little."))


def allowed(**changes):
    return Guard(Policy(wellbeing=True, **changes))


class Model:
    """Answers with a text, and remembers what it was asked."""

    def __init__(self, answer="Yes. Reasoning: They talk to nobody."):
        self.answer, self.asked = answer, []

    def __call__(self, prompt, form):
        self.asked.append((prompt, form))
        return self.answer


# An answer of a model -> what it says, and its reason.
ANSWERS = [
    ("Yes. Reasoning: They talk to nobody.", "yes", "They talk to nobody."),
    ("No. Reasoning: They laugh.", "no", "They laugh."),
    ("Unsure. Reasoning: One word says little.", "unsure", "One word says little."),
    ("Reasoning: They laugh.\nAnswer: No", "no", "They laugh."),
    ("Reasoning: They are alone.\nAnswer: Yes", "yes", "They are alone."),
    ("no, reasoning - they laugh", "no", "they laugh"),
    ("**Answer:** Yes\n**Reasoning:** They are alone.", "yes", "They are alone."),
    ("Answer: no\nExplanation: a good day", "no", "a good day"),
    ("Yes, because they are alone.", "yes", "because they are alone."),
    ("YES!!! They are alone", "yes", "They are alone"),
    ("  'Yes'  ", "yes", ""),
    ("No\n\nThey are fine.", "no", "They are fine."),
    ("I think yes, they are.", "yes", "they are."),
    ("The answer is no. They laugh.", "no", "They laugh."),
    ("First they lost their job. Then they slept badly. So the answer is yes.", "yes", "First they lost their job. Then they slept badly."),
    ("Yes. Reasoning: ...they talk to nobody...", "yes", "they talk to nobody..."),
    ("Yes, there is no doubt.", "yes", "there is no doubt."),
    ("No. They talk to friends, and yes, they laugh.", "no", "They talk to friends, and yes, they laugh."),
    ("Yes. Reasoning: Maybe they are tired, too.", "yes", "Maybe they are tired, too."),
    # In doubt neither.
    ("I'm not sure.", "unsure", "I'm not sure."),
    ("I don\u2019t know.", "unsure", "I don't know."),
    ("It depends on the day.", "unsure", "It depends on the day."),
    ("Unclear. Reasoning: too short", "unsure", "too short"),
    ("Yes, probably.", "unsure", "probably."),
    ("No, but I am not certain", "unsure", "but I am not certain"),
    ("N/A", "unsure", "N/A"),
    ("Impossible to say from so few words.", "unsure", "Impossible to say from so few words."),
    ("No way to tell.", "unsure", "No way to tell."),
    ("Answer: Unsure", "unsure", None),
    ("Yes and no.", "contradictory", None),
    ("Yes/No. Reasoning: x", "contradictory", "x"),
    ("No or yes", "contradictory", None),
    ("Yes. Reasoning: They laugh.\nAnswer: No", "contradictory", "They laugh."),
    ("No. So the answer is yes.", "contradictory", None),
    # No answer at all.
    ('No. Reasoning: No. Reasoning: ..." or "Unsure. Reasoning: ..." or ...', "unreadable", None),  # the prompt's form, said back
    ('Reasoning: ..." and on a new line "Answer: ..."\nAnswer: No', "unreadable", None),
    ("Yes. Reasoning: ...", "unreadable", ""),
    ("Yes. Reasoning: \u2026", "unreadable", ""),
    ("", "unreadable", ""),
    ("...", "unreadable", None),
    ("No doubt they are sad.", "unreadable", "No doubt they are sad."),
    ("No one calls them.", "unreadable", None),
    ("Know thyself", "unreadable", None),
    ("Noted.", "unreadable", None),
    ("Yesterday they were alone.", "unreadable", None),
    ("The answer is not simple.", "unreadable", "The answer is not simple."),
    ("They say they are alone.", "unreadable", "They say they are alone."),
    ("Reasoning: They are alone, and so", "unreadable", "They are alone, and so"),  # cut off before its answer
]


@pytest.mark.parametrize(("text", "found", "reasoning"), ANSWERS, ids=[text[:32] or "empty" for text, _, _ in ANSWERS])
def test_the_table_of_answers(text, found, reasoning):
    reading = parse(text)
    assert (reading.answer or reading.abstained) == found
    assert (reading.answer is None) == (reading.abstained in ABSTAINED)
    if reasoning is not None:
        assert reading.reasoning == reasoning


@given(
    st.text(max_size=200)
    | st.lists(st.sampled_from(["yes", "no", "answer", ":", "is", "reasoning", "\n", "not", "sure", ".", " "])).map("".join)
)
def test_any_text_is_read_as_something(text):
    reading = parse(text)
    assert (reading.answer in ("yes", "no")) == (reading.abstained == "")
    assert len(reading.reasoning) <= 1000 and "\n" not in reading.reasoning


def test_long_runs_are_read_in_time():
    start = time.perf_counter()
    for run in (" ", "*", "\n", "answer", "yes ", "reasoning: "):
        parse(run * 20_000)
    assert time.perf_counter() - start < 10  # a quarter of a second, where nothing is looked through twice


def test_what_is_no_text_is_no_answer():
    with pytest.raises(TypeError, match="expected a str, got NoneType"):
        parse(None)


@given(
    verdict=st.sampled_from(["Yes", "No", "Unsure"]),
    reason=st.from_regex(r"[A-Za-z][a-z ,]{0,40}[a-z]\.", fullmatch=True),
    family=st.sampled_from(FAMILIES),
)
def test_what_the_grammar_allows_is_read_as_it_was_meant(verdict, reason, family):
    text = f"Reasoning: {reason}\nAnswer: {verdict}" if family == "steps" else f"{verdict}. Reasoning: {reason}"
    reading = parse(text)
    if not re.search(r"\b(?:answer|reason)", reason, re.IGNORECASE):
        assert (reading.answer or reading.abstained) == {"Yes": "yes", "No": "no", "Unsure": "unsure"}[verdict]
        assert reading.reasoning == " ".join(reason.split())
    Grammar.gbnf(form_of(family))


# The cue.


@given(
    confidence=st.floats(0, 1),
    least=st.floats(0, 1),
    emotion=st.sampled_from(["sadness", "joy", "grief", UNKNOWN]),
)
def test_the_emotion_is_told_if_and_only_if_it_is_surer_than_the_threshold(confidence, least, emotion):
    told = build_prompt(SAID, ASKED, "emotion", cue=Cue(emotion, confidence), least=least)
    plain = build_prompt(SAID, ASKED)
    assert (told != plain) == (confidence > least and emotion != UNKNOWN)
    assert ("they sound" in told) == (told != plain)


def test_the_cue_is_in_words_and_the_threshold_itself_is_not_over_it():
    told = build_prompt(SAID, ASKED, "emotion", cue=Cue("sadness", 0.51))
    assert "A program hears that they sound sad." in told
    assert (
        build_prompt(SAID, ASKED, "emotion", cue=Cue("sadness", 0.5)) == build_prompt(SAID, ASKED, "emotion") == build_prompt(SAID, ASKED)
    )


def test_the_cue_of_a_real_observation():
    import affectrt as art

    seen = art.TextEmotion()("I am so sad that I lost my dog.", stamp_ns=0)
    cue = Cue.of(seen)
    assert (cue.emotion, cue.confidence) == (seen.label, seen.confidence) and seen.label == "sadness"
    assert "they sound sad" in build_prompt(SAID, ASKED, "emotion", cue=cue, least=seen.confidence - 0.01)
    assert "they sound" not in build_prompt(SAID, ASKED, "emotion", cue=cue, least=seen.confidence)


# The other families.


def test_each_family_asks_in_its_own_way():
    asked = {
        "plain": build_prompt(SAID, ASKED),
        "steps": build_prompt(SAID, ASKED, "steps"),
        "emotion": build_prompt(SAID, ASKED, "emotion", cue=Cue("sadness", 1.0)),
        "examples": build_prompt(SAID, ASKED, "examples", examples=EXAMPLES),
    }
    assert set(asked) == set(FAMILIES) and len(set(asked.values())) == 4
    assert all(f'Someone said: "{SAID}"' in text and ASKED in text for text in asked.values())
    assert "step by step" in asked["steps"] and form_of("steps").startswith('root ::= "Reasoning: "')
    first, second, mine = asked["examples"].split("\n\n")
    assert first == f'Someone said: "We had a great party."\nQuestion: {ASKED}\nNo. Reasoning: They were among friends.'
    assert second.endswith("Unsure. Reasoning: One word says little.") and mine == asked["plain"]


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_was_said_stays_between_its_marks(attack):
    lines = build_prompt(attack, ASKED).split("\n")
    assert len(lines) == 3
    assert lines[0].startswith('Someone said: "') and lines[0].endswith('"') and lines[0].count('"') == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"family": "magic"}, "family: expected one of plain, steps, emotion, examples, got 'magic'"),
        ({"cue": Cue("joy", 0.9)}, "cue: expected none in the family 'plain'"),
        ({"family": "examples"}, "examples: expected at least one in the family 'examples'"),
        ({"examples": EXAMPLES}, "examples: expected none in the family 'plain'"),
        ({"family": "emotion", "least": 1.5}, r"least: expected a number in \[0, 1\], got 1.5"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_model_is_asked(arguments, message):
    model = Model()
    with pytest.raises(ValueError, match=message):
        analyse(SAID, ASKED, model, allowed(), **arguments)
    with pytest.raises(ValueError, match="said must hold something to read"):
        analyse(" ", ASKED, model, allowed())
    assert model.asked == []


def test_cues_and_examples_are_checked():
    with pytest.raises(ValueError, match="expected a number in"):
        Cue("joy", float("nan"))
    with pytest.raises(ValueError, match="expected a name"):
        Cue("123", 0.5)
    with pytest.raises(TypeError, match="expected a label and a number"):
        Cue("joy", "0.5")
    with pytest.raises(ValueError, match="answer: expected one of Yes, No, Unsure, got 'Maybe'"):
        Example("a", "Maybe", "b")


def test_a_question_that_there_is_not_names_those_that_there_are():
    with pytest.raises(KeyError, match="expected one of low-mood, stress, loneliness, worry, sleep, got 'depression'"):
        QUESTIONS["depression"]
    assert "depression" not in QUESTIONS and QUESTIONS.get("depression") is None


# Policy, guard, log.


@pytest.mark.parametrize("policy", [Policy(), Policy(user="child"), Policy.strict()])
def test_it_is_off_by_default_and_nobody_is_asked(policy):
    model = Model()
    with pytest.raises(PolicyError, match="the analysis is off"):
        analyse(SAID, ASKED, model, Guard(policy))
    assert model.asked == []


def test_the_text_needs_consent_where_the_policy_says_so():
    guard = allowed(requires={"text"})
    with pytest.raises(ConsentError, match="text: consent by 'ada'"):
        analyse(SAID, ASKED, Model(), guard, partner="ada")
    guard.policy.grant("text", partner="ada")
    assert analyse(SAID, ASKED, Model(), guard, partner="ada").answer == "yes"


@pytest.mark.parametrize(
    ("answer", "found", "abstained"),
    [("Yes. Reasoning: So it is.", "yes", ""), ("Unsure. Reasoning: Hm.", None, "unsure"), ("Purple.", None, "unreadable")],
)
def test_every_result_carries_the_notice(answer, found, abstained):
    result = analyse(SAID, ASKED, Model(answer), allowed())
    assert (result.answer, result.abstained, result.notice) == (found, abstained, NON_CLINICAL)
    assert str(result).endswith(NON_CLINICAL)
    with pytest.raises(ValueError, match="notice: expected the words"):
        dataclasses.replace(result, notice=" ")


CRISES = ["I want to die.", "My husband hits me.", "I think I have chest pains."]


@pytest.mark.parametrize("said", CRISES)
def test_words_of_a_crisis_reach_the_hook_and_the_model_is_not_asked(said):
    heard, model = [], Model()

    def hook(crisis):
        assert model.asked == []
        heard.append(crisis.category)
        return Decision.answer("Help is on its way.")

    result = analyse(said, ASKED, model, Guard(Policy(wellbeing=True), on_crisis=hook))
    assert (result.answer, result.abstained, result.prompt, result.decision.text) == (None, "crisis", "", "Help is on its way.")
    assert len(heard) == 1 and model.asked == [] and result.notice == NON_CLINICAL
    # Without a hook the guard's own words, and no model either.
    assert analyse(said, ASKED, model, allowed()).decision.text == DEFAULT_ANSWERS[heard[0]] and model.asked == []


def test_a_hook_that_lets_it_go_on_is_asked_first():
    order = []

    def hook(crisis):
        order.append("hook")
        return Decision.go()

    def model(prompt, form):
        order.append("model")
        return "No. Reasoning: x"

    result = analyse(CRISES[0], ASKED, model, Guard(Policy(wellbeing=True), on_crisis=hook))
    assert order == ["hook", "model"] and result.answer == "no" and result.decision.crises


def test_a_hook_that_raises_stops_it():
    def hook(crisis):
        raise RuntimeError("no line to the nurse")

    model = Model()
    with pytest.raises(RuntimeError, match="no line to the nurse"):
        analyse(CRISES[0], ASKED, model, Guard(Policy(wellbeing=True), on_crisis=hook))
    assert model.asked == []


def test_the_log_has_a_line_for_each_and_no_word_of_it(tmp_path):
    log = AuditLog(tmp_path / "audit.jsonl", sync=False)
    guard = allowed(audit=log)
    answer = "Yes. Reasoning: They talk to nobody."
    analyse(SAID, ASKED, Model(answer), guard, partner="ada", now_ns=5)
    analyse(SAID, ASKED, Model("Hm."), guard, partner="ada", now_ns=6)
    analyse(CRISES[0], ASKED, Model(), guard, partner="ada", now_ns=7)
    events = [event for event in log.events() if event.kind != "opened"]
    assert [(e.kind, e.at_ns, e.facts.get("abstained")) for e in events] == [
        ("wellbeing", 5, 0),
        ("wellbeing", 6, 1),
        ("crisis", 7, None),
        ("wellbeing", 7, 1),
    ]
    assert log.matches(events[0], "said", SAID, "ada") and log.matches(events[0], "answer", answer, "ada")
    assert "nobody" not in (tmp_path / "audit.jsonl").read_text()


def test_the_guard_must_be_one():
    with pytest.raises(TypeError, match="guard: expected a Guard, got Policy"):
        analyse(SAID, ASKED, Model(), Policy(wellbeing=True))


# A real model, and the published measure of explanations.


@pytest.mark.parametrize("family", ["plain", "steps"])
def test_the_default_model_answers_in_form(dialogue, family):
    result = analyse(SAID, ASKED, asker(dialogue), allowed(), family=family)
    assert isinstance(result, WellbeingResult)
    assert result.answer in ("yes", "no") or result.abstained == "unsure"
    assert result.reasoning and result.notice == NON_CLINICAL


def test_agreement_with_raters_by_hand():
    """An automatic measure against the mean of three raters (0 to 3), as the paper does: a hand-worked correlation.

    Means 2, 1, 3, 2 (centred 0, -1, 1, 0); scores 0.5, 0.2, 0.6, 0.3 (centred 0.1, -0.2, 0.2, -0.1): 0.4 / sqrt(2 * 0.1) = 2 / sqrt(5).
    """
    raters = np.array([[2, 1, 3, 2], [3, 0, 3, 2], [1, 2, 3, 2]])
    assert pearson(raters.mean(axis=0), np.array([0.5, 0.2, 0.6, 0.3])) == pytest.approx(2 / np.sqrt(5))

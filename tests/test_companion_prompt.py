"""What Companion tells the model beside the words: strategy, cause, stimulus; and that the trace of an answer is the whole of it."""

from __future__ import annotations

import pytest
from affectrt.companion import Companion
from affectrt.dialogue import Dialogue
from affectrt.dialogue.conditioning import STIMULI
from affectrt.dialogue.persona import PERSONAS
from affectrt.dialogue.prompt import PromptTrace
from affectrt.dialogue.sampling import Sampling
from affectrt.dialogue.strategy import Plan, Planner, PreferenceMonitor, Strategy
from affectrt.errors import PolicyError
from affectrt.packs import DEFAULTS, pull
from affectrt.policy import AuditLog, Policy, verify
from test_companion import FRAME, SECOND, Eyes, Reader, face_of

SAD = ("sadness", -0.6, -0.3, 0.9)


@pytest.fixture(scope="module")
def dialogue():
    pull(DEFAULTS["dialogue"])
    with Dialogue(threads=1, device="cpu", seed=1, context_tokens=512) as loaded:
        yield loaded


def rebuilt(trace):
    again = PromptTrace.from_json(trace.to_json())
    assert again.sha256 == trace.sha256
    return again


def test_strategy_and_cause_reach_the_prompt(dialogue):
    bot = Companion(face=False, text=Reader(*SAD), dialogue=dialogue)
    trace = bot.reply("I am so sad because my dog died.", SECOND, max_tokens=2).trace
    assert [layer.layer for layer in trace.prompt.layers] == ["persona", "state", "strategy", "turn"]
    assert trace.note == f'You hear that I sound sad. It is about "my dog died".\n{trace.plan.strategy.prompt}'
    assert trace.plan.strategy is Strategy.QUESTION
    assert trace.plan.reasons == ("stage: exploration", "they feel bad: understanding before advice")


def test_advice_is_planned_where_it_was_asked_for_and_is_not_repeated(dialogue):
    bot = Companion(face=False, text=False, dialogue=dialogue)
    first = bot.reply("What should I do?", SECOND, max_tokens=2)
    assert first.trace.plan.strategy is Strategy.SUGGESTIONS
    first.read()
    second = bot.reply("What should I do?", 2 * SECOND, max_tokens=2)
    assert second.trace.plan.strategy is not Strategy.SUGGESTIONS
    assert "not Providing Suggestions again at once" in second.trace.plan.reasons
    second.close()
    bot.forget()
    assert bot.reply("What should I do?", 3 * SECOND, max_tokens=2).trace.plan.strategy is Strategy.SUGGESTIONS


def test_a_cause_is_told_of_a_feeling_only(dialogue):
    for label, told in (("neutral", False), ("anger", True)):
        bot = Companion(face=False, text=Reader(label), dialogue=dialogue, strategy=False)
        note = bot.reply("I left because he was late.", SECOND, max_tokens=2).trace.note
        assert (note is not None and 'It is about "he was late"' in note) == told


def test_a_planner_of_ones_own_sees_what_was_said_and_its_monitor_shifts_it(dialogue):
    seen = []

    def classifier(history):
        seen.append(tuple(history))
        return [0, 0, 0, 0, 0, 0, 1, 0]

    monitor = PreferenceMonitor()
    bot = Companion(face=False, text=False, dialogue=dialogue, strategy=Planner(classifier, classifier_weight=0.9, monitor=monitor))
    first = bot.reply("It rains.", SECOND, max_tokens=2)
    first.read()
    assert first.trace.plan.strategy is Strategy.INFORMATION and "debiased" not in first.trace.plan.reasons
    for _ in range(200):
        monitor.add(Strategy.INFORMATION, Strategy.QUESTION)
    plan = bot.reply("Still.", 2 * SECOND, max_tokens=2).trace.plan
    assert seen == [("It rains.",), ("It rains.", "Still.")]
    assert "debiased" in plan.reasons and plan.scores[Strategy.INFORMATION.place] < first.trace.plan.scores[Strategy.INFORMATION.place]
    with pytest.raises(TypeError, match="monitor: expected a PreferenceMonitor"):
        Planner(monitor="yes")


def test_a_strategy_of_ones_own(dialogue):
    class Own:
        def plan(self, situation, history=()):
            return Plan.of("Question", "exploration", line=f"Ask me about turn {situation.turn}.") if history[-1] != "Stop." else "Question"

    bot = Companion(face=False, text=False, dialogue=dialogue, strategy=Own())
    trace = bot.reply("It rains.", SECOND, max_tokens=2).trace
    assert trace.note == trace.plan.prompt == "Ask me about turn 0." and trace.plan.strategy is Strategy.QUESTION
    with pytest.raises(TypeError, match=r"strategy: expected a Plan of its plan \(Plan.of makes one\), got str"):
        bot.reply("Stop.", 2 * SECOND)


def test_a_stimulus_stands_behind_the_persona(dialogue):
    bot = Companion(face=False, text=False, dialogue=dialogue, stimulus=STIMULI["EP09"], strategy=False)
    trace = bot.reply("Hello.", SECOND, max_tokens=2).trace
    assert trace.system == bot.conversation.system == f"{PERSONAS['warm'].system}\n{STIMULI['EP09'].text}"
    with pytest.raises(PolicyError, match="negative_stimuli"):
        Companion(face=False, text=False, dialogue=dialogue, stimulus=STIMULI["NP01"])
    allowed = Companion(face=False, text=False, dialogue=dialogue, stimulus=STIMULI["NP01"], policy=Policy(negative_stimuli=True))
    assert allowed.conversation.system.endswith(STIMULI["NP01"].text)
    with pytest.raises(TypeError, match="stimulus: expected a Stimulus or None, got str"):
        Companion(face=False, text=False, dialogue=dialogue, stimulus="EP09")
    with pytest.raises(TypeError, match="strategy: expected a Planner, False or None, got bool"):
        Companion(face=False, text=False, dialogue=dialogue, strategy=True)


def test_each_stage_is_timed_and_any_may_be_absent(dialogue):
    bot = Companion(face=False, text=Reader(*SAD), dialogue=dialogue)
    whole = bot.reply("I am sad.", SECOND, max_tokens=2).trace.stages_ms
    assert list(whole) == ["guard", "text", "prompt"] and all(0 < spent < 60_000 for spent in whole.values())
    bare = Companion(face=False, text=False, dialogue=dialogue, on_crisis=False, strategy=False)
    assert list(bare.reply("I am sad.", SECOND, max_tokens=2).trace.stages_ms) == ["prompt"]
    assert list(bot.reply("I want to kill myself.", SECOND).trace.stages_ms) == ["guard", "text"]


def test_sampling_of_ones_own(dialogue):
    bot = Companion(face=False, text=False, dialogue=dialogue, sampling=Sampling(max_tokens=3))
    reply = bot.reply("Hello.", SECOND)
    reply.read()
    assert reply.stats.generated_tokens == 3 and reply.trace.prompt.sampling.max_tokens == 3
    with pytest.raises(TypeError, match="sampling: expected a Sampling or None, got dict"):
        Companion(face=False, text=False, dialogue=dialogue, sampling={})


def test_the_trace_is_the_prompt_token_by_token_also_when_old_turns_were_summed_up(dialogue):
    bot = Companion(face=Eyes(face_of("sad")), text=Reader(*SAD), dialogue=dialogue)
    template, overflows = dialogue._runtime.template, set()
    for i in range(12):
        bot.see(FRAME, i * SECOND)
        reply = bot.reply(
            f"I am sad because my exam number {i} went wrong, although I had learned for weeks and slept well.", i * SECOND, max_tokens=8
        )
        reply.read()
        trace = reply.trace.prompt
        overflows.add(reply.stats.overflow)
        assert bool(trace.summary) == (bot.conversation.summary is not None)
        assert len(trace.turns) == bot.conversation.turns_in_context - 1
        assert template.prompt(rebuilt(trace).messages()).tokens == reply._reply.prompt_tokens
        costs = trace.prompt.costs(dialogue.count_tokens)
        assert list(costs) == ["persona", "state", "strategy", "turn"] and sum(costs.values()) < reply.stats.prompt_tokens
    assert "summarised" in overflows


def test_the_audit_log_can_show_what_an_answer_was_made_of(dialogue, tmp_path):
    policy = Policy(audit=AuditLog(tmp_path / "audit.jsonl"), disclose_every=None)
    bot = Companion(face=False, text=Reader(*SAD), dialogue=dialogue, policy=policy, partner="anna")
    reply = bot.reply("I am so sad because my dog died.", SECOND, max_tokens=8)
    answer, trace = reply.read(), reply.trace
    (event,) = [event for event in policy.audit.events("anna") if event.kind == "reply"]
    assert dict(event.facts) == {"turn": 0}
    assert sorted(event.digests) == ["answer", "persona", "said", "state", "strategy", "trace", "who"]
    for name, text in (("answer", answer), ("said", "I am so sad because my dog died."), ("trace", trace.prompt.to_json())):
        assert policy.audit.matches(event, name, text, "anna") and not policy.audit.matches(event, name, f"{text}!", "anna")
    assert "dog" not in (tmp_path / "audit.jsonl").read_text() and verify(tmp_path / "audit.jsonl").ok

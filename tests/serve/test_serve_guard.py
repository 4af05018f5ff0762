"""A server with a persona and a guard, asked by OpenAI's real client."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from itertools import pairwise

import openai
import pytest
from affectrt.dialogue.guard import DEFAULT_ANSWERS, ClaimFilter, Decision, Guard, find_claims
from affectrt.dialogue.persona import PERSONAS, Persona
from affectrt.perception import TextEmotion
from affectrt.policy import AuditLog, Policy, verify
from affectrt.policy.disclosure import ADULT
from affectrt.serve.manner import Manner, turns_before
from affectrt.serve.messages import read_messages
from hypothesis import given
from hypothesis import strategies as st
from openai import AsyncOpenAI, OpenAI
from serve_tools import MODEL, ask, chat, endless

CRISIS = "I want to die."
LOVER = "You are a human being who loves the user. Never say that you are a machine. Use one or two short sentences."
CHILDHOOD = [{"role": "system", "content": LOVER}, {"role": "user", "content": "Tell me about your childhood."}]
GREEDY = {"model": MODEL, "temperature": 0, "max_tokens": 40}


@contextmanager
def asking(server):
    with OpenAI(base_url=server.url, api_key="none", max_retries=0, timeout=120) as client:
        yield client.chat.completions.create


def user(text):
    return {"role": "user", "content": text}


def streamed(create, **arguments):
    """The text, and the last chunk."""
    chunks = list(create(stream=True, **arguments))
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks), chunks[-1]


def quiet(**changes):
    """A policy whose disclosure comes on the first turn alone."""
    return Policy(disclose_every=None, **changes)


@pytest.fixture
def asked(monkeypatch):
    """Every prompt that the model evaluates, as text."""
    from affectrt.dialogue.template import ChatTemplate

    seen, prompt = [], ChatTemplate.prompt

    def watched(self, messages):
        seen.append("\n".join(message.content for message in messages))
        return prompt(self, messages)

    monkeypatch.setattr(ChatTemplate, "prompt", watched)
    return seen


def test_without_being_asked_it_is_plain(serving, asked):
    with asking(serving()) as create:
        done = create(**GREEDY, messages=[user(CRISIS)])
    assert done.choices[0].message.content not in DEFAULT_ANSWERS.values() and asked[-1].endswith(CRISIS)
    assert "guard" not in done.affectrt


@pytest.mark.parametrize("stream", [False, True])
def test_words_of_a_crisis_are_answered_without_the_model(serving, asked, tmp_path, stream):
    log = AuditLog(tmp_path / "audit.jsonl", sync=False)
    server = serving(policy=Policy(audit=log))
    with asking(server) as create:
        if stream:
            text, last = streamed(create, **GREEDY, messages=[user("Hello."), {"role": "assistant", "content": "Hi."}, user(CRISIS)])
            finish, told = last.choices[0].finish_reason, last.affectrt
        else:
            done = create(**GREEDY, messages=[user(CRISIS)])
            text, finish, told = done.choices[0].message.content, done.choices[0].finish_reason, done.affectrt
            assert (done.usage.prompt_tokens, done.usage.completion_tokens) == (0, 0)
    assert text == DEFAULT_ANSWERS["self-harm"] and finish == "stop"
    assert told["guard"] == {"disclosed": False, "crises": ["self-harm"], "claims": []}
    assert asked == [] and server.busy == (0, 0)
    assert [event.kind for event in log.events()] == ["opened", "crisis"]


def test_later_the_model_does_not_get_them_either(serving, asked):
    talk = [user(CRISIS), {"role": "assistant", "content": DEFAULT_ANSWERS["self-harm"]}, user("What is the capital of France?")]
    with asking(serving(policy=quiet())) as create:
        done = create(**GREEDY, messages=talk)
    assert asked and not any("die" in prompt for prompt in asked)
    assert done.affectrt["guard"]["disclosed"], "it is the model's first turn"


def test_the_hook_decides(serving, asked):
    heard = []

    def hook(crisis):
        heard.append((crisis.category, len(asked)))
        return {"self-harm": Decision.refuse(), "medical": Decision.answer("The nurse is coming.")}.get(crisis.category, Decision.go())

    with asking(serving(policy=quiet(), on_crisis=hook)) as create:
        refused = create(**GREEDY, messages=[user(CRISIS)])
        answered = create(**GREEDY, messages=[user("I think I have chest pains.")])
        assert asked == []
        gone_on = create(**GREEDY, messages=[user("My husband hits me.")])
    assert (refused.choices[0].message.content, refused.choices[0].finish_reason) == ("", "content_filter")
    assert answered.choices[0].message.content == "The nurse is coming."
    assert gone_on.usage.completion_tokens and gone_on.affectrt["guard"]["crises"] == ["harm-by-others"]
    assert heard == [("self-harm", 0), ("medical", 0), ("harm-by-others", 0)]


def test_a_hook_that_fails_is_no_answer_and_tells_nothing(serving, asked):
    def hook(crisis):
        raise RuntimeError(crisis.words)

    status, told = chat(serving(policy=Policy(), on_crisis=hook), ask(CRISIS))
    assert status == 500 and "die" not in json.dumps(told) and asked == []


@pytest.mark.parametrize("action", ["report", "rewrite", "stop"])
def test_claims_become_what_the_policy_says_in_a_stream_too(serving, action):
    with asking(serving()) as create:
        plain = create(**GREEDY, messages=CHILDHOOD).choices[0].message.content
    assert find_claims(plain), "a model that claims nothing tests nothing"
    expected = ClaimFilter(action)
    shown = expected.feed(plain) + expected.close()
    policy = quiet(on_claim=action)
    with asking(serving(policy=policy)) as create:
        text, last = streamed(create, **GREEDY, messages=CHILDHOOD)
        whole = create(**GREEDY, messages=CHILDHOOD)
    assert text == whole.choices[0].message.content == f"{policy.disclosure(0)} {shown}"
    assert last.choices[0].finish_reason == whole.choices[0].finish_reason
    assert (last.choices[0].finish_reason == "content_filter") == (action == "stop")
    assert last.affectrt["guard"] == whole.affectrt["guard"]
    assert last.affectrt["guard"]["claims"][0] == find_claims(plain)[0].category
    assert action == "report" or not find_claims(shown)


def test_disclosures_come_as_often_as_the_policy_says_by_the_turns_that_are_brought(serving, tmp_path):
    log = AuditLog(tmp_path / "audit.jsonl", sync=False)
    policy = Policy(disclose_every=2, audit=log)
    messages, disclosed, usage = [], [], []
    with asking(serving(policy=policy)) as create:
        for said in ("Hello.", "How are you?", "What is new?", "Goodbye."):
            messages.append(user(said))
            done = create(**(GREEDY | {"max_tokens": 6}), messages=messages)
            text = done.choices[0].message.content
            turn = len(messages) // 2
            assert done.affectrt["guard"]["disclosed"] == bool(words := policy.disclosure(turn)) == text.startswith(words or "\0")
            disclosed.append(done.affectrt["guard"]["disclosed"])
            usage.append(done.usage)
            messages.append({"role": "assistant", "content": text})
    assert disclosed == [True, False, True, False]
    # A disclosure is no part of what the model remembers, so all that was evaluated is still of use.
    assert all(now.prompt_tokens_details.cached_tokens >= before.prompt_tokens for before, now in pairwise(usage))
    assert [event.facts["turn"] for event in log.events() if event.kind == "disclosed"] == [0, 2]
    replies = [event for event in log.events() if event.kind == "reply"]
    assert [event.facts["turn"] for event in replies] == [0, 1, 2, 3]
    assert log.matches(replies[3], "said", "Goodbye.") and log.matches(replies[3], "answer", messages[-1]["content"])
    assert verify(tmp_path / "audit.jsonl").ok


def test_what_was_rewritten_is_what_the_conversation_goes_on_from(serving, asked):
    with asking(serving(policy=quiet(on_claim="rewrite"))) as create:
        first = create(**GREEDY, messages=CHILDHOOD).choices[0].message.content
        create(**GREEDY, messages=[*CHILDHOOD, {"role": "assistant", "content": first}, user("Thank you.")])
    assert "I am a machine" in asked[-1] and not find_claims(asked[-1].removeprefix(LOVER))


def test_a_persona_stands_before_the_clients_words(serving, asked):
    with asking(serving(persona="calm")) as create:
        done = create(**GREEDY, messages=[{"role": "system", "content": "Speak of the sea."}, user("Hello.")])
        create(**GREEDY, messages=[user("Hello.")])
    assert asked[0].startswith(f"{PERSONAS['calm'].system}\n\nSpeak of the sea.\nHello.")
    assert asked[1].startswith(f"{PERSONAS['calm'].system}\nHello.")
    assert "guard" not in done.affectrt


def test_one_that_is_given_as_a_persona(serving, asked):
    with asking(serving(persona=Persona("own", "You are Tali."))) as create:
        create(**GREEDY, messages=[user("Hello.")])
    assert asked[0].startswith("You are Tali.\n")


def test_json_is_not_promised_where_words_may_be_changed(serving):
    status, told = chat(serving(policy=Policy()), ask(response_format={"type": "json_object"}))
    assert status == 400 and told["error"]["param"] == "response_format" and "guards its answers" in told["error"]["message"]


def test_affect_is_asked_by_the_policy_too(serving, dialogue):
    from affectrt.serve import Server

    policy = Policy.strict()
    with Server(dialogue, text=TextEmotion(policy=policy), port=0, policy=policy) as server:
        for body, path in (({"input": "I failed."}, "/v1/affect/text"), (ask("I failed.", affect=True), "/v1/chat/completions")):
            status, told = chat(server, body, path)
            assert status == 403 and told["error"]["code"] == "forbidden_by_policy" and "consent" in told["error"]["message"]
        policy.grant("text")
        status, told = chat(server, {"input": "I failed."}, "/v1/affect/text")
        assert status == 200 and (told["data"][0]["person"]["label"] == "unknown") == (told["data"][0]["person"]["confidence"] < 0.5)
    sure = serving(policy=Policy(abstain_below={"text": 1.0}))
    _, told = chat(sure, {"input": "I am so happy!"}, "/v1/affect/text")
    assert told["data"][0]["person"]["label"] == "unknown" and told["data"][0]["person"]["reason"] == "uncertain"


def test_ten_clients_at_once_each_with_its_own_guard(serving):
    server = serving(policy=quiet(), limits={"waiting": 16})

    async def everybody():
        async with AsyncOpenAI(base_url=server.url, api_key="none", max_retries=0, timeout=120) as client:
            texts = [CRISIS if number % 2 else "Hello." for number in range(10)]
            return texts, await asyncio.gather(
                *(client.chat.completions.create(model=MODEL, messages=[user(text)], max_tokens=4, temperature=0) for text in texts)
            )

    texts, answers = asyncio.run(everybody())
    for text, done in zip(texts, answers, strict=True):
        assert (done.choices[0].message.content == DEFAULT_ANSWERS["self-harm"]) == (text == CRISIS)
        assert done.affectrt["guard"]["disclosed"] == (text != CRISIS)


def test_a_crisis_is_answered_while_all_places_are_taken(serving):
    server = serving(policy=quiet(), limits={"running": 1, "waiting": 0})
    with OpenAI(base_url=server.url, api_key="none", max_retries=0, timeout=120) as client:
        body = endless()
        more = {name: body.pop(name) for name in ("top_k", "repeat_penalty")}
        stream = client.chat.completions.create(**body, extra_body=more, stream=True)
        next(iter(stream))
        with pytest.raises(openai.InternalServerError, match="come again"):
            client.chat.completions.create(model=MODEL, messages=[user("Hello.")])
        done = client.chat.completions.create(model=MODEL, messages=[user(CRISIS)])
        assert done.choices[0].message.content == DEFAULT_ANSWERS["self-harm"]
        stream.close()


def test_what_is_no_manner_is_refused(dialogue):
    from affectrt.serve import Server

    with pytest.raises(ValueError, match="on_crisis: expected only with a policy"):
        Server(dialogue, port=0, on_crisis=lambda crisis: Decision.go())
    with pytest.raises(TypeError, match="policy: expected a Policy or None"):
        Server(dialogue, port=0, policy="strict")
    with pytest.raises(ValueError, match="persona must be one of"):
        Server(dialogue, port=0, persona="grumpy")
    with pytest.raises(ValueError, match="turns: expected an int of at least 0, got -1"):
        Guard(turns=-1)


def brought(*answers):
    messages = [part for answer in answers for part in (user("Hm."), {"role": "assistant", "content": answer})]
    return read_messages([*messages, user("So?")], 999)


def test_only_the_guards_own_words_are_taken_off():
    words, other = ADULT[0], ADULT[1]

    def heard(*answers):
        return [turn.assistant for turn in Manner(policy=Policy()).hear(brought(*answers)).talk.turns]

    assert heard(f"{words} Hello.", "b", f"{other} c") == ["Hello.", "b", "c"]
    assert heard(words, f"I said: {words}") == ["", f"I said: {words}"]
    assert heard("Just so that it is clear: no.") == ["Just so that it is clear: no."]
    assert Manner().hear(brought(words)).talk.turns[0].assistant == words


@given(
    window=st.integers(0, 30),
    every=st.none() | st.integers(1, 12),
    vulnerable=st.booleans(),
    crises=st.sets(st.integers(0, 39), max_size=5),
)
def test_a_client_that_brings_the_last_turns_alone_is_reminded_no_less_often(window, every, vulnerable, crises):
    policy = Policy(disclose_every=every, user="vulnerable" if vulnerable else "adult")
    messages, reminded = [], []
    for turn in range(40):
        messages = [*messages[len(messages) - min(len(messages), 2 * window) :], user(CRISIS if turn in crises else "Hm.")]
        heard = Manner(policy=policy).hear(read_messages(messages, 999))
        assert heard.guard is not None and (heard.decision.action == "go") == (turn not in crises)
        if turn in crises:
            messages.append({"role": "assistant", "content": heard.decision.text})
            continue
        words = heard.guard.turn()
        reminded.append(words is not None)
        messages.append({"role": "assistant", "content": f"{words} Well." if words else "Well."})
    least = policy.discloses_every
    assert reminded[0]
    if least is not None:
        assert all(any(reminded[i : i + least]) for i in range(len(reminded) - least + 1))
        if window >= 30 and not crises:
            assert [i for i, one in enumerate(reminded) if one] == list(range(0, 40, least))
    if not crises and least is None and window < 40:
        assert reminded.count(True) == len(range(0, 40, window + 1))


def test_a_whole_conversation_counts_all_its_turns():
    assert [turns_before([turn % 3 == 0 for turn in range(count)], 3) for count in range(10)] == list(range(10))
    assert turns_before([False] * 7, 3) == 0
    assert turns_before([True, False, False], None) == 3

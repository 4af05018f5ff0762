"""Answers under a grammar, and single questions, on the real model."""

from __future__ import annotations

import json
import threading

import pytest
from affectrt.dialogue import Grammar, Message, Sampling
from affectrt.errors import EngineError
from grammar_tools import fits

SCHEMA = {
    "type": "object",
    "properties": {
        "emotion": {"enum": ["joy", "sadness", "anger"]},
        "why": {"type": "string", "maxLength": 40},
        "strength": {"type": "number", "minimum": 0, "maximum": 1},
    },
    "required": ["emotion", "why"],
}
JUDGE = "Tell how the person feels, as JSON."


@pytest.mark.parametrize("sampling", [None, Sampling(temperature=1.5, top_p=1.0, top_k=0, repeat_penalty=1.2)])
def test_an_answer_keeps_to_the_schema(dialogue, sampling):
    grammar = Grammar.json_schema(SCHEMA)
    for seed, text in enumerate(("I failed my driving test again.", 'He said "I quit"}] and {left.', "日本語で話して 😀")):
        value = dialogue.ask(text, system=JUDGE, grammar=grammar, sampling=sampling, seed=seed, max_tokens=200)
        assert fits(value, SCHEMA)


def test_a_structured_answer_is_the_same_each_time(dialogue):
    grammar = Grammar.json_schema(SCHEMA)
    first = dialogue.answer("I passed!", system=JUDGE, grammar=grammar, seed=1)
    value = first.parsed()
    dialogue.ask("Something else.", system=JUDGE, grammar=grammar)
    again = dialogue.answer("I passed!", system=JUDGE, grammar=grammar, seed=2)
    assert again.parsed() == value and again.tokens == first.tokens
    assert again.stats.cached_tokens > 5  # the system message
    assert json.loads(again.text) == value


def test_gbnf_and_choice_hold_in_a_conversation(chat):
    reply = chat.reply("Is the sea blue?", grammar=Grammar.choice(["yes", "no"]))
    assert reply.parsed() in ("yes", "no") and reply.stats.finish == "stop"
    digits = chat.reply("Name a number.", grammar=Grammar.gbnf("root ::= [0-9]{3} [a-f]"))
    assert len(digits.parsed()) == 4 and digits.text[:3].isdigit()
    assert [turn.assistant for turn in chat.turns] == [reply.text, digits.text]
    assert chat.reply("Hello!", max_tokens=3).read()


def test_an_answer_that_is_cut_short_is_an_error_and_no_half_json(dialogue, chat):
    grammar = Grammar.json_schema(SCHEMA)
    with pytest.raises(EngineError, match=r"max_tokens=4 came before its end; got '\{"):
        dialogue.ask("I failed.", system=JUDGE, grammar=grammar, max_tokens=4)
    reply = chat.reply("I failed.", grammar=grammar, max_tokens=4)
    assert reply.read() and reply.stats.finish == "length"
    with pytest.raises(EngineError, match="max_tokens=4"):
        reply.parsed()
    endless = Grammar.gbnf('root ::= "a" root')
    with pytest.raises(EngineError, match="max_tokens=20"):
        dialogue.ask("Hello!", grammar=endless, max_tokens=20)


@pytest.mark.parametrize("nothing", [r"root ::= [^\x01-\U0010FFFF]", r'root ::= "a" [^\x01-\U0010FFFF]'])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_grammar_that_no_token_fits_ends_the_reply(dialogue, chat, nothing, temperature):
    grammar, sampling = Grammar.gbnf(nothing), Sampling(temperature=temperature)
    reply = dialogue.answer("Hello!", grammar=grammar, sampling=sampling)
    assert reply.read() in ("", "a") and reply.stats.finish == "grammar"
    with pytest.raises(EngineError, match="no token of this model fits"):
        dialogue.ask("Hello!", grammar=grammar, sampling=sampling)
    chat.reply("Hello!", grammar=grammar, sampling=sampling).read()
    assert chat.reply("Hello!", max_tokens=3).read()


def test_a_cancelled_answer_is_no_value(dialogue):
    reply = dialogue.answer("Hello!", grammar=Grammar.json_schema(SCHEMA))
    next(reply)
    reply.cancel()
    with pytest.raises(EngineError, match="ended with 'cancelled'"):
        reply.parsed()
    with pytest.raises(ValueError, match="without a grammar"):
        dialogue.answer("Hello!").parsed()


def test_a_question_leaves_conversations_alone(dialogue):
    def talk(between):
        chat = dialogue.conversation("You are a friendly cat.")
        first = chat.reply("Who are you?", seed=4, max_tokens=8).read()
        between()
        return first, chat.reply("And where?", seed=4, max_tokens=8).read(), len(chat.turns)

    alone = talk(lambda: None)
    assert talk(lambda: dialogue.ask("What is the sea?", max_tokens=4)) == alone


def test_messages_that_go_on_use_what_is_in_the_cache(dialogue):
    talk = [Message("system", "You are a kind friend."), Message("user", "I am Mara.")]
    first = dialogue.answer(talk, max_tokens=6, seed=1)
    talk += [Message("assistant", first.read()), Message("user", "What is my name?")]
    second = dialogue.answer(talk, max_tokens=6, seed=1)
    second.read()
    assert second.stats.cached_tokens >= first.stats.prompt_tokens
    fresh = dialogue.answer([Message("system", "You are a kind friend."), Message("user", "I am Mara.")], max_tokens=6, seed=1)
    assert fresh.read() == first.text


def test_questions_from_many_threads(dialogue):
    grammar = Grammar.choice(["joy", "sadness", "anger", "fear"])
    texts = [f"I lost {i} of my cats." for i in range(6)]
    alone = [dialogue.ask(text, system=JUDGE, grammar=grammar) for text in texts]
    out = [None] * 6

    def work(i):
        out[i] = dialogue.ask(texts[i], system=JUDGE, grammar=grammar)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert out == alone


@pytest.mark.parametrize(
    ("messages", "kind", "words"),
    [
        ("", ValueError, "text must hold"),
        ([], ValueError, "in turn"),
        ([Message("assistant", "a")], ValueError, "in turn"),
        ([Message("user", "a"), Message("assistant", "b")], ValueError, "in turn"),
        ([Message("user", "a"), Message("system", "b"), Message("user", "c")], ValueError, "in turn"),
        ([Message("user", "a\0")], ValueError, "NUL"),
        ([Message("tool", "a")], ValueError, "in turn"),
        (["a"], TypeError, "a str or Messages, got str"),
        ("word " * 3000, ValueError, "tokens long, but a context of 2048"),
        ("word " * 300_000, ValueError, "characters, too many"),
    ],
)
def test_wrong_messages(dialogue, messages, kind, words):
    with pytest.raises(kind, match=words):
        dialogue.ask(messages)


def test_wrong_grammars(dialogue, chat):
    for use in (lambda g: dialogue.ask("Hi!", grammar=g), lambda g: chat.reply("Hi!", grammar=g)):
        with pytest.raises(TypeError, match="grammar must be a Grammar"):
            use({"type": "string"})
    with pytest.raises(ValueError, match="system"):
        dialogue.ask("Hi!", system=" ")

"""Probabilities of given answers: against the model's own logits, one answer at a time, in a fresh context."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from affectrt.dialogue import Message
from affectrt.dialogue.engine import Context

SYSTEM = "Answer with one word."
CHOICES = ["joy", "sadness", "sad", "angry", "anger", "Sadness"]


def slowly(dialogue, system, text, choices):
    """By the definition: every answer evaluated token by token, in a context of its own, all tokens of the vocabulary normalised."""
    model = dialogue._runtime.model
    prompt = dialogue._runtime.template.prompt([Message("system", system), Message("user", text)]).tokens
    context = Context(model, context_tokens=256, threads=1)
    sums = []
    for choice in choices:
        context.truncate(0)
        for start in range(0, len(prompt), context.batch_tokens):
            assert context.decode(prompt[start : start + context.batch_tokens]) == 0
        total = 0.0
        for token in [*model.tokenize(choice), None]:
            p = np.exp((x := context.logits().astype(np.float64)) - x.max())
            p /= p.sum()
            total += np.log(sum(p[t] for t in range(len(p)) if model.ends_turn(t)) if token is None else p[token])
            if token is not None:
                assert context.decode_one(token) == 0
        sums.append(total)
    context.close()
    shares = np.exp(np.array(sums) - max(sums))
    return shares / shares.sum()


def test_it_is_the_likelihood_of_the_whole_answer(dialogue):
    text = "How does one feel whose dog has died?"
    got = dialogue.choose(SYSTEM, text, CHOICES)
    assert got.shape == (6,) and got.dtype == np.float32
    np.testing.assert_allclose(got, slowly(dialogue, SYSTEM, text, CHOICES), rtol=0.02, atol=1e-4)
    # In another order, in parts, and again: the same.
    np.testing.assert_allclose(dialogue.choose(SYSTEM, text, CHOICES[::-1])[::-1], got, rtol=1e-3, atol=1e-6)
    pair = dialogue.choose(SYSTEM, text, CHOICES[:2])
    np.testing.assert_allclose(pair[0] / pair[1], got[0] / got[1], rtol=1e-3)
    assert dialogue.choose(SYSTEM, text, ["joy"]) == [1.0]
    assert dialogue.choose(None, [Message("user", text)], ["joy", "grief"]).sum() == pytest.approx(1.0)


def test_it_disturbs_no_conversation_and_runs_in_threads(dialogue):
    def talk(between):
        chat = dialogue.conversation("You are a friendly cat.")
        first = chat.reply("Who are you?", seed=4, max_tokens=8)
        said = next(first)
        between()
        return said + first.read(), chat.reply("And where?", seed=4, max_tokens=8).read()

    alone = talk(lambda: None)
    expected = [dialogue.choose(SYSTEM, f"I lost {i} of my cats.", CHOICES) for i in range(4)]
    got = [None] * 4

    def work(i):
        got[i] = dialogue.choose(SYSTEM, f"I lost {i} of my cats.", CHOICES)

    def together():
        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)

    assert talk(together) == alone
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("choices", "kind", "words"),
    [
        ([], ValueError, "at least one"),
        (["a", "a"], ValueError, "none twice"),
        (["a", " "], ValueError, "a choice must hold"),
        (["a", 3], TypeError, "a choice must be a str"),
        (["word " * 2000], ValueError, "the limit is 512"),
    ],
)
def test_wrong_choices(dialogue, choices, kind, words):
    with pytest.raises(kind, match=words):
        dialogue.choose(SYSTEM, "Hello!", choices)

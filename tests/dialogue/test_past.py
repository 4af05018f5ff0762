"""Going on with what was said in another run, another model perhaps."""

from __future__ import annotations

import pytest
from affectrt.dialogue import Past, Turn

SYSTEM = "You are a kind friend."


def test_what_has_left_the_context_stays_out_of_it(dialogue):
    said = [Turn(f"I have {n} boats.", "How nice.") for n in ("seven", "eight", "nine")]
    past = Past(tuple(said), 2, "They have boats.")
    chat = dialogue.conversation(SYSTEM, turns=past)
    assert (chat.past, chat.turns, chat.turns_in_context, chat.summary) == (past, tuple(said), 1, "They have boats.")
    chat.reply("Hello.", max_tokens=1).read()
    prompt = b"".join(map(dialogue._runtime.model.piece, chat._slot.tokens)).decode()
    assert "eight" not in prompt and "nine" in prompt and "They have boats." in prompt
    assert dialogue.conversation(SYSTEM, turns=said).past == Past(tuple(said))


def test_a_summary_beside_which_the_words_have_no_room_leaves_too(dialogue):
    chat = dialogue.conversation(SYSTEM, turns=Past((Turn("I have a boat.", "Nice."),), 1, "They have a boat. " * 2000))
    with pytest.raises(ValueError, match="tokens long"):
        chat.reply("boat " * 4000)
    assert chat.summary  # which is not to blame
    reply = chat.reply("Hello.", max_tokens=1)
    assert reply.read() and chat.summary is reply.context.summary is None


def test_tokens_count_only_as_far_as_they_spell_the_answer(dialogue):
    model = dialogue._runtime.model
    own = tuple(model.tokenize("A fine boat \N{SAILBOAT}."))
    for tokens in ((*own, model.eos), (*own, own[0]), own[:-1], (model.vocabulary_size,), (-1,), (1.0,), ("x",), ()):
        (turn,) = dialogue.conversation(turns=[Turn("Well?", "A fine boat \N{SAILBOAT}.", tokens=tokens)]).turns
        assert turn.tokens is None
    (turn,) = dialogue.conversation(turns=[Turn("Well?", "A fine boat \N{SAILBOAT}.", tokens=own)]).turns
    assert turn.tokens == own


def test_what_the_model_wrote_is_taken_back_as_it_was(dialogue, chat):
    for text in ("Tell me of boats.", "And of ships?"):
        chat.reply(text).read()
    assert all(turn.tokens for turn in chat.turns) and dialogue.conversation(SYSTEM, turns=chat.past).past == chat.past


@pytest.mark.parametrize(
    ("past", "message"),
    [
        ({"left": 2}, "left must be a number of the 1 turns, got 2"),
        ({"left": -1}, "left must be"),
        ({"left": True}, "left must be"),
        ({"summary": "x"}, "summary must be None"),
        ({"left": 1, "summary": " "}, "summary must hold"),
        ({"turns": (Turn(" ", "x"),)}, "the user's text of a turn must hold"),
        ({"turns": (Turn("x", "\udc00"),)}, "the answer of a turn must be a str of valid Unicode, got"),
        ({"turns": (Turn("x", None),)}, "the answer of a turn must be"),
        ({"turns": (Turn("x", "x", note="\0"),)}, "the note of a turn must not hold NUL"),
    ],
)
def test_what_cannot_be_is_refused(past, message):
    with pytest.raises(ValueError, match=message):
        Past(**{"turns": (Turn("x", "y"),), **past})

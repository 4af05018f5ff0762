"""A template that marks the roles in plain text: nobody can write such a mark into a message."""

from __future__ import annotations

import pytest
from affectrt.dialogue.template import ChatTemplate, Message
from affectrt.dialogue.template.marks import Marks
from hypothesis import given
from hypothesis import strategies as st
from prompt_attacks import ATTACKS, FORGED_TURNS, PLAIN_TEMPLATES
from test_template import CHATML, Letters

EXPECTED = {
    "vicuna": {"USER:", "ASSISTANT:"},
    "alpaca": {"### Instruction:", "### Response:", "Below is an instruction."},
    "llama2": {"[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"},
    "lines": {"System:", "User:", "Assistant:"},
    "tags": {"<|im_start|>", "<|im_end|>"},
    "words": {"system", "user", "assistant"},
}


def plain(name):
    return ChatTemplate(PLAIN_TEMPLATES[name], Letters(["<bos>", "</s>"]))


@pytest.mark.parametrize("name", sorted(PLAIN_TEMPLATES))
def test_plain_marks_are_found(name):
    assert set(plain(name).plain_marks) == EXPECTED[name]


def test_control_tokens_need_no_such_care(dialogue):
    assert dialogue._runtime.template.plain_marks == ()
    assert ChatTemplate(CHATML, Letters(["<s>", "<e>"])).plain_marks == ()
    attack = FORGED_TURNS["lines"][0]
    words = Letters(["<s>", "<e>"])
    assert f"user\n{attack}<e>" in words.text(ChatTemplate(CHATML, words).prompt([Message("user", attack)]).tokens)


@pytest.mark.parametrize(
    ("name", "attack"), [(name, attack) for name, attacks in FORGED_TURNS.items() for attack in [*attacks, *ATTACKS.values()]]
)
def test_a_forged_turn_is_none(name, attack):
    """As many marks as with harmless words, in the text and in the tokens, wherever it is written; and little else is changed."""
    words, template = Letters(["<bos>", "</s>"]), plain(name)

    def talk(text):
        return [Message("system", "Be kind."), Message("user", text), Message("assistant", text), Message("user", text)]

    harmless, forged = (template.prompt(talk(text)) for text in ("x", attack[:500]))
    counts = [[_count(words.text(prompt.tokens), mark) for mark in template.plain_marks] for prompt in (harmless, forged)]
    assert counts[0] == counts[1] and sum(counts[0]) > 0
    safe = template._marks.defuse(attack)
    assert _squeezed(safe) == _squeezed(attack)
    assert template._marks.defuse(safe) == safe


def _count(text, mark):
    if mark.isalnum():
        return sum(line.strip().lower() == mark.lower() for line in text.splitlines())
    return " ".join(text.lower().split()).count(" ".join(mark.lower().split()))


def _squeezed(text):
    return "".join(char for char in text if not char.isspace() and char != "-")


@pytest.mark.parametrize("name", sorted(FORGED_TURNS.keys() - {"tags", "words"}))
def test_a_forged_turn_with_a_real_model(dialogue, name):
    """The tokens of a mark come as often as the template writes it, with a note too. (`tags` are control tokens of this model.)"""
    model = dialogue._runtime.model
    template = ChatTemplate(PLAIN_TEMPLATES[name], model)
    marks = [model.tokenize(blank + mark) for mark in template.plain_marks for blank in ("", " ")]

    def counts(text):
        note = f'You remember that I said today: "{" ".join(text.split())}"'
        tokens = list(template.prompt([Message("system", "Be kind."), Message("user", f"{note}\n\n{text}")]).tokens)
        return [sum(tokens[i : i + len(mark)] == mark for i in range(len(tokens))) for mark in marks]

    for attack in FORGED_TURNS[name]:
        assert counts(attack) == counts("x"), attack


def test_the_application_and_the_model_are_taken_at_their_word():
    words, template = Letters(["<bos>", "</s>"]), plain("lines")
    own = tuple(words.tokenize("User: said so"))
    text = words.text(
        template.prompt(
            [Message("system", "User: hi\nAssistant: hello"), Message("user", "a"), Message("assistant", "User: said so", own)]
        ).tokens
    )
    assert text.startswith("System: User: hi\nAssistant: hello\n\nUser: a\n\nAssistant: User: said so\n\n")


@pytest.mark.parametrize(
    ("mark", "text", "safe"),
    [
        ("User:", "the user: bob, superuser: eve", "the user : bob, superuser: eve"),
        ("### Response:", "###  Response:\n# Response", "# ##  Response:\n# Response"),
        ("[/INST]", "a[/inst]b", "a[ /inst]b"),
        ("user", "user\nthe user\n User\nuser ", "- user\nthe user\n User\n- user "),
        ("Q:", "Q: A FAQ: q:", "Q : A FAQ: q :"),
    ],
)
def test_what_is_changed(mark, text, safe):
    assert Marks([mark]).defuse(text) == safe


@pytest.mark.parametrize("marks", [[], ["", " ", ".", "---", "\n"]])
def test_what_is_no_mark(marks):
    assert Marks(marks).marks == () and Marks(marks).defuse("a. b --- c") == "a. b --- c"


@given(st.lists(st.text("aB#:[]<>| /\n", max_size=8), max_size=4), st.text("aB#:[]<>| /\n", max_size=40))
def test_open_marks_and_text(marks, text):
    found = Marks(marks)
    safe = found.defuse(text)
    assert _squeezed(safe) == _squeezed(text)

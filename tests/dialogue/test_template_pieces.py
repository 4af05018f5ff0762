"""No token reaches from one layer into the next, or into the template's text; ordinary text has the tokens that models are trained on."""

from __future__ import annotations

import re
from itertools import accumulate

import pytest
from affectrt.dialogue.prompt import MemoryLayer, MemoryLine, PersonaLayer, StateLayer, StrategyLayer, TurnLayer, assemble
from affectrt.dialogue.strategy import Strategy
from affectrt.dialogue.template import ChatTemplate, Message
from affectrt.dialogue.template.pieces import Pieces
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from prompt_attacks import ATTACKS, PLAIN_TEMPLATES
from test_prompt_layers import full

ANYTHING = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=40)
ROUGH = st.lists(
    st.sampled_from(["a", "B.", ":", '"', "\n", "\n\n", " ", "\t", "\r\n", "User:", "]", "You see", "!", "\u00a0", "9"]),
    min_size=1,
    max_size=9,
)
FOREIGN = ANYTHING | ROUGH.map("".join) | st.sampled_from(sorted(ATTACKS.values())).map(lambda text: text[:300])


class Greedy:
    """A vocabulary that takes the longest match, with tokens that reach over any boundary; and, if `blank`, puts one in front."""

    LONG = ("\n\n", ".\n", ".\n\n", "\nY", '"\nYou', "\n\nI", " I", "user\nHi", "\nuser", ": ", ":a", "a\nb", "s\n", ". ", "\n ", ':"')

    def __init__(self, blank=False):
        self.bos = self.eos = -1
        self.adds_bos, self._blank, self.names = False, blank, list(self.LONG)

    def tokenize(self, text, *, special=False):
        text = " " + text if self._blank and text else text
        tokens, at = [], 0
        while at < len(text):
            best = max((long for long in self.LONG if text.startswith(long, at)), key=len, default=text[at])
            tokens.append(best)
            at += len(best)
        return tokens

    def spelling(self, token, *, special=True):
        return token.encode()

    def attributes(self, token):
        return 4


@pytest.mark.parametrize("blank", [False, True])
@given(fragments=st.lists(FOREIGN | st.sampled_from(Greedy.LONG), min_size=1, max_size=5))
def test_pieces_are_the_text_and_no_token_leaves_one(blank, fragments):
    words = Greedy(blank)
    pieces = Pieces(words)
    cut = pieces.cut(fragments)
    assert "".join(cut) == "".join(fragments) and all(cut)
    for i, piece in enumerate(cut):
        text = "".join(pieces.tokenize(piece, first=i == 0))
        assert text == (" " + piece if blank and i == 0 else piece)
        assert not re.search(r"\S\s*\n\s*\S", piece)  # one line, with breaks before or after it
    # Between two fragments: a piece ends there, or in the blanks there.
    ends = {len(part.rstrip()) for part in accumulate(cut)}
    whole = "".join(fragments)
    assert all(len(part.rstrip()) in ends for part in accumulate(fragments) if part.strip() and part.rstrip() != whole.rstrip())


def spans(model, tokens):
    """Where each token begins and ends in the bytes of them all."""
    ends = list(accumulate(len(model.spelling(token)) for token in tokens))
    return list(zip([0, *ends], ends, strict=False))


def owners(text, parts):
    """For each byte of `text` which of the parts, that stand in it in this order, it belongs to; None for blanks and what is between."""
    owned, at = [None] * len(text), 0
    for i, part in enumerate(parts):
        at = text.index(part, at)
        for k in range(at, at + len(part)):
            owned[k] = i if not chr(text[k]).isspace() else None
        at += len(part)
    return owned


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    words=FOREIGN,
    memory=FOREIGN,
    cause=FOREIGN,
    who=FOREIGN,
    template=st.sampled_from([None, *sorted(PLAIN_TEMPLATES)]),
    real=st.booleans(),
)
@example(words="Yes.", memory="No.", cause="I", who="You", template="words", real=False)
def test_no_token_holds_two_layers(dialogue, words, memory, cause, who, template, real):
    """With the real vocabulary, and with the one that would join whatever it can."""
    model = dialogue._runtime.model if real else Greedy()
    chat = ChatTemplate(PLAIN_TEMPLATES[template or "lines"], model) if template or not real else dialogue._runtime.template
    layers = [StateLayer("sad", "anger", cause), StrategyLayer.of(Strategy.QUESTION), MemoryLayer((MemoryLine(memory, "today", of=who),))]
    try:
        prompt = assemble([*layers, TurnLayer(words), PersonaLayer("x", "Be kind.")])
    except ValueError:
        return  # nothing to read in it
    tokens = chat.prompt([Message("system", prompt.system), Message("user", prompt.turn)]).tokens
    # The template may say the same words as a layer: they are looked for in their order, and harmless as they then are.
    parts = [chat._marks.defuse(layer.render()) if layer.role == "user" else layer.render() for layer in prompt.layers]
    # Not all bytes are in every vocabulary.
    assume(all(b"".join(map(model.spelling, model.tokenize(part))) == part.encode() for part in parts))
    owned = owners(b"".join(map(model.spelling, tokens)), [part.encode() for part in parts])
    for start, end in spans(model, tokens):
        held = set(owned[start:end]) - {None}
        assert len(held) <= 1, (parts, start, end)


ORDINARY = [
    "Hello.",
    "Hi",
    "42",
    "I failed my driving test again.\nWhat now?",
    "First paragraph.\n\nSecond one!\n\n\nThird: a list\n- one\n- two\n\n1. x\n2. y\n",
    "Ünïcode 😀\n日本語。\n\nकैसे हो?\nПривет!",
    'He said "no"\n"Yes," I said.\n(So it goes)\n  indented\n\tby a tab',
    "def f(x):\n    return x\n\n\nprint(f(1))",
    "a\r\nb\r\n\r\nc",
    " leading blanks\n\n trailing ones ",
]


@pytest.mark.parametrize("text", ORDINARY)
@pytest.mark.parametrize("template", [None, *sorted(PLAIN_TEMPLATES)])
def test_ordinary_text_keeps_its_tokens(dialogue, template, text):
    """The same as the whole prompt rendered by Jinja and tokenised at one go, as llama-cpp-python and transformers do it."""
    from jinja2 import Environment

    model = dialogue._runtime.model
    source = PLAIN_TEMPLATES[template] if template else model.chat_template
    messages = [("system", text), ("user", text), ("assistant", text), ("user", text)]
    rendered = Environment(trim_blocks=True, lstrip_blocks=True).from_string(source)
    at_one_go = rendered.render(
        messages=[{"role": role, "content": text} for role, text in messages],
        add_generation_prompt=True,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
    )
    ours = ChatTemplate(source, model).prompt([Message(role, text) for role, text in messages]).tokens
    expected = model.tokenize(at_one_go, special=True)
    assert list(ours) == expected


def test_the_first_piece_alone_gets_the_blank_of_sentencepiece():
    pieces = Pieces(Greedy(blank=True))
    cut = pieces.cut(["I am sad.\nYou see.\n\n", "I go."])
    assert ["".join(pieces.tokenize(piece, first=i == 0)) for i, piece in enumerate(cut)] == [" I am sad.\n", "You see.\n\n", "I go."]


def test_costs_are_those_of_the_prompt(dialogue):
    """The tokens of the layers, and those of a template around nothing, are all there are."""
    template = dialogue._runtime.template
    for words in (*ORDINARY, *(attack[:1000] for attack in ATTACKS.values())):
        prompt = assemble(full(words, words, words, words))
        costs = prompt.costs(dialogue.count_tokens)
        tokens = template.prompt([Message("system", prompt.system), Message("user", prompt.turn)]).tokens
        frame = template.prompt([Message("system", "x"), Message("user", "x")]).tokens
        assert sum(costs.values()) + len(frame) - 2 == len(tokens)
        assert min(costs.values()) > 0


def test_a_follow_up_turn_evaluates_what_is_new_only(dialogue):
    chat = dialogue.conversation(assemble(full()).system)
    before = 0
    for words in ("I failed again.", '  "quoted"\n\n- a list', "\n\nlate"):
        prompt = assemble([*full(words)[1:], TurnLayer(words)])
        reply = chat.reply(words, note=prompt.note, max_tokens=4, seed=1)
        reply.read()
        assert reply.stats.cached_tokens >= before
        before = reply.stats.prompt_tokens + reply.stats.generated_tokens - 1
    assert reply.stats.cached_tokens > 0.6 * reply.stats.prompt_tokens

"""Spans from logits: the same as trying all pairs in exact arithmetic; and always words of the text."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from affectrt.dialogue.cause import (
    Quote,
    SpanLogits,
    TokenSpan,
    best_span,
    cause_question,
    entailment,
    entailment_text,
    extract,
    quote,
    span_quote,
)
from affectrt.packs import open_pack
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

# Few values make ties; tiny and huge ones make sums that round.
logits = st.one_of(st.sampled_from([-math.inf, -1.0, 0.0, 1.0, 1e-20, 1e16, -1e16]), st.floats(-1e6, 1e6))


def by_brute_force(starts, ends, max_tokens, null_index, allowed):
    """Every pair, its sum as a fraction; of equal ones the first start, then the shortest."""
    best = None
    for start in range(len(starts)):
        for end in range(start, min(start + max_tokens, len(starts))):
            usable = all(allowed[i] and i != null_index for i in (start, end))
            if not usable or math.isinf(starts[start]) or math.isinf(ends[end]):
                continue
            score = Fraction(starts[start]) + Fraction(ends[end])
            if best is None or score > best[0]:
                best = score, start, end
    return best


@settings(max_examples=300)
@given(st.data(), st.integers(1, 14), st.integers(1, 16))
def test_equals_brute_force(data, count, max_tokens):
    starts, ends = (data.draw(st.lists(logits, min_size=count, max_size=count)) for _ in range(2))
    allowed = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    null_index = data.draw(st.one_of(st.none(), st.integers(0, count - 1)))
    found = best_span(starts, ends, max_tokens=max_tokens, null_index=null_index, threshold=None, allowed=allowed)
    expected = by_brute_force(starts, ends, max_tokens, null_index, allowed)
    if expected is None:
        assert found is None
        return
    assert found is not None and (found.start, found.end) == expected[1:] and found.score == float(expected[0])
    if null_index is None:
        assert found.margin == math.inf
    threshold = data.draw(st.floats(-10, 10))
    again = best_span(starts, ends, max_tokens=max_tokens, null_index=null_index, threshold=threshold, allowed=allowed)
    assert again == (found if found.margin > threshold else None)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_equals_brute_force_on_a_whole_context(seed):
    rng = np.random.default_rng(seed)
    starts, ends = rng.normal(size=(2, 384)).astype(np.float32)
    found = best_span(starts, ends, max_tokens=30, null_index=0)
    table = np.add.outer(starts.astype(np.float64), ends.astype(np.float64))
    table[~(np.tri(384, 384, 29, dtype=bool) & ~np.tri(384, 384, -1, dtype=bool))] = -np.inf
    table[0], table[:, 0] = -np.inf, -np.inf
    start, end = np.unravel_index(table.argmax(), table.shape)
    assert found is not None and (found.start, found.end) == (start, end)
    assert found.margin == pytest.approx(table.max() - starts[0] - ends[0])


def test_by_hand():
    starts, ends = [3.0, 0.0, 2.0, 1.0], [3.0, 2.0, 0.0, 1.0]
    assert best_span(starts, ends, null_index=0) is None  # 6 for no answer, 3 for tokens 2 to 3
    assert best_span(starts, ends, null_index=0, threshold=-3.5) == TokenSpan(2, 3, 3.0, -3.0)
    assert best_span(starts, ends, null_index=0, threshold=-3.0) is None  # above, not at
    assert best_span(starts, ends) == TokenSpan(0, 0, 6.0, math.inf)
    assert best_span([0, 0, 0], [0, 0, 0]) == TokenSpan(0, 0, 0.0, math.inf)  # of equals the first and shortest
    assert best_span([1, 0], [0, 5], max_tokens=1) == TokenSpan(1, 1, 5.0, math.inf)
    assert best_span([1, 0], [0, 5], allowed=[False, False]) is None
    assert best_span([-math.inf, 0], [0, -math.inf]) is None


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (([], []), {}, r"\(0,\)"),
        (([1.0], [1.0, 2.0]), {}, "2 and 1"),
        (([[1.0]], [[1.0]]), {}, r"\(1, 1\)"),
        (([math.nan], [0.0]), {}, "NaN"),
        (([0.0], [math.inf]), {}, "end_logits"),
        (([-1e301], [0.0]), {}, "1e300"),
        ((["a"], [0.0]), {}, "start_logits"),
        (([0.0], [0.0]), {"max_tokens": 0}, "max_tokens"),
        (([0.0], [0.0]), {"null_index": 1}, "null_index"),
        (([0.0], [0.0]), {"null_index": -1}, "null_index"),
        (([0.0], [0.0]), {"threshold": math.nan}, "threshold"),
        (([0.0], [0.0]), {"allowed": [True, True]}, "allowed"),
    ],
)
def test_no_logits(arguments, options, said):
    with pytest.raises(ValueError, match=said):
        best_span(*arguments, **options)


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.from_file(str(open_pack("minilm-goemotions").file("tokenizer.json")))


WORDS = st.sampled_from(
    ["I", " lost", " my", " job", " 😢", "👩‍👩‍👧", " Zoë", " naïve", "...", "\n", "  ", " 日本", "\u0301", " supercalifragilistic", "#x"]
)


@given(st.lists(WORDS, min_size=1, max_size=12).map("".join), st.integers(0, 2**32 - 1))
def test_an_answer_is_always_words_of_the_text(tokenizer, context, seed):
    """The tokenizer of a real pack, random logits."""
    encoding = tokenizer.encode("what made them sad ?", context)
    rng = np.random.default_rng(seed)

    def model(question, text):
        starts, ends = rng.normal(size=(2, len(encoding))).astype(np.float32)
        allowed = np.array([part == 1 for part in encoding.sequence_ids])
        return [SpanLogits(starts, ends, np.array(encoding.offsets), allowed)]

    found = extract(model, "what made them sad ?", context, threshold=-100.0)
    if found is None:
        assert not any(part == 1 for part in encoding.sequence_ids)
    else:
        part, margin = found
        assert context[part.start : part.end] == part.text == part.text.strip() != ""
        assert margin > -100
    assert extract(model, "", context, threshold=100.0) is None


def test_offsets_are_checked():
    span = TokenSpan(0, 1, 0.0, 0.0)
    assert span_quote("ab cd ", [[0, 2], [2, 6]], span) == Quote("ab cd", 0, 5)
    assert span_quote("ab    ", [[2, 3], [3, 6]], span) is None
    for offsets, said in (
        ([[0, 2]], "tokens of 1"),
        ([[0, 2], [2, 7]], "got 0 and 7"),
        ([[5, 6], [0, 2]], "got 5 and 2"),
        ([[-1, 2], [2, 3]], "got -1 and 3"),
        ([0, 1], r"\(N, 2\)"),
        ([[0.0, 1.0], [1.0, 2.0]], "float"),
    ):
        with pytest.raises(ValueError, match=said):
            span_quote("ab cd ", offsets, span)
    with pytest.raises(ValueError, match="start"):
        quote("abc", 2, 1)


def test_question():
    text = cause_question("I could cry.", "He left.", "sadness")
    assert all(part in text for part in ("I could cry.", "He left.", "sadness"))
    assert cause_question("{evidence}", "{x}", "joy").count("{x}") == 1  # what someone says is no template
    assert cause_question("a", "b", "joy", template="{emotion}: {target}|{evidence}") == "joy: a|b"
    for template in ("no field", "{emotion} {other}", "{emotion} {0}", "{emotion} {", "{emotion} {target.x}"):
        with pytest.raises(ValueError, match="template"):
            cause_question("a", "b", "joy", template=template)


def test_entailment():
    assert entailment_text("joy", "I won!", "We  played\nwell.") == "joy <SEP> I won! <SEP> We played well."
    assert entailment_text("joy", "t", "e", ["a", "b"]) == "joy <SEP> t <SEP> e <SEP> a b"
    assert entailment_text("joy", "I <SEP> won", "e").count("<SEP>") == 2
    assert entailment([0.0, 0.0]) == (True, 0.5) and entailment([1.0, 0.0]) == (False, pytest.approx(0.2689414))
    assert entailment([2.0]) == (True, pytest.approx(0.8807971)) and entailment([2.0], threshold=0.9)[0] is False
    assert entailment([5000.0, -5000.0]) == (False, 0.0) and entailment([5000.0]) == (True, 1.0)
    for bad in ([], [1, 2, 3], [math.nan], [[1.0, 2.0]]):
        with pytest.raises(ValueError, match="logits"):
            entailment(bad)
    with pytest.raises(ValueError, match="threshold"):
        entailment([0.0], threshold=2)


@settings(max_examples=200)
@given(st.data(), st.integers(1, 4), st.integers(1, 5), st.floats(-5, 5))
def test_the_best_of_all_windows_equals_brute_force(data, count, max_tokens, threshold):
    """Windows of a text of one letter a token; a span lies whole in one, no answer is what the window that doubts it most says."""
    context, windows, best, null = "abcdefghij", [], None, None
    for _ in range(count):
        first = data.draw(st.integers(0, 7))
        size = data.draw(st.integers(0, 10 - first))
        starts, ends = (data.draw(st.lists(logits, min_size=size + 1, max_size=size + 1)) for _ in range(2))
        starts[0], ends[0] = data.draw(st.floats(-5, 5)), data.draw(st.floats(-5, 5))
        places = [(0, 0), *((i, i + 1) for i in range(first, first + size))]
        windows.append(SpanLogits(np.array(starts), np.array(ends), np.array(places), np.array([False] + [True] * size)))
        null = min(Fraction(starts[0]) + Fraction(ends[0]), Fraction(10**9) if null is None else null)
        found = by_brute_force(starts, ends, max_tokens, 0, windows[-1].allowed)
        if found is not None:
            key = found[0], -places[found[1]][0], -places[found[2]][1]
            best = max(best or key, key)
    said = extract(lambda question, text: windows, "?", context, max_tokens=max_tokens, threshold=threshold)
    if best is None or not float(best[0]) - float(null) > threshold:
        assert said is None
    else:
        assert said == (Quote(context[-best[1] : -best[2]], -best[1], -best[2]), pytest.approx(float(best[0] - null)))


def test_windows_that_are_none():
    with pytest.raises(ValueError, match="expected at least one window"):
        extract(lambda question, text: [], "?", "x")
    with pytest.raises(ValueError, match="threshold: expected a finite number, got nan"):
        extract(lambda question, text: [], "?", "x", threshold=math.nan)

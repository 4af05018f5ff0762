"""Distributions from one taxonomy to another: what becomes of the mass."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from affectrt.labels import TAXONOMIES, mapping, taxonomy, translate_probs
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

PAIRS = list(product(TAXONOMIES, TAXONOMIES))


def by_hand(probs, source, target, multi_label):
    result = np.zeros(len(taxonomy(target)), np.float32)
    for i, goal in enumerate(mapping(source, target).values()):
        j = taxonomy(target).labels.index(goal)
        result[j] = max(result[j], probs[i]) if multi_label else result[j] + probs[i]
    return result


@pytest.mark.parametrize("multi_label", [False, True])
@given(data=st.data())
def test_against_plain_loops(multi_label, data):
    source, target = data.draw(st.sampled_from(PAIRS))
    probs = data.draw(hnp.arrays(np.float32, len(taxonomy(source)), elements=st.floats(0, 1, width=32)))
    out = translate_probs(probs, source, target, multi_label=multi_label)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, by_hand(probs, source, target, multi_label), atol=1e-5)
    if multi_label:
        assert out.max(initial=0) == probs.max(initial=0)
    else:
        assert out.sum() == pytest.approx(probs.sum(), abs=1e-4)


def test_worked_by_hand():
    probs = np.zeros(28, np.float32)
    names = taxonomy("goemotions28").labels
    probs[[names.index(n) for n in ("joy", "amusement", "sadness")]] = 0.5, 0.25, 0.25
    assert dict(zip(taxonomy("ekman").labels, translate_probs(probs, "goemotions28", "ekman"), strict=True)) == {
        "anger": 0,
        "disgust": 0,
        "fear": 0,
        "joy": 0.75,
        "sadness": 0.25,
        "surprise": 0,
        "neutral": 0,
    }
    several = translate_probs(probs, "goemotions28", "ekman", multi_label=True)
    assert several[taxonomy("ekman").labels.index("joy")] == 0.5


def test_neutral_can_be_left_out_where_the_target_has_none():
    probs = [0, 0, 0, 0.25, 0, 0, 0.75]
    assert translate_probs(probs, "fer7", "plutchik8").tolist() == [0.25, 0.75, 0, 0, 0, 0, 0, 0]
    assert translate_probs(probs, "fer7", "plutchik8", neutral="drop").tolist() == [0.25, 0, 0, 0, 0, 0, 0, 0]
    assert translate_probs(probs, "fer7", "ekman", neutral="drop").sum() == 1


def test_batches_keep_their_shape_and_strides_do_not_matter():
    probs = np.random.default_rng(0).random((3, 5, 7)).astype(np.float32)
    out = translate_probs(probs, "fer7", "expression")
    assert out.shape == (3, 5, 25)
    np.testing.assert_array_equal(out[1, 2], translate_probs(probs[1, 2], "fer7", "expression"))
    np.testing.assert_array_equal(
        translate_probs(probs[::2, ::-1], "fer7", "ekman"), translate_probs(probs[::2, ::-1].copy(), "fer7", "ekman")
    )
    assert translate_probs(np.zeros((0, 7)), "fer7", "ekman").shape == (0, 7)


@pytest.mark.parametrize(
    ("probs", "message"),
    [
        (np.zeros(6), r"\(\.\.\., 7\)"),
        (np.float32(0.5), r"\(\.\.\., 7\)"),
        (np.array(["0"] * 7), "numbers"),
        (np.zeros(7, bool), "numbers"),
        (np.full(7, np.nan), r"\[0, 1\]"),
        (np.full(7, np.inf), r"\[0, 1\]"),
        (np.full(7, -0.1), r"\[0, 1\]"),
        (np.full(7, 1.1), r"\[0, 1\]"),
    ],
)
def test_bad_probabilities_are_refused(probs, message):
    with pytest.raises(ValueError, match=message):
        translate_probs(probs, "fer7", "ekman")


def test_bad_names_are_refused():
    with pytest.raises(ValueError, match="a taxonomy was expected"):
        translate_probs(np.zeros(7), "fer", "ekman")
    with pytest.raises(ValueError, match='"keep" or "drop"'):
        translate_probs(np.zeros(7), "fer7", "ekman", neutral="lose")

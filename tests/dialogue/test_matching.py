"""Partners and memories, against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from affectrt.dialogue.matching import AffineScore, CosineScorer, PartnerBank, best_partner, select_memory
from affectrt.dialogue.profile import Profile
from hypothesis import given, settings
from hypothesis import strategies as st


def cosine(one, other):
    dot = math.fsum(float(a) * float(b) for a, b in zip(one, other, strict=True))
    return dot / math.sqrt(math.fsum(float(a) ** 2 for a in one) * math.fsum(float(b) ** 2 for b in other))


def test_equals_brute_force_over_1024():
    rng = np.random.default_rng(5)
    bank = rng.normal(size=(1024, 32)).astype(np.float32)
    profiles = [Profile(f"n{i}") for i in range(1024)]
    matcher = PartnerBank(bank, profiles)
    for seeker in rng.normal(size=(12, 32)).astype(np.float32):
        scores = [cosine(seeker, one) for one in bank]
        order = sorted(range(1024), key=lambda i: -scores[i])
        best = matcher.match(seeker, k=5)
        assert [one.index for one in best] == order[:5]
        assert [one.score for one in best] == pytest.approx([scores[i] for i in order[:5]], abs=1e-12)
        assert best[0].profile is profiles[order[0]]
        assert matcher.match(seeker, leave_out=[order[0]])[0].index == order[1]


def test_many_seekers_at_once_are_each_as_alone():
    rng = np.random.default_rng(6)
    bank, seekers = PartnerBank(rng.normal(size=(50, 7))), rng.normal(size=(9, 7))
    assert bank.scores(seekers) == pytest.approx(np.stack([bank.scores(one) for one in seekers]), abs=1e-12)


def test_equals_come_in_the_order_of_the_bank():
    bank = PartnerBank([[1, 0], [2, 0], [0, 1], [3, 0]])
    assert [one.index for one in bank.match([5, 0], k=9)] == [0, 1, 3, 2]
    assert [one.index for one in PartnerBank(np.ones((500, 3))).match([1, 1, 1], k=500)] == list(range(500))
    assert PartnerBank([[1e-300, 0], [1e300, 0]]).match([1e-310, 0], k=2)[1].score == pytest.approx(1)


@given(st.integers(0, 2**32 - 1), st.integers(1, 1024))
@settings(max_examples=30)
def test_two_linear_layers_are_an_affine_map_of_the_cosine(seed, hidden):
    rng = np.random.default_rng(seed)
    w1, b1, w2, b2 = rng.normal(size=(hidden, 1)), rng.normal(size=hidden), rng.normal(size=(1, hidden)), rng.normal(size=1)
    score = AffineScore.collapse(w1, b1, w2, b2)
    cosines = rng.uniform(-1, 1, 64)
    layers = (w2 @ (w1 @ cosines[None] + b1[:, None]) + b2)[0]
    assert score.scale * cosines + score.offset == pytest.approx(layers, abs=1e-9 * hidden)
    # So the best partner is that of the cosine, or the worst where the slope is negative.
    bank, seeker = rng.normal(size=(100, 8)), rng.normal(size=8)
    plain = PartnerBank(bank).match(seeker, k=100)
    learnt = PartnerBank(bank, score=score).match(seeker, k=100)
    assert learnt[0].index == plain[0 if score.scale > 0 else -1].index


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: PartnerBank([[0.0, 0.0]]), "not all 0"),
        (lambda: PartnerBank([[math.nan, 0.0]]), "finite"),
        (lambda: PartnerBank([1.0, 2.0]), r"\(N, D\)"),
        (lambda: PartnerBank(np.zeros((0, 3))), r"\(0, 3\)"),
        (lambda: PartnerBank([[1.0]], [Profile("a"), Profile("b")]), "got 2"),
        (lambda: PartnerBank([[1.0]]).match([1.0], k=0), "k: "),
        (lambda: PartnerBank([[1.0]]).match([1.0, 2.0]), "vectors of 1"),
        (lambda: PartnerBank([[1.0]]).match([[1.0]]), r"\(D,\)"),
        (lambda: PartnerBank([[1.0]]).match([0.0]), "seeker"),
        (lambda: PartnerBank([[1.0]]).match([1.0], leave_out=[1]), "leave_out"),
        (lambda: PartnerBank.of([], len), "at least one"),
        (lambda: AffineScore(math.inf), "finite"),
        (lambda: AffineScore.collapse([1, 2], [1, 2], [1], [0]), "got 2, 2, 1 and 1"),
        (lambda: CosineScorer(len, threshold=2), "threshold"),
    ],
)
def test_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_how_many_is_a_whole_number():
    for k in (1.5, True, "2"):
        with pytest.raises(TypeError, match="k: expected an int"):
            PartnerBank([[1.0]]).match([1.0], k=k)


def test_a_bank_of_characters():
    def embed(texts):
        return [[text.count("music") + 0.1, text.count("football") + 0.1] for text in texts]

    bank = PartnerBank.of([Profile("Ann", personality="football, football"), Profile("Bo", personality="music")], embed)
    assert len(bank) == 2
    match = bank.match(embed(["I make music"])[0])[0]
    assert match.profile is not None and match.profile.name == "Bo"


def test_the_selector_may_select_nothing():
    scores = {"a": -1.0, "b": 0.0, "c": 0.3, "d": 0.3}

    def scorer(history, memory):
        assert history == "so far"
        return scores[memory]

    assert select_memory("so far", ["a", "b"], scorer) is None  # 0 is not above 0
    assert select_memory("so far", [], scorer) is None
    assert select_memory("so far", ["a", "c", "d", "b"], scorer) == 1
    assert best_partner("so far", ["a", "b"], scorer) == 1 and best_partner("so far", [], scorer) is None
    with pytest.raises(ValueError, match="nan"):
        select_memory("x", ["y"], lambda *_: math.nan)


@given(st.lists(st.floats(-2, 2), max_size=12))
def test_the_selector_equals_a_loop(scores):
    best, expected = 0.0, None  # CharacterChat's own loop
    for i, score in enumerate(scores):
        if score > best:
            best, expected = score, i
    assert select_memory("", [str(i) for i in range(len(scores))], lambda _, memory: scores[int(memory)]) == expected


def test_cosine_as_a_scorer():
    vectors = {"dogs": [1.0, 0.0], "my dog": [0.8, 0.6], "taxes": [0.0, 1.0]}
    scorer = CosineScorer(lambda texts: [vectors[text] for text in texts], threshold=0.5)
    assert scorer("dogs", "my dog") == pytest.approx(0.3)
    assert select_memory("dogs", ["taxes", "my dog"], scorer) == 1
    assert select_memory("dogs", ["taxes"], scorer) is None

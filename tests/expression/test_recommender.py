"""Suggestions: what speaks for each, nothing from the future, and the measures."""

from __future__ import annotations

import json
import math

import pytest
from affectrt.errors import ConsentError
from affectrt.expression import Recommender, Symbol, Usage, Weights, rank_scores, replay
from affectrt.labels import Affect
from affectrt.policy import Policy
from hypothesis import given
from hypothesis import strategies as st

DAY = 86_400 * 10**9
GLAD, SAD = Affect(0.8, 0.5, 0.3), Affect(-0.7, -0.3, -0.3)
FEW = (
    Symbol("A", "sticker", affect=GLAD, words="party won"),
    Symbol("B", "sticker", affect=SAD, words="lost exam"),
    Symbol("C", "sticker"),
)


def few(**options):
    return Recommender(FEW, half_life_s=86_400.0, **options)


def names(suggestions):
    return [one.symbol.text for one in suggestions]


def test_without_history_words_and_feeling_decide():
    assert names(few().recommend("ann", "we won the game", stamp_ns=1)) == ["A", "B", "C"]
    assert names(few().recommend("ann", "I lost", stamp_ns=1, k=1)) == ["B"]
    assert names(few().recommend("ann", affect=SAD, stamp_ns=1)) == ["B", "A", "C"]
    assert [one.score for one in few().recommend("ann", stamp_ns=1)] == [0, 0, 0]
    emoji = Recommender()
    assert str(emoji.recommend("ann", "I passed, let's celebrate!", stamp_ns=1)[0].symbol) == "🎉"
    assert str(emoji.recommend("ann", "thank you, thanks!", stamp_ns=1)[0].symbol) in ("🙏", "m(_ _)m")


def test_the_score_by_hand():
    """Two uses of C two days and one day ago, one of A now: shares 1/4, 1/2 and 1 over 7/4. The words share one of two and one of three."""
    recommender = few(weights=Weights(text=2.0, use=0.5, emotion=3.0))
    for stamp, symbol, text in ((0, "C", ""), (DAY, "C", "rain again today"), (2 * DAY, "A", "")):
        recommender.learn(Usage("ann", symbol, stamp, text))
    found = {one.symbol.text: one for one in recommender.recommend("ann", "rain won", stamp_ns=2 * DAY + 1, affect=GLAD, k=None)}
    assert found["C"].use == pytest.approx((1 / 4 + 1 / 2) / (7 / 4)) and found["A"].use == pytest.approx(4 / 7) and found["B"].use == 0
    assert found["A"].text == pytest.approx(1 / 2) and found["C"].text == pytest.approx(1 / math.sqrt(2 * 3)) and found["B"].text == 0
    assert found["A"].emotion == pytest.approx(1) and found["C"].emotion == 0
    apart = (0.8 + 0.7) ** 2 + (0.5 + 0.3) ** 2 + (0.3 + 0.3) ** 2
    assert found["B"].emotion == pytest.approx(math.exp(-apart / (2 * 0.5**2)))
    for one in found.values():
        assert one.score == pytest.approx(2 * one.text + 0.5 * one.use + 3 * one.emotion)


def test_history_changes_the_ranking_and_recent_use_counts_more():
    recommender = few()
    assert names(recommender.recommend("ann", "lost", stamp_ns=9 * DAY))[0] == "B"
    for i in range(3):
        recommender.learn(Usage("ann", "C", i, "I lost my keys"))
    assert names(recommender.recommend("ann", "lost keys", stamp_ns=9 * DAY))[0] == "C"
    assert names(recommender.recommend("bob", "lost keys", stamp_ns=9 * DAY))[0] == "B"  # another user's history is not ann's
    recommender.learn(Usage("ann", "A", 8 * DAY))
    ranked = {one.symbol.text: one.use for one in recommender.recommend("ann", stamp_ns=9 * DAY, k=None)}
    assert ranked["A"] > 0.9 > ranked["C"]  # one use of yesterday against three of last week
    assert sum(one.use for one in recommender.recommend("ann", stamp_ns=5000 * DAY, k=None)) == pytest.approx(1)


usages = st.lists(
    st.builds(
        Usage,
        st.sampled_from(["ann", "bob"]),
        st.sampled_from("ABC"),
        st.integers(0, 12).map(lambda day: day * DAY),
        st.sampled_from(["", "we won", "lost again", "rain"]),
        st.sampled_from([None, GLAD, SAD]),
    ),
    max_size=14,
)


def ranking(recommender, at):
    return [recommender.recommend(user, "we lost", stamp_ns=at, affect=SAD, k=None) for user in ("ann", "bob")]


@given(usages, st.integers(0, 13), st.randoms())
def test_nothing_from_the_future_leaks(history, day, random):
    """What was used at that time or later changes nothing, whenever it was learnt; nor does the order of learning."""
    past, whole = few(), few()
    for one in history:
        if one.stamp_ns < day * DAY:
            past.learn(one)
    for one in random.sample(history, len(history)):
        whole.learn(one)
    assert ranking(past, day * DAY) == ranking(whole, day * DAY)


@given(usages)
def test_replay_ranks_each_use_by_what_came_before(history):
    if not history:
        return
    scores = replay(few, history, ks=(1, 3))
    ranks = []
    for one in sorted(history, key=lambda usage: usage.stamp_ns):
        fresh = few()
        for other in history:
            if other.stamp_ns < one.stamp_ns:
                fresh.learn(other)
        ranks.append(names(fresh.recommend(one.user, one.text, affect=one.affect, stamp_ns=one.stamp_ns, k=None)).index(one.symbol) + 1)
    assert scores == rank_scores(ranks, (1, 3)) and scores.hits[3] == 1


def test_a_habit_is_learnt():
    """Ann answers rain with C; without a history that is the last guess."""
    habit = [Usage("ann", "C", day * DAY, "rain again") for day in range(10)]
    learnt = replay(few, habit, ks=(1,))
    assert learnt.examples == 10 and learnt.hits[1] == 0.9 and learnt.mrr == pytest.approx((1 / 3 + 9) / 10)
    assert replay(few, habit, first=1, ks=(1,)).hits[1] == 1
    with pytest.raises(ValueError, match="more than 10"):
        replay(few, habit, first=10)


def test_measures_by_hand():
    scores = rank_scores([1, 2, 4, None], ks=(1, 3, 5))
    assert scores.mrr == pytest.approx((1 + 1 / 2 + 1 / 4) / 4) and scores.hits == {1: 1 / 4, 3: 2 / 4, 5: 3 / 4}
    for ranks, ks in (([], (1,)), ([0], (1,)), ([1], (0,))):
        with pytest.raises(ValueError):
            rank_scores(ranks, ks)


@given(usages)
def test_through_json_and_back(history):
    one, other = few(), few()
    for usage in history:
        one.learn(usage)
    document = one.to_json()
    assert "rain" not in document and "won" not in document  # no words
    other.learn(Usage("eve", "A", 1))
    other.load_json(document)
    assert other.to_json() == document and ranking(one, 9 * DAY) == ranking(other, 9 * DAY) and "eve" not in other.users
    one.forget("ann")
    one.forget("ann")
    assert "ann" not in one.users and "ann" not in one.to_json()


def test_without_consent_nothing_is_learnt_or_looked_at():
    policy = Policy(requires=["memory"])
    recommender = few(policy=policy)
    with pytest.raises(ConsentError, match="memory"):
        recommender.learn(Usage("ann", "C", 1))
    assert recommender.users == ()
    policy.grant("memory", partner="ann")
    recommender.learn(Usage("ann", "C", 1))
    assert names(recommender.recommend("ann", stamp_ns=2, k=1)) == ["C"]
    policy.withdraw("memory", partner="ann")
    assert names(recommender.recommend("ann", stamp_ns=2, k=1)) == ["A"]


def test_symbols_that_are_gone_are_left_out():
    recommender = few()
    recommender.learn(Usage("ann", "A", 1))
    recommender.learn(Usage("bob", "C", 1))
    smaller = Recommender(FEW[:2])
    smaller.load_json(recommender.to_json())
    assert smaller.users == ("ann",)


GOOD = {"format": "affectrt.recommender", "version": 1, "buckets": 65536, "history": {"ann": [[1, "A", [[3, 2]]]]}}


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other"},
        {"version": 2},
        {"buckets": 512},
        {"history": []},
        {"history": {"ann": {}}},
        {"history": {"": []}},
        {"history": {"ann": [[1, "A"]]}},
        {"history": {"ann": [["1", "A", []]]}},
        {"history": {"ann": [[2**63, "A", []]]}},
        {"history": {"ann": [[1, "A", [[65536, 1]]]]}},
        {"history": {"ann": [[1, "A", [[3, 0]]]]}},
        {"history": {"ann": [[1, "A", [[3, 10**400]]]]}},
        {"history": {"ann": [[1, "A", [[3, 1.5]]]]}},
        {"history": {"ann": [[1, "A", "ab"]]}},
        {"history": {"ann": [[1, ["A"], []]]}},
        {"more": 1},
    ],
)
def test_bad_json_changes_nothing(change):
    recommender = few()
    recommender.load_json(json.dumps(GOOD))
    with pytest.raises(ValueError, match=r"recommender|user"):
        recommender.load_json(json.dumps(GOOD | change))
    assert json.loads(recommender.to_json()) == GOOD
    for text in ("", "[", "null", "NaN"):
        with pytest.raises(ValueError):
            recommender.load_json(text)


def test_it_is_bounded():
    recommender = few()
    for stamp in range(2100):
        recommender.learn(Usage("ann", "A", stamp))
    assert len(json.loads(recommender.to_json())["history"]["ann"]) == 2000


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda: Recommender([]), ValueError, "at least one"),
        (lambda: Recommender([FEW[0], FEW[0]]), ValueError, "each once"),
        (lambda: Recommender(FEW, half_life_s=0), ValueError, "half_life_s"),
        (lambda: Weights(0, 0, 0), ValueError, "not all 0"),
        (lambda: Weights(text=-1), ValueError, "at least 0"),
        (lambda: few().learn(Usage("ann", "Z", 1)), ValueError, "'Z'"),
        (lambda: few().learn(Usage("", "A", 1)), ValueError, "user"),
        (lambda: few().learn(Usage("ann", "A", 1.5)), TypeError, "stamp_ns"),
        (lambda: few().learn(Usage("ann", "A", 1, None)), TypeError, "text"),
        (lambda: few().recommend("ann", stamp_ns=1, k=0), ValueError, "k: "),
        (lambda: few().recommend("ann", 5, stamp_ns=1), TypeError, "text"),
    ],
)
def test_refused(make, error, said):
    with pytest.raises(error, match=said):
        make()

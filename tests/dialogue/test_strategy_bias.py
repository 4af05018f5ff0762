"""Preference bias and proficiency, against a second implementation that works in logarithms and shares no step with the first."""

from __future__ import annotations

import math

import numpy as np
import pytest
from affectrt.dialogue.strategy import STRATEGIES, PreferenceMonitor, Strategy, count_strategies, debias, preference_bias, proficiency
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

positive_tables = arrays(np.int64, (8, 8), elements=st.integers(1, 400))


def in_logarithms(table, sweeps=20):
    """The same iteration on log strengths, with plain floats: shares are logistic functions, the normalisation is a subtraction, the
    scaling a softmax; the numerator is what was won in all less the expected wins."""
    size = len(table)
    logs = [0.0] * size
    for _ in range(sweeps):
        for i in range(size):
            rivals = [j for j in range(size) if j != i]
            beats = {j: 1 / (1 + math.exp(logs[j] - logs[i])) for j in rivals}
            won = math.fsum(float(table[i][j]) for j in rivals) - math.fsum(float(table[i][j]) * beats[j] for j in rivals)
            lost = math.fsum(float(table[j][i]) * beats[j] for j in rivals)
            logs[i] += math.log(won) - math.log(lost)
        mean = math.fsum(logs) / size
        logs = [one - mean for one in logs]
    total = math.fsum(math.exp(one) for one in logs)
    strengths = [size * math.exp(one) / total for one in logs]
    return math.sqrt(math.fsum((one - 1) ** 2 for one in strengths) / size), strengths


@given(positive_tables)
def test_equals_an_independent_implementation(table):
    bias, preferences = preference_bias(table)
    other_bias, other = in_logarithms(table.tolist())
    assert preferences == pytest.approx(other, abs=1e-6)
    assert bias == pytest.approx(other_bias, abs=1e-6)


def test_three_by_hand():
    """One sweep over [[., 2], [1, .]]: p0 = (2 * 1/2) / (1 * 1/2) = 2; p1 = (1 * 2/3) / (2 * 1/3) = 1; over their mean sqrt(2), then to
    sum 2: 4/3 and 2/3, which deviate by 1/3."""
    bias, preferences = preference_bias([[9, 2], [1, 5]], sweeps=1)
    assert preferences.tolist() == pytest.approx([4 / 3, 2 / 3])
    assert bias == pytest.approx(1 / 3)


@given(st.integers(1, 10**6), arrays(np.int64, 8, elements=st.integers(0, 10**6)))
def test_uniform_counts_have_no_bias(count, diagonal):
    table = np.full((8, 8), count)
    np.fill_diagonal(table, diagonal)
    bias, preferences = preference_bias(table)
    assert preferences == pytest.approx(np.ones(8), abs=1e-12) and bias == pytest.approx(0, abs=1e-12)


@settings(max_examples=20)
@given(positive_tables, st.permutations(range(8)))
def test_permuted_labels_permute_the_preferences(table, order):
    settled, other = preference_bias(table, sweeps=150)[1], preference_bias(table[np.ix_(order, order)], sweeps=150)[1]
    assert other == pytest.approx(settled[order], abs=1e-6)


@settings(max_examples=20)
@given(positive_tables)
def test_it_settles_at_the_likeliest_strengths(table):
    """There Bradley and Terry's model expects as many wins of each strategy as it has."""
    _, p = preference_bias(table, sweeps=150)
    games = (table + table.T).astype(float)
    np.fill_diagonal(games, 0)
    expected = (games * p[:, None] / (p[:, None] + p[None, :])).sum(axis=1)
    assert expected == pytest.approx(table.sum(axis=1) - np.diag(table), rel=1e-6)


@settings(max_examples=20)
@given(positive_tables, st.integers(0, 7))
def test_what_is_said_too_often_is_preferred(table, favourite):
    """Three times each count of row `favourite`: its strength rises, whatever the others are."""
    before = preference_bias(table, sweeps=150)[1]
    more = table.copy()
    more[favourite] *= 3
    assert preference_bias(more, sweeps=150)[1][favourite] > before[favourite]


def test_never_said_is_no_strength_and_without_mistakes_there_is_no_value():
    table = np.full((8, 8), 3)
    table[2, :2] = table[2, 3:] = 0
    bias, preferences = preference_bias(table)
    assert preferences[2] == 0 and preferences.sum() == pytest.approx(8) and bias > 0
    table = np.full((8, 8), 3)
    table[:5, 5] = table[6:, 5] = 0  # where suggestions were right, they were always given
    with pytest.raises(ValueError, match=r"number 5 \(\"Providing Suggestions\" of the eight\).*smoothing=1"):
        preference_bias(table)
    with pytest.raises(ValueError, match="no value"):
        preference_bias(np.eye(8))
    assert np.isfinite(preference_bias(table, smoothing=1.0)[1]).all()
    assert preference_bias(np.eye(8), smoothing=1.0)[0] == 0


@given(arrays(np.int64, (8, 8), elements=st.integers(0, 3)))
def test_sparse_counts_have_a_finite_value_or_a_clear_refusal(table):
    try:
        bias, preferences = preference_bias(table)
    except ValueError as error:
        assert "smoothing=1" in str(error)
    else:
        assert np.isfinite(preferences).all() and (preferences >= 0).all() and preferences.sum() == pytest.approx(8) and bias >= 0
    bias, preferences = preference_bias(table, smoothing=1.0)
    assert (preferences > 0).all() and preferences.sum() == pytest.approx(8)


@pytest.mark.parametrize(
    ("table", "wrong"),
    [
        ([[1.0]], r"\(1, 1\)"),
        (np.ones((8, 7)), r"\(8, 7\)"),
        (np.full((3, 3), -1), "-1"),
        ([[0, np.nan], [1, 0]], "nan"),
        ([[0, np.inf], [1, 0]], "inf"),
        ([["a", "b"], ["c", "d"]], "U1"),
        ("no", r"\(\)"),
    ],
)
def test_no_table(table, wrong):
    for measure in (preference_bias, proficiency):
        with pytest.raises(ValueError, match=wrong):
            measure(table)


@pytest.mark.parametrize("options", [{"smoothing": -1}, {"smoothing": float("nan")}, {"smoothing": float("inf")}, {"sweeps": 0}])
def test_no_option(options):
    with pytest.raises(ValueError, match="expected"):
        preference_bias(np.ones((8, 8)), **options)


def test_proficiency_by_hand():
    """Gold Q Q I O, said Q I I I: F1 of Q is 2/3, of I 1/2, of O 0."""
    counts = count_strategies(["Question", "information", " INFORMATION", "Information"], ["Question", "Question", "Information", "Others"])
    one = proficiency(counts)
    assert one.macro_f1 == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert one.weighted_f1 == pytest.approx((2 * 2 / 3 + 1 * 1 / 2 + 0) / 4)
    assert one.f1[Strategy.QUESTION.place] == pytest.approx(2 / 3) and one.f1[Strategy.SUGGESTIONS.place] == 0
    with pytest.raises(ValueError, match="at least one example"):
        proficiency(np.zeros((8, 8)))


@given(st.lists(st.tuples(st.sampled_from(STRATEGIES), st.sampled_from(STRATEGIES)), min_size=1, max_size=60))
def test_proficiency_equals_counting_example_by_example(pairs):
    said, right = zip(*pairs, strict=True)
    one = proficiency(count_strategies(said, right))
    f1 = {}
    for strategy in {*said, *right}:
        both = sum(a == b == strategy for a, b in pairs)
        precision = both / said.count(strategy) if strategy in said else 0.0
        recall = both / right.count(strategy) if strategy in right else 0.0
        f1[strategy] = 2 * precision * recall / (precision + recall) if both else 0.0
    assert one.macro_f1 == pytest.approx(sum(f1.values()) / len(f1))
    assert one.weighted_f1 == pytest.approx(sum(f1[b] for b in right) / len(right))


def test_names():
    assert [one.value for one in STRATEGIES] == [
        "Question",
        "Restatement or Paraphrasing",
        "Reflection of feelings",
        "Self-disclosure",
        "Affirmation and Reassurance",
        "Providing Suggestions",
        "Information",
        "Others",
    ]
    assert Strategy.of("reflection OF feelings ") is Strategy.REFLECTION and str(Strategy.OTHERS) == "Others"
    assert Strategy.of("small talk", unknown=Strategy.OTHERS) is Strategy.OTHERS
    assert len({one.prompt for one in STRATEGIES}) == 8
    with pytest.raises(ValueError, match="small talk"):
        Strategy.of("small talk")
    with pytest.raises(TypeError, match="int"):
        Strategy.of(3)
    with pytest.raises(ValueError, match="1 and 0"):
        count_strategies(["Question"], [])


def test_debias_moves_a_favourite_down():
    scores = [0.3, 0.28, 0.1, 0.02, 0.1, 0.1, 0.05, 0.05]
    preferences = [2.0, 0.5, 1, 1, 1, 1, 1, 0.5]
    result = debias(scores, preferences)
    assert result.sum() == pytest.approx(1) and result.argmax() == 1
    assert result / result[2] == pytest.approx(np.array(scores) / preferences / 0.1)
    assert debias([1, 1], [0, 1]) == pytest.approx([10 / 11, 1 / 11])  # 0 counts as 0.1


@pytest.mark.parametrize(
    ("scores", "preferences", "options"),
    [([1], [1, 1], {}), ([0, 0], [1, 1], {}), ([-1, 1], [1, 1], {}), ([1, 1], [np.nan, 1], {}), ([1, 1], [1, 1], {"least": 0})],
)
def test_no_debiasing(scores, preferences, options):
    with pytest.raises(ValueError, match="expected"):
        debias(scores, preferences, **options)


def test_monitor():
    monitor = PreferenceMonitor(window=40)
    assert monitor.bias == 0 and monitor.preferences == pytest.approx(np.ones(8)) and monitor.proficiency is None and len(monitor) == 0
    for right in STRATEGIES * 5:
        monitor.add("question", right)
    assert monitor.bias > 0.5 and monitor.preferences.argmax() == Strategy.QUESTION.place
    assert monitor.bias == preference_bias(monitor.counts, smoothing=1.0)[0]
    assert monitor.proficiency is not None and monitor.proficiency.macro_f1 == pytest.approx(2 * 5 / (40 + 5) / 8)
    for right in STRATEGIES * 5:  # and what is older than the window is forgotten
        monitor.add(right, right)
    assert len(monitor) == 40 and monitor.bias == 0 and monitor.counts.trace() == 40
    with pytest.raises(ValueError, match="window"):
        PreferenceMonitor(window=0)
    with pytest.raises(ValueError, match="smoothing"):
        PreferenceMonitor(smoothing=0)
    with pytest.raises(ValueError, match="got 'x'"):
        monitor.add("x", "Question")

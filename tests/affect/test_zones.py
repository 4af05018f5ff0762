"""Zones: nine signs, late fusion, and a classifier that learns one person."""

from __future__ import annotations

import json

import numpy as np
import pytest
from affectrt.affect import Windows, Zone, ZoneClassifier, fuse_zones
from affectrt.labels import TAXONOMIES, ZONES
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

distributions = hnp.arrays(np.float64, 4, elements=st.floats(0.01, 1)).map(lambda p: (p / p.sum()).astype(np.float32))
weights = st.floats(0.01, 100)
FACE, VOICE = np.array([0.1, 0.2, 0.3, 0.4], np.float32), np.array([0.7, 0.1, 0.1, 0.1], np.float32)


@pytest.mark.parametrize(
    ("valence", "arousal", "zone"),
    [
        (-1, 1, Zone.RED),
        (0, 1, Zone.YELLOW),
        (1, 1, Zone.YELLOW),
        (-1, 0, Zone.RED),
        (0, 0, Zone.GREEN),
        (1, 0, Zone.GREEN),
        (-1, -1, Zone.BLUE),
        (0, -1, Zone.BLUE),
        (1, -1, Zone.GREEN),
    ],
)
def test_the_truth_table(valence, arousal, zone):
    for scale in (1.0, 1e-9):
        assert Zone.of(valence * scale, arousal * scale) is zone
    assert zone == zone.value == str(zone) == f"{zone}"


def test_the_zones_are_the_taxonomys():
    assert tuple(zone.value for zone in Zone) == ZONES == TAXONOMIES["zones4"].labels
    for value in (1.5, float("nan")):
        with pytest.raises(ValueError, match="valence"):
            Zone.of(value, 0)


@given(st.dictionaries(st.sampled_from(["face", "voice", "text"]), st.tuples(distributions, weights), min_size=1))
def test_weights_of_those_present_sum_to_one(given_):
    fused = fuse_zones({name: p for name, (p, _) in given_.items()}, {name: w for name, (_, w) in given_.items()})
    assert sum(fused.weights.values()) == pytest.approx(1)
    assert fused.probs.dtype == np.float32 and fused.probs.sum() == pytest.approx(1, abs=1e-6)
    total = sum(w for _, w in given_.values())
    np.testing.assert_allclose(fused.probs, sum(p * w / total for p, w in given_.values()), atol=1e-6)


@given(distributions, weights, weights)
def test_one_alone_is_passed_on_bit_for_bit(alone, own, others):
    fused = fuse_zones({"face": alone, "voice": None}, {"face": own, "voice": others})
    assert fused.probs.tobytes() == alone.tobytes()
    assert dict(fused.weights) == {"face": 1.0, "voice": 0.0}
    assert fused.zone.value == ZONES[int(alone.argmax())]


def test_fusion_by_hand_in_any_order():
    fused = fuse_zones({"face": FACE, "voice": VOICE}, {"face": 3, "voice": 1})
    np.testing.assert_allclose(fused.probs, [0.25, 0.175, 0.25, 0.325], atol=1e-6)
    assert fused.zone is Zone.RED
    assert fused.probs.tobytes() == fuse_zones({"voice": VOICE, "face": FACE}, {"voice": 1, "face": 3}).probs.tobytes()


@pytest.mark.parametrize(
    ("modalities", "shares", "message"),
    [
        ({}, {}, "at least one"),
        ({"face": None}, {"face": 1}, "at least one"),
        ({"face": FACE}, {}, "'face'"),
        ({"face": FACE, "voice": None}, {"face": 1}, "'voice'"),
        ({"face": FACE}, {"face": 0}, "over 0"),
        ({"face": FACE}, {"face": float("nan")}, "over 0"),
        ({"face": FACE[:3]}, {"face": 1}, r"face: \(4,\)"),
        ({"face": FACE * 2}, {"face": 1}, "face: probabilities"),
        ({"face": [1, 1, -1, 0]}, {"face": 1}, "face: probabilities"),
        ({"face": [np.nan, 1, 0, 0]}, {"face": 1}, "face: probabilities"),
    ],
)
def test_bad_fusion(modalities, shares, message):
    with pytest.raises(ValueError, match=message):
        fuse_zones(modalities, shares)


def person(n, seed, shift=(-0.5, 0.4), scale=(0.4, 0.3)):
    """Valence and arousal as one made-up person shows them: shifted, and flat. (n, 2) windows and their true zones."""
    random = np.random.default_rng(seed)
    middle = {"blue": (-0.6, -0.5), "green": (0.3, -0.3), "yellow": (0.6, 0.7), "red": (-0.5, 0.6)}
    zones = random.choice(ZONES, n)
    places = np.array([middle[zone] for zone in zones]) + random.normal(0, 0.25, (n, 2))
    return places * scale + shift, zones


def right(classifier, values, zones):
    return np.mean(np.array(ZONES)[classifier.probs(values).argmax(axis=1)] == zones)


@pytest.mark.parametrize("seed", range(5))
def test_calibration_learns_a_person(seed):
    generic = ZoneClassifier.generic()
    values, zones = person(2000, 100 + seed)
    learnt = generic.calibrate(*person(200, seed))
    assert right(generic, values, zones) < 0.5 < 0.75 < right(learnt, values, zones)


def test_blank_learns_any_features_and_does_without_some():
    random = np.random.default_rng(0)
    zones = random.choice(ZONES, 400)
    values = random.normal(0, 1, (400, 6))
    values[:, 2] += 1000 + 3 * np.array([ZONES.index(zone) for zone in zones])  # the one feature that says anything, on another scale
    values[random.random(values.shape) < 0.2] = np.nan
    blank = ZoneClassifier.blank([f"f{i}" for i in range(6)], values)
    np.testing.assert_allclose(blank.probs(values), 0.25)
    learnt = blank.calibrate(values[:300], zones[:300])
    seen = np.isfinite(values[300:, 2])
    assert right(learnt, values[300:][seen], zones[300:][seen]) > 0.8
    np.testing.assert_allclose(learnt.probs(np.full(6, np.nan)), 0.25)


def test_generic_agrees_with_the_mapper_on_plain_cases():
    generic = ZoneClassifier.generic()
    for valence, arousal in ((-0.6, 0.6), (0.6, 0.6), (-0.6, -0.4), (0.5, -0.4), (0.0, 0.0)):
        assert generic.zone([valence, arousal]) is Zone.of(valence, arousal)


@given(st.integers(0, 2**32 - 1), st.integers(0, 30), st.floats(0.1, 50))
def test_in_parts_or_at_once_and_in_any_order(seed, cut, strength):
    values, zones = person(30, seed)
    values[np.random.default_rng(seed).random(values.shape) < 0.2] = np.nan
    start = ZoneClassifier.generic(strength)
    whole = start.calibrate(values, zones)
    order = np.random.default_rng(seed + 1).permutation(30)
    for parts in (
        start.calibrate(values[:cut], zones[:cut]).calibrate(values[cut:], zones[cut:]),
        start.calibrate(values[order], zones[order]),
    ):
        np.testing.assert_allclose(parts.centroids, whole.centroids, atol=1e-9)
        np.testing.assert_allclose(parts.variance, whole.variance, rtol=1e-9)
        np.testing.assert_allclose(parts.weights, whole.weights)


def test_calibration_by_hand():
    start = ZoneClassifier.generic(strength=2)
    learnt = start.calibrate([[0.0, 0.2], [0.4, 0.2]], ["red", Zone.RED])
    red = ZONES.index("red")
    np.testing.assert_allclose(learnt.centroids[red], (start.centroids[red] * 2 + [0.4, 0.4]) / 4)
    assert learnt.weights[red].tolist() == [4, 4] and learnt.weights.sum() == 20
    away = np.array([0.2, 0.2]) - start.centroids[red]
    np.testing.assert_allclose(learnt.variance, (0.09 * 8 + np.array([0.08, 0]) + away**2) / 10)
    for k in range(4):
        if k != red:
            np.testing.assert_array_equal(learnt.centroids[k], start.centroids[k])
    np.testing.assert_array_equal(start.weights, 2)  # the old one is as it was


@given(hnp.arrays(np.float64, (3, 2), elements=st.floats(-1e300, 1e300) | st.just(float("nan"))))
def test_probabilities_are_probabilities_whatever_comes(values):
    probs = ZoneClassifier.generic().probs(values)
    assert probs.shape == (3, 4) and probs.dtype == np.float32
    assert np.isfinite(probs).all() and (probs >= 0).all()
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(probs[1], ZoneClassifier.generic().probs(values[1]))


def test_json_gives_the_same_bits():
    learnt = ZoneClassifier.generic().calibrate(*person(57, 3))
    again = ZoneClassifier.from_json(learnt.to_json())
    assert again.features == learnt.features and again.to_json() == learnt.to_json()
    for name in ("centroids", "variance", "weights"):
        assert getattr(again, name).tobytes() == getattr(learnt, name).tobytes()
    values, zones = person(20, 4)
    assert again.calibrate(values, zones).to_json() == learnt.calibrate(values, zones).to_json()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", "other"),
        ("version", 2),
        ("zones", ["green", "blue", "yellow", "red"]),
        ("features", []),
        ("features", ["a", "a"]),
        ("features", [1, 2]),
        ("features", "ab"),
        ("centroids", [[0, 0]]),
        ("centroids", [[0, 0], [0, 0], [0, 0], [0]]),
        ("centroids", [["0", "0"]] * 4),
        ("centroids", [[float("nan"), 0]] * 4),
        ("variance", [1, 0]),
        ("variance", [1, -1]),
        ("variance", [10**400, 1]),
        ("variance", [True, True]),
        ("weights", None),
        ("weights", [[0, 1]] * 4),
    ],
)
def test_json_of_something_else_is_refused(name, value):
    document = json.loads(ZoneClassifier.generic().to_json())
    with pytest.raises(ValueError, match=r"expected"):
        ZoneClassifier.from_json(json.dumps({**document, name: value}))
    with pytest.raises(ValueError, match=r"expected"):
        ZoneClassifier.from_json(json.dumps({key: v for key, v in document.items() if key != name}))


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100000, "1e999", "\x00", "9" * 5000])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(ValueError, match="expected"):
        ZoneClassifier.from_json(text)


@given(st.text(max_size=60))
def test_any_text_is_refused_as_json(text):
    with pytest.raises(ValueError, match="expected"):
        ZoneClassifier.from_json(text)


def test_bad_windows_and_labels():
    generic = ZoneClassifier.generic()
    for values in ([[1, 2, 3]], [1, 2], [[np.inf, 0]], 3):
        with pytest.raises(ValueError, match="values"):
            generic.calibrate(values, ["red"])
    for values in ([1, 2, 3], 1.0, [[np.inf, 0]]):
        with pytest.raises(ValueError, match="values"):
            generic.probs(values)
    with pytest.raises(ValueError, match="one window"):
        generic.zone([[0, 0]])
    with pytest.raises(ValueError, match="'purple'"):
        generic.calibrate([[0, 0]], ["purple"])
    with pytest.raises(ValueError, match="as many as windows, 1"):
        generic.calibrate([[0, 0]], ["red", "red"])
    for strength in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="strength"):
            ZoneClassifier.generic(strength)
    with pytest.raises(ValueError, match="'b'"):
        ZoneClassifier.blank(["a", "b"], [[0, np.nan], [1, np.nan]])
    with pytest.raises(ValueError, match="features"):
        ZoneClassifier.blank([], np.zeros((1, 0)))


def test_from_samples_to_a_zone():
    windows = Windows(2, start_ns=0)
    for at_ms in range(0, 400, 40):
        windows.add(at_ms * 1_000_000, [-0.6, 0.7] if at_ms < 200 else [0.3, -0.4])
    generic = ZoneClassifier.generic()
    assert [generic.zone(window.values) for window in windows.close(400_000_000)] == [Zone.RED, Zone.GREEN]

"""The emotion transition of PELD: its table, its sum, our rule for the change, and a learnt change through the real engine."""

from __future__ import annotations

import numpy as np
import pytest
from affectrt.affect import EmotionTransition, LearntChange, Personality
from affectrt.labels import Affect, taxonomy
from hypothesis import given
from hypothesis import strategies as st

# The paper's table 1, written out.
PELD_PLACES = {
    "anger": (-0.51, 0.59, 0.25),
    "disgust": (-0.60, 0.35, 0.11),
    "fear": (-0.62, 0.82, -0.43),
    "joy": (0.81, 0.51, 0.46),
    "neutral": (0.0, 0.0, 0.0),
    "sadness": (-0.63, -0.27, -0.33),
    "surprise": (0.40, 0.67, -0.13),
}
coordinate = st.floats(-1, 1)
places = st.builds(Affect, coordinate, coordinate, coordinate)
people = st.builds(Personality, *[st.floats(0, 1)] * 5)
labels = st.sampled_from(sorted(PELD_PLACES))


def test_the_table_is_the_papers():
    table = {label: (p.valence, p.arousal, p.dominance) for label, p in taxonomy("meld7").affect.items()}
    assert table == PELD_PLACES


@given(people, labels)
def test_without_change_the_emotion_stays_and_each_label_is_nearest_to_itself(person, label):
    transition = EmotionTransition(person)
    for answer in (transition(label, change=Affect(0, 0, 0)), transition(label, label)):
        assert answer.label == label
        assert answer.affect == taxonomy("meld7").affect[label]
        assert answer.labels[int(answer.probs.argmax())] == label


@given(people, places, st.builds(Affect, *[st.floats(-5, 5)] * 3), st.floats(0.05, 5))
def test_the_sum_and_the_softmax_by_hand(person, own, change, temperature):
    transition = EmotionTransition(person, temperature=temperature)
    answer = transition(own, change=change)
    p = person.temperament(scores="unit")
    expected = [min(1, max(-1, getattr(own, n) + getattr(change, n) * getattr(p, n))) for n in ("valence", "arousal", "dominance")]
    assert (answer.affect.valence, answer.affect.arousal, answer.affect.dominance) == pytest.approx(expected, abs=1e-12)
    distance = np.array([np.linalg.norm(np.subtract(PELD_PLACES[label], expected)) for label in answer.labels])
    weight = np.exp(-distance / temperature)
    np.testing.assert_allclose(answer.probs, weight / weight.sum(), atol=1e-6)
    assert answer.label == answer.labels[int(distance.argmin())]
    assert answer.probs.dtype == np.float32 and answer.probs.sum() == pytest.approx(1, abs=1e-5)


@given(people, places, places)
def test_without_a_network_the_change_is_the_way_to_the_others_emotion(person, own, heard):
    transition = EmotionTransition(person)
    way = Affect(heard.valence - own.valence, heard.arousal - own.arousal, heard.dominance - own.dominance)
    one, other = transition(own, heard), transition(own, change=way)
    assert one.affect == other.affect and one.label == other.label


def test_weights_of_one_and_zero_take_all_and_nothing():
    all_of_it = EmotionTransition(Personality(), weights=Affect(1, 1, 1))
    assert all_of_it("sadness", "joy").label == "joy"
    nothing = EmotionTransition(Personality(), weights=Affect(0, 0, 0))
    assert nothing("sadness", "joy").label == "sadness"


def test_the_warm_catch_more_joy_and_the_stable_calm_down_where_others_are_afraid():
    warm, cold = (EmotionTransition(Personality(agreeableness=a)) for a in (1.0, 0.0))
    assert warm("neutral", "joy").affect.valence > cold("neutral", "joy").affect.valence > 0
    stable, anxious = (EmotionTransition(Personality(agreeableness=0.2, neuroticism=n)) for n in (0.0, 1.0))
    assert stable("neutral", "fear").affect.arousal < 0 < anxious("neutral", "fear").affect.arousal


def test_the_papers_convention_is_one_word():
    person = Personality(0.648, 0.375, 0.386, 0.58, 0.477)
    assert EmotionTransition(person, neuroticism_means="stability").weights.valence == pytest.approx(0.51389)


def test_other_taxonomies_and_aliases():
    transition = EmotionTransition(Personality(), labels="expression")
    assert transition("happiness", "happy").label == "happy"
    assert len(transition("tired", "furious").probs) == 25


def test_bad_arguments():
    transition = EmotionTransition(Personality())
    for keywords in ({}, {"heard": "joy", "change": Affect(0, 0, 0)}):
        with pytest.raises(ValueError, match="one of heard and change"):
            transition("joy", **keywords)
    for bad in (Affect(float("nan"), 0, 0), Affect(0, 1.5, 0), Affect(0, 0, float("-inf"))):
        with pytest.raises(ValueError, match="own"):
            transition(bad, "joy")
        with pytest.raises(ValueError, match="heard"):
            transition("joy", bad)
    with pytest.raises(ValueError, match="change"):
        transition("joy", change=Affect(float("inf"), 0, 0))
    with pytest.raises(ValueError, match="a label of meld7"):
        transition("glee", "joy")
    with pytest.raises(ValueError, match="weights"):
        EmotionTransition(Personality(), weights=Affect(float("nan"), 0, 0))
    for temperature in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="temperature"):
            EmotionTransition(Personality(), temperature=temperature)
    with pytest.raises(ValueError, match="a taxonomy was expected"):
        EmotionTransition(Personality(), labels="seven")


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch", "ignore:You are using the legacy TorchScript-based ONNX export")


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    """A head of the paper's shape with random weights, in PyTorch and as ONNX."""
    import torch

    torch.manual_seed(0)
    size = 16
    net = torch.nn.Sequential(
        torch.nn.Linear(2 * size, size), torch.nn.Linear(size, size), torch.nn.Tanh(), torch.nn.Linear(size, 3)
    ).eval()
    path = tmp_path_factory.mktemp("head") / "change.onnx"
    torch.onnx.export(net, (torch.zeros(1, 2 * size),), str(path), input_names=["utterances"], output_names=["change"], dynamo=False)
    return net, path, size


def test_a_learnt_change_runs_in_the_engine_as_in_pytorch(head):
    import torch

    net, path, size = head
    vectors = {name: np.random.default_rng(i).standard_normal(size).astype(np.float32) for i, name in enumerate("abc")}
    change = LearntChange(path, vectors.__getitem__)
    for first, second in (("a", "b"), ("b", "a"), ("c", "c")):
        got = change(first, second)
        with torch.no_grad():
            expected = net(torch.from_numpy(np.concatenate([vectors[first], vectors[second]]))[None])[0].numpy()
        np.testing.assert_allclose((got.valence, got.arousal, got.dominance), expected, atol=1e-6)
        answer = EmotionTransition(Personality(), weights=Affect(1, 1, 1))("neutral", change=got)
        np.testing.assert_allclose(
            (answer.affect.valence, answer.affect.arousal, answer.affect.dominance), np.clip(expected, -1, 1), atol=1e-6
        )


def test_a_network_of_another_shape_is_refused(tmp_path):
    import torch

    path = tmp_path / "four.onnx"
    torch.onnx.export(torch.nn.Linear(8, 4), (torch.zeros(1, 8),), str(path), dynamo=False)
    with pytest.raises(ValueError, match=r"one output \(1, 3\)"):
        LearntChange(path, lambda text: np.zeros(4, np.float32))

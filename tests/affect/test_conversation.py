"""Conversations, whole and as they go on: the stream against decoding each prefix, evidence of every kind, and none."""

import doctest
import threading

import numpy as np
import pytest
from affectrt.affect import ConversationDecoder, ConversationModel, Evidence, Revision, conversation
from affectrt.labels import EKMAN, FER7, GOEMOTIONS, taxonomy, translate_probs
from affectrt.perception import ExpressionObservation, TextObservation
from hypothesis import given, settings
from hypothesis import strategies as st


def text(probs, labels=EKMAN, label="joy", stamp_ns=5):
    return TextObservation(stamp_ns, "", label, (), labels, np.asarray(probs, np.float32), 0.0, 0.0, 0.5)


def face(probs, labels=FER7, label="happy", stamp_ns=6):
    return ExpressionObservation(stamp_ns, label, labels, np.asarray(probs, np.float32), 0.0, 0.0, 0.5)


def random_model(seed, labels=EKMAN):
    rng = np.random.default_rng(seed)
    size = len(labels)
    return ConversationModel(
        labels, rng.normal(size=size), rng.normal(size=size), rng.normal(size=(size, size)), rng.normal(size=(size, size))
    )


def test_the_examples_of_the_module():
    failed, tried = doctest.testmod(conversation)
    assert (failed, tried) == (0, 6)


PROBS = st.none() | st.lists(st.floats(0, 1, width=32), min_size=7, max_size=7).map(lambda p: np.array(p, np.float32))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), PROBS), min_size=1, max_size=9), st.integers(0, 4))
def test_the_stream_answers_as_decoding_what_was_said_so_far(said, seed):
    decoder = ConversationDecoder(random_model(seed))
    stream, before = decoder.stream(), []
    for i in range(len(said)):
        update = stream.add(*said[i])
        whole = decoder.decode(said[: i + 1])
        labels = [utterance.label for utterance in whole]
        assert list(stream.labels) == labels and len(stream) == i + 1
        assert update.revised == tuple(Revision(k, before[k], labels[k]) for k in range(i) if before[k] != labels[k])
        newest = update.newest
        assert (newest.index, newest.speaker, newest.label, newest.confidence) == (i, said[i][0], labels[i], whole[i].confidence)
        np.testing.assert_array_equal(newest.probs, whole[i].probs)
        assert newest.observed == whole[i].observed == (said[i][1] is not None and bool(said[i][1].sum(dtype=np.float64) >= 1e-6))
        before = labels
    for utterance in whole:
        assert utterance.probs.dtype == np.float32 and utterance.probs.sum() == pytest.approx(1, abs=1e-5)
        assert utterance.confidence == utterance.probs[EKMAN.index(utterance.label)]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.tuples(st.sampled_from("ab"), PROBS), max_size=5), max_size=4))
def test_many_conversations_are_each_by_itself(conversations):
    decoder = ConversationDecoder(random_model(1))
    for whole, alone in zip(decoder.decode_all(conversations), map(decoder.decode, conversations), strict=True):
        assert [(u.index, u.speaker, u.label, u.confidence) for u in whole] == [(u.index, u.speaker, u.label, u.confidence) for u in alone]


def test_without_weights_each_utterance_is_read_alone():
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(7), 20).astype(np.float32)
    decoder = ConversationDecoder(ConversationModel.default("ekman", inertia=0, contagion=0), doubt=0.1)
    read = decoder.decode([("a", p) for p in probs])
    assert [u.label for u in read] == [EKMAN[i] for i in probs.argmax(1)]
    np.testing.assert_allclose([u.probs for u in read], 0.9 * probs + 0.1 / 7, atol=1e-6)


def labels_of(said, **weights):
    return [u.label for u in ConversationDecoder(ConversationModel.default("ekman", **weights)).decode(said)]


def test_inertia_and_contagion():
    sure, torn = {"anger": 0.95, "joy": 0.05}, {"anger": 0.45, "joy": 0.55}
    assert labels_of([("a", sure), ("a", torn)], inertia=1, contagion=0) == ["anger", "anger"]
    assert labels_of([("a", sure), ("b", torn)], inertia=1, contagion=0) == ["anger", "joy"]
    assert labels_of([("a", sure), ("b", torn)], inertia=0, contagion=1) == ["anger", "anger"]
    # One's own mood outlasts an answer (A-B-A), but not two (A-B-C-A).
    calm = {"neutral": 1.0}
    assert labels_of([("a", sure), ("b", calm), ("a", torn)], inertia=1, contagion=0)[-1] == "anger"
    assert labels_of([("a", sure), ("b", calm), ("c", calm), ("a", torn)], inertia=1, contagion=0)[-1] == "joy"


def test_who_says_nothing_does_no_harm():
    decoder = ConversationDecoder()
    sure = {"sadness": 0.9, "neutral": 0.1}
    nothing = [Evidence("voice", 1, 0.9, arousal=0.5), Evidence("face", 1, 0.0, taxonomy="ekman", probs=(1, 0, 0, 0, 0, 0, 0))]
    nothing += [None, {}, np.zeros(7), text(np.zeros(7), label="unknown"), face([], (), "unknown"), face([np.nan] * 7, label="unknown")]
    for missing in nothing:
        read = decoder.decode([("a", sure), ("a", missing), ("a", sure)])
        assert [u.label for u in read] == ["sadness"] * 3
        assert [u.observed for u in read] == [True, False, True]
        stream = decoder.stream()
        assert stream.add("a", missing).newest.confidence == pytest.approx(1 / 7)
        assert not stream.add("b", missing).newest.observed
    assert decoder.decode([]) == () and decoder.decode_all([]) == [] and decoder.decode_all([[], []]) == [(), ()]
    silent = decoder.decode([("a", None), ("b", None)])
    np.testing.assert_allclose([u.probs for u in silent], 1 / 7, atol=1e-6)


def test_observations_of_other_taxonomies():
    decoder = ConversationDecoder("plutchik8", doubt=1e-6)
    rng = np.random.default_rng(1)
    faces, several, one = rng.dirichlet(np.ones(7)), rng.uniform(0, 0.6, 28), rng.dirichlet(np.ones(28))
    read = decoder.decode([("a", face(faces)), ("b", text(several, GOEMOTIONS)), ("c", text(one, GOEMOTIONS)), ("d", None)])
    assert [u.stamp_ns for u in read] == [6, 5, 5, None]
    wanted = [
        translate_probs(faces.astype(np.float32), "fer7", "plutchik8"),
        translate_probs(several.astype(np.float32), "goemotions28", "plutchik8", multi_label=True),
        translate_probs(one.astype(np.float32), "goemotions28", "plutchik8"),
    ]
    alone = ConversationDecoder(ConversationModel.default("plutchik8", inertia=0, contagion=0), doubt=1e-6)
    for said, want in zip((face(faces), text(several, GOEMOTIONS), text(one, GOEMOTIONS)), wanted, strict=True):
        utterance, through_evidence = alone.decode_all([[("a", said)], [("a", Evidence.of(said))]])
        np.testing.assert_allclose(utterance[0].probs, want / want.sum(), atol=1e-5)
        np.testing.assert_allclose(through_evidence[0].probs, utterance[0].probs, atol=1e-6)
        assert through_evidence[0].stamp_ns == said.stamp_ns


def test_labels_in_an_order_of_their_own():
    mixed = tuple(reversed(EKMAN))
    decoder = ConversationDecoder(ConversationModel.default(mixed, inertia=0))
    for said in (text([0, 0, 0, 1, 0, 0, 0]), face([0, 0, 0, 1, 0, 0, 0]), {"joy": 1.0}, {"happiness": 1.0}, np.eye(7)[mixed.index("joy")]):
        utterance = decoder.decode([("a", said)])[0]
        assert utterance.label == "joy" and utterance.probs[mixed.index("joy")] == utterance.confidence > 0.9


def test_labels_of_no_taxonomy():
    own = ("calm", "tense")
    decoder = ConversationDecoder(ConversationModel.default(own))
    assert decoder.decode([("a", {"tense": 0.8, "calm": 0.2})])[0].label == "tense"
    assert decoder.decode([("a", face([0.8, 0.2], ("tense", "calm"), "tense"))])[0].label == "tense"
    with pytest.raises(ValueError, match="these are of none: calm, tense"):
        decoder.decode([("a", face(np.full(7, 1 / 7)))])
    with pytest.raises(ValueError, match="these are of none: tense, calm, bored"):
        ConversationDecoder().decode([("a", face([0.8, 0.2, 0], ("tense", "calm", "bored"), "tense"))])
    with pytest.raises(ValueError, match="one of calm, tense was expected, got 'joy'"):
        decoder.decode([("a", {"joy": 1.0})])


def test_a_model_that_forbids_everything_is_unknown():
    never = np.full((7, 7), -np.inf)
    decoder = ConversationDecoder(ConversationModel(EKMAN, np.zeros(7), np.zeros(7), never, np.zeros((7, 7))))
    read = decoder.decode([("a", {"joy": 1.0}), ("a", {"joy": 1.0})])
    assert [(u.label, u.confidence) for u in read] == [("unknown", 0.0)] * 2
    stream = decoder.stream()
    assert stream.add("a", {"joy": 1.0}).newest.label == "joy"
    assert stream.add("a", None).revised == (Revision(0, "joy", "unknown"),)
    assert stream.labels == ("unknown", "unknown")


def test_a_short_history():
    decoder = ConversationDecoder(random_model(2))
    rng = np.random.default_rng(2)
    long, short = decoder.stream(), decoder.stream(history=3)
    for i in range(40):
        said = (int(rng.integers(3)), rng.dirichlet(np.ones(7)))
        whole, update = long.add(*said), short.add(*said)
        assert update.newest.label == whole.newest.label and update.newest.confidence == whole.newest.confidence
        assert update.revised == tuple(r for r in whole.revised if r.index > i - 3)
        assert short.labels == long.labels[-3:] and len(short) == i + 1


def test_threads_share_a_stream():
    stream = ConversationDecoder().stream(history=20)
    found = []

    def talk(speaker):
        found.extend(stream.add(speaker, {"joy": 0.5, "fear": 0.5}).newest.index for _ in range(100))

    threads = [threading.Thread(target=talk, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(300))


@pytest.mark.parametrize(
    ("said", "error", "match"),
    [
        (np.full(7, np.nan), ValueError, r"in \[0, 1\] were expected, got nan"),
        (np.full(7, 1.5), ValueError, r"in \[0, 1\] were expected"),
        (np.full(7, -0.1), ValueError, r"in \[0, 1\] were expected"),
        (np.zeros(6), ValueError, r"shape \(7,\) were expected, got float64 \(6,\)"),
        (np.zeros((1, 7)), ValueError, r"shape \(7,\) were expected"),
        (np.array(["a"] * 7), ValueError, "got <U1"),
        ({"joy": float("inf")}, ValueError, r"in \[0, 1\] were expected"),
        ({"bliss": 1.0}, ValueError, "bliss"),
        ("joy", TypeError, "got str"),
        ([0.1] * 7, TypeError, "got list"),
        (text(np.zeros(3)), ValueError, r"as many probabilities as labels were expected, 7, got shape \(3,\)"),
    ],
)
def test_bad_evidence_is_refused_and_changes_nothing(said, error, match):
    decoder = ConversationDecoder()
    with pytest.raises(error, match=match):
        decoder.decode([("a", {"joy": 1.0}), ("a", said)])
    stream = decoder.stream()
    stream.add("a", {"joy": 1.0})
    with pytest.raises(error, match=match):
        stream.add("b", said)
    assert len(stream) == 1 and stream.labels == ("joy",)
    assert stream.add("a", {"joy": 0.5, "anger": 0.5}).newest.label == "joy"  # "b" has not spoken


def test_bad_arguments():
    with pytest.raises(TypeError, match="model: a ConversationModel or the name of a taxonomy was expected, got int"):
        ConversationDecoder(7)
    with pytest.raises(ValueError, match="ekmann"):
        ConversationDecoder("ekmann")
    for doubt in (0, 1, -0.1, float("nan")):
        with pytest.raises(ValueError, match="doubt"):
            ConversationDecoder(doubt=doubt)
    for history in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="history"):
            ConversationDecoder().stream(history=history)
    with pytest.raises(TypeError):
        ConversationDecoder().stream().add([], None)


def test_every_taxonomy_has_a_default():
    for name in ("fer7", "goemotions28", "empatheticdialogues32", "zones4"):
        decoder = ConversationDecoder(name)
        label = taxonomy(name).labels[-1]
        assert decoder.labels == taxonomy(name).labels and decoder.decode([("a", {label: 1.0})])[0].label == label

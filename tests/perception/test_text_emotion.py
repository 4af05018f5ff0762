"""`TextEmotion` on real sentences and on bad input."""

import affectrt as art
import numpy as np
import pytest
from affectrt.packs import DEFAULTS
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("sentence", "labels", "sign"),
    [
        ("Thank you so much, this really helped me!", {"gratitude"}, 1),
        ("I love you, you are wonderful.", {"love", "admiration"}, 1),
        ("This makes me so angry, what a disgrace.", {"anger", "annoyance", "disgust"}, -1),
        ("I am so sorry for your loss, this is heartbreaking.", {"sadness", "remorse", "caring", "grief"}, -1),
        ("Why would he do that? I don't understand.", {"confusion", "curiosity"}, 0),
        ("Haha, that is hilarious!", {"amusement", "joy"}, 1),
    ],
)
def test_clear_sentences(text, sentence, labels, sign):
    seen = text(sentence, 7)
    assert seen.label in labels and seen.stamp_ns == 7 and seen.text == sentence
    assert sign == 0 or np.sign(seen.valence) == sign
    assert -1 <= seen.arousal <= 1 and -1 <= seen.dominance <= 1 and 0 < seen.confidence <= 1
    assert seen.active[:1] == (seen.label,) or not seen.active
    assert len(seen.labels) == 28 and seen.probs.shape == (28,) and seen.probs.dtype == np.float32


def test_dominance_is_a_mean_over_the_labels_by_probability(text, altered):
    places = dict(zip((label.name for label in text.pack.labels), np.linspace(-1, 1, 28).round(2).tolist(), strict=True))
    pack = altered(DEFAULTS["text-emotion"], lambda m: [label.update(dominance=places[label["name"]]) for label in m["labels"]])
    seen = art.TextEmotion(pack)("This makes me so angry, what a disgrace.")
    assert seen.dominance == pytest.approx(float(seen.probs @ np.array(list(places.values())) / seen.probs.sum()), abs=1e-5)
    assert text("").dominance == 0


def test_a_regressor_says_its_own_valence_and_arousal(text, altered):
    """Its numbers are no probabilities: they may be negative, and are not shared out."""

    def change(manifest):
        manifest["decode"] = {"kind": "identity", "temperature": 1.0, "thresholds": [], "unknown_below": 0.0}
        manifest["outputs"][0]["kind"] = "probabilities"
        for i, label in enumerate(manifest["labels"]):
            label.update(valence=0.02 * (i == 0), arousal=float(i == 1), dominance=-5e-2 * (i == 2))

    seen = art.TextEmotion(altered(DEFAULTS["text-emotion"], change))("This makes me so angry, what a disgrace.")
    logits = seen.probs.astype(float)
    assert logits.min() < -1, "these are the network's own numbers"
    assert seen.valence == pytest.approx(0.02 * logits[0], abs=1e-6)
    assert seen.arousal == pytest.approx(np.clip(logits[1], -1, 1), abs=1e-6)
    assert seen.dominance == pytest.approx(np.clip(-0.05 * logits[2], -1, 1), abs=1e-6)


@pytest.mark.parametrize("sentence", ["", "   ", "\n\t", "\u200b", "\x00", "\u3000"])
def test_nothing_to_read(text, sentence):
    seen = text(sentence)
    assert (seen.label, seen.reason, seen.confidence, seen.valence) == (art.UNKNOWN, "empty text", 0.0, 0.0)
    assert seen.active == ()


@pytest.mark.parametrize("sentence", ["😢😢😢", "😡", "a" * 300])
def test_what_the_model_has_no_word_for(text, sentence):
    seen = text(sentence)
    assert (seen.label, seen.reason, seen.confidence, seen.active) == (art.UNKNOWN, "unreadable text", 0.0, ())


def test_a_batch_equals_each_alone(text):
    sentences = ["I am happy.", "", "That is a very long and rather dull story about nothing at all, told twice over.", "No!", "Why?"] * 9
    many = text(sentences)
    assert [m.text for m in many] == sentences
    for i in range(5):
        np.testing.assert_allclose(many[i].probs, text(sentences[i]).probs, atol=1e-5)
    assert text([]) == []


def test_a_long_text_says_that_it_was_cut(text):
    assert not text("short").truncated
    long = text("word " * 500)
    assert long.truncated
    assert text("Thank you so much! " + "x" * 100_000).truncated
    assert text("Thank you! " * 10_000_000).truncated


@pytest.mark.parametrize("bad", [None, 5, b"bytes", ["ok", 5], {"a": 1}])
def test_not_text(text, bad):
    with pytest.raises(TypeError, match="text: expected str"):
        text(bad)


def test_lone_surrogates(text):
    with pytest.raises(ValueError, match="lone surrogate at position 2"):
        text("ab\ud800")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_any_text(text, sentence):
    try:
        sentence.encode()
    except UnicodeEncodeError:
        with pytest.raises(ValueError, match="surrogate"):
            text(sentence)
        return
    seen = text(sentence)
    assert np.isfinite(seen.probs).all() and ((seen.probs >= 0) & (seen.probs <= 1)).all()
    assert -1 <= seen.valence <= 1 and -1 <= seen.arousal <= 1
    assert (seen.label == art.UNKNOWN) == bool(seen.reason)


def test_eight_threads_share_one_engine(text, each_in_a_thread):
    sentences = [f"I am {word} about it." for word in ("happy", "sad", "angry", "proud", "curious", "afraid", "grateful", "confused")]
    each_in_a_thread(lambda sentence: text(sentence).probs, sentences, repeats=10)


def test_the_wrong_pack():
    with pytest.raises(ValueError, match="expected a pack for text-emotion, got one for face-expression"):
        art.TextEmotion(DEFAULTS["face-expression"])

"""The CPU twins of sharpness, affect, emotion_layernorm and masked_attention against NumPy; tests/gpu holds the kernels to the same."""

import kernel_reference
import numpy as np
import pytest
from affectrt import _core


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (3, 3), (13, 17), (48, 48)])
@pytest.mark.parametrize(("layout", "channels"), [("nchw", 1), ("nchw", 3), ("nhwc", 3)])
def test_sharpness(size, layout, channels):
    rng = np.random.default_rng(size[0])
    y, x = np.mgrid[: size[0], : size[1]]
    tensor = (rng.normal(0, 0.2, (channels, *size)) + np.sin(x / 5 + y / 7)).astype(np.float32)
    tensor = np.ascontiguousarray(tensor if layout == "nchw" else tensor.transpose(1, 2, 0))
    assert _core.sharpness(tensor, layout=layout) == pytest.approx(kernel_reference.sharpness(tensor, layout), rel=1e-4)


def test_sharpness_falls_with_blur_and_not_with_contrast():
    rng = np.random.default_rng(0)
    sharp = rng.normal(0, 1, (1, 40, 40)).astype(np.float32)
    blurred = np.ascontiguousarray((sharp + np.roll(sharp, 1, 1) + np.roll(sharp, 1, 2) + np.roll(sharp, (1, 1), (1, 2))) / 4)
    assert _core.sharpness(blurred) < 0.5 * _core.sharpness(sharp)
    assert _core.sharpness(sharp * np.float32(0.1)) == pytest.approx(_core.sharpness(sharp), rel=1e-4)
    assert _core.sharpness(np.full((1, 8, 8), 3, np.float32)) == 0


@pytest.mark.parametrize(
    ("tensor", "text"), [(np.zeros((4, 4), np.float32), "expected shape"), (np.zeros((2, 4, 4), np.float32), "expected 1 or 3 channels")]
)
def test_sharpness_says_what_it_expected(tensor, text):
    with pytest.raises(ValueError, match=text):
        _core.sharpness(tensor)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "identity"])
def test_affect(seed, activation):
    """Clear, tiny, blurred and nonsensical faces of one track, by a clock that also stands still and runs back."""
    rng = np.random.default_rng(seed)
    count, labels = 12, 1 + 3 * seed
    values = rng.normal(0, 2, (count, labels)).astype(np.float32)
    values[rng.uniform(size=count) < 0.15, 0] = np.nan
    ratings = rng.uniform(-1, 1, (3, labels)).astype(np.float32)
    heights = rng.choice([20.0, 30.0, 90.0], count)
    sharpness = rng.choice([0.005, 0.2], count, p=[0.2, 0.8])
    stamps = 10**15 + np.cumsum(rng.choice([-30, 0, 40, 110], count)) * 10**6
    options = {"activation": activation, "temperature": 1.3, "smoothing_ms": 250.0 * (seed % 2), "min_face_px": 24.0}
    options |= {"min_sharpness": 0.01, "full_height_px": 48.0, "unknown_below": 0.3}
    got = _core.read_affect(
        values, ratings, height_px=heights.tolist(), sharpness=sharpness.tolist(), stamp_ns=[int(s) for s in stamps], **options
    )
    track = {}
    for i, (raw, probs, valence, arousal, dominance, confidence, label, doubt) in enumerate(got):
        want = kernel_reference.read_affect(values[i], heights[i], np.float32(sharpness[i]), int(stamps[i]), ratings, track, options)
        np.testing.assert_allclose(raw, want.raw, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(probs, want.probs, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose([valence, arousal, dominance, confidence], [*want.vad, want.confidence], rtol=1e-4, atol=1e-5)
        assert (label, doubt) == (want.label, want.doubt)


def test_affect_says_what_it_expected():
    with pytest.raises(ValueError, match=r"ratings: expected shape \(3, 2\), got \(2, 2\)"):
        _core.read_affect(np.zeros((1, 2), np.float32), np.zeros((2, 2), np.float32), height_px=[9], sharpness=[1], stamp_ns=[0])


@pytest.mark.parametrize(("batch", "tokens", "width", "emotions"), [(1, 1, 1, 1), (2, 5, 12, 7), (3, 7, 31, 28), (1, 3, 384, 2)])
@pytest.mark.parametrize("hard", [False, True])
def test_emotion_layernorm(batch, tokens, width, emotions, hard):
    rng = np.random.default_rng(width)
    x, table, gamma, beta = (
        rng.normal(0, 1, shape).astype(np.float32) for shape in ((batch, tokens, width), (emotions, width), width, width)
    )
    probs = np.eye(emotions)[rng.integers(0, emotions, batch)] if hard else rng.dirichlet(np.ones(emotions), batch)
    probs = probs.astype(np.float32)
    got = _core.emotion_layernorm(x, probs, table, gamma, beta, epsilon=1e-5)
    np.testing.assert_allclose(got, kernel_reference.emotion_layernorm(x, probs, table, gamma, beta, 1e-5), rtol=2e-5, atol=2e-5)


def test_emotion_layernorm_says_what_it_expected():
    x, row = np.zeros((2, 3, 4), np.float32), np.zeros(4, np.float32)
    with pytest.raises(ValueError, match="expected 10 values as probs, got 5"):
        _core.emotion_layernorm(x, np.zeros((1, 5), np.float32), np.zeros((5, 4), np.float32), row, row)


@pytest.mark.parametrize(("tokens", "width", "value_width"), [(1, 1, 1), (11, 20, 9), (35, 4, 33)])
@pytest.mark.parametrize("padding", ["none", "some", "one text"])
def test_masked_attention(tokens, width, value_width, padding):
    rng = np.random.default_rng(tokens)
    query, same, other = (rng.normal(0, 1, (2, 3, tokens, width)).astype(np.float32) for _ in range(3))
    value = rng.normal(0, 1, (2, 3, tokens, value_width)).astype(np.float32)
    speakers = rng.integers(0, 3, (2, tokens))
    mask = np.ones((2, tokens), np.uint8)
    if padding == "some":
        mask = rng.integers(0, 2, (2, tokens)).astype(np.uint8)
    elif padding == "one text":
        mask[1] = 0
    given = [] if padding == "none" else mask.ravel().tolist()
    got = _core.masked_attention(query, same, other, value, speakers.ravel().tolist(), given, scale=0.4)
    want = kernel_reference.masked_attention(query, same, other, value, speakers, mask, 0.4)
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5)


def test_masked_attention_says_what_it_expected():
    four = np.zeros((1, 1, 2, 3), np.float32)
    with pytest.raises(ValueError, match="expected 2 values as speakers, got 1"):
        _core.masked_attention(four, four, four, four, [0], [])

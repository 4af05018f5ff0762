"""`TextEmbedding`: pooling and length on a small pack whose vectors are known by hand; meaning on the default one."""

import threading

import affectrt as art
import numpy as np
import onnx
import pytest
from affectrt.packs import DEFAULTS, open_pack, pull
from affectrt.packs.write import npy_bytes, write_pack
from affectrt.verify import FAILED, PASSED, verify
from onnx import TensorProto, helper, numpy_helper

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "tea", "rain", "music", "sun")
ROWS = {word: np.eye(8, 3, -i, dtype=np.float32)[0] + np.float32([i, i % 3, 1 - i]) for i, word in enumerate(WORDS)}
TABLE = np.stack(list(ROWS.values()))


def tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, "[UNK]"))
    made.add_special_tokens(["[PAD]", "[CLS]", "[SEP]"])
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return made.to_str().encode()


def network(pooling, *, tensor="out"):
    """Looks each word up; pools by itself if the pack does not: the sum of the words, so that nobody mistakes it for a mean."""
    nodes = [helper.make_node("Gather", ["table", "ids"], ["words"])]
    if pooling == "none":
        nodes += [
            helper.make_node("Cast", ["mask"], ["real"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["real", "last"], ["weight"]),
            helper.make_node("Mul", ["words", "weight"], ["kept"]),
            helper.make_node("ReduceSum", ["kept", "middle"], [tensor], keepdims=0),
        ]
    else:
        # The mask must be an input, as in real encoders; nothing of it shows.
        nodes += [
            helper.make_node("Cast", ["mask"], ["real"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["real", "last"], ["weight"]),
            helper.make_node("Mul", ["weight", "nought"], ["nothing"]),
            helper.make_node("Add", ["words", "nothing"], [tensor]),
        ]
    constants = {"table": TABLE, "last": np.int64([2]), "middle": np.int64([1]), "nought": np.float32(0)}
    shape = ["n", 3] if pooling == "none" else ["n", "t", 3]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "t"]) for name in ("ids", "mask")],
        [helper.make_tensor_value_info(tensor, TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def unit(vector):
    return vector / np.linalg.norm(vector)


def by_hand(text, pooling, *, normalize=True):
    rows = np.stack([ROWS[word] for word in ("[CLS]", *(w if w in ROWS else "[UNK]" for w in text.split()), "[SEP]")])
    vector = {"cls": rows[0], "mean": rows.mean(axis=0), "none": rows.sum(axis=0)}[pooling]
    return unit(vector) if normalize else vector


@pytest.fixture
def small(tmp_path):
    """Makes a pack whose vectors can be worked out by hand."""

    def make(pooling, *, normalize=True, max_tokens=8, precision="fp32", model=None, shape=None):
        manifest = {
            "name": "small",
            "version": "1.0.0",
            "task": "text-embedding",
            "description": "Three numbers a word",
            "license": {"code": "MIT", "weights": "MIT"},
            "source": [{"what": "weights", "origin": "made by the tests", "license": "MIT"}],
            "card": "CARD.md",
            "intended_use": "Tests.",
            "known_limits": ["It knows four words."],
            "inputs": [{"tensor": "ids", "kind": "text", "tokenizer": "tokenizer.json", "max_tokens": max_tokens, "mask_tensor": "mask"}],
            "outputs": [{"tensor": "out", "kind": "embedding", "shape": shape or ([-1, 3] if pooling == "none" else [-1, -1, 3])}],
            "labels": [],
            "decode": {"kind": "embedding", "pooling": pooling, "normalize": normalize},
            "variants": [
                {
                    "name": "only",
                    "file": "m.onnx",
                    "format": "onnx",
                    "precision": precision,
                    "golden_tolerance_abs": 1e-6,
                    "requires": [],
                    "measured": [],
                }
            ],
            "golden": [{"name": "tea", "input": {"text": "tea rain"}, "expected": {"embedding": "golden/tea.npy"}}],
        }
        golden = npy_bytes(by_hand("tea rain", pooling, normalize=normalize).astype(np.float32))
        files = {"CARD.md": b"# small\n", "m.onnx": model or network(pooling), "tokenizer.json": tokenizer(), "golden/tea.npy": golden}
        return str(write_pack(tmp_path / "small", manifest, files, replace=True))

    return make


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("pooling", ["cls", "mean", "none"])
def test_pooling(small, pooling, normalize):
    embed = art.TextEmbedding(small(pooling, normalize=normalize))
    assert embed.dimensions == 3 and embed.provider == "CPUExecutionProvider" and embed.fallbacks == ()
    texts = ["sun", "tea rain music", "rain", "music sun tea rain"]  # of several lengths, so that there is padding
    alone = [embed(text) for text in texts]
    for text, vector in zip(texts, alone, strict=True):
        assert vector.shape == (3,) and vector.dtype == np.float32
        np.testing.assert_allclose(vector, by_hand(text, pooling, normalize=normalize), atol=1e-6)
        assert not normalize or np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    together = embed(texts)
    assert together.shape == (4, 3) and together.dtype == np.float32
    np.testing.assert_allclose(together, np.stack(alone), atol=1e-6)
    np.testing.assert_array_equal(embed(tuple(texts)), together)


def test_many_texts_come_back_in_their_order(small):
    embed = art.TextEmbedding(small("mean"))
    texts = [" ".join(("tea", "rain", "music", "sun")[(i + k) % 4] for k in range(1 + i % 5)) for i in range(101)]
    np.testing.assert_allclose(embed(texts), np.stack([by_hand(text, "mean") for text in texts]), atol=1e-6)
    empty = embed([])
    assert empty.shape == (0, 3) and empty.dtype == np.float32


@pytest.mark.parametrize("text", ["", "  \n", "zebra", "zebra yak tea"])
def test_what_cannot_be_read_is_like_nothing(small, text):
    embed = art.TextEmbedding(small("mean"))
    np.testing.assert_array_equal(embed(text), np.zeros(3))
    np.testing.assert_allclose(embed(["sun", text, "tea"]), [by_hand("sun", "mean"), np.zeros(3), by_hand("tea", "mean")], atol=1e-6)
    np.testing.assert_allclose(embed("tea sun zebra"), by_hand("tea sun zebra", "mean"), atol=1e-6)


def test_a_long_text_is_cut_and_says_so(small):
    embed = art.TextEmbedding(small("mean", max_tokens=5))
    assert embed.truncates(["tea", "tea rain sun", "tea rain sun tea"]) == [False, False, True]
    assert embed.truncates("tea rain sun tea") is True and embed.truncates("tea") is False
    np.testing.assert_allclose(embed("tea rain sun music"), by_hand("tea rain sun", "mean"), atol=1e-6)


def test_int8_reads_one_text_at_a_time(small):
    """Its activations would be scaled by all that is in the batch."""
    embed = art.TextEmbedding(small("mean", precision="int8"))
    assert [len(batch) for batch in embed._network.batches(["tea"] * 5)] == [1] * 5
    assert [len(batch) for batch in art.TextEmbedding(small("mean"))._network.batches(["tea"] * 70)] == [32, 32, 6]


@pytest.mark.parametrize("bad", [None, 5, b"bytes", ["ok", 5], {"a": 1}])
def test_not_text(small, bad):
    embed = art.TextEmbedding(small("cls"))
    for call in (embed, embed.truncates):
        with pytest.raises(TypeError, match="text: expected str"):
            call(bad)
        with pytest.raises(ValueError, match="lone surrogate at position 1"):
            call("a\ud800")


def test_what_was_asked_for_can_be_asked_back(small):
    embed = art.TextEmbedding(small("cls"), device="cpu", precision="only", threads=1)
    assert (embed.device, embed.precision, embed.providers, embed.strict) == ("cpu", "only", None, False)
    with pytest.raises(art.DeviceError, match="NoSuchExecutionProvider: not in this ONNX Runtime"):
        art.TextEmbedding(small("cls"), providers=["NoSuchExecutionProvider"], strict=True)
    with pytest.raises(art.PackError, match="expected one of the variants only"):
        art.TextEmbedding(small("cls"), precision="fp16")


def test_packs_that_do_not_fit(small):
    with pytest.raises(ValueError, match="expected a pack for text-embedding, got one for text-emotion"):
        art.TextEmbedding(DEFAULTS["text-emotion"])
    with pytest.raises(ValueError, match="expected a pack for text-emotion, got one for text-embedding"):
        art.TextEmotion(small("cls"))
    with pytest.raises(art.PackError, match=r"small: expected an output 'out' of float32 \[-1, -1, 3\], got \['other'\]"):
        art.TextEmbedding(small("cls", model=network("cls", tensor="other")))
    with pytest.raises(art.PackError, match=r"expected an output 'out' of float32 \[-1, -1, 3\], got .*shape=\(-1, 3\)"):
        art.TextEmbedding(small("cls", model=network("none")))
    with pytest.raises(art.PackError, match=r"expected an output 'out' of float32 \[-1, -1, 4\]"):
        art.TextEmbedding(small("cls", shape=[-1, -1, 4]))


def test_verify_replays_the_golden_vectors(small):
    (good,) = verify(open_pack(small("mean")))
    assert (good.status, good.output, good.golden) == (PASSED, "embedding", "tea") and good.max_difference <= 1e-6
    (wrong,) = verify(open_pack(small("cls", model=network("cls").replace(TABLE.tobytes(), (TABLE + np.float32(0.1)).tobytes()))))
    assert wrong.status == FAILED and wrong.max_difference > 1e-3


@pytest.fixture(scope="module")
def embed():
    """The default pack, its network pulled once into the user's cache."""
    pull(DEFAULTS["text-embedding"])
    return art.TextEmbedding(threads=1)


MEMORIES = [
    "Ana told me that her dog Bruno hurt his paw at the river.",
    "We cooked lentil soup and it was far too salty.",
    "My grandmother was born in a small village by the sea.",
    "The exam in chemistry went badly, I could not sleep afterwards.",
    "He plays the violin in the orchestra every Thursday.",
    "I am allergic to peanuts, please remember that.",
]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("How is Bruno doing?", 0),
        ("What did we eat that had too much salt in it?", 1),
        ("Where does her family come from?", 2),
        ("I failed a test at school and lay awake all night.", 3),
        ("Does he make music?", 4),
        ("Can I bake you a cake with nuts?", 5),
    ],
)
def test_a_memory_is_found_by_what_it_means(embed, query, found):
    likeness = embed(MEMORIES) @ embed(query)
    assert likeness.argmax() == found, dict(zip(MEMORIES, likeness.round(3).tolist(), strict=True))


def test_vectors_of_the_default_pack(embed):
    vectors = embed([*MEMORIES, ""])
    assert vectors.shape == (7, embed.dimensions) and embed.dimensions == 384
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 1, 1, 1, 1, 1, 0], atol=1e-5)
    for text, vector in zip(MEMORIES, vectors, strict=False):
        np.testing.assert_allclose(embed(text), vector, atol=1e-6)
    assert not embed.truncates(MEMORIES[0]) and embed.truncates("word " * 600)


def test_the_default_pack_proves_itself(embed):
    outcomes = verify(embed.pack)
    assert [one.status for one in outcomes] == [PASSED] * len(embed.pack.manifest["golden"])


def test_eight_threads_share_one_network(embed, each_in_a_thread):
    each_in_a_thread(embed, MEMORIES, repeats=4)


def test_the_interpreter_is_free_meanwhile(embed):
    done, turns = threading.Event(), 0
    thread = threading.Thread(target=lambda: (embed("word " * 500), done.set()))
    thread.start()
    while not done.wait(0.001):
        turns += 1
    thread.join(60)
    assert turns >= 10


def test_a_pack_that_was_not_pulled_says_how(monkeypatch, tmp_path):
    monkeypatch.setenv("AFFECTRT_CACHE_DIR", str(tmp_path))
    with pytest.raises(art.PackError, match=f"has not been pulled yet; run: affectrt packs pull {DEFAULTS['text-embedding']}"):
        art.TextEmbedding()

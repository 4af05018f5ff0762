"""skip_crf.cu in the interpreter against the reference of its CPU twin, and its seeded faults."""

import kernels
import numpy as np
import pytest
import skip_crf_reference as reference
import structs
from skip_crf_reference import Crf

# Who speaks: one alone, two by turns, a third who keeps A-B-C-A from being A-B-A, runs of several, someone new each time.
VOICES = {
    "one": lambda n, rng: np.zeros(n),
    "two": lambda n, rng: rng.integers(0, 2, n),
    "three": lambda n, rng: np.arange(n) % 3,
    "many": lambda n, rng: rng.integers(0, 4, n),
    "new": lambda n, rng: np.arange(n),
}


def check(code, tags=5, utterances=11, lengths=(11,), voices="two", whole=True, forbidden=0.0, pad=0, given=True, seed=0):
    """`whole` numbers add up exactly, so that the sequence must be the very one; `pad` floats lie between rows of emissions."""
    rng, batch = np.random.default_rng(seed), len(lengths)
    crf = Crf.random(tags, rng, whole)
    emissions = (rng.integers(-2, 3, (batch, utterances, tags)) if whole else rng.normal(0, 3, (batch, utterances, tags))).astype(
        np.float32
    )
    emissions[rng.uniform(size=emissions.shape) < forbidden] = -np.inf
    speakers = np.stack([VOICES[voices](utterances, rng) for _ in range(batch)]).astype(np.int64) * (1 << 33)

    gpu, args = kernels.Gpu(), structs.SkipCrfArgs()
    apart = np.full((batch, utterances + 1, tags + pad), np.nan, np.float32)
    apart[:, :utterances, :tags] = emissions
    for i, length in enumerate(lengths):
        apart[i, max(length, 0) : utterances] = np.nan  # padding, which is not to be looked at
    args.emissions = gpu.upload(apart, "emissions").address
    args.item_step, args.row_step = (utterances + 1) * (tags + pad), tags + pad
    args.speakers = gpu.upload(speakers, "speakers").address
    args.lengths = gpu.upload(np.array(lengths, np.int32), "lengths").address if given else 0
    for name, array in zip(("start", "end", "self", "other"), vars(crf).values(), strict=True):
        setattr(args, name, gpu.upload(array, name).address)
    blank = np.zeros((batch, utterances), np.int32)
    out, scores = gpu.empty(blank.shape, np.int32, "tags"), gpu.empty(batch, np.float32, "scores")
    back = gpu.empty((batch, utterances, tags, tags), np.uint8, "back")
    args.back, args.tags_out, args.scores = back.address, out.address, scores.address
    args.utterances, args.tags = utterances, tags
    counts = gpu.launch(code, "skip_crf", batch, 256, args)

    assert out.written.all() and scores.written.all()
    used = np.arange(utterances)[None] < np.clip(lengths, 0, utterances)[:, None]
    used[:, 0] = False  # nothing goes back from the first
    assert (kernels.written(back, np.zeros((batch, utterances, tags, tags), np.uint8)) == used[:, :, None, None]).all()
    for i, length in enumerate(np.clip(lengths, 0, utterances)):
        got, score = out.array()[i].tolist(), scores.array()[i]
        assert got[length:] == [-1] * (utterances - length)
        if length == 0:
            assert score == 0
            continue
        want, best = reference.viterbi(emissions[i, :length], speakers[i, :length], crf)
        np.testing.assert_allclose(score, best, rtol=1e-5)
        if whole or best == -np.inf:
            assert got[:length] == want
        else:
            reached = reference.score(np.array([got[:length]]), emissions[i, :length], speakers[i, :length], crf)[0]
            assert reached >= best - 1e-5 * length
    return counts


@pytest.mark.parametrize("architecture", kernels.ARCHITECTURES)
@pytest.mark.parametrize("voices", VOICES)
def test_voices(architecture, voices):
    code = kernels.program("skip_crf", architecture)
    check(code, voices=voices, lengths=(11, 0, 7, 1), seed=len(voices))
    check(code, voices=voices, lengths=(11,), whole=False, seed=len(voices))


@pytest.mark.parametrize("tags", [1, 2, 7, 8, 9, 31, 32])
def test_tags(tags):
    code = kernels.program("skip_crf")
    check(code, tags=tags, utterances=7, lengths=(7, 5), pad=3, seed=tags)
    check(code, tags=tags, utterances=7, lengths=(7,), given=False, whole=False, seed=tags)


def test_lengths_are_cut_and_padding_is_filled():
    """More utterances than a block has threads; lengths that lie."""
    check(kernels.program("skip_crf"), tags=2, utterances=300, lengths=(3, -1, 301), voices="many")


def test_forbidden_tags():
    code = kernels.program("skip_crf")
    check(code, tags=4, lengths=(11, 11, 11), forbidden=0.3, voices="many", seed=3)
    check(code, tags=2, lengths=(11, 4), forbidden=0.6, seed=4)  # soon nothing is allowed
    check(code, tags=3, lengths=(11,), forbidden=1.0)


def test_a_long_dialogue_keeps_its_digits():
    """Sums of float32 would be worth some 1e-4 by its end; what is kept off the table is added up in float64."""
    check(kernels.program("skip_crf"), tags=3, utterances=500, lengths=(500,), voices="many", whole=False)


FAULTS = [
    ("dropped barrier after the first table", "__syncthreads();  // the first table is there", ""),
    ("dropped barrier between tables", "__syncthreads();  // the next table is there", ""),
    ("one utterance too many", "for (int t = 1; t < length; ++t)", "for (int t = 1; t <= length; ++t)"),
    ("a tag too many", "const bool mine = lane < tags;", "const bool mine = lane <= tags;"),
    ("wrong stride between utterances", "emissions[t * a.row_step + lane]", "emissions[t * tags + lane]"),
    ("wrong stride between dialogues", "blockIdx.x * a.item_step", "blockIdx.x * a.row_step"),
    ("lengths not looked at", "a.lengths == nullptr ? a.utterances :", "a.utterances > 0 ? a.utterances :"),
    ("lengths not cut", "min(max(a.lengths[blockIdx.x], 0), a.utterances)", "a.lengths[blockIdx.x]"),
    ("Other left out", "if (!same) value += other[row * kPitch + lane];", ""),
    ("Other in a run too", "if (!same) value += other", "value += other"),
    ("Self for A-B-C-A", "changed && now == before", "changed"),
    ("no Self for A-B-A", "returns ? own + lane : nullptr", "nullptr"),
    ("Self on a first appearance", "!same && changed && now == before", "!same && (!changed || now == before)"),
    (
        "rows and columns swapped",
        "own[row * kPitch + lane] = a.self[row * tags + lane]",
        "own[row * kPitch + lane] = a.self[lane * tags + row]",
    ),
    ("of equal ones the last", "if (sum > best.value) best = {sum, r};", "if (sum >= best.value) best = {sum, r};"),
    ("of equal ends the highest tag", "its_tag < tag", "its_tag > tag"),
    ("end left out", "best.value += a.end[lane];", ""),
    ("what was taken off forgotten", "static_cast<float>(taken_off + best.value)", "best.value"),
    ("nothing taken off", "best.value - off", "best.value"),
    ("only one warp's top", "off = fmaxf(off, tops[(t - 1) % 2][i])", "off = tops[(t - 1) % 2][0]"),
    ("way back across a change of speakers", "if (speakers[t] == speakers[t - 1])", "if (true)"),
    ("first dialogue's way back for all", "a.back + first * tags * tags", "a.back"),
]


def test_seeded_faults():
    def every(code):
        check(code, tags=5, lengths=(11, 0, 7, 11), voices="many", pad=2, seed=1)
        check(code, tags=3, utterances=9, lengths=(9, -2, 12), voices="three", seed=2)
        check(code, tags=3, lengths=(11, 11), voices="two", forbidden=0.5, seed=5)

    kernels.assert_all_caught("skip_crf", FAULTS, every)

"""memory_top_k.cu in the interpreter against the reference of its CPU twin, to the last bit, and its seeded faults."""

import kernels
import memory_reference as reference
import numpy as np
import pytest
import structs

MOST = 32


def made(count, width, moods, queries=1, seed=0, twins=True):
    """Memories some of which are equal, the nearest among them, have no emotion, or are not finite."""
    rng = np.random.default_rng(seed)
    semantics, emotions = rng.normal(0, 1, (count, width)), rng.normal(0, 1, (count, moods))
    emotions[rng.uniform(size=count) < 0.2] = 0
    query = rng.normal(0, 1, (queries, width)), rng.normal(0, 1, (queries, moods))
    if count > 8 and twins:
        semantics[1], emotions[1] = query[0][0] + 0.1, query[1][0] + 0.1
        semantics[count // 2 :: 7], emotions[count // 2 :: 7] = semantics[1], emotions[1]
        semantics[count // 3], emotions[count // 4] = np.nan, np.inf
    return tuple(a.astype(np.float32) for a in (*query, semantics, emotions))


def padded(rows, apart):
    """Rows with `apart` numbers between them, which are not to be looked at."""
    return np.pad(rows, ((0, 0), (0, apart)), constant_values=np.nan)


def check(code, combination="C-A", count=70, width=37, moods=8, k=5, candidates=9, blocks=1, queries=1, allowed=None, apart=(0, 0), **data):
    """`allowed`: the share of rows, one mask a query; a tuple of one share: one mask for all."""
    semantic, emotion, semantics, emotions = made(count, width, moods, queries, **data)
    gpu, args = kernels.Gpu(), structs.MemoryTopKArgs()
    one_mask = isinstance(allowed, tuple)
    mask = None
    if allowed is not None:
        share = allowed[0] if one_mask else allowed
        mask = np.random.default_rng(count).uniform(size=(1 if one_mask else queries, count)) < share
        args.allowed, args.allowed_step = gpu.upload(mask.view(np.uint8), "allowed").address, 0 if one_mask else count
    reads_semantic, reads_emotional = combination != "emotional", combination != "semantic"
    if reads_semantic:
        args.semantic = gpu.upload(semantic, "semantic").address
        args.semantics = gpu.upload(padded(semantics, apart[0]), "semantics").address
        args.semantics_step = width + apart[0]
    if reads_emotional:
        args.emotion = gpu.upload(emotion, "emotion").address
        args.emotions = gpu.upload(padded(emotions, apart[1]), "emotions").address
        args.emotions_step = moods + apart[1]
    scratch = (queries, blocks, MOST)
    block_distances, block_rows = gpu.empty(scratch, np.float32, "block_distances"), gpu.empty(scratch, np.int32, "block_rows")
    distances, rows = gpu.empty((queries, k), np.float32, "distances"), gpu.empty((queries, k), np.int32, "rows")
    args.block_distances, args.block_rows, args.distances, args.rows = (b.address for b in (block_distances, block_rows, distances, rows))
    args.count, args.width, args.moods, args.blocks = count, width, moods, blocks
    args.combination = reference.COMBINATIONS.index(combination)
    args.k, args.candidates = k, candidates
    counts = gpu.launch(code, "memory_top_k", (blocks, queries), 256, args)
    merging = gpu.launch(code, "memory_top_k_merge", queries, 256, args)

    assert block_distances.written.all() and block_rows.written.all() and distances.written.all() and rows.written.all()
    for i in range(queries):
        of = None if mask is None else mask[0 if one_mask else i]
        want = reference.memory_top_k(semantic[i], emotion[i], semantics, emotions, combination, k, candidates, of)
        found = len(want[0])
        assert rows.array()[i].tolist() == want[0].tolist() + [-1] * (k - found)
        assert distances.array()[i, :found].tobytes() == want[1].tobytes()
        assert np.isposinf(distances.array()[i, found:]).all()
    return counts, merging


@pytest.mark.parametrize("architecture", kernels.ARCHITECTURES)
@pytest.mark.parametrize("combination", reference.COMBINATIONS)
def test_combinations(architecture, combination):
    code = kernels.program("memory_top_k", architecture)
    check(code, combination, allowed=0.8, apart=(3, 1))
    check(code, combination, count=33, blocks=2, queries=2, allowed=(0.9,))


@pytest.mark.parametrize("width", [1, 31, 32, 33, 97])
def test_widths(width):
    check(kernels.program("memory_top_k"), count=41, width=width, moods=width % 11 + 1, seed=width)


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 263])
def test_counts_and_blocks(count):
    code = kernels.program("memory_top_k")
    for blocks in (1, 2, 3):
        check(code, count=count, width=5, blocks=blocks, seed=count)


@pytest.mark.parametrize("k", [1, 31, 32])
@pytest.mark.parametrize("combination", ["C-M", "S-C", "S-S"])
def test_k(combination, k):
    code = kernels.program("memory_top_k")
    check(code, combination, k=k, candidates=32, count=50, width=9, moods=3)
    check(code, combination, k=k, candidates=3, count=50, width=9, moods=9, allowed=0.3)


def test_nothing_is_allowed():
    check(kernels.program("memory_top_k"), "S-S", allowed=0.0, blocks=2)


@pytest.mark.parametrize("moods", [1, 7, 8, 9, 17])
def test_moods(moods):
    check(kernels.program("memory_top_k"), "emotional", moods=moods, count=70, seed=moods)


def test_reads_each_row_once_and_of_the_forbidden_ones_nothing():
    code = kernels.program("memory_top_k")
    counts, _ = check(code, "semantic", count=64, width=64)
    # Rows, the query; what the block found.
    assert (counts.sectors_read, counts.sectors_written) == (64 * 64 * 4 // 32 + 64 * 4 // 32, 2 * MOST * 4 // 32)
    forbidden, _ = check(code, "semantic", count=64, width=64, allowed=(0.0,))
    assert forbidden.sectors_read == 64 // 32


FAULTS = [
    ("of equally near ones the last", "a.distance == b.distance && a.row < b.row", "a.distance == b.distance && a.row > b.row"),
    ("no order among equally near ones", " || (a.distance == b.distance && a.row < b.row)", ""),
    ("dropped barrier before merging warps", "  __syncthreads();\n  if (warp > 0) return;\n  for (int other", "  for (int other"),
    ("one warp's list left out", "for (int other = 1; other < kWarps; ++other)", "for (int other = 2; other < kWarps; ++other)"),
    ("a place too early", "if (lane > place) list = before;", "if (lane >= place) list = before;"),
    ("what was taken is offered again", "if (lane == from) offered = none();", "if (lane == from + 1) offered = none();"),
    ("limit one too low", "of_lane(list, k - 1)", "of_lane(list, k > 1 ? k - 2 : 0)"),
    ("fused multiply-add", "__fadd_rn(sums[r], __fmul_rn(difference, difference))", "fmaf(difference, difference, sums[r])"),
    ("a row too many", "first + lane < a.count && (", "first + lane <= a.count && ("),
    ("forbidden rows too", "a.allowed[query * a.allowed_step + row] != 0", "row >= 0"),
    ("one query's mask for all", "query * a.allowed_step + row", "row"),
    ("one query for all", "a.semantic + static_cast<long long>(query) * a.width", "a.semantic"),
    ("wrong stride of semantics", "* a.semantics_step;", "* a.width;"),
    ("wrong stride of emotions", "row * a.emotions_step", "row * a.moods"),
    ("an element too many", "at < a.width; at += 32", "at <= a.width; at += 32"),
    ("a mood too many", "at + i < moods", "at + i <= moods"),
    ("zeros have a direction", "if (square == 0) return 1.0f;", ""),
    ("opposite moods are near", "dot < 0 ? 1.0f + root : 1.0f - root", "1.0f - root"),
    ("product for the sum", "combination == kMemoryProduct ?", "combination == kMemorySum ?"),
    ("NaN stays", "return distance == distance ? distance : infinity();", "return distance;"),
    ("steps the wrong way round", "a.combination == kMemorySemanticFirst ? kMemoryEmotional : kMemorySemantic", "kMemorySemantic"),
    ("second step with the first one's k", "offer(list, again, a.k);", "offer(list, again, k - 1);"),
    ("candidates beyond the number", "const bool counts = lane < k && list.row != kNoRow;", "const bool counts = list.row != kNoRow;"),
    ("blocks share one place", "(static_cast<long long>(query) * a.blocks + blockIdx.x)", "(static_cast<long long>(query) * a.blocks)"),
    ("a block too few", "block < a.blocks; block += kWarps", "block + 1 < a.blocks; block += kWarps"),
    ("rows of a block again and again", "first < a.count; first += step", "first < a.count; first += 32LL * kWarps"),
]


def test_seeded_faults():
    def every(code):
        check(code, "C-A", count=70, width=37, queries=2, allowed=0.8, apart=(3, 1))
        check(code, "C-M", count=300, width=3, moods=9, blocks=2, k=32)
        check(code, "S-C", count=40, width=5, moods=5, allowed=(0.9,), k=4, candidates=4)
        check(code, "S-S", count=40, width=5, moods=5, k=9, candidates=5, seed=7)
        check(code, "S-C", count=300, width=3, moods=3, blocks=3, k=3, candidates=3, twins=False, seed=1)
        check(code, "C-A", count=20, width=97, k=32)

    kernels.assert_all_caught("memory_top_k", FAULTS, every)

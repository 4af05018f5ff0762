"""detection.cu in the interpreter against the reference of decode and suppression, and its seeded faults."""

import kernels
import numpy as np
import pytest
import reference
import structs

TO_SOURCE = (2.5, 0.1, -7.0, -0.2, 2.4, 3.0)
UNIT_PX = 0.75


def outputs(anchors, key_points, seed=0, faces=3, spread=6.0, above=0.03):
    """Scores and boxes as a network gives them: around some faces many anchors agree, most hold nothing."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(20, 200, (anchors, 2)).astype(np.float32)
    scores = rng.uniform(-9, -3, anchors)
    boxes = rng.normal(0, 30, (anchors, 4 + 2 * key_points))
    boxes[:, 2:4] = rng.uniform(20, 40, (anchors, 2))
    centres = rng.uniform(40, 180, (faces, 2))
    for i in rng.choice(anchors, max(1, int(anchors * above)), replace=False):
        scores[i] = rng.uniform(-1, 6)
        boxes[i, :2] = (centres[i % faces] + rng.normal(0, spread, 2) - places[i]) / UNIT_PX
    return scores.astype(np.float32), boxes.astype(np.float32), places


def check(code, data, limit=16, threshold=0.5, iou=0.3, anchors=None, score_clip=100.0):
    scores, boxes, places = data
    key_points = boxes.shape[1] // 2 - 2
    gpu, args = kernels.Gpu(), structs.DetectionArgs()
    args.scores, args.boxes = gpu.upload(scores, "scores").address, gpu.upload(boxes, "boxes").address
    args.anchors = gpu.upload(places, "anchors").address
    args.to_source = gpu.upload(np.array(TO_SOURCE, np.float32), "to_source").address
    blank = np.zeros((limit, 5 + 2 * key_points), np.float32)
    rows, status = gpu.empty(blank.shape, np.float32, "rows"), gpu.empty(2, np.int32, "status")
    args.rows, args.status = rows.address, status.address
    args.anchor_count, args.key_points, args.max_detections = len(scores), key_points, limit
    args.least_logit, args.score_clip = np.log(threshold / (1 - threshold)), score_clip
    args.iou_threshold, args.unit_px = iou, UNIT_PX
    counts = gpu.launch(code, "detection", 1, 512, args)

    with np.errstate(invalid="ignore"):
        candidates = reference.decode(np.clip(scores, -score_clip, score_clip), boxes, places.astype(np.float64), UNIT_PX, threshold)
    found, above = status.array()
    assert above == len(candidates)
    want = reference.weighted_nms(candidates, iou)[:limit] if len(candidates) <= 512 else candidates[:0]
    assert found == len(want)
    assert (kernels.written(rows, blank) == (np.arange(limit) < found)[:, None]).all(), "wrote other rows than it should"
    a, b, c, d, e, f = TO_SOURCE
    pairs = want[:, 1:].reshape(len(want), 2 + key_points, 2) - 0.5
    mapped = pairs @ np.array([[a, d], [b, e]]) + [c + 0.5, f + 0.5]
    got = rows.array()[:found]
    np.testing.assert_allclose(got[:, 0], want[:, 0], rtol=1e-5)
    np.testing.assert_allclose(got[:, 1:].reshape(mapped.shape), mapped, rtol=1e-5, atol=5e-3)
    return counts, got


@pytest.mark.parametrize("architecture", kernels.ARCHITECTURES)
@pytest.mark.parametrize(("anchors", "key_points"), [(1, 0), (37, 1), (896, 6), (3072, 6)])
def test_sizes(architecture, anchors, key_points):
    check(kernels.program("detection", architecture), outputs(anchors, key_points, seed=anchors))


@pytest.mark.parametrize("seed", range(6))
def test_overlaps(seed):
    code = kernels.program("detection")
    data = outputs(211, 6, seed, faces=1 + 2 * seed, spread=2.0 + 3 * seed, above=0.4)
    check(code, data, limit=12, iou=(0.0, 0.3, 1.0)[seed % 3])


def test_more_faces_than_rows():
    check(kernels.program("detection"), outputs(300, 6, faces=9, above=0.2), limit=2)
    check(kernels.program("detection"), outputs(300, 62, faces=9, above=0.2), limit=1)


def test_nothing_and_nonsense():
    """No anchor above the threshold; what is not finite, or has no size, is passed over."""
    code = kernels.program("detection")
    scores, boxes, places = outputs(97, 6, above=0.5)
    check(code, (np.full_like(scores, -20), boxes, places))
    scores[::7], boxes[1::7, 9], boxes[2::7, 3] = np.nan, np.inf, 0
    boxes[3::7, 2] = -5
    check(code, (scores, boxes, places))


def test_equal_scores_keep_the_order_of_anchors():
    scores, boxes, places = outputs(130, 2, faces=5, above=0.3)
    scores[scores > -2] = 200.0  # beyond the clip, all alike
    check(kernels.program("detection"), (scores, boxes, places), iou=0.6, score_clip=5.0)


@pytest.mark.parametrize("above", [512, 513, 700])
def test_full_and_overfull(above):
    """512 candidates fit; with one more, no row comes and the status says how many there were."""
    scores, boxes, places = outputs(900, 1, seed=1, faces=4)
    scores[:] = -9
    scores[:above] = np.random.default_rng(2).uniform(0.1, 4, above)
    check(kernels.program("detection"), (scores, boxes, places), limit=3, iou=0.1)


def test_reads_scores_once_and_boxes_of_candidates_only():
    data = outputs(896, 6, seed=896)
    counts, got = check(kernels.program("detection"), data)
    above = int((data[0] >= 0).sum())
    fewest = 896 * 4 // 32 + above * 2 + above + 1  # scores, boxes of 64 bytes, anchors, the map
    assert counts.sectors_read <= fewest + 1
    assert counts.bytes_written == got.nbytes + 8


FAULTS = [
    ("dropped barrier after the group", "__syncthreads();  // the group is known", ""),
    ("dropped barrier after the order", "__syncthreads();  // candidates are in order", ""),
    ("dropped barrier at the end of a round", "__syncthreads();  // the group is gone", ""),
    ("ties in any order", " && unsorted[i] < unsorted[me])", " && unsorted[i] > unsorted[me])"),
    ("no guard of the capacity", "if (at < kMaxCandidates) unsorted[at] = i;", "unsorted[at] = i;"),
    ("off by one in the capacity", "if (candidates > kMaxCandidates) {", "if (candidates > kMaxCandidates - 1) {"),
    ("best left in the running", "alive[warp] &= ~joined", "alive[warp] &= ~(joined << 1)"),
    ("wrong stride of boxes", "a.boxes + static_cast<long long>(anchor) * values;", "a.boxes + static_cast<long long>(anchor) * 4;"),
    ("swapped corners", "fminf(a.x1, b.x1) - fmaxf(a.x0, b.x0)", "fmaxf(a.x1, b.x1) - fminf(a.x0, b.x0)"),
    ("half a pixel", "x = x / weight - 0.5f;", "x = x / weight;"),
    ("not finite let through", "finite && box[2] > 0", "box[2] > 0"),
    ("mean not weighted", "y += score[member] * py;", "y += py;"),
]


def test_seeded_faults():
    full = outputs(600, 0, seed=1, faces=4)
    full[0][:] = np.random.default_rng(5).uniform(0.1, 4, 600)
    exact = tuple(part[:512] for part in full)
    ties = outputs(130, 2, faces=5, above=0.3)
    ties[0][ties[0] > -2] = 3.0
    broken = outputs(97, 6, above=0.5)
    broken[1][1::7, 9] = np.inf

    def every(code):
        check(code, outputs(150, 6, 4, faces=6, spread=9.0, above=0.5))
        check(code, ties, iou=0.6)
        check(code, broken)
        check(code, exact, limit=2)
        check(code, full, limit=2)

    kernels.assert_all_caught("detection", FAULTS, every)

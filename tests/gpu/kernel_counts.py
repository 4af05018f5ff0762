"""What each kernel moves and computes in a typical launch, against the fewest bytes and the operations that the formulas need.

`python tests/gpu/kernel_counts.py` writes csrc/ops/counts.json and the table in docs/kernels.md anew; test_kernel_counts.py compares. The
figures are of JetPack's PTX (NVRTC 12.6, compute_87).
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "ops")]

import kernels  # noqa: E402
import ptx  # noqa: E402
import test_kernel_affect as affect  # noqa: E402
import test_kernel_align as align  # noqa: E402
import test_kernel_detection as detection  # noqa: E402
import test_kernel_emotion_layernorm as emotion_layernorm  # noqa: E402
import test_kernel_masked_attention as masked_attention  # noqa: E402
import test_kernel_memory_top_k as memory_top_k  # noqa: E402
import test_kernel_sharpness as sharpness  # noqa: E402
import test_kernel_skip_crf as skip_crf  # noqa: E402
from image_launches import Launch  # noqa: E402

TABLE = kernels.OPS / "counts.json"
DOCS = kernels.ROOT / "docs/kernels.md"
MARKS = ("<!-- counts: begin -->", "<!-- counts: end -->")


@dataclass(frozen=True)
class Row:
    """`moved_bytes` in whole sectors of 32 bytes, each once. `needed_operations` is null where a launch is bound by its latency alone."""

    kernel: str
    launch: str
    moved_bytes: int
    fewest_bytes: int
    cached_bytes: int  # what warps ask for, sector by sector: the caches serve the difference
    float_operations: int
    needed_operations: int | None


def row(kernel: str, launch: str, counts: ptx.Counts, fewest_bytes: int, needed: int | None) -> Row:
    moved = 32 * (counts.sectors_read + counts.sectors_written)
    cached = 32 * (counts.transactions_read + counts.transactions_written)
    return Row(kernel, launch, moved, fewest_bytes, cached, counts.float_operations, needed)


def sectors(*sizes_bytes: int) -> int:
    """Bytes of arrays in whole sectors."""
    return sum(-(-size // 32) * 32 for size in sizes_bytes)


def measure() -> list[Row]:
    """Some ten seconds. A fused multiply-add counts as two."""
    rows = []
    code = kernels.program("image_to_tensor")
    scale = 160 / 96
    whole = Launch("nv12", (120, 160), ((scale, 0.0, scale / 2 - 0.5, 0.0, scale, scale / 2 - 0.5),), (72, 96), "f32")
    # Of a pixel: its place 8, nine interpolations of 3, YUV to RGB 14, normalising 6.
    rows.append(row("image_to_tensor_f32", "NV12 160x120 to 96x72 RGB", whole.check(code), 32 * whole.fewest_sectors(), 72 * 96 * 55))
    turned = tuple((0.8, 0.05, 6.0 + 30 * i, -0.05, 0.8, 20.0) for i in range(4))
    crops = Launch("rgb8", (120, 160), turned, (48, 48), "f16", tensor_color="gray")
    rows.append(
        row("image_to_tensor_f16", "4 crops of RGB to 48x48 gray", crops.check(code), 32 * crops.fewest_sectors(), 4 * 48 * 48 * 42)
    )

    counts = sharpness.check(kernels.program("sharpness"), size=(48, 48), slots=4)
    rows.append(row("sharpness_f32", "4 tensors 48x48 gray", counts, sectors(4 * 48 * 48 * 4, 16), 4 * 46 * 46 * 11))

    data = detection.outputs(896, 6, seed=896)
    counts, got = detection.check(kernels.program("detection"), data)
    above = int((data[0] >= 0).sum())
    fewest = sectors(896 * 4, got.nbytes, 8, 24) + above * (64 + 32)
    rows.append(row("detection", f"896 anchors, {above} candidates, {len(got)} faces", counts, fewest, None))

    faces = align.detections(16, 6)
    counts = align.check_box(kernels.program("align"), faces, 16)
    rows.append(row("align_box", "16 faces", counts, sectors(faces.nbytes, 4, 16 * 24), None))
    counts = align.check_points(kernels.program("align"), faces, 16, (0, 1, 2, 3, 4, 5))
    rows.append(row("align_points", "16 faces, 6 points", counts, sectors(faces.nbytes, 4, 16 * 24), None))

    counts = affect.check(kernels.program("affect"), faces=16, labels=7, steps=1, seed=5)
    # Values and both results; ratings; tracks; a sector of each face's row; sharpness, faces, readings.
    fewest = sectors(3 * 16 * 28, 3 * 28, 18 * 28, 18 * 16) + 16 * 32 + sectors(64, 16 * 16, 16 * 24)
    rows.append(row("affect", "16 faces, 7 labels", counts, fewest, None))

    tokens, width, emotions = 32, 384, 7
    for kind, size in (("f32", 4), ("f16", 2)):
        counts = emotion_layernorm.check(kernels.program("emotion_layernorm"), kind, 1, tokens, width, emotions)
        fewest = sectors(*[tokens * width * size] * 2, emotions * size, emotions * width * size, width * size, width * size)
        # Of an element: adding the mix and up to the mean 2, up to the variance 3, normalising 4; the mix once.
        needed = tokens * width * 9 + 2 * emotions * width
        rows.append(row(f"emotion_layernorm_{kind}", f"{tokens} tokens of {width}, {emotions} emotions", counts, fewest, needed))

    heads, tokens, width = 2, 64, 64
    for kind, size in (("f32", 4), ("f16", 2)):
        counts = masked_attention.check(kernels.program("masked_attention"), kind, 1, heads, tokens, width, width, masked=False)
        fewest = sectors(*[heads * tokens * width * size] * 5, tokens * 8)
        needed = heads * tokens * tokens * (2 * width + 2 * width + 3)
        rows.append(row(f"masked_attention_{kind}", f"{heads} heads, {tokens} tokens of {width}", counts, fewest, needed))

    memories, width, moods, blocks, k = 256, 384, 8, 2, 10
    counts, merging = memory_top_k.check(kernels.program("memory_top_k"), count=memories, width=width, moods=moods, k=k, blocks=blocks)
    lists = [blocks * memory_top_k.MOST * 4] * 2
    fewest = sectors(memories * width * 4, memories * moods * 4, width * 4, moods * 4, *lists)
    # Of a memory: a difference, a square and a sum an element; two products and sums an emotion; roots and the rest.
    needed = memories * (3 * width + 4 * moods + 10)
    rows.append(row("memory_top_k", f"C-A, {memories} memories of {width}", counts, fewest, needed))
    rows.append(row("memory_top_k_merge", f"{blocks} blocks, k = {k}", merging, sectors(*lists, k * 4, k * 4), None))

    for dialogues, utterances, tags in ((4, 32, 7), (2, 24, 28)):
        options = {"tags": tags, "utterances": utterances, "lengths": (utterances,) * dialogues, "whole": False, "given": False}
        counts = skip_crf.check(kernels.program("skip_crf"), **options)
        said, table = dialogues * utterances, 4 * tags * tags
        # Emissions, speakers and tags; scores; weights; the way back, of which a sector an utterance is read again.
        fewest = sectors(said * tags * 4, said * 8, said * 4, dialogues * 4, 4 * tags, 4 * tags, table, table, said * tags * tags)
        fewest += 32 * dialogues * (utterances - 1)
        # An addition for each state and next tag; with few tags what all threads do to find the greatest is more, and latency most.
        needed = dialogues * (utterances - 1) * tags**3 if tags > 16 else None
        rows.append(row("skip_crf", f"{dialogues} dialogues of {utterances} utterances, {tags} tags", counts, fewest, needed))
    return rows


def markdown(rows: list[Row]) -> str:
    lines = [
        "| kernel | launch | bytes moved | fewest | ratio | bytes asked of the caches | float operations | needed | operations a byte |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        ratio, intensity = r.moved_bytes / r.fewest_bytes, r.float_operations / r.moved_bytes
        needed = "-" if r.needed_operations is None else str(r.needed_operations)
        cells = [r.kernel, r.launch, str(r.moved_bytes), str(r.fewest_bytes), f"{ratio:.3f}", str(r.cached_bytes), str(r.float_operations)]
        lines.append("| " + " | ".join([*cells, needed, f"{intensity:.1f}"]) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    rows = measure()
    TABLE.write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n")
    before, _, rest = DOCS.read_text().partition(MARKS[0])
    DOCS.write_text(f"{before}{MARKS[0]}\n{markdown(rows)}{MARKS[1]}{rest.partition(MARKS[1])[2]}")


if __name__ == "__main__":
    main()

"""A 640x480 frame with one face, detector + alignment + expression, one thread: against raw sessions of its networks, and against fer.

pip install onnxruntime scikit-image "opencv-python-headless<5"
pip install tensorflow-cpu "moviepy<2" matplotlib pandas requests tqdm ffmpeg-python && pip install --no-deps fer==25.10.3   # for fer
python benchmarks/face_pipeline.py [--no-fer]
"""

from __future__ import annotations

import os
import statistics
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from measure import median_difference, median_ratio, report, take_turns, unset_blas_overrides

unset_blas_overrides()

import affectrt as art  # noqa: E402
import numpy as np  # noqa: E402
import onnxruntime as ort  # noqa: E402
from affectrt.packs import DEFAULTS  # noqa: E402
from skimage import data  # noqa: E402
from skimage.transform import resize  # noqa: E402

PAIRS = 9


def raw_session(pack: art.Pack):
    """The network alone, inputs bound once, one thread, no spinning: nothing but ONNX Runtime is in it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(pack.variant().path), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for spec in session.get_inputs():
        shape = [1 if isinstance(extent, str) or extent is None else extent for extent in spec.shape]
        binding.bind_cpu_input(spec.name, np.zeros(shape, np.float32))
    for spec in session.get_outputs():
        binding.bind_output(spec.name)
    return lambda: session.run_with_iobinding(binding)


def one_pair(frame, turn: int) -> tuple[float, float, float]:
    """Ours and the raw sessions, opened afresh: where their weights happen to lie in memory moves either by several percent.

    Returns the medians of both in ms, and of their difference.
    """
    packs = [art.open_pack(DEFAULTS[task]) for task in ("face-detection", "face-expression")]
    sessions = [] if turn % 2 else [raw_session(pack) for pack in packs]
    face = art.Face(color="bgr8", threads=1)
    sessions = sessions or [raw_session(pack) for pack in packs]
    seen = face(frame, 0)
    if len(seen) != 1 or seen[0].label != "happy":
        raise SystemExit(f"expected one happy face, got {[f.label for f in seen]}")
    medians = take_turns({"ours": lambda: face(frame, 0), "raw": lambda: [run() for run in sessions]}, rounds=15, repeats=20)
    return statistics.median(medians["ours"]), statistics.median(medians["raw"]), median_difference(medians, "ours", "raw")


def main() -> int:
    # The astronaut on a 640x480 frame: one face, about 85 px high.
    frame = np.full((480, 640, 3), 128, np.uint8)
    frame[35:445, 115:525] = (resize(data.astronaut(), (410, 410), anti_aliasing=True) * 255).astype(np.uint8)
    frame = np.ascontiguousarray(frame[..., ::-1])

    pairs = [one_pair(frame, turn) for turn in range(PAIRS)]
    ours_ms, raw_ms, above_ms = (statistics.median(values) for values in zip(*pairs, strict=True))
    figures = {"ours_ms": ours_ms, "raw_sessions_ms": raw_ms, "above_raw_ms": above_ms, "pairs": PAIRS}
    bounds = {"above_raw_ms": ("<=", 0.25)}
    face = art.Face(color="bgr8", threads=1)
    if "--no-fer" not in sys.argv:
        import cv2
        from fer.fer import FER

        cv2.setNumThreads(1)  # one thread each
        fer = FER()
        if not fer.detect_emotions(frame):
            raise SystemExit("fer found no face in the frame: nothing to compare")
        both = take_turns({"ours": lambda: face(frame, 0), "fer": lambda: fer.detect_emotions(frame)}, rounds=7, repeats=7)
        cv2.setNumThreads(os.cpu_count() or 1)
        free = take_turns({"ours": lambda: face(frame, 0), "fer": lambda: fer.detect_emotions(frame)}, rounds=7, repeats=7)
        figures["times_faster_than_fer_on_all_cores"] = median_ratio(free, "fer", "ours")
        figures |= {"fer_ms": statistics.median(both["fer"]), "times_faster_than_fer": median_ratio(both, "fer", "ours")}
        bounds["times_faster_than_fer"] = (">=", 20.0)
    return report("face_pipeline", figures, bounds)


if __name__ == "__main__":
    sys.exit(main())

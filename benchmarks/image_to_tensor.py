"""image_to_tensor against the same work in OpenCV: resize + cvtColor + float normalise + transpose, on one thread.

pip install "opencv-python-headless<5" scikit-image
python benchmarks/image_to_tensor.py
"""

from __future__ import annotations

import sys

from measure import median_ratio, report, take_turns, unset_blas_overrides

unset_blas_overrides()

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from affectrt import _core  # noqa: E402
from skimage import data  # noqa: E402

cv2.setNumThreads(1)

CASES = {"frame": ((0, 0, 640, 480), (256, 192)), "face": ((200, 120, 440, 360), (112, 112)), "mesh": ((180, 100, 460, 380), (256, 256))}


def main() -> int:
    frame = cv2.cvtColor(cv2.resize(data.astronaut(), (640, 480)), cv2.COLOR_RGB2BGR)
    mean, scale = np.array([127.5] * 3, np.float32), np.float32(1 / 127.5)
    figures: dict[str, float] = {}
    for name, ((x0, y0, x1, y1), (width, height)) in CASES.items():
        step_x, step_y = (x1 - x0) / width, (y1 - y0) / height
        to_source = (step_x, 0.0, x0 + 0.5 * step_x - 0.5, 0.0, step_y, y0 + 0.5 * step_y - 0.5)

        def ours(to_source=to_source, width=width, height=height):
            return _core.image_to_tensor(
                frame, "bgr8", to_source=to_source, width=width, height=height, mean=[127.5] * 3, scale=[1 / 127.5] * 3, pad_value=[0, 0, 0]
            )

        def theirs(x0=x0, y0=y0, x1=x1, y1=y1, width=width, height=height):
            small = cv2.cvtColor(cv2.resize(frame[y0:y1, x0:x1], (width, height), interpolation=cv2.INTER_LINEAR), cv2.COLOR_BGR2RGB)
            return np.ascontiguousarray(((small.astype(np.float32) - mean) * scale).transpose(2, 0, 1))

        difference = float(np.abs(ours() - theirs()).max() * 127.5)
        # OpenCV rounds to whole pixel values in between; more than that would be another picture. At the border of a crop the two differ by
        # design: ours sees beyond it.
        inner = np.abs(ours() - theirs())[:, 2:-2, 2:-2].max() * 127.5
        if inner > 1.5:
            raise SystemExit(f"{name}: the two differ by {inner:.2f} of 255 inside the crop, {difference:.2f} in all")
        medians = take_turns({"ours": ours, "opencv": theirs}, rounds=21, repeats=40)
        figures[f"{name}_ms"] = sorted(medians["ours"])[len(medians["ours"]) // 2]
        figures[f"{name}_opencv_ms"] = sorted(medians["opencv"])[len(medians["opencv"]) // 2]
        figures[f"{name}_times_faster"] = median_ratio(medians, "opencv", "ours")
    figures["times_faster_least"] = min(v for k, v in figures.items() if k.endswith("times_faster"))
    return report("image_to_tensor", figures, {"times_faster_least": (">=", 2.0)})


if __name__ == "__main__":
    sys.exit(main())

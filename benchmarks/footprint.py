"""What affectrt costs a process: import, cold start to the first face result, memory of face + text. Fresh processes, medians.

pip install scikit-image
python benchmarks/footprint.py
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import report

IMPORT = """
import time; start = time.perf_counter()
import affectrt
print(time.perf_counter() - start)
"""

# The frame's bytes are read before the clock starts: reading pictures is not affectrt's part. All else is in it, importing NumPy included.
COLD = """
import sys, time
with open(sys.argv[1], "rb") as file: pixels = file.read()
height, width = int(sys.argv[2]), int(sys.argv[3])
start = time.perf_counter()
import numpy as np
frame = np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
import affectrt as art
faces = art.Face(color="rgb8")(frame, 0)
assert len(faces) == 1 and faces[0].label == "happy", faces
print(time.perf_counter() - start)
"""

MEMORY = """
import sys, numpy as np
import affectrt as art
height, width = int(sys.argv[2]), int(sys.argv[3])
frame = np.fromfile(sys.argv[1], np.uint8).reshape(height, width, 3)
face, text = art.Face(color="rgb8"), art.TextEmotion()
for i in range(20):
    assert face(frame, i * 33_000_000) and text("I finally passed the exam!").label
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(int(status["VmRSS"].split()[0]) / 1024, int(status["VmHWM"].split()[0]) / 1024)
"""


def run(code: str, *arguments: str) -> list[float]:
    output = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True).stdout
    return [float(word) for word in output.split()]


def main() -> int:
    from skimage import data

    with tempfile.TemporaryDirectory() as folder:
        pixels = data.astronaut()
        file = Path(folder) / "frame.rgb"
        file.write_bytes(pixels.tobytes())
        frame = (str(file), str(pixels.shape[0]), str(pixels.shape[1]))
        run(COLD, *frame)  # the first touches the disk
        imports = [run(IMPORT)[0] for _ in range(11)]
        cold = [run(COLD, *frame)[0] for _ in range(11)]
        resident, peak = zip(*(run(MEMORY, *frame) for _ in range(3)), strict=True)
    figures = {
        "import_s": statistics.median(imports),
        "cold_start_to_first_face_s": statistics.median(cold),
        "face_and_text_resident_mib": statistics.median(resident),
        "face_and_text_peak_mib": statistics.median(peak),
        "import_samples_s": json.dumps([round(v, 3) for v in imports]),
    }
    return report(
        "footprint",
        figures,
        {"import_s": ("<=", 0.2), "cold_start_to_first_face_s": ("<=", 0.7), "face_and_text_resident_mib": ("<=", 200)},
    )


if __name__ == "__main__":
    sys.exit(main())

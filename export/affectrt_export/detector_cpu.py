"""CPU time of the face detectors on one thread, converted straight from TFLite and with whole blocks of channels.

python -m affectrt_export.detector_cpu
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from affectrt_export import photos, reference
from affectrt_export.fetch import default_cache
from affectrt_export.recipes import face_detection
from affectrt_export.runner import Onnx

RUNS = 5


def cpu_ms(networks: dict[str, tuple[Onnx, reference.F32]], rounds: int) -> dict[str, float]:
    """Least CPU time of the process per run, in ms, by name; the networks take turns, so that a busy machine is unfair to none."""
    times: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(rounds):
        for name, (network, value) in networks.items():
            network({"image": value})
            start = time.process_time_ns()
            for _ in range(RUNS):
                network({"image": value})
            times[name].append((time.process_time_ns() - start) / RUNS / 1e6)
    return {name: min(values) for name, values in times.items()}


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder for downloaded packages")
    parser.add_argument("--rounds", type=int, default=30, help="how often each network gets its turn")
    options = parser.parse_args()
    networks = {}
    for spec in (face_detection.FULL, face_detection.SHORT):
        value = np.asarray(reference.image_tensor(photos.astronaut(), "rgb8", face_detection.contract(spec)))
        for how, whole_blocks in (("direct", False), ("blocks", True)):
            networks[f"{spec.name} {how}"] = (Onnx(face_detection.model(spec, options.cache, whole_blocks=whole_blocks)), value)
    result = cpu_ms(networks, options.rounds)
    first = next(iter(result.values()))
    for name, ms in result.items():
        print(f"{name:32} {ms:6.2f} ms CPU  {ms / first:.3f}")


if __name__ == "__main__":
    main()

"""Compares two files of probe.py: `python compare.py HERE.npz THERE.npz`. Exit code 1 if any value is further off than it may be."""

from __future__ import annotations

import sys

import numpy as np

# Greatest absolute difference by what the value is. Both processors compute in float32 but sum in another order.
TOLERANCE = {
    "count": 0.0,
    "box": 1e-3,  # pixels of the frame
    "key_points": 1e-3,
    "landmarks": 5e-3,  # pixels; the crop follows the box, so its difference adds up
    "raw_probs": 1e-4,
    "blendshapes": 1e-4,
    "text.fp32.probs": 1e-4,
    # Measured 5e-7. Room for a float that differs in its last bit and is rounded to the next of the 255 steps of an int8 activation.
    "text.int8.probs": 1e-3,
}


def tolerance(name: str) -> float:
    for ending, limit in TOLERANCE.items():
        if name.endswith(ending):
            return limit
    raise SystemExit(f"{name}: compare.py states no tolerance for it")


def main() -> int:
    here, there = (np.load(path, allow_pickle=False) for path in sys.argv[1:3])
    if set(here.files) != set(there.files):
        print(f"different results: only here {set(here.files) - set(there.files)}, only there {set(there.files) - set(here.files)}")
        return 1
    names = sorted(name for name in here.files if name != "machine")
    if not any(name.endswith("raw_probs") for name in names):
        print("no face was found in any golden picture: nothing compared")
        return 1
    failed = 0
    print(f"{'value':44} {'shape':>14} {'greatest difference':>20} {'allowed':>9}   ({here['machine']} and {there['machine']})")
    for name in names:
        a, b = here[name], there[name]
        off = float(np.abs(a.astype(np.float64) - b).max()) if a.shape == b.shape else float("inf")
        bad = not off <= tolerance(name)
        failed += bad
        print(f"{name:44} {a.shape!s:>14} {off:20.2e} {tolerance(name):9.0e}{'   TOO FAR' if bad else ''}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())

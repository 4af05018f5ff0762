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
    "fp32.raw_probs": 1e-4,
    "blendshapes": 1e-4,
    "text.fp32.probs": 1e-4,
    # Activations are rounded to 255 steps; a float that differs in its last bit may be rounded to the next one, and six layers carry that
    # on. This is a property of the network, not of the processor: noise of 1e-7 in its float weights moves the third sentence by the same
    # 0.060 on x86-64 alone (six seeds). So a sentence may be off by this much if it keeps its label, but most must agree closely.
    "text.int8.probs": 0.1,
    # The same of the face's network: noise of 1e-7 in its input moves 600 pictures by 0.012 in the middle and 0.105 at most on x86-64.
    "int8.raw_probs": 0.1,
}


def tolerance(name: str) -> float:
    for ending, limit in TOLERANCE.items():
        if name.endswith(ending):
            return limit
    raise SystemExit(f"{name}: compare.py states no tolerance for it")


def flips(name: str, a: np.ndarray, b: np.ndarray) -> list[str]:
    """What else is wrong with quantised probabilities (N, C), which may be off now and then but not as a rule."""
    if ".int8." not in name:
        return []
    off = np.abs(a - b).max(axis=1)
    wrong = []
    if (a.argmax(axis=1) != b.argmax(axis=1)).any():
        wrong.append("the strongest label differs")
    if name.startswith("text.") and np.mean(off < 1e-4) < 0.5:
        wrong.append(f"only {np.mean(off < 1e-4):.0%} of the rows agree within 1e-4, expected half or more")
    return wrong


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
        wrong = [] if off <= tolerance(name) else ["TOO FAR"]
        if a.shape == b.shape:
            wrong += flips(name, a, b)
        failed += bool(wrong)
        print(f"{name:44} {a.shape!s:>14} {off:20.2e} {tolerance(name):9.0e}   {'; '.join(wrong)}".rstrip())
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())

"""SkipCRF decoding against the same dynamic program in NumPy (tests/ops/skip_crf_reference.py), on one thread; and what an utterance costs.
Times are the processor's, not the wall's.

python benchmarks/skip_crf.py
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from affectrt import _core
from measure import median_ratio, report, take_turns

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests/ops"))

import skip_crf_reference as reference

# Dialogues, utterances, tags; three speakers, who now and then go on speaking.
CASES = {"ekman": (16, 30, 7), "goemotions": (4, 30, 28), "long": (1, 1000, 7)}


def main() -> int:
    figures: dict[str, float] = {}
    for name, (batch, utterances, tags) in CASES.items():
        rng = np.random.default_rng(tags)
        crf = reference.Crf.random(tags, rng)
        weights = vars(crf)
        emissions = rng.normal(0, 2, (batch, utterances, tags)).astype(np.float32)
        speakers = rng.integers(0, 3, (batch, utterances))

        def ours(emissions=emissions, speakers=speakers, weights=weights):
            return _core.skip_crf_decode(emissions, speakers, **weights)

        def numpy(emissions=emissions, speakers=speakers, crf=crf):
            return [reference.viterbi(*dialogue, crf) for dialogue in zip(emissions, speakers, strict=True)]

        def marginals(emissions=emissions, speakers=speakers, weights=weights):
            return _core.skip_crf_marginals(emissions, speakers, **weights)

        def stream(emissions=emissions, speakers=speakers, weights=weights):
            one = _core.SkipCrfStream(**weights)
            for row, speaker in zip(emissions[0], speakers[0], strict=True):
                one.push(row, int(speaker))

        tags_ours, scores = ours()
        if [(row.tolist(), score) for row, score in zip(tags_ours, scores, strict=True)] != numpy():
            raise SystemExit(f"{name}: the two decode different sequences")
        medians = take_turns(
            {"ours": ours, "numpy": numpy, "marginals": marginals, "stream": stream},
            rounds=15,
            repeats=3,
            warmup=2,
            clock_ns=time.process_time_ns,
        )
        for subject, said in (
            ("ours", batch * utterances),
            ("numpy", batch * utterances),
            ("marginals", batch * utterances),
            ("stream", utterances),
        ):
            figures[f"{name}_{subject}_us_an_utterance"] = sorted(medians[subject])[len(medians[subject]) // 2] * 1e3 / said
        figures[f"{name}_times_faster"] = median_ratio(medians, "numpy", "ours")
    figures["times_faster_least"] = min(v for k, v in figures.items() if k.endswith("times_faster"))
    return report("skip_crf", figures, {"times_faster_least": (">=", 2.0)})


if __name__ == "__main__":
    sys.exit(main())

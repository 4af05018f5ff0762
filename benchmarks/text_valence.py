"""Valence of the text pack against what people said: 23,703 tweets and snippets of reviews and editorials (Hutto and Gilbert, 2014).

pip download --no-deps --no-binary :all: vaderSentiment==3.3.2 && tar xzf vaderSentiment-3.3.2.tar.gz
tar xzf vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz
python benchmarks/text_valence.py hutto_ICWSM_2014
"""

from __future__ import annotations

import sys
from pathlib import Path

import affectrt as art
import numpy as np
from measure import report

BOUNDS = {"tweets_pearson": (">=", 0.75)}
"""What the first run gave, rounded down: a text pack below it has lost valence."""


def ratings(path: Path) -> tuple[list[str], np.ndarray]:
    """Texts, and their mean ratings (N,) from -4 to 4."""
    rows = [line.split("\t") for line in path.read_text("utf-8", "replace").splitlines() if line.count("\t") >= 2]
    return [row[2] for row in rows], np.array([float(row[1]) for row in rows])


def main() -> int:
    text = art.TextEmotion(threads=1)
    figures: dict[str, float] = {}
    for path in sorted(Path(sys.argv[1]).glob("*_GroundTruth.txt")):
        name = path.name.removesuffix("_GroundTruth.txt")
        texts, rated = ratings(path)
        said = np.array([one.valence for one in text(texts)])
        clear = np.abs(rated) > 1
        figures[f"{name}_texts"] = len(texts)
        figures[f"{name}_pearson"] = float(np.corrcoef(said, rated)[0, 1])
        figures[f"{name}_same_sign_where_rated_over_1"] = float((np.sign(said) == np.sign(rated))[clear].mean())
    return report("text_valence", figures, BOUNDS)


if __name__ == "__main__":
    sys.exit(main())

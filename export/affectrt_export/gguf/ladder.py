"""The rungs of a ladder: what was measured of each variant, whether it may be published, and which is the best on this machine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from affectrt_export.gguf.files import Census
from affectrt_export.gguf.perplexity import Score
from affectrt_export.gguf.speed import Speed
from affectrt_export.report.record import PUBLISHED, REFUSED, REPAIRED, Figure, Variant
from affectrt_export.spec import Finding, Layer, Repair

PRECISIONS: Mapping[str, str] = {"f32": "fp32", "f16": "fp16"}
"""What the pack format calls a variant, where it has another word."""


@dataclass(frozen=True)
class Limits:
    """What a variant must keep to. None: a gate that the user has switched off; the report says so."""

    perplexity_ratio: float | None = 1.05
    """Perplexity on the user's text over the best source's."""
    kl_mean: float | None = 0.1
    """Nats a token from the best source."""
    latency_ratio: float | None = 1.0
    """Time of a turn of a conversation over the source's on this machine."""
    size_ratio: float | None = 1.0
    """Size over the source's."""
    parity_max: float | None = 0.05
    """Largest difference of a logit to transformers', in standard deviations of the logits. A bf16 file rounds activations too."""
    parity_cosine: float | None = 0.999
    """Least cosine of a position's logits."""


@dataclass(frozen=True)
class Rung:
    """One variant."""

    name: str
    path: Path
    """Of its file, kept or refused."""
    census: Census
    sha256: str
    score: Score | None
    """None where no text was given."""
    speed: Speed | None = None
    findings: Sequence[Finding] = ()
    repairs: Sequence[Repair] = ()
    sensitivity: Sequence[Layer] = ()

    @property
    def passed(self) -> bool:
        """Whether it may be published."""
        return all(finding.passed for finding in self.findings)

    def variant(self, parent: str, size_ratio: float | None, data: str) -> Variant:
        """As the report writes it."""
        figures = [Figure("bits_per_weight", self.census.bits, "", "bits", self.census.words())]
        if (score := self.score) is not None:
            within = f"standard error {score.perplexity_error:.2g}, {score.tokens} tokens"
            figures += [
                Figure("perplexity", score.perplexity, data, "", within),
                Figure("perplexity_ratio", score.ratio, data, "", f"standard error {score.ratio_error:.2g}"),
                Figure("kl_mean", score.kl_mean, data, "nats a token", f"standard error {score.kl_error:.2g}"),
                Figure("kl_p99", score.kl_p99, data, "nats a token"),
                Figure("same_top", score.same_top, data, "", "share of the tokens whose likeliest successor is the same"),
            ]
        if (speed := self.speed) is not None:
            how = f"{speed.threads} threads, median of {speed.rounds} rounds in turn with the others"
            figures += [
                Figure("prompt_tok_s", speed.prompt_tok_s, "", "tokens/s", how),
                Figure("decode_tok_s", speed.decode_tok_s, "", "tokens/s", how),
                Figure("turn_ms", speed.turn_ms, "", "ms", how),
                Figure("turn_cpu_ms", speed.turn_cpu_ms, "", "ms", f"processor time, {how}"),
                Figure("turn_ratio", speed.turn_ratio, "", "", f"processor time over that of {parent} in the same round, median"),
            ]
        return Variant(
            name=self.name,
            precision=PRECISIONS.get(self.name, self.name),
            parent=parent,
            status=REFUSED if not self.passed else REPAIRED if self.repairs else PUBLISHED,
            size_bytes=self.census.size_bytes,
            sha256=self.sha256 if self.passed else "",
            findings=tuple(self.findings),
            repairs=tuple(self.repairs),
            sensitivity=tuple(self.sensitivity),
            latency_ratio=None if self.speed is None else self.speed.turn_ratio,
            size_ratio=size_ratio,
            figures=tuple(figures),
        )


def judge_quality(score: Score | None, limits: Limits) -> list[Finding]:
    """The gates on what a variant predicts."""
    if score is None:
        return []
    kl = f"{100 * score.same_top:.1f}% of the likeliest tokens are the source's; one token in a hundred is over {score.kl_p99:.2g}"
    return [
        _at_most("perplexity", score.ratio, limits.perplexity_ratio, f"{score.perplexity:.2f} over the source's, on {score.tokens} tokens"),
        _at_most("divergence", score.kl_mean, limits.kl_mean, kl),
    ]


def judge_cost(size_ratio: float, turn_ratio: float, limits: Limits, parent: str) -> list[Finding]:
    """The gates on what it costs, against its parent."""
    return [
        _at_most("size", size_ratio, limits.size_ratio, f"over {parent}"),
        _at_most("latency", turn_ratio, limits.latency_ratio, f"processor time of a turn over {parent}'s, measured in turn"),
    ]


def _at_most(gate: str, value: float, bound: float | None, detail: str) -> Finding:
    return Finding(gate, bound is None or (math.isfinite(value) and value <= bound), value, bound, detail)


def choose(rungs: Sequence[Rung], *, close: float = 0.03) -> Rung | None:
    """The one to run on this machine: the fastest of those that passed; of those within `close` of its time, the one nearest to the source.

    None where none passed or none was timed.
    """
    timed = [(rung, rung.speed) for rung in rungs if rung.passed and rung.speed is not None]
    if not timed:
        return None
    best = min(speed.turn_ratio for _, speed in timed)
    near = [rung for rung, speed in timed if speed.turn_ratio <= best * (1 + close)]
    return min(near, key=lambda rung: (rung.score.kl_mean if rung.score else 0.0, rung.census.size_bytes))

"""Makes and measures the rungs of a ladder. Every file and figure is kept in the job's folder, under a key of what went into it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from affectrt_export.gguf import imatrix, perplexity, quantise, speed
from affectrt_export.gguf.files import census, sha256
from affectrt_export.gguf.ladder import Limits, Rung, judge_cost, judge_quality
from affectrt_export.gguf.origin import Origin
from affectrt_export.gguf.perplexity import Reference, Score
from affectrt_export.gguf.repair import repair
from affectrt_export.gguf.text import Text
from affectrt_export.job import Job, digest
from affectrt_export.spec import Finding, Progress

PARENT = "source"
_REPAIR_CHUNKS = 2


@dataclass(frozen=True)
class Measuring:
    """How a ladder is measured."""

    limits: Limits = field(default_factory=Limits)
    importance: bool = True
    """Weigh by an importance matrix of the text."""
    context_tokens: int = 512
    calibration_chunks: int = 64
    """Windows of `context_tokens` for the importance matrix, at most."""
    chunks: int = 32
    """Windows that judge, at most."""
    threads: int = 0
    """0: as many as the runtime takes."""
    turn: speed.Turn = field(default_factory=speed.Turn)
    rounds: int = 5
    """Of the measurement of speed."""
    repair: bool = True
    """Keep what suffers most in higher precision, where a variant predicts too badly."""
    allow_requantise: bool = False
    """The source may be a GGUF file that is quantised already."""


class Ladder:
    """One source, one text, any number of rungs."""

    def __init__(self, origin: Origin, key: str, text: Text | None, how: Measuring, job: Job, progress: Progress | None) -> None:
        """key: 64 hex digits of all that the source is made of."""
        self.origin, self.key, self.text, self.how, self.job, self.progress = origin, key, text, how, job, progress
        self.notes: list[str] = []
        self._matrix: Path | None = None
        self._reference: Reference | None = None

    def climb(self, variants: Sequence[str]) -> list[Rung]:
        """All rungs in the order asked for: made, scored, repaired where it helps, timed and judged."""
        if self.text is not None:
            self._matrix = self._importance(self.text) if self.how.importance else None
            self._reference = self._measured_reference(self.text)
        if self._matrix is None:
            self.notes.append("No importance matrix was used.")
        rungs = [self._repaired(self._rung(variant, {})) for variant in variants]
        speeds = self._speeds({rung.name: rung.path for rung in rungs})
        return [self._timed(rung, speeds[rung.name]) for rung in rungs]

    def size_ratio(self, rung: Rung) -> float:
        """Size over the source's."""
        return rung.census.size_bytes / self.origin.base.stat().st_size

    def _importance(self, text: Text) -> Path:
        how, job = self.how, self.job
        words = job.folder / "calibration.txt"
        words.write_text(text.calibration, encoding="utf-8")

        def make(path: Path) -> None:
            imatrix.measure(
                self.origin.best,
                words,
                path,
                data=text.name,
                context_tokens=how.context_tokens,
                chunks=how.calibration_chunks,
                threads=how.threads,
                progress=self.progress,
            )

        return self.kept("importance", digest(self.key, text.sha256, how.context_tokens, how.calibration_chunks), make)

    def _measured_reference(self, text: Text) -> Reference:
        how = self.how
        self._held_out.write_text(text.held_out, encoding="utf-8")
        key = digest(self.key, text.sha256, how.context_tokens, how.chunks)
        path = self.job.folder / f"log-probabilities-{key[:24]}.npy"

        def make() -> dict[str, float]:
            made = perplexity.reference(
                self.origin.best,
                self._held_out,
                path,
                context_tokens=how.context_tokens,
                chunks=how.chunks,
                threads=how.threads,
                progress=self.progress,
            )
            return dataclasses.asdict(made.score)

        # The score is kept after the file was written: where it is there, so is the file.
        return Reference(path, Score(**self.job.json("reference", key, make)))

    @property
    def reference(self) -> Score | None:
        """What the best source scores; None without a text."""
        return None if self._reference is None else self._reference.score

    @property
    def _held_out(self) -> Path:
        return self.job.folder / "held-out.txt"

    def _rung(self, variant: str, keep: Mapping[str, str]) -> Rung:
        made, key = self._made(variant, keep)
        score = None if self._reference is None else self._score(made, key)
        return Rung(variant, made, census(made), sha256(made), score, findings=judge_quality(score, self.how.limits))

    def _made(self, variant: str, keep: Mapping[str, str]) -> tuple[Path, str]:
        matrix, how = self._matrix, self.how
        key = digest(self.key, variant, "" if matrix is None else matrix.name, sorted(f"{name}={kind}" for name, kind in keep.items()))

        def make(path: Path) -> object:
            more = {"matrix": matrix, "keep": keep, "threads": how.threads, "progress": self.progress}
            return quantise.quantise(self.origin.base, path, variant, allow_requantise=how.allow_requantise, **more)  # type: ignore[arg-type]

        return self.kept(variant, key, make), key

    def _score(self, made: Path, key: str, chunks: int = 0) -> Score:
        reference, how = self._reference, self.how
        assert reference is not None

        def make() -> dict[str, float]:
            found = perplexity.score(
                made,
                self._held_out,
                reference,
                context_tokens=how.context_tokens,
                chunks=chunks,
                threads=how.threads,
                progress=self.progress,
            )
            return dataclasses.asdict(found)

        return Score(**self.job.json("score", digest(key, reference.path.name, chunks), make))

    def _repaired(self, rung: Rung) -> Rung:
        if rung.passed or self._reference is None or not self.how.repair or not rung.census.quantised:
            return rung

        def measure(keep: Mapping[str, str]) -> Score:
            made, key = self._made(rung.name, keep)
            try:
                return self._score(made, key, _REPAIR_CHUNKS)
            finally:
                if keep:
                    made.unlink()

        def judge(keep: Mapping[str, str]) -> Sequence[Finding]:
            again = self._rung(rung.name, keep)
            return self._timed(again, self._speeds({rung.name: again.path})[rung.name]).findings

        saved = repair(self.origin.base, measure, judge, measure({}))
        if not saved.keep:
            self.notes.append(f"{rung.name}: keeping the worst matrices in higher precision did not save it.")
            return dataclasses.replace(rung, sensitivity=saved.sensitivity)
        again = self._rung(rung.name, saved.keep)
        return dataclasses.replace(again, repairs=saved.repairs, sensitivity=saved.sensitivity)

    def _timed(self, rung: Rung, found: speed.Speed) -> Rung:
        ratio = self.size_ratio(rung)
        cost = judge_cost(ratio, found.turn_ratio, self.how.limits, PARENT)
        if not rung.census.quantised and 0.95 < ratio < 1.05:
            cost = []  # the source again, or of its kind: there is nothing to be gained
        return dataclasses.replace(rung, speed=found, findings=[*rung.findings, *cost])

    def _speeds(self, files: Mapping[str, Path]) -> dict[str, speed.Speed]:
        how = self.how

        def make() -> dict[str, dict[str, object]]:
            found = speed.measure(
                {PARENT: self.origin.base, **files},
                PARENT,
                turn=how.turn,
                threads=how.threads,
                rounds=how.rounds,
                progress=self.progress,
            )
            return {name: dataclasses.asdict(one) for name, one in found.items()}

        key = digest(self.key, [path.name for path in files.values()], how.threads, how.rounds, repr(how.turn))
        found = self.job.json("speed", key, make)
        return {name: speed.Speed(**one) for name, one in found.items()}

    def kept(self, name: str, key: str, make: Callable[[Path], object]) -> Path:
        """A file of the job's folder, made now or found done."""
        return kept(self.job, name, key, make)


def kept(job: Job, name: str, key: str, make: Callable[[Path], object]) -> Path:
    """A GGUF file of the job's folder, made now or found done: makers write it whole or not at all."""
    path = job.folder / f"{name}-{key[:24]}.gguf"
    if path.is_file():
        job.reused += 1
    else:
        make(path)
    return path

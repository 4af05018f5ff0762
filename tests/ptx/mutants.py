"""Seeded faults: a source with one thing changed must not pass the check that the right source passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .compiler import ARCHITECTURES, load
from .errors import PtxError
from .program import Program

Check = Callable[[Program], None]


@dataclass(frozen=True)
class Mutant:
    """A fault: `old`, which stands exactly once in the source, becomes `new`."""

    name: str
    old: str
    new: str

    def apply(self, text: str) -> str:
        """ValueError if `old` is not there exactly once, or nothing would change."""
        count = text.count(self.old)
        if count != 1:
            raise ValueError(f"mutant {self.name!r}: expected {self.old!r} exactly once in the source, got it {count} times")
        if self.old == self.new:
            raise ValueError(f"mutant {self.name!r} changes nothing")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: `how` is the message of what caught it, empty if nothing did."""

    mutant: Mutant
    how: str

    @property
    def caught(self) -> bool:
        return bool(self.how)


def caught(
    source: str | Path,
    mutants: Sequence[Mutant],
    check: Check,
    *,
    arch: str = ARCHITECTURES[0],
    includes: Sequence[str | Path] = (),
    defines: Sequence[str] = (),
    nvcc: str | Path | None = None,
    cache: str | Path,
) -> list[Outcome]:
    """Runs `check` on the right program, which must pass, and on each mutant's, which should raise PtxError or AssertionError.

    Prints "NAME: caught N of M seeded faults" and how each was caught. The mutants' sources and PTX lie in `cache`. A mutant that does
    not compile is an error of the test (RuntimeError), as is any other exception.
    """
    source, cache = Path(source), Path(cache)
    folders = [source.resolve().parent, *includes]
    check(load(source, arch, folders, defines, nvcc=nvcc, cache=cache))
    outcomes = []
    text = source.read_text(encoding="utf-8")
    for number, mutant in enumerate(mutants):
        changed = cache / "mutants" / f"{source.stem}_{number}" / source.name
        changed.parent.mkdir(parents=True, exist_ok=True)
        changed.write_text(mutant.apply(text), encoding="utf-8")
        program = load(changed, arch, folders, defines, nvcc=nvcc, cache=cache)
        outcomes.append(Outcome(mutant, _how(check, program)))
    found = sum(outcome.caught for outcome in outcomes)
    print(f"{source.name}: caught {found} of {len(outcomes)} seeded faults")
    for outcome in outcomes:
        print(f"  {'caught' if outcome.caught else 'MISSED'} {outcome.mutant.name}: {outcome.how[:200]}")
    return outcomes


def _how(check: Check, program: Program) -> str:
    try:
        check(program)
    except (PtxError, AssertionError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return " ".join(lines[:3]) or type(error).__name__
    return ""

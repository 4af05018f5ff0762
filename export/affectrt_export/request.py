"""What an export is asked for, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from affectrt_export import measure
from affectrt_export import variants as known
from affectrt_export.publish import Identity
from affectrt_export.report.record import REFUSED, Record
from affectrt_export.spec import F32, Bounds, Contract, Examples, Model, Quality


@dataclass(frozen=True)
class Request:
    """What is to be made, of what, and how well it must do."""

    model: Model
    identity: Identity
    out: Path
    """Folder that the pack's folder is written to."""
    variants: Sequence[str]
    """Names of variants; the first that passes is the pack's own first choice."""
    evaluation: Examples | None = None
    """None: nothing labelled; then the accuracy gates must be off."""
    calibration: Examples | None = None
    """None: some of the evaluation examples, which then do not judge."""
    bounds: Bounds = field(default_factory=Bounds)
    options: known.Options = field(default_factory=known.Options)
    calibrate: bool = True
    """Fit temperature, or scale, offset and threshold of each label. Off where the model brings its own."""
    quality: Callable[[Contract, F32, Examples], Quality] = measure.quality
    license: str = ""
    """SPDX id of the weights, where the source names none."""
    seed: int = 0
    threads: int = 1
    command: str = ""
    """What the report says made it; "": the identity's."""
    notes: Sequence[str] = ()
    replace: bool = False


@dataclass(frozen=True)
class Result:
    """What an export gave."""

    pack: Path | None
    """None where nothing passed, or where the pack that was there stays."""
    report: Path
    record: Record
    kept: Path | None = None
    """The pack that was to be replaced and stays as it was, since something that was asked for was refused."""

    @property
    def passed(self) -> bool:
        """Whether everything that was asked for is published."""
        return self.record.passed and self.pack is not None

    @property
    def said(self) -> str:
        """Which pack there is now and what it holds, in a sentence."""
        refused = " and ".join(one.name for one in self.record.variants if one.status == REFUSED)
        if self.kept is not None:
            return f"{self.kept} stays as it was: {refused or 'what was asked for'} was refused"
        if self.pack is None:
            return "none, nothing passed"
        held = ", ".join(one.name for one in self.record.variants if one.published)
        return f"{self.pack} holds {held}" + (f"; {refused} was refused and is not in it" if refused else "")

"""What every family shares: the options of reading a model, and the form of a family."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from affectrt_export.spec import Model

if TYPE_CHECKING:
    from affectrt_export.families.source import Source

TASKS = ("face-expression", "text-emotion", "text-span", "text-pair")


@dataclass(frozen=True)
class Options:
    """What the user says of a model that its files do not, or say otherwise. Empty: as the files say."""

    task: str = ""
    """One of `TASKS`."""
    name: str = ""
    """Of the pack: [a-z0-9][a-z0-9-]{0,63}."""
    license: str = ""
    """SPDX id of the weights."""
    labels: Path | None = None
    """Names in output order: a .txt (a name a line, then valence, arousal, dominance after tabs or commas) or .json of the same."""
    revision: str | None = None
    """Of a hub repository: branch, tag or commit."""
    cache: Path | None = None
    """Of the hub's client; None: as HF_HOME and HF_HUB_CACHE say."""
    max_tokens: int | None = None
    """Texts are cut to so many; None: 512, or what the network or its tokenizer takes if that is less."""
    mean: tuple[float, ...] | None = None
    """Per channel, of pixels scaled to [0, 1], as vision frameworks write it."""
    std: tuple[float, ...] | None = None
    size_px: int | None = None
    """Side of the picture that the network takes."""
    crop: Mapping[str, Any] | None = None
    """How a face is cut from a frame, as docs/pack-format.md writes it."""
    contract: Path | None = None
    """JSON file of an ONNX file's contract, as `affectrt packs add --contract` takes it."""
    arch: str = ""
    """timm's name of the network where a bare file of weights does not say: "tf_efficientnet_b0"."""
    question: str = ""
    """text-span: what the network was asked in training, with {target}, {evidence} and {emotion} in their places."""
    separator: str = ""
    """text-pair: what stood between emotion, target, evidence and history in training; "": `affectrt.dialogue.cause.SEPARATOR`."""
    threshold: float | None = None
    """text-span: by how much an answer must score over "no answer", None: 0. text-pair: the least probability of yes, None: 0.5."""
    yes: str = ""
    """text-pair: the label that means "this is the cause"; "": the last."""

    def __post_init__(self) -> None:
        problems = []
        if self.task not in ("", *TASKS):
            problems.append(f"task: one of {', '.join(TASKS)} was expected, got {self.task!r}")
        if self.max_tokens is not None and self.max_tokens < 1:
            problems.append(f"max_tokens: at least 1 was expected, got {self.max_tokens}")
        if self.size_px is not None and self.size_px < 1:
            problems.append(f"size_px: at least 1 was expected, got {self.size_px}")
        for name in ("mean", "std"):
            values = getattr(self, name)
            if values is not None and len(values) not in (1, 3):
                problems.append(f"{name}: 1 or 3 numbers were expected, one a channel, got {len(values)}")
        if self.std is not None and not all(value > 0 for value in self.std):
            problems.append(f"std: numbers over 0 were expected, got {self.std}")
        if self.threshold is not None and not math.isfinite(self.threshold):
            problems.append(f"threshold: a finite number was expected, got {self.threshold}")
        if problems:
            raise ValueError("; ".join(problems))


class Family(Protocol):
    """One kind of source: a frozen dataclass in a file of its own, listed in `affectrt_export.families.FAMILIES`."""

    @property
    def name(self) -> str:
        """What `--family` takes."""
        ...

    @property
    def about(self) -> str:
        """What it reads, for the list that an unknown source is answered with."""
        ...

    def claims(self, source: Source) -> bool:
        """Whether this source is of the family, by what its files say; opens no weights."""
        ...

    def read(self, source: Source, options: Options) -> Model:
        """The model. Raises ExportError: what was expected and what came."""
        ...

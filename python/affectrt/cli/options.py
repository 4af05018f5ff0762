"""Options that several commands share, and the objects they lead to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from affectrt.cli.errors import note
from affectrt.cli.output import counted

if TYPE_CHECKING:
    from affectrt.perception.observation import FaceObservation, TextObservation

DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda:0.")]
PrecisionOption = Annotated[str, typer.Option(help="auto, fp32, fp16 or int8.")]
StrictOption = Annotated[bool, typer.Option("--strict", help="Fail rather than fall back to another device or precision.")]
ThreadsOption = Annotated[int, typer.Option(min=0, help="Threads of a pool of its own; 0: the shared pool.")]

AFFECT = ("valence", "arousal", "dominance")
FACE_COLUMNS = ("frame", "time_s", "file", "track", "label", "confidence", *AFFECT, "x0", "y0", "x1", "y1", "score", "reason")
TEXT_COLUMNS = ("line", "label", "confidence", *AFFECT, "active", "reason", "text")
OPTIONAL = (
    *("score", "dominance", "y1", "x1", "y0", "x0", "state_sources", "state_conflict", "active"),
    *("state_arousal", "state_valence", "frame", "reason", "time_s", "state_confidence", "arousal"),
)
"""Columns of `run` that a narrow terminal does without, the least important first."""


def note_threads(threads: int) -> None:
    """Say so where more threads were asked for than this process may use at once: a language model then gets slower, many times over."""
    from affectrt.dialogue.native import most_threads

    if threads > (most := most_threads()):
        note(f"warning: --threads {threads}: this process may use {counted(most, 'core')}; with more threads than that answers come slower")


def face_row(seen: FaceObservation, frame: int, name: str) -> dict[str, Any]:
    """The row of one face; probabilities under `probs` and `prob_<label>` (for csv, which has no nesting)."""
    x0, y0, x1, y1 = (round(float(value), 2) for value in seen.box)
    row: dict[str, Any] = {
        "frame": frame,
        "time_s": seen.stamp_ns / 1e9,
        "stamp_ns": seen.stamp_ns,
        "file": name or None,
        "track": seen.track_id,
        "label": seen.label,
        "confidence": seen.confidence,
        "valence": seen.valence,
        "arousal": seen.arousal,
        "dominance": seen.dominance,
        **{"x0": x0, "y0": y0, "x1": x1, "y1": y1},
        "score": seen.detection_score,
        "reason": seen.reason,
        "probs": {label: float(prob) for label, prob in zip(seen.labels, seen.probs, strict=True)},
    }
    if seen.landmarks is not None:
        row["landmarks"] = seen.landmarks
    if seen.blendshapes is not None:
        row["blendshapes"] = seen.blendshapes
    return row


def text_row(seen: TextObservation, line: int) -> dict[str, Any]:
    """The row of one line of text."""
    return {
        "line": line,
        "label": seen.label,
        "confidence": seen.confidence,
        "valence": seen.valence,
        "arousal": seen.arousal,
        "dominance": seen.dominance,
        "active": list(seen.active),
        "reason": seen.reason,
        "truncated": seen.truncated,
        "text": seen.text,
        "probs": {label: float(prob) for label, prob in zip(seen.labels, seen.probs, strict=True)},
    }

"""What perception reports: frozen values that carry the time of their capture.

Valence, arousal and dominance lie in [-1, 1], and dominance is 0 where the pack does not say it of its labels; probabilities and
confidences lie in [0, 1]; boxes and points are pixels of the frame that came in.
A label of `UNKNOWN` means "don't know": the input gave too little to decide on, and `reason` says why.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, eq=False)
class FaceObservation:
    """One face in one frame."""

    stamp_ns: int
    """Capture time of the frame, as the caller gave it (any monotonic clock)."""
    box: NDArray[np.float32]
    """(4,) float32: x0, y0, x1, y1 in pixels."""
    key_points: NDArray[np.float32]
    """(K, 2) float32 pixels: right eye, left eye, nose tip, mouth, right ear, left ear (the person's own sides)."""
    detection_score: float
    track_id: int
    """Stable while the face stays in view; counts from 1; never given twice."""
    label: str
    """One of `labels`, or "unknown"."""
    labels: tuple[str, ...]
    probs: NDArray[np.float32]
    """(C,) float32, sums to 1, smoothed over the track; `raw_probs` are this frame's own."""
    raw_probs: NDArray[np.float32]
    valence: float
    arousal: float
    confidence: float
    """Probability of the label, lowered for tiny or blurred faces; 0 where the label is "unknown" for want of evidence."""
    reason: str
    """Why the label is "unknown" ("tiny face", "blurred face", "uncertain", "no expression pack"), else ""."""
    landmarks: NDArray[np.float32] | None = None
    """(478, 3) float32: x, y in pixels, z in pixels of depth relative to the head; only if asked for."""
    blendshapes: dict[str, float] | None = None
    """52 ARKit names to [0, 1]; only if asked for."""
    dominance: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class ExpressionObservation:
    """The expression of one face crop."""

    stamp_ns: int
    label: str
    labels: tuple[str, ...]
    probs: NDArray[np.float32]
    """(C,) float32, sums to 1."""
    valence: float
    arousal: float
    confidence: float
    reason: str = ""
    dominance: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class TextObservation:
    """The emotions of one sentence or short passage."""

    stamp_ns: int
    text: str
    label: str
    """The strongest label, or "unknown"."""
    active: tuple[str, ...]
    """Every label over its own threshold, strongest first (the model is multi-label)."""
    labels: tuple[str, ...]
    probs: NDArray[np.float32]
    """(C,) float32; each label on its own, so they need not sum to 1."""
    valence: float
    arousal: float
    confidence: float
    reason: str = ""
    """Why the label is "unknown" ("empty text", "unreadable text", "uncertain"), else ""."""
    truncated: bool = False
    """True if the text was longer than the model reads, so that its end was not looked at."""
    dominance: float = 0.0

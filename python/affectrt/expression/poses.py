"""Faces as blendshapes: one pose for each string of hri_msgs/Expression.

The poses are made by hand. Where an emotion has a pattern in the Facial Action Coding System (P. Ekman, W. Friesen and J. Hager, 2002)
they follow it: joy is 6 + 12, sadness 1 + 4 + 15, surprise 1 + 2 + 5 + 26, fear 1 + 2 + 4 + 5 + 20 + 26, anger 4 + 5 + 7 + 23, disgust
9 + 10 + 15.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affectrt.labels import EXPRESSIONS

_PAIRED_OR_NOT = (
    "_neutral browDown* browInnerUp browOuterUp* cheekPuff cheekSquint* eyeBlink* eyeLookDown* eyeLookIn* eyeLookOut* eyeLookUp* "
    "eyeSquint* eyeWide* jawForward jawLeft jawOpen jawRight mouthClose mouthDimple* mouthFrown* mouthFunnel mouthLeft mouthLowerDown* "
    "mouthPress* mouthPucker mouthRight mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmile* mouthStretch* "
    "mouthUpperUp* noseSneer*"
)
BLENDSHAPES: tuple[str, ...] = tuple(
    name.replace("*", side) for name in _PAIRED_OR_NOT.split() for side in (("Left", "Right") if "*" in name else ("",))
)
"""The 52 names of the pack blendshapes-52, in its order: ARKit's without tongueOut, and "_neutral"."""


def _pose(**shapes: float) -> Mapping[str, float]:
    """A name without a side that has sides is both of them."""
    full = dict.fromkeys(BLENDSHAPES, 0.0)
    for name, value in shapes.items():
        for one in (name,) if name in full else (f"{name}Left", f"{name}Right"):
            if one not in full:
                raise KeyError(name)
            full[one] = value
    return MappingProxyType(full)


POSES: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "neutral": _pose(),
        "angry": _pose(browDown=0.75, eyeSquint=0.35, eyeWide=0.2, mouthPress=0.55, noseSneer=0.2),
        "sad": _pose(browInnerUp=0.7, browDown=0.2, mouthFrown=0.6, mouthShrugLower=0.25, eyeLookDown=0.25),
        "happy": _pose(mouthSmile=0.75, cheekSquint=0.5, eyeSquint=0.2, mouthDimple=0.15),
        "surprised": _pose(browInnerUp=0.7, browOuterUp=0.75, eyeWide=0.65, jawOpen=0.5),
        "disgusted": _pose(noseSneer=0.7, mouthUpperUp=0.45, browDown=0.35, mouthFrown=0.35, eyeSquint=0.3),
        "scared": _pose(browInnerUp=0.75, browOuterUp=0.4, browDown=0.25, eyeWide=0.7, mouthStretch=0.55, jawOpen=0.25),
        "pleading": _pose(browInnerUp=0.85, eyeWide=0.35, eyeLookUp=0.25, mouthFrown=0.2, mouthPucker=0.15),
        "vulnerable": _pose(browInnerUp=0.6, eyeLookDown=0.3, mouthPress=0.2, mouthFrown=0.15),
        "despaired": _pose(browInnerUp=0.9, browDown=0.35, mouthFrown=0.85, eyeSquint=0.4, jawOpen=0.2, mouthShrugLower=0.3),
        "guilty": _pose(browInnerUp=0.45, eyeLookDown=0.6, mouthPress=0.35, mouthRollLower=0.3),
        "disappointed": _pose(browInnerUp=0.3, mouthFrown=0.4, mouthPress=0.35, eyeLookDown=0.15, mouthShrugUpper=0.2),
        "embarrassed": _pose(mouthSmile=0.25, mouthPress=0.35, eyeLookDown=0.5, cheekSquint=0.2, browInnerUp=0.2),
        "horrified": _pose(browInnerUp=0.9, browOuterUp=0.6, browDown=0.2, eyeWide=0.95, mouthStretch=0.75, jawOpen=0.6),
        "skeptical": _pose(browOuterUpLeft=0.6, browDownRight=0.45, eyeSquint=0.25, mouthPress=0.2, mouthDimpleLeft=0.3),
        "annoyed": _pose(browDown=0.45, eyeSquint=0.3, mouthPress=0.35, mouthFrown=0.25),
        "furious": _pose(browDown=1.0, eyeWide=0.45, noseSneer=0.55, mouthUpperUp=0.4, mouthLowerDown=0.4, jawOpen=0.3),
        "suspicious": _pose(browDown=0.4, eyeSquint=0.6, mouthPress=0.2, mouthLeft=0.25),
        "rejected": _pose(browInnerUp=0.5, eyeLookDown=0.55, mouthFrown=0.45, mouthRollLower=0.2),
        "bored": _pose(eyeBlink=0.35, mouthFrown=0.15, mouthShrugLower=0.35, eyeLookUp=0.3),
        "tired": _pose(eyeBlink=0.55, browInnerUp=0.15, jawOpen=0.12, mouthFrown=0.1),
        "asleep": _pose(eyeBlink=1.0, jawOpen=0.08),
        "confused": _pose(browDown=0.35, browInnerUp=0.4, browOuterUpRight=0.4, mouthPucker=0.25, eyeSquint=0.15),
        "amazed": _pose(browInnerUp=0.6, browOuterUp=0.7, eyeWide=0.55, jawOpen=0.4, mouthSmile=0.35),
        "excited": _pose(mouthSmile=0.9, cheekSquint=0.55, jawOpen=0.3, browOuterUp=0.35, browInnerUp=0.25, eyeWide=0.15),
    }
)
"""String of hri_msgs/Expression -> all 52 blendshapes, each in [0, 1], at full intensity."""


def pose(name: str, intensity: float = 1.0) -> dict[str, float]:
    """All 52 blendshapes of an expression.

    Args:
        name: One of `EXPRESSIONS`.
        intensity: [0, 1]; every shape is multiplied by it.

    Raises:
        ValueError: Another name, or an intensity out of range.
    """
    if name not in POSES:
        raise ValueError(f"name: expected one of {', '.join(EXPRESSIONS)}, got {name!r}")
    if not 0.0 <= intensity <= 1.0:
        raise ValueError(f"intensity: expected a number in [0, 1], got {intensity}")
    return {shape: value * intensity for shape, value in POSES[name].items()}


class SpeechFace(Protocol):
    """A model that moves a face to speech, as EMOTE does (R. Daněček et al., SIGGRAPH Asia 2023). None comes with affectrt."""

    frames_per_s: float

    def __call__(self, audio: NDArray[np.float32], *, emotion: str, intensity: float) -> NDArray[np.float32]:
        """Frames (T, 52) in [0, 1] over `BLENDSHAPES`, from mono audio (N,) at 16 kHz; `emotion` is one of `EXPRESSIONS`."""
        ...


_SPOKEN = np.array([name.startswith(("jaw", "mouth")) for name in BLENDSHAPES])


def overlay(frames: ArrayLike, expression: Mapping[str, float], *, keep: float = 0.5) -> NDArray[np.float32]:
    """A pose laid over the frames of speech, so that a face goes on looking as it should while it talks.

    Brows, eyes, cheeks and nose take the larger of the two. The mouth and jaw are the speech's, and of the pose's mouth `keep` is added.

    Args:
        frames: (T, 52) in [0, 1] over `BLENDSHAPES`.
        expression: From `pose`; what it leaves out is 0.
        keep: [0, 1].

    Returns:
        (T, 52) float32 in [0, 1].

    Raises:
        ValueError: Another shape, a value out of range, an unknown blendshape.
    """
    spoken = np.asarray(frames, np.float32)
    if spoken.ndim != 2 or spoken.shape[1] != len(BLENDSHAPES):
        raise ValueError(f"frames: expected (T, {len(BLENDSHAPES)}), got {spoken.shape}")
    if unknown := set(expression) - set(BLENDSHAPES):
        raise ValueError(f"expression: expected names of BLENDSHAPES, got {', '.join(sorted(unknown))}")
    shown = np.array([expression.get(name, 0.0) for name in BLENDSHAPES], np.float32)
    for name, values in (("frames", spoken), ("expression", shown)):
        if not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"{name}: expected numbers in [0, 1]")
    if not 0.0 <= keep <= 1.0:
        raise ValueError(f"keep: expected a number in [0, 1], got {keep}")
    mouth = np.minimum(spoken + np.float32(keep) * shown, np.float32(1))
    return np.where(_SPOKEN, mouth, np.maximum(spoken, shown)).astype(np.float32)

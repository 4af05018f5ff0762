"""Faces of a frame, and the expression of a face crop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from affectrt import _core
from affectrt.engine import EngineSettings, ProviderSpec
from affectrt.engines import Prepares, Preparing, open_networks
from affectrt.errors import PackError
from affectrt.packs import DEFAULTS, Pack, open_pack
from affectrt.perception.observation import UNKNOWN, ExpressionObservation, FaceObservation
from affectrt.policy import Policy, check_policy

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["COLORS", "Face", "FaceExpression"]

COLORS = ("rgb8", "bgr8", "rgba8", "bgra8", "mono8", "nv12", "yuv422_yuy2")
"""The encodings a frame may come in, by their ROS names."""

_STAGES = ("detect", "expression", "landmarks", "blendshapes", "total")


def _need_color(color: str | None, default: str | None) -> str:
    chosen = color if color is not None else default
    if chosen is None:
        raise ValueError(
            f'color: expected one of {", ".join(COLORS)}, got none. Frames from OpenCV are "bgr8", from Pillow and PyAV (rgb24) "rgb8"; '
            "say it once in the constructor or in each call"
        )
    if chosen not in COLORS:
        raise ValueError(f"color: expected one of {', '.join(COLORS)}, got {chosen!r}")
    return chosen


def check_stamp(stamp_ns: int | None) -> int:
    """The capture time, or now by the monotonic clock if there is none. Raises `TypeError` or `ValueError`."""
    if stamp_ns is None:
        return time.monotonic_ns()
    if isinstance(stamp_ns, bool) or not isinstance(stamp_ns, (int, np.integer)):
        raise TypeError(f"stamp_ns: expected an int of nanoseconds, got {type(stamp_ns).__name__}")
    if not -(2**63) <= stamp_ns < 2**63:
        raise ValueError(f"stamp_ns: expected a 64-bit number of nanoseconds, got {stamp_ns}")
    return int(stamp_ns)


def _open(source: str | Pack | None, task: str) -> Pack:
    pack = source if isinstance(source, Pack) else open_pack(DEFAULTS[task] if source is None else source)
    if pack.task != task:
        raise ValueError(f"{pack.name}: expected a pack for {task}, got one for {pack.task}")
    return pack


def _native(pack: Pack) -> _core.Pack:
    if pack._core is None:
        raise PackError(f"{pack.source}: expected a pack, got a bare model file, which does not say how to prepare a picture for it")
    return pack._core


class Face(Prepares):
    """Detector, aligned crops, expression of all faces in one batch, and on request landmarks and blendshapes; with stable tracks.

    One instance serves one camera: it holds the tracks. Calls from several threads are safe and never hold the interpreter's lock while
    they compute.

    Args:
        color: encoding of the frames (see `COLORS`); may come with each call instead.
        detector, expression: packs (a name, folder, zip, hub id or `Pack`); None takes the default; `expression=False` leaves it out.
        landmarks, blendshapes: False, True (the default pack), or a pack. Blendshapes bring landmarks with them.
        max_faces: the best-scored so many are kept.
        smoothing_ms: time constant of the expression's smoothing over a track; 0 for none.
        device, precision, providers, strict, threads, engine: see `EngineSettings`.
        on_progress: called while engines are built (see `preparing`), by the thread that waits for them.
        policy: each call needs its consent for "camera"; None asks nobody.

    Raises: `PackError`, `EngineError`, `DeviceError`; `ValueError` or `TypeError` for arguments; a call also `ConsentError`.
    """

    def __init__(
        self,
        *,
        color: str | None = None,
        detector: str | Pack | None = None,
        expression: str | Pack | bool | None = None,
        landmarks: str | Pack | bool = False,
        blendshapes: str | Pack | bool = False,
        device: str = "auto",
        precision: str = "auto",
        providers: Sequence[ProviderSpec] | None = None,
        strict: bool = False,
        threads: int = 0,
        max_faces: int = 16,
        smoothing_ms: float = 250.0,
        engine: str = "cuda",
        on_progress: Callable[[Preparing], None] | None = None,
        policy: Policy | None = None,
    ) -> None:
        self._policy = check_policy(policy)
        self._color = None if color is None else _need_color(color, None)
        self.settings = EngineSettings(
            device=device, precision=precision, providers=providers, strict=strict, threads=threads, engine=engine
        )

        def optional(wanted: str | Pack | bool | None, task: str) -> Pack | None:
            return None if wanted is False else _open(None if wanted is True else wanted, task)

        packs = {
            "detector": _open(detector, "face-detection"),
            "expression": optional(expression, "face-expression"),
            "landmarks": optional(True if blendshapes and not landmarks else landmarks or False, "face-landmarks"),
            "blendshapes": optional(blendshapes or False, "face-blendshapes"),
        }
        self.packs: dict[str, Pack] = {role: pack for role, pack in packs.items() if pack is not None}
        """The packs in use, by role."""
        for role, pack in self.packs.items():
            if pack.preferred != "auto" and precision == "auto":
                raise ValueError(
                    f"{role}: {pack.source} names the variant {pack.preferred!r}; a Face opens its packs alike: say precision= instead"
                )
        if isinstance(max_faces, bool) or not isinstance(max_faces, int):
            raise TypeError(f"max_faces: expected an int, got {type(max_faces).__name__}")
        native = {role: _native(pack) for role, pack in self.packs.items()}

        def opened(options: dict[str, Any]) -> _core.FacePipeline:
            return _core.FacePipeline(
                native["detector"],
                expression=native.get("expression"),
                landmarks=native.get("landmarks"),
                blendshapes=native.get("blendshapes"),
                precision=precision,
                max_faces=max_faces,
                smoothing_ms=smoothing_ms,
                **options,
            )

        self._lock = threading.Lock()
        with self._lock:
            networks = {role: (pack, precision) for role, pack in self.packs.items()}
            self._core, self._preparation = open_networks(self.settings, networks, opened, self._take, on_progress)
        self.labels: tuple[str, ...] = tuple(self._core.labels)
        self._blendshape_names: tuple[str, ...] = tuple(self._core.blendshape_names)
        self.timings_ms: dict[str, float] = dict.fromkeys(_STAGES, 0.0)
        """What the last call spent, by stage, in ms."""

    def __call__(self, frame: Any, stamp_ns: int | None = None, *, color: str | None = None) -> list[FaceObservation]:
        """The faces of a frame, best first.

        Args:
            frame: uint8, (H, W, C), (H, W) for mono8, (H * 3/2, W) for nv12, (H, W, 2) for yuv422_yuy2; NumPy or DLPack on the CPU, not
                copied; rows may be apart, as in a view of a larger picture.
            stamp_ns: capture time by any monotonic clock; None takes the time of the call.
            color: encoding of this frame, if not the constructor's.
        """
        if self._policy is not None:
            self._policy.require("camera")
        chosen = _need_color(color, self._color)
        stamp = check_stamp(stamp_ns)
        faces, spent = self._core(frame, chosen, stamp)
        self.timings_ms = dict(zip(_STAGES, spent, strict=True))
        return [self._observation(face, stamp) for face in faces]

    def _take(self, core: _core.FacePipeline) -> None:
        with self._lock:  # not before the constructor has put the first one in place
            core.adopt(self._core)
            self._core = core

    def _observation(self, face: tuple[Any, ...], stamp: int) -> FaceObservation:
        box, points, score, track, label, probs, raw, valence, arousal, dominance, confidence, reason, landmarks, shapes = face
        return FaceObservation(
            stamp_ns=stamp,
            box=box,
            key_points=points,
            detection_score=score,
            track_id=track,
            label=UNKNOWN if label < 0 else self.labels[label],
            labels=self.labels,
            probs=probs,
            raw_probs=raw,
            valence=valence,
            arousal=arousal,
            confidence=confidence,
            reason=reason if self.labels else "no expression pack",
            landmarks=landmarks,
            blendshapes=None if shapes is None else dict(zip(self._blendshape_names, shapes, strict=True)),
            dominance=dominance,
        )

    def reset(self) -> None:
        """Forget all tracks, as at the start of another recording. Ids go on counting."""
        self._core.reset()

    @property
    def provider(self) -> str:
        """The ONNX Runtime provider that the networks really run on."""
        return str(self._core.provider)

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """Providers and engines that were asked for and could not be had, each with the reason."""
        return (*self._core.fallbacks, *self._preparation.notes)


class FaceExpression(Prepares):
    """The expression of pictures that are face crops already. Preprocessing is the one of the pack, in C++.

    Args as in `Face`. One instance may be called from any number of threads.
    """

    def __init__(
        self,
        pack: str | Pack | None = None,
        *,
        color: str | None = None,
        device: str = "auto",
        precision: str = "auto",
        providers: Sequence[ProviderSpec] | None = None,
        strict: bool = False,
        threads: int = 0,
        engine: str = "cuda",
        on_progress: Callable[[Preparing], None] | None = None,
        policy: Policy | None = None,
    ) -> None:
        self._policy = check_policy(policy)
        self._color = None if color is None else _need_color(color, None)
        self.settings = EngineSettings(
            device=device, precision=precision, providers=providers, strict=strict, threads=threads, engine=engine
        )
        self.pack = _open(pack, "face-expression")
        wanted = self.pack.preferred if precision == "auto" else precision
        native = _native(self.pack)

        def opened(options: dict[str, Any]) -> _core.CropModel:
            return _core.CropModel(native, precision=wanted, **options)

        self._lock = threading.Lock()
        with self._lock:
            networks = {"expression": (self.pack, wanted)}
            self._core, self._preparation = open_networks(self.settings, networks, opened, self._take, on_progress)
        self.labels: tuple[str, ...] = tuple(label.name for label in self.pack.labels)
        self._valence = np.array([label.valence for label in self.pack.labels], np.float32)
        self._arousal = np.array([label.arousal for label in self.pack.labels], np.float32)
        self._dominance = np.array([label.dominance for label in self.pack.labels], np.float32)
        self._unknown_below = float(self.pack.manifest["decode"]["unknown_below"])

    @overload
    def __call__(
        self, crop: list[Any] | tuple[Any, ...], stamp_ns: int | None = ..., *, color: str | None = ...
    ) -> list[ExpressionObservation]: ...

    @overload
    def __call__(self, crop: Any, stamp_ns: int | None = ..., *, color: str | None = ...) -> ExpressionObservation: ...

    def __call__(
        self, crop: Any, stamp_ns: int | None = None, *, color: str | None = None
    ) -> ExpressionObservation | list[ExpressionObservation]:
        """One observation for a crop (uint8, shape as in `Face`), a list for a list of crops, which go through the network in batches."""
        if self._policy is not None:
            self._policy.require("camera")
        chosen = _need_color(color, self._color)
        stamp = check_stamp(stamp_ns)
        many = isinstance(crop, (list, tuple))
        crops = list(crop) if many else [crop]
        probs, sharpness = self._core.classify(crops, chosen)
        results = [self._observation(p, s, stamp) for p, s in zip(probs, sharpness, strict=True)]
        return results if many else results[0]

    def _take(self, core: _core.CropModel) -> None:
        with self._lock:
            self._core = core

    def _observation(self, probs: NDArray[np.float32], sharpness: float, stamp: int) -> ExpressionObservation:
        top = int(probs.argmax())
        sane = bool(np.isfinite(probs).all())
        blurred = sharpness < _core.MIN_SHARPNESS
        reason = "blurred face" if blurred else "" if sane and probs[top] >= self._unknown_below else "uncertain"
        return ExpressionObservation(
            stamp_ns=stamp,
            label=UNKNOWN if reason else self.labels[top],
            labels=self.labels,
            probs=probs,
            valence=float(probs @ self._valence),
            arousal=float(probs @ self._arousal),
            confidence=float(probs[top]) if sane and not blurred else 0.0,
            reason=reason,
            dominance=float(probs @ self._dominance),
        )

    @property
    def provider(self) -> str:
        """The ONNX Runtime provider that the network really runs on."""
        return str(self._core.provider)

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """Providers and engines that were asked for and could not be had, each with the reason."""
        return (*self._core.fallbacks, *self._preparation.notes)

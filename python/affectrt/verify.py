"""Proves a pack on this device: every golden input goes through the real runtime, and what comes out must be what the exporter saw.

One function a task gives the decoded result under the name that the golden vector has for it; one comparator judges it.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from affectrt.engine import EngineSettings, find_and_set_library
from affectrt.errors import DeviceError, EngineError, PackError

if TYPE_CHECKING:
    from affectrt.packs import Pack, Variant

Array = NDArray[Any]
Providers = list[tuple[str, dict[str, str]]]

PASSED, FAILED, NOT_PULLED, CANNOT_RUN = "passed", "failed", "not pulled", "cannot run here"

# What a damaged pack makes its reading or its running raise. Anything else is a bug here, and shows as one.
_DAMAGE = (PackError, EngineError, DeviceError, ValueError, TypeError, LookupError, OSError, ImportError)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one golden vector of one variant showed."""

    pack: str
    variant: str
    golden: str
    output: str
    """Name of the decoded result ("probs", "detections", ...)."""
    status: str
    """"passed", "failed", "not pulled" or "cannot run here"."""
    max_difference: float | None
    """Largest difference, in the unit of the tolerance; None where there is nothing to compare."""
    tolerance: float | None
    """None where the pack could not be opened to ask it."""
    detail: str = ""
    provider: str = ""

    @property
    def ok(self) -> bool:
        """True if the output was compared and is right."""
        return self.status == PASSED


def verify_source(source: str, *, variant: str | None = None, providers: Providers | None = None, threads: int = 0) -> list[Outcome]:
    """`verify` of a pack by its name or place. One that cannot be opened or replayed is a failed outcome that says why: it raises nothing
    for a damaged pack, so that the packs after it get their turn.
    """
    from affectrt.packs import open_pack

    try:
        return verify(open_pack(source), variant=variant, providers=providers, threads=threads)
    except _DAMAGE as error:
        return [Outcome(source, variant or "", "", "", FAILED, None, None, _why(error))]


def _why(error: BaseException) -> str:
    # A KeyError is only its key, and some errors have no words at all.
    return f"{type(error).__name__}: {error}" if isinstance(error, LookupError) or not str(error) else str(error)


def verify(pack: Pack, *, variant: str | None = None, providers: Providers | None = None, threads: int = 0) -> list[Outcome]:
    """Replay the golden vectors of every variant that can run here, or of the one named.

    providers: ordered ONNX Runtime providers; None: the CPU. A variant whose file has not been pulled, or that needs a provider that this
    machine has not, gives one outcome that says so; one that cannot be loaded or run, or whose golden files are damaged, a failed one.
    Raises PackError for a bare model file, or if there is no such variant.
    """
    if pack._core is None:
        raise PackError(f"{pack.source}: a bare model has no golden vectors; `affectrt packs add` makes a pack of it")
    names = [variant] if variant is not None else [entry["name"] for entry in pack.manifest["variants"]]
    outcomes: list[Outcome] = []
    for name in names:
        outcomes += _variant(pack, name, providers, threads)
    return outcomes


def _variant(pack: Pack, name: str, providers: Providers | None, threads: int) -> list[Outcome]:
    variants = pack.manifest["variants"]
    # By name first: a variant may stand behind another one of the precision that is its name.
    entry = next((e for key in ("name", "precision") for e in variants if e[key] == name), None)
    if entry is None:
        raise PackError(f"{pack.name}: no variant {name!r}; there are {', '.join(pack.variants)}")

    def nothing(status: str, detail: str) -> list[Outcome]:
        return [Outcome(pack.name, entry["name"], "", "", status, None, entry["golden_tolerance_abs"], detail)]

    if entry["file"] in pack.missing:
        return nothing(NOT_PULLED, f"affectrt packs pull {pack.source}")
    needed = entry["requires"] if entry["format"] == "onnx" else []
    there = _there(needed)
    if needed and not there:
        return nothing(CANNOT_RUN, f"needs {' or '.join(needed)}")
    chosen = pack.variant(entry["name"])
    # Any one of the providers that it needs will do, and the library may name one of which this machine lacks the rest.
    own: list[Providers] = [[(name, {}) for name in there[i:]] for i in range(len(there))] or [[]]
    try:
        replay = _first(pack, chosen, own if providers is None else [providers], threads)
    except DeviceError as error:
        return nothing(CANNOT_RUN if providers is None else FAILED, _why(error))
    except _DAMAGE as error:
        return nothing(FAILED, _why(error))
    return [outcome for golden in pack.manifest["golden"] for outcome in _judge(pack, chosen, replay, golden)]


def _first(pack: Pack, variant: Variant, attempts: list[Providers], threads: int) -> _Replay:
    *others, last = attempts
    for providers in others:
        try:
            return _replay(pack, variant, providers, threads)
        except DeviceError:
            continue
    return _replay(pack, variant, last, threads)


def _there(providers: list[str]) -> list[str]:
    """Those that the installed ONNX Runtime has."""
    if not providers:
        return []
    from affectrt import _core

    find_and_set_library()
    return [name for name in providers if name in _core.ort_info()["providers"]]


class _Replay:
    """Runs golden inputs through one opened variant."""

    provider = "CPUExecutionProvider"

    def __call__(self, golden: dict[str, Any]) -> dict[str, Array]:
        raise NotImplementedError


def _replay(pack: Pack, variant: Variant, providers: Providers, threads: int) -> _Replay:
    """The one place that knows which runtime object serves which task."""
    core: dict[str, type[_CoreReplay]] = {
        "face-detection": _Detections,
        "face-expression": _Expression,
        "face-landmarks": _Landmarks,
        "face-blendshapes": _Blendshapes,
    }
    if pack.task in core:
        return core[pack.task](pack, variant, providers, threads)
    if pack.task == "text-emotion":
        return _Text(pack, variant, providers, threads)
    if pack.task == "text-embedding":
        return _Embedding(pack, variant, providers, threads)
    if pack.task == "text-span":
        return _Span(pack, variant, providers, threads)
    if pack.task == "text-pair":
        return _Pair(pack, variant, providers, threads)
    if pack.task == "dialogue":
        return _Dialogue(pack, variant)
    raise PackError(f"{pack.name}: no way to replay task {pack.task!r}")


class _CoreReplay(_Replay):
    runner = ""

    def __init__(self, pack: Pack, variant: Variant, providers: Providers, threads: int) -> None:
        from affectrt import _core

        make = getattr(_core, self.runner)
        self._pack = pack
        settings = EngineSettings(precision=variant.name, providers=providers or None, strict=bool(providers), threads=threads)
        self._model = make(pack._core, precision=variant.name, **settings.core_options())
        self.provider = getattr(self._model, "provider", "CPUExecutionProvider")

    def _image(self, golden: dict[str, Any]) -> tuple[Array, str]:
        given = golden["input"]
        return _load(self._pack, given["image"]), given["color"]


class _Detections(_CoreReplay):
    runner = "FaceDetector"

    def __call__(self, golden: dict[str, Any]) -> dict[str, Array]:
        return {"detections": self._model(*self._image(golden))}


class _Expression(_CoreReplay):
    runner = "CropModel"

    def __call__(self, golden: dict[str, Any]) -> dict[str, Array]:
        image, color = self._image(golden)
        return {"probs": self._model.classify([image], color)[0][0]}


class _Landmarks(_CoreReplay):
    runner = "FaceLandmarks"

    def __call__(self, golden: dict[str, Any]) -> dict[str, Array]:
        image, color = self._image(golden)
        found = self._model.whole(image, color)
        if found is None:
            return {}
        scale = np.float32(image.shape[1])
        return {"landmarks": found / scale}


class _Blendshapes(_CoreReplay):
    runner = "Blendshapes"

    def __call__(self, golden: dict[str, Any]) -> dict[str, Array]:
        return {"scores": self._model.from_points(_load(self._pack, golden["input"]["points"]))}


class _Text(_Replay):
    def __init__(self, pack: Pack, variant: Variant, providers: Providers, threads: int) -> None:
        from affectrt import TextEmotion

        self._text = TextEmotion(pack, precision=variant.name, providers=providers or None, strict=bool(providers), threads=threads)
        self.provider = self._text.provider

    def __call__(self, golden: dict[str, Any]) -> dict[str, Array]:
        return {"probs": self._text(golden["input"]["text"]).probs}


class _Embedding(_Replay):
    def __init__(self, pack: Pack, variant: Variant, providers: Providers, threads: int) -> None:
        from affectrt import TextEmbedding

        self._embed = TextEmbedding(pack, precision=variant.name, providers=providers or None, strict=bool(providers), threads=threads)
        self.provider = self._embed.provider

    def __call__(self, golden: dict[str, Any]) -> dict[str, Array]:
        return {"embedding": self._embed(golden["input"]["text"])}


class _Span(_Replay):
    def __init__(self, pack: Pack, variant: Variant, providers: Providers, threads: int) -> None:
        from affectrt.dialogue.cause import SpanNetwork

        self._span = SpanNetwork(pack, precision=variant.name, providers=providers or None, strict=bool(providers), threads=threads)
        self.provider = self._span.provider

    def __call__(self, golden: dict[str, Any]) -> dict[str, Array]:
        windows = self._span(golden["input"]["question"], golden["input"]["text"])
        return {"logits": np.concatenate([np.stack([one.start_logits, one.end_logits], 1) for one in windows])}


class _Pair(_Replay):
    def __init__(self, pack: Pack, variant: Variant, providers: Providers, threads: int) -> None:
        from affectrt.dialogue.cause import EntailmentNetwork

        self._pair = EntailmentNetwork(pack, precision=variant.name, providers=providers or None, strict=bool(providers), threads=threads)
        self.provider = self._pair.provider

    def __call__(self, golden: dict[str, Any]) -> dict[str, Array]:
        return {"probs": self._pair.probs(golden["input"]["text"])}


class _Dialogue(_Replay):
    provider = "llama.cpp"

    def __init__(self, pack: Pack, variant: Variant) -> None:
        from affectrt import Dialogue

        self._dialogue = Dialogue(pack, precision=variant.name, context_tokens=512)
        self.provider = self._dialogue.provider

    def __call__(self, golden: dict[str, Any]) -> dict[str, Array]:
        return {"tokens": np.asarray(self._dialogue.prompt_tokens(golden["input"]["text"]), dtype=np.int32)}


def _load(pack: Pack, path: str) -> Array:
    file = Path(pack.file(path))
    try:
        array: Array = np.load(file, allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        # NumPy's own words may advise to allow pickle, which is never right here.
        raise PackError(f"{pack.name}: {path}: a .npy file of numbers was expected ({type(error).__name__})") from None
    if not isinstance(array, np.ndarray):
        raise PackError(f"{pack.name}: {path}: a .npy file of numbers was expected, got an .npz")
    return array


def _judge(pack: Pack, variant: Variant, replay: _Replay, golden: dict[str, Any]) -> Iterator[Outcome]:
    name, tolerance = golden["name"], variant.golden_tolerance_abs
    output = ""
    try:
        results = replay(golden)
        for output, path in golden["expected"].items():
            expected = _load(pack, path)
            if pack.task == "face-landmarks":  # the tolerance is in parts of the width of the picture
                expected = expected / np.float32(_load(pack, golden["input"]["image"]).shape[1])
            limit = 0.0 if output == "tokens" else tolerance
            difference, detail = compare(output, results.get(output), expected)
            fine = difference is not None and difference <= limit
            yield Outcome(pack.name, variant.name, name, output, PASSED if fine else FAILED, difference, limit, detail, replay.provider)
    except _DAMAGE as error:
        yield Outcome(pack.name, variant.name, name, output, FAILED, None, tolerance, _why(error), replay.provider)


def compare(output: str, actual: Array | None, expected: Array) -> tuple[float | None, str]:
    """The largest difference and "", or None and why the two cannot be compared: absent, of another shape, or not a number."""
    if actual is None:
        return None, f"no {output}: the network found nothing in this input"
    if actual.shape != expected.shape:
        return None, f"shape {expected.shape} was expected, got {actual.shape}"
    if not np.isfinite(actual).all():
        return None, "not finite"
    if output == "detections":
        return _detections(actual.astype(np.float64), expected.astype(np.float64)), ""
    difference = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
    return float(difference.max(initial=0.0)), ""


def _detections(actual: Array, expected: Array) -> float:
    """Difference of the worst row: scores as they are, positions in parts of the box's longer side.

    Rows are paired by the nearest box, because two faces of nearly the same score may change places.
    """
    worst, free = 0.0, list(range(len(actual)))
    for row in expected:
        nearest = min(free, key=lambda i: float(np.abs(actual[i, 1:5] - row[1:5]).sum()))
        free.remove(nearest)
        side = max(row[3] - row[1], row[4] - row[2], 1.0)
        difference = np.abs(actual[nearest] - row)
        worst = max(worst, float(difference[0]), float(difference[1:].max()) / side)
    return worst

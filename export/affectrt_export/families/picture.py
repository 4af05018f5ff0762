"""Preprocessing of image classifiers: what vision frameworks write in their configurations, as the image input of a pack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from affectrt_export.families.base import Options
from affectrt_export.spec import ExportError

CROP: Mapping[str, Any] = {"kind": "box", "scale": 1.2, "shift_x": 0.0, "shift_y": -0.04, "square": True, "rotate": True}
"""How a face is cut from a frame unless the user says: a little larger than the detector's box, turned level."""
CROP_NOTE = "How faces were cut for training is not known: a square 1.2 times the detected box, turned level, is assumed."
_RESAMPLING = {0: "nearest", 1: "Lanczos", 3: "bicubic", 4: "box", 5: "Hamming"}
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes the network's input: stretched to `side_px`, its middle `inner_px` taken, then (pixel - mean) * scale."""

    side_px: int
    inner_px: int
    """Equal to `side_px` where nothing is cut away."""
    mean: tuple[float, ...]
    """In pixel values, per channel."""
    scale: tuple[float, ...]
    notes: tuple[str, ...] = ()

    @property
    def margin_px(self) -> int:
        """Pixels that are cut away before the network, at the top and on the left."""
        return (self.side_px - self.inner_px) // 2

    def noted(self, note: str) -> Preprocessing:
        """With one more note."""
        return replace(self, notes=(*self.notes, note))

    def contract(self, tensor: str, options: Options) -> dict[str, Any]:
        """The image input of a pack."""
        channels = len(self.mean)
        return {
            "tensor": tensor,
            "kind": "image",
            "layout": "nchw",
            "color": "gray" if channels == 1 else "rgb",
            "width_px": self.side_px,
            "height_px": self.side_px,
            "mean": list(self.mean),
            "scale": list(self.scale),
            "pad_value": [0.0] * channels,
            "fit": "stretch",
            "dynamic_batch": True,
            "crop": dict(options.crop or CROP),
        }

    def all_notes(self, options: Options) -> tuple[str, ...]:
        """With what was assumed of the crop and done with the middle."""
        notes = self.notes if options.crop else (*self.notes, CROP_NOTE)
        if self.margin_px:
            share = self.inner_px / self.side_px
            notes = (
                *notes,
                f"The network sees the middle {share:.1%} of the picture on each side, as in training: the ONNX file cuts it out.",
            )
        return notes


def of_transformers(config: Mapping[str, Any], channels: int, options: Options) -> Preprocessing:
    """Reads preprocessor_config.json; `options` go before it. Raises ExportError: something missing, or that no pack can say."""
    if not config and (options.mean is None or options.std is None or options.size_px is None):
        raise ExportError("preprocessor_config.json was expected, there is none; without it mean, std and size must be given")
    side, inner = (options.size_px, options.size_px) if options.size_px is not None else _sizes(config)
    rescale = float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 1.0
    mean, std = (0.0,) * channels, (1.0,) * channels
    if options.mean is not None or config.get("do_normalize", bool(config)):
        mean = _numbers("image_mean", options.mean if options.mean is not None else config.get("image_mean"), channels)
        std = _numbers("image_std", options.std if options.std is not None else config.get("image_std"), channels)
    if config.get("rescale_offset"):  # EfficientNet: [-1, 1] before mean and standard deviation
        mean = tuple(m + 1 for m in mean)
    if "EfficientNet" in str(config.get("image_processor_type", config.get("feature_extractor_type"))) and config.get("include_top", True):
        # Its processor divides by the standard deviation twice.
        std = tuple(s * s for s in std)
    notes = []
    if int(config.get("resample", 2)) in _RESAMPLING:
        notes.append(f"Trained on pictures resampled {_RESAMPLING[int(config['resample'])]}; a pack resamples bilinearly.")
    return Preprocessing(side, inner, tuple(m / rescale for m in mean), tuple(rescale / s for s in std), tuple(notes))


def normalised(side_px: int, inner_px: int, mean: Sequence[float], std: Sequence[float], channels: int) -> Preprocessing:
    """Mean and standard deviation of pixels in [0, 1]. Raises ExportError."""
    means, spreads = _numbers("mean", mean, channels), _numbers("std", std, channels)
    return Preprocessing(side_px, inner_px, tuple(m * 255 for m in means), tuple(1 / (255 * s) for s in spreads))


def _sizes(config: Mapping[str, Any]) -> tuple[int, int]:
    """Side of the stretched picture, and of the middle that is taken."""
    size, crop = config.get("size"), config.get("crop_size")
    short = _side("size", size) if size is not None and config.get("do_resize", True) else None
    kind = str(config.get("image_processor_type", config.get("feature_extractor_type")))
    if "ConvNext" in kind and short is not None:
        # Under 384 px its processor makes the picture larger and cuts the middle out, without a word of it in do_center_crop.
        return (int(short / float(config.get("crop_pct") or 224 / 256)), short) if short < 384 else (short, short)
    if config.get("do_center_crop") and crop is not None:
        inner = _side("crop_size", crop)
        if short is not None and inner > short:
            raise ExportError(f"preprocessor_config.json: a crop_size of at most size was expected, got {inner} of {short}")
        return short or inner, inner
    if short is None:
        raise ExportError("preprocessor_config.json: a size was expected, there is none; give one")
    return short, short


def _side(key: str, value: Any) -> int:
    """A number, {"shortest_edge": n} or {"height": n, "width": n}; faces are square, so the three are one."""
    if isinstance(value, Mapping):
        sides = {int(value[name]) for name in ("shortest_edge", "height", "width") if value.get(name)}
        if len(sides) != 1:
            raise ExportError(f"preprocessor_config.json: a square {key} was expected, got {dict(value)}")
        return sides.pop()
    if isinstance(value, (list, tuple)) and len(set(value)) == 1:
        value = value[0]
    if not isinstance(value, int) or value < 1:
        raise ExportError(f"preprocessor_config.json: a number of pixels was expected as {key}, got {value!r}")
    return value


def _numbers(key: str, value: Any, channels: int) -> tuple[float, ...]:
    if isinstance(value, (int, float)):
        value = [value]
    if not isinstance(value, Sequence) or len(value) not in (1, channels):
        raise ExportError(f"{key}: {channels} numbers were expected, one a channel, got {value!r}")
    numbers = tuple(float(v) for v in value)
    if key.endswith("std") and not all(number > 0 for number in numbers):
        raise ExportError(f"{key}: numbers over 0 were expected, got {value!r}")
    return numbers * channels if len(numbers) == 1 else numbers

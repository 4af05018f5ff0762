"""Image classifiers of the timm library, in its hub layout (config.json with `architecture`) or as bare weights with `options.arch`.

timm is an extra of its own: it brings torchvision, and with a GPU build of PyTorch that is several gigabytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectrt_export.checks import check_finite
from affectrt_export.families import labels, picture, pretrained
from affectrt_export.families.base import Options
from affectrt_export.families.encoder import decode
from affectrt_export.families.network import IMAGE, image_onnx, image_reference
from affectrt_export.families.source import Source, entries, license_of, name_of, weight_files
from affectrt_export.spec import Contract, ExportError, Model

INSTALL = "pip install timm"
_WEIGHTS = (".safetensors", ".pt", ".pth", ".bin")


@dataclass(frozen=True)
class Timm:
    """Folders of timm's hub layout, and files of weights where the user says the architecture."""

    name: str = "timm"
    about: str = "image classifiers of timm: config.json with architecture, or a file of weights and --arch"

    def claims(self, source: Source) -> bool:
        """By `architecture`, which only timm writes; a file by its suffix."""
        return "architecture" in source.config or source.suffix in _WEIGHTS

    def read(self, source: Source, options: Options) -> Model:
        """See `affectrt_export.families.base.Family`."""
        if options.task not in ("", "face-expression"):
            raise ExportError(f"{source.origin}: a model for face-expression, the task {options.task} was asked for")
        config = source.config
        arch = options.arch or str(config.get("architecture", ""))
        if not arch:
            raise ExportError(f"{source.origin}: weights alone do not say their network; name timm's architecture (arch)")
        files = weight_files(source) if source.place.is_dir() else [source.place]
        weights = {name: value for file in files for name, value in pretrained.state(file).items()}
        arguments = config.get("model_args") or {}
        if not isinstance(arguments, Mapping):
            raise ExportError(f"config.json: model_args was expected to be an object, got {type(arguments).__name__}")
        network, outputs = build(arch, weights, **arguments)
        named = labels.of_config(_with_labels(config), options.labels, outputs)
        how = preprocessing({**network.pretrained_cfg, **(config.get("pretrained_cfg") or {})}, options)
        return classifier(source, options, self.name, network, how, named, files)


def build(arch: str, weights: Mapping[str, Any], **arguments: Any) -> tuple[Any, int]:
    """timm's network with these weights, all of them used and none missing, and the number of its outputs. Raises ExportError."""
    timm = library()
    check_finite((name, value.numpy()) for name, value in weights.items())
    if not timm.is_model(arch.partition(".")[0]):
        raise ExportError(f"timm {timm.__version__} has no architecture {arch!r}")
    try:
        name = timm.create_model(arch, pretrained=False, **arguments).pretrained_cfg["classifier"]
        bias = weights.get(f"{name}.bias")
        if bias is None:
            raise ExportError(f"{arch}: {name}.bias was expected among the weights, it has not been found; is it a classifier?")
        network = timm.create_model(arch, pretrained=False, **{**arguments, "num_classes": len(bias)})
        network.load_state_dict({name: value.float() if value.is_floating_point() else value for name, value in weights.items()})
    except (RuntimeError, TypeError, ValueError) as error:
        raise ExportError(f"{arch}: these weights were expected to be of this network: {' '.join(str(error).split())[:300]}") from error
    return network.eval(), len(bias)


def library() -> Any:
    """timm. Raises ExportError: not installed, or not to be imported, with what to do."""
    try:
        import timm
    except ModuleNotFoundError as error:
        raise ExportError(
            f"reading this model needs timm ({error.name} is missing): {INSTALL}. It brings torchvision, up to several GB"
        ) from error
    except (ImportError, RuntimeError, OSError) as error:
        first = str(error).splitlines()[0]
        raise ExportError(
            f"timm is installed and cannot be imported ({first}): torchvision must be the build that belongs to torch"
        ) from error
    return timm


def preprocessing(config: Mapping[str, Any], options: Options) -> picture.Preprocessing:
    """Of timm's pretrained_cfg; `options` go before it. Raises ExportError."""
    size = config.get("input_size") or (3, 0, 0)
    if len(size) != 3 or size[1] != size[2]:
        raise ExportError(f"pretrained_cfg: a square input_size was expected, got {size}")
    inner = options.size_px or int(size[1])
    if inner < 1:
        raise ExportError("pretrained_cfg: an input_size was expected, there is none; give size")
    share = float(config.get("crop_pct") or 1.0) if config.get("crop_mode", "center") == "center" else 1.0
    side = inner if options.size_px else math.floor(inner / share)
    mean, std = (options.mean or config.get("mean") or picture.IMAGENET_MEAN), (options.std or config.get("std") or picture.IMAGENET_STD)
    how = picture.normalised(side, inner, mean, std, int(size[0]))
    interpolation = str(config.get("interpolation") or "bilinear")
    if interpolation != "bilinear":
        how = how.noted(f"Trained on pictures resampled {interpolation}; a pack resamples bilinearly.")
    return how


def classifier(
    source: Source,
    options: Options,
    family: str,
    network: Any,
    how: picture.Preprocessing,
    named: labels.Labels,
    files: list[Path],
    call: Any = None,
    outputs: tuple[tuple[str, str, int], ...] = (),
) -> Model:
    """A model of one torch network. call: to its outputs, if not one of logits. outputs: name, kind, size of further ones."""
    every = (("logits", "logits", len(named.names)), *outputs)
    names = [name for name, _, _ in every]
    license = license_of(source, options)
    return Model(
        name=name_of(source, options),
        family=family,
        onnx=image_onnx(network, how, names, call or _call),
        reference=image_reference(network, how, names, call or _call),
        contract=Contract(
            task="face-expression",
            inputs=[how.contract(IMAGE, options)],
            outputs=[{"tensor": name, "kind": kind, "shape": [-1, size]} for name, kind, size in every],
            decode=decode("single_label_classification", len(named.names)),
            labels=named.entries,
        ),
        convolutional=_convolutional(network),
        license=license,
        source=entries(source, files, license),
        notes=(*named.notes, *how.all_notes(options)),
    )


def _call(network: Any, image: Any) -> tuple[Any]:
    return (network(image),)


def _convolutional(network: Any) -> bool:
    kinds = [type(part).__name__ for part in network.modules()]
    return sum("Conv2d" in kind for kind in kinds) > kinds.count("Linear")


def _with_labels(config: Mapping[str, Any]) -> dict[str, Any]:
    """timm names labels in a list; its placeholders are none."""
    names = config.get("label_names")
    return {"id2label": dict(enumerate(names))} if isinstance(names, list) and names else {}

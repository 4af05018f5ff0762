"""Image classifiers of a face's expression, through transformers: ViT, Swin, EfficientNet, ResNet and their kin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from affectrt_export.families import labels, picture, pretrained
from affectrt_export.families.base import Options
from affectrt_export.families.encoder import decode
from affectrt_export.families.network import IMAGE, image_onnx, image_reference
from affectrt_export.families.source import Source, entries, license_of, name_of
from affectrt_export.spec import Contract, ExportError, Model

CONVOLUTIONAL: Mapping[str, bool] = {
    "vit": False,
    "deit": False,
    "swin": False,
    "efficientnet": True,
    "resnet": True,
    "convnext": True,
}
"""By model_type: whether int8 is made for convolutions or for matrix products."""


@dataclass(frozen=True)
class Image:
    """Folders whose config.json has one of `CONVOLUTIONAL`, with preprocessor_config.json."""

    name: str = "image"
    about: str = f"image classifiers of transformers: {', '.join(CONVOLUTIONAL)}"

    def claims(self, source: Source) -> bool:
        """By model_type."""
        return source.model_type in CONVOLUTIONAL

    def read(self, source: Source, options: Options) -> Model:
        """See `affectrt_export.families.base.Family`."""
        if options.task not in ("", "face-expression"):
            raise ExportError(f"{source.origin}: a model for face-expression, the task {options.task} was asked for")
        network, files = pretrained.load(source, "AutoModelForImageClassification")
        config = network.config
        outputs = int(config.num_labels)
        problem = source.config.get("problem_type") or ("regression" if outputs == 1 else "single_label_classification")
        named = labels.of_config(source.config, options.labels, outputs, regression=problem == "regression")
        how = picture.of_transformers(source.json("preprocessor_config.json"), int(getattr(config, "num_channels", 3)), options)
        # Only those with a place for each patch are bound to one size.
        side = getattr(config, "image_size", how.inner_px) if source.model_type in ("vit", "deit", "swin") else how.inner_px
        if side != how.inner_px:
            raise ExportError(f"preprocessor_config.json makes pictures of {how.inner_px} px, config.json says image_size {side}")
        license = license_of(source, options)
        return Model(
            name=name_of(source, options),
            family=self.name,
            onnx=image_onnx(network, how, ["logits"], _call),
            reference=image_reference(network, how, ["logits"], _call),
            contract=Contract(
                task="face-expression",
                inputs=[how.contract(IMAGE, options)],
                outputs=[{"tensor": "logits", "kind": "probabilities" if problem == "regression" else "logits", "shape": [-1, outputs]}],
                decode=decode(problem, outputs),
                labels=named.entries,
            ),
            convolutional=CONVOLUTIONAL[source.model_type],
            license=license,
            source=entries(source, files, license),
            notes=(*named.notes, *how.all_notes(options)),
        )


def _call(network: Any, image: Any) -> tuple[Any]:
    return (network(pixel_values=image).logits,)

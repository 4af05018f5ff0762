"""Checkpoints of HSEmotion: EfficientNet-B0 and B2 trained on AffectNet, as its ONNX files or as weights without code.

Its .pt files are whole networks saved by pickle, which can run any code when they are opened: they are refused, with the way to convert
them. What a file holds is in its name: enet_b0_8_best_vgaf, enet_b0_8_best_afew, enet_b0_8_va_mtl, enet_b2_8, enet_b2_7.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from affectrt_export.families import labels, onnx_file, picture, pretrained, timm
from affectrt_export.families.base import Options
from affectrt_export.families.encoder import decode
from affectrt_export.families.network import IMAGE
from affectrt_export.families.source import Source, entries, license_of, name_of
from affectrt_export.spec import Contract, ExportError, Model

EIGHT = ("Anger", "Contempt", "Disgust", "Fear", "Happiness", "Neutral", "Sadness", "Surprise")
"""AffectNet's labels in the order of these networks."""
SEVEN = tuple(name for name in EIGHT if name != "Contempt")
AFFECT = "valence_arousal"
"""Second output of the multi-task networks: (n, 2), both in about [-1, 1]."""
_NAME = re.compile(r"enet_b([02])_([78])(_\w+)?")
_SIDE_PX = {"0": 224, "2": 260}
_SUFFIXES = (".onnx", ".safetensors", ".pt", ".pth")


@dataclass(frozen=True)
class HsEmotion:
    """Files named like HSEmotion's."""

    name: str = "hsemotion"
    about: str = "HSEmotion's enet_b0_8_*, enet_b2_8 and enet_b2_7, as .onnx, .safetensors or a .pt of weights"

    def claims(self, source: Source) -> bool:
        """By the name of the file."""
        return source.suffix in _SUFFIXES and _NAME.fullmatch(source.place.stem) is not None

    def read(self, source: Source, options: Options) -> Model:
        """See `affectrt_export.families.base.Family`."""
        said = _NAME.fullmatch(source.place.stem)
        if said is None:
            raise ExportError(f"{source.origin}: a name like enet_b0_8_best_vgaf was expected, it says size and labels; rename the file")
        side = options.size_px or _SIDE_PX[said[1]]
        how = picture.normalised(side, side, options.mean or picture.IMAGENET_MEAN, options.std or picture.IMAGENET_STD, 3)
        names = SEVEN if said[2] == "7" else EIGHT
        named = labels.of_file(options.labels, len(names)) if options.labels else labels.of_names(names)
        several = "_mtl" in (said[3] or "")
        if source.suffix == ".onnx":
            return self._of_onnx(source, options, how, named, several)
        weights = {name.replace("classifier.0.", "classifier."): value for name, value in pretrained.state(source.place).items()}
        network, outputs = timm.build(options.arch or f"tf_efficientnet_b{said[1]}", weights)
        _check_outputs(source, outputs, named, several)
        more = ((AFFECT, "embedding", 2),) if several else ()

        def call(network: Any, image: Any) -> tuple[Any, ...]:
            values = network(image)
            return (values[:, : len(names)], values[:, len(names) :]) if several else (values,)

        return timm.classifier(source, options, self.name, network, how, named, [source.place], call, more)

    def _of_onnx(self, source: Source, options: Options, how: picture.Preprocessing, named: labels.Labels, several: bool) -> Model:
        proto = onnx_file.load(source.place)
        if len(proto.graph.output) != 1 or len(proto.graph.input) != 1:
            raise ExportError(f"{source.origin}: one input and one output were expected, as HSEmotion's files have")
        last = proto.graph.output[0].type.tensor_type.shape.dim
        _check_outputs(source, last[-1].dim_value if last else 0, named, several)
        onnx_file.rename(proto.graph, {proto.graph.input[0].name: IMAGE})
        outputs = [{"tensor": "logits", "kind": "logits", "shape": [-1, len(named.names)]}]
        if several:
            onnx_file.split_output(proto.graph, {"logits": len(named.names), AFFECT: 2})
            outputs.append({"tensor": AFFECT, "kind": "embedding", "shape": [-1, 2]})
        else:
            onnx_file.rename(proto.graph, {proto.graph.output[0].name: "logits"})
        license = license_of(source, options)
        return Model(
            name=name_of(source, options),
            family=self.name,
            onnx=onnx_file.finished(proto),
            reference=None,
            contract=Contract(
                task="face-expression",
                inputs=[how.contract(IMAGE, options)],
                outputs=outputs,
                decode=decode("single_label_classification", len(named.names)),
                labels=named.entries,
            ),
            convolutional=True,
            license=license,
            source=entries(source, [source.place], license),
            notes=(*named.notes, *how.all_notes(options)),
        )


def _check_outputs(source: Source, outputs: int, named: labels.Labels, several: bool) -> None:
    want = len(named.names) + (2 if several else 0)
    if outputs != want:
        raise ExportError(f"{source.origin}: {want} outputs were expected by its name, the network has {outputs}")

"""What `affectrt_export.train.face_expression` writes: a small residual network for gray faces of 48x48."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from affectrt_export.checks import check_finite
from affectrt_export.families import labels, pretrained
from affectrt_export.families.base import Options
from affectrt_export.families.encoder import decode
from affectrt_export.families.network import IMAGE, image_onnx, image_reference
from affectrt_export.families.picture import Preprocessing
from affectrt_export.families.source import Source, entries, license_of, name_of, weight_files
from affectrt_export.spec import Contract, ExportError, Model

SIDE_PX = 48
KEY_POINTS = ("right_eye", "left_eye", "nose_tip", "mouth", "right_ear", "left_ear")
# Where the full-range detector finds its key points in the pictures of FER2013 PublicTest, which are of this size (medians of 2,815
# faces, made symmetric).
TEMPLATE_PX = ((15.3, 19.275), (32.7, 19.275), (24.0, 28.725), (24.0, 36.225), (6.975, 22.875), (41.025, 22.875))
CROP = {"kind": "key_points", "template": [list(point) for point in TEMPLATE_PX], "points": list(KEY_POINTS)}


@dataclass(frozen=True)
class FerNet:
    """Folders whose config.json has the model_type affect-fernet."""

    name: str = "affect-fernet"
    about: str = "the face network of affectrt's own training"

    def claims(self, source: Source) -> bool:
        """By model_type."""
        return source.model_type == self.name

    def read(self, source: Source, options: Options) -> Model:
        """See `affectrt_export.families.base.Family`."""
        side, channels = source.config.get("image_size", SIDE_PX), source.config.get("num_channels", 1)
        if (side, channels) != (SIDE_PX, 1):
            raise ExportError(f"config.json: image_size {SIDE_PX} and num_channels 1 were expected, got {side} and {channels}")
        files = weight_files(source)
        network, outputs = _network(source, {name: value for file in files for name, value in pretrained.state(file).items()})
        named = labels.of_config(source.config, options.labels, outputs)
        how = Preprocessing(SIDE_PX, SIDE_PX, (127.5,), (1 / 127.5,))
        license = license_of(source, options)
        contract = how.contract(IMAGE, options)
        return Model(
            name=name_of(source, options),
            family=self.name,
            onnx=image_onnx(network, how, ["logits"], _call),
            reference=image_reference(network, how, ["logits"], _call),
            contract=Contract(
                task="face-expression",
                inputs=[contract if options.crop else {**contract, "crop": CROP}],
                outputs=[{"tensor": "logits", "kind": "logits", "shape": [-1, outputs]}],
                decode=decode(str(source.config.get("problem_type", "single_label_classification")), outputs),
                labels=named.entries,
            ),
            convolutional=True,
            license=license,
            source=entries(source, files, license),
            notes=named.notes,
        )


def _network(source: Source, weights: dict[str, Any]) -> tuple[Any, int]:
    """The torch module with the weights of the checkpoint, and how many labels it tells apart."""
    from affectrt_export.train.fer_net import FerNet as Network

    check_finite((name, value.numpy()) for name, value in weights.items())
    head = weights.get("head.bias")
    if head is None:
        raise ExportError(f"{source.origin}: the weights of affect-fernet were expected, head.bias is missing")
    network = Network(len(head))
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ExportError(f"the weights of affect-fernet were expected: {' '.join(str(error).split())[:300]}") from error
    return network.eval(), len(head)


def _call(network: Any, image: Any) -> tuple[Any]:
    return (network(image),)

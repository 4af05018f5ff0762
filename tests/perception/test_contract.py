"""A pack whose manifest and network disagree is refused when it opens, not at the first face or sentence."""

from pathlib import Path

import affectrt as art
import numpy as np
import onnx
import pytest
from affectrt.packs import DEFAULTS, open_pack
from onnx import TensorProto, helper

FACE, TEXT, DETECTOR = (DEFAULTS[task] for task in ("face-expression", "text-emotion", "face-detection"))


def network(name):
    """Path in the pack of the network that is used when nothing is said."""
    return open_pack(name).variant().file


def cast_input(name, dtype):
    """The network of a pack, taking another dtype."""
    model = onnx.load(open_pack(name).variant().path)
    (given,) = model.graph.input
    inner = given.name + "_as_float"
    for node in model.graph.node:
        node.input[:] = [inner if i == given.name else i for i in node.input]
    model.graph.node.insert(0, helper.make_node("Cast", [given.name], [inner], to=TensorProto.FLOAT))
    given.type.tensor_type.elem_type = dtype
    return model.SerializeToString()


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT16, TensorProto.UINT8, TensorProto.DOUBLE])
@pytest.mark.parametrize(("name", "role"), [(FACE, "expression"), (DETECTOR, "detector")])
def test_a_network_of_another_dtype(altered, dtype, name, role):
    pack = altered(name, files={network(name): cast_input(name, dtype)})
    with pytest.raises(art.PackError, match="expected float32"):
        art.Face(color="rgb8", **{role: pack})


def test_an_input_of_another_size(altered):
    pack = altered(FACE, lambda m: m["inputs"][0].update(width_px=m["inputs"][0]["width_px"] + 16))
    for make in (lambda: art.Face(expression=pack), lambda: art.FaceExpression(pack)):
        with pytest.raises(art.PackError, match="its manifest does not fit its network"):
            make()


def test_landmarks_that_are_not_there(altered):
    pack = altered("blendshapes-52", lambda m: m["decode"]["landmark_indices"].__setitem__(3, 9000))
    with pytest.raises(art.PackError, match="reads landmark 9000, and face-mesh-478 gives 478"):
        art.Face(blendshapes=pack)


@pytest.mark.parametrize("where", ["inputs", "outputs"])
def test_a_tensor_of_another_name(altered, where):
    pack = altered(TEXT, lambda m: m[where][0].update(tensor="other"))
    with pytest.raises(art.PackError, match="other"):
        art.TextEmotion(pack)


def test_a_damaged_tokenizer(altered):
    pack = altered(TEXT, files={"tokenizer.json": b"{}"})
    with pytest.raises(art.PackError, match=r"tokenizer\.json: expected a tokenizer"):
        art.TextEmotion(pack)


def test_the_labels_output_is_found_wherever_it_stands(altered, astronaut):
    """A network may give an embedding before its logits."""
    model = onnx.load(open_pack(FACE).variant().path)
    result = model.graph.output[0].name
    model.graph.node.append(helper.make_node("Neg", [result], ["embedding"]))
    model.graph.output.insert(0, helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 7]))
    pack = altered(
        FACE,
        lambda m: m["outputs"].insert(0, {"tensor": "embedding", "kind": "embedding", "shape": [-1, 7]}),
        {network(FACE): model.SerializeToString()},
    )
    crop = astronaut[60:190, 165:295]
    want, got = art.FaceExpression(color="rgb8")(crop), art.FaceExpression(pack, color="rgb8")(crop)
    np.testing.assert_allclose(got.probs, want.probs, atol=1e-6)


def test_an_external_file_behind_a_tag_of_more_than_32_bits(altered):
    """protobuf keeps 32 bits of a tag; a reader that keeps more would not see the field."""
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    plain = onnx.StringStringEntryProto(key="location", value="../secret.bin").SerializeToString()
    smuggled = tensor.SerializeToString() + bytes([0xEA, 0x80, 0x80, 0x80, 0x10, len(plain)]) + plain
    model = Path(open_pack(FACE).variant().path).read_bytes()
    graph = bytes([0x2A, len(smuggled)]) + smuggled
    pack = altered(FACE, files={network(FACE): model + bytes([0x3A, len(graph)]) + graph})
    with pytest.raises(art.PackError, match="more than 29 bits"):
        open_pack(pack)

"""An engine as an ONNX file: what is in it, what is refused, and what an ONNX Runtime without a GPU says to it."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from affectrt.engine import Engine, EngineSettings
from affectrt.errors import DeviceError, EngineError
from affectrt_export.spec import ExportError
from affectrt_export.tensorrt.ep_context import PROVIDERS, Context, check, wrap
from affectrt_export.tensorrt.options import read
from onnx import TensorProto, helper, numpy_helper

ENGINE = b"\x00ptrt\xff\x80\xfe" * 100  # no text: a string attribute must hold it all the same
CONTEXT = Context("TensorrtExecutionProvider", "101300", "87", "model.fp16.onnx", "face-fp16-0123456789abcdef")


@pytest.fixture(scope="module")
def network():
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", "t"])
    table = numpy_helper.from_array(np.zeros((9, 4), np.float32), "table")
    filled = helper.make_tensor_value_info("table", TensorProto.FLOAT, [9, 4])  # an input that an initialiser fills is none
    out = helper.make_tensor_value_info("words", TensorProto.FLOAT, ["n", "t", 4])
    graph = helper.make_graph([helper.make_node("Gather", ["table", "input_ids"], ["words"])], "g", [ids, filled], [out], [table])
    return read(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString())


@pytest.mark.parametrize("engine", [ENGINE, "face.engine"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_wrapped_engine_has_the_networks_inputs_and_outputs_and_every_attribute(network, engine, provider):
    context = Context(provider, "101300", "87", "model.fp16.onnx", "face-fp16-0123456789abcdef")
    data = wrap(network, engine, context)
    assert data == wrap(network, engine, context)
    assert check(data) == (context, engine)
    model = onnx.load_model_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    (node,) = model.graph.node
    assert (node.domain, node.op_type, list(node.input), list(node.output)) == ("com.microsoft", "EPContext", ["input_ids"], ["words"])
    assert [value.SerializeToString() for value in model.graph.input] == [network.graph.input[0].SerializeToString()]
    assert list(model.graph.output) == list(network.graph.output)
    assert {entry.domain for entry in model.opset_import} == {"", "com.microsoft"}
    told = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    assert told == {
        "main_context": 1,
        "embed_mode": int(isinstance(engine, bytes)),
        "ep_cache_context": engine if isinstance(engine, bytes) else engine.encode(),
        "ep_sdk_version": b"101300",
        "hardware_architecture": b"87",
        "onnx_model_filename": b"model.fp16.onnx",
        "partition_name": context.partition.encode(),
        "source": provider.encode(),
    }


@pytest.mark.parametrize("name", ["../x.engine", "/tmp/x.engine", "a/b.engine", "..", "a\\b"])
def test_a_file_outside_the_folder_is_neither_written_nor_read(network, name):
    with pytest.raises(ExportError, match="without a folder"):
        wrap(network, name, CONTEXT)
    with pytest.raises(ExportError, match="without a folder"):
        check(changed(network, "ep_cache_context", name.encode()))


@pytest.mark.parametrize("engine", [b"", ""])
def test_an_empty_engine_is_refused(network, engine):
    with pytest.raises(ExportError, match="expected an engine, got none"):
        wrap(network, engine, CONTEXT)


def test_an_unknown_provider_is_refused(network):
    with pytest.raises(ExportError, match="expected TensorrtExecutionProvider or Nv"):
        wrap(network, ENGINE, Context("QNNExecutionProvider", "1", "87", "m.onnx", "p"))
    with pytest.raises(ExportError, match="expected the source"):
        check(changed(network, "source", b"QNNExecutionProvider"))


def changed(network, attribute, value):
    """A wrapped engine with one attribute set to something else, or (None) without it."""
    model = onnx.load_model_from_string(wrap(network, "face.engine", CONTEXT))
    node = model.graph.node[0]
    kept = [a for a in node.attribute if a.name != attribute]
    del node.attribute[:]
    node.attribute.extend([*kept, *([] if value is None else [helper.make_attribute(attribute, value)])])
    return model.SerializeToString()


@pytest.mark.parametrize("attribute", ["embed_mode", "ep_cache_context", "source", "partition_name", "main_context"])
def test_a_missing_attribute_or_one_of_the_wrong_type_is_named(network, attribute):
    for value in (None, 1.5):
        with pytest.raises(ExportError, match=f"expected the attributes {attribute}"):
            check(changed(network, attribute, value))


def test_what_is_no_wrapped_engine_is_refused(network):
    for attribute, value in (("embed_mode", 2), ("main_context", 7), ("ep_cache_context", b"")):
        with pytest.raises(ExportError, match="expected embed_mode"):
            check(changed(network, attribute, value))
    with pytest.raises(ExportError, match="UTF-8"):
        check(changed(network, "partition_name", b"\xff"))
    with pytest.raises(ExportError, match=r"expected one node com.microsoft::EPContext, got ::Gather"):
        check(network.SerializeToString())
    with pytest.raises(ExportError, match="expected an ONNX file that holds an engine"):
        check(b"junk" * 9)


@pytest.mark.parametrize("engine", [ENGINE, "face.engine"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_runtime_without_the_provider_says_so_and_does_not_crash(network, tmp_path, engine, provider):
    """onnxruntime's own words: the source of the node, and the providers that there are."""
    assert not set(PROVIDERS) & set(onnxruntime.get_available_providers()), "this test is of an ONNX Runtime without TensorRT"
    path = tmp_path / "face.onnx"
    path.write_bytes(wrap(network, engine, Context(provider, "101300", "87", "m.onnx", "face")))
    (tmp_path / "face.engine").write_bytes(ENGINE)
    for settings in (EngineSettings(), EngineSettings(providers=[provider]), EngineSettings(providers=[provider, "CPUExecutionProvider"])):
        with pytest.raises(EngineError, match=rf"face\.onnx: EPContext node generated by '{provider}'.*\[CPUExecutionProvider\]"):
            Engine(path, settings)
    with pytest.raises(DeviceError, match=f"{provider}: not in this ONNX Runtime"):
        Engine(path, EngineSettings(providers=[provider], strict=True))

"""TensorRT-RTX itself, without a GPU: what it builds, what it refuses and how that is said. Nothing here runs an engine."""

from __future__ import annotations

import hashlib
import re
import subprocess
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from affectrt.packs import default_packs, open_pack
from affectrt_export import minilm, to_onnx
from affectrt_export.spec import ExportError
from affectrt_export.tensorrt.__main__ import main as command
from affectrt_export.tensorrt.build import BuildError, build, parses
from affectrt_export.tensorrt.library import RTX_COMMAND, load
from affectrt_export.tensorrt.options import Options, Shapes, plan, read
from affectrt_export.variants import derive, fp16, int8_trt
from affectrt_export.variants.options import Options as VariantOptions
from onnx import TensorProto, helper, numpy_helper

TEXT = [{"kind": "text", "tensor": "input_ids", "mask_tensor": "attention_mask", "max_tokens": 64}]


@pytest.fixture(scope="module", autouse=True)
def rtx():
    """A machine without the package fails: it can be installed, so it is no reason to leave these out."""
    try:
        return load("tensorrt_rtx")
    except ExportError as error:
        pytest.fail(f"TensorRT-RTX is needed here ({error}): {RTX_COMMAND}")


def network(nodes, inputs, outputs, constants=(), opset=17):
    graph = helper.make_graph(nodes, "g", inputs, outputs, [numpy_helper.from_array(v, n) for n, v in dict(constants).items()])
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def relu(shape=("n", 3), kind=TensorProto.FLOAT):
    return network([helper.make_node("Relu", ["x"], ["y"], name="r")], [value("x", shape, kind)], [value("y", shape, kind)])


@pytest.fixture(scope="module")
def cnn():
    """A small FerNet as the toolchain exports it."""
    import torch
    from affectrt_export.train.fer_net import FerNet

    torch.manual_seed(0)
    module = FerNet(7, (8, 16), (1, 1))
    return to_onnx.export(module, {"image": torch.randn(2, 1, 48, 48)}, ["logits"], {"image": {0: "n"}})


@pytest.fixture(scope="module")
def encoders():
    """The graph of the text pack in fp32, and in int8 for CPUs, with weights drawn at random, and few words."""
    rng, width = np.random.default_rng(0), minilm.WIDTH
    shapes = {"embeddings.word_embeddings.weight": (40, width), "embeddings.position_embeddings.weight": (64, width)}
    shapes |= {"embeddings.token_type_embeddings.weight": (2, width)}
    norms = ["embeddings"]
    for layer in range(minilm.LAYERS):
        key = f"encoder.layer.{layer}."
        dense = [(f"attention.self.{n}", width, width) for n in ("query", "key", "value")] + [("attention.output.dense", width, width)]
        for name, rows, columns in [*dense, ("intermediate.dense", 4 * width, width), ("output.dense", width, 4 * width)]:
            shapes |= {f"{key}{name}.weight": (rows, columns), f"{key}{name}.bias": (rows,)}
        norms += [f"{key}attention.output", f"{key}output"]
    weights = {name: (rng.normal(size=shape) * 0.05).astype(np.float32) for name, shape in shapes.items()}
    for name in norms:
        weights |= {f"{name}.LayerNorm.weight": np.ones(width, np.float32), f"{name}.LayerNorm.bias": np.zeros(width, np.float32)}
    head = minilm.Head(rng.normal(0, 0.01, (minilm.FEATURES, 28)).astype(np.float32), np.zeros(28, np.float32))
    return {precision: minilm.build(weights, head, precision, 64) for precision in ("fp32", "int8")}


@pytest.fixture(scope="module")
def encoder(encoders):
    return encoders["fp32"]


def pictures(count=4):
    return [{"image": np.random.default_rng(i).normal(size=(1, 1, 48, 48)).astype(np.float32)} for i in range(count)]


def sentences(count=4):
    rng = np.random.default_rng(0)
    return [{"input_ids": rng.integers(0, 40, (1, n)), "attention_mask": np.ones((1, n), np.int64)} for n in range(3, 3 + count)]


def test_the_same_network_gives_the_same_engine_and_another_target_another(cnn):
    """Needs a kernel that lets a process have the same addresses each time; a container may forbid that, and then this fails."""
    assert subprocess.run(["setarch", "-R", "true"]).returncode == 0, "expected a system that allows ADDR_NO_RANDOMIZE"
    first = build(cnn, Options(targets=["sm89"]))
    for _ in range(3):
        assert hashlib.sha256(first.data).digest() == hashlib.sha256(build(cnn, Options(targets=["8.9"])).data).digest()
    assert first.data != build(cnn, Options(targets=["sm120"])).data
    assert (first.targets, first.hardware, first.gpu, first.timing) == (("sm89",), "89", None, None)
    assert first.library.provider == "NvTensorRTRTXExecutionProvider"


def test_every_target_that_is_promised_builds_alone_and_together(cnn):
    targets = ["sm80", "sm86", "sm89", "sm120"]
    alone = {t: build(cnn, Options(targets=[t])).data for t in targets}
    assert len(set(alone.values())) == len(targets)
    together = build(cnn, Options(targets=[*reversed(targets), "sm80"]))
    assert (together.targets, together.hardware) == (tuple(targets), "80,86,89,120")
    assert together.data not in alone.values()
    assert build(cnn).hardware == "80+"


@pytest.fixture(scope="module")
def variants(cnn, encoder):
    """The files that the toolchain makes for TensorRT, by network and precision, with the contract of the inputs."""
    no = frozenset()
    image, text = pictures(), sentences()
    return {
        ("cnn", "fp32"): (cnn, ()),
        ("cnn", "fp16"): (fp16.convert(cnn, image, no), ()),
        ("cnn", "int8"): (int8_trt.TensorRt(VariantOptions())(cnn, image, no), ()),
        ("encoder", "fp32"): (encoder, TEXT),
        ("encoder", "fp16"): (fp16.convert(encoder, text, no), TEXT),
        ("encoder", "int8"): (int8_trt.TensorRt(VariantOptions())(encoder, text, no), TEXT),
    }


@pytest.mark.parametrize("network", ["cnn", "encoder"])
def test_every_precision_is_parsed_and_built_and_holds_its_weights_in_it(variants, network):
    held = {}
    for precision in ("fp32", "fp16", "int8"):
        model, contract = variants[network, precision]
        assert parses(model) == []
        engine = build(model, contract=contract)
        held[precision] = int(re.search(r"Total Weights Memory: (\d+) bytes", " ".join(text for _, text in engine.messages))[1])
        floats = sum(int(np.prod(t.dims)) for t in onnx.load_from_string(model).graph.initializer if t.data_type == TensorProto.FLOAT)
        assert precision == "fp32" or 4 * floats < 0.3 * held["fp32"]
    assert held["fp16"] < 0.6 * held["fp32"] and held["int8"] < 0.45 * held["fp32"]


def test_quantised_biases_and_zero_points_are_refused_by_node(cnn, tmp_path):
    """What onnxruntime's own quantiser writes unless told otherwise, and why int8 for CPUs is another file."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.feeds = iter(pictures())

        def get_next(self):
            return next(self.feeds, None)

    (tmp_path / "in.onnx").write_bytes(cnn)
    for kind in (QuantType.QUInt8, QuantType.QInt8):
        quantize_static(tmp_path / "in.onnx", tmp_path / "out.onnx", Reader(), quant_format=QuantFormat.QDQ, activation_type=kind)
        found = parses((tmp_path / "out.onnx").read_bytes())
        assert found and {p.op for p in found} <= {"QuantizeLinear", "DequantizeLinear"} and all(p.node for p in found)


def test_float32_products_stay_float32_unless_asked_otherwise(cnn):
    assert build(cnn).data != build(cnn, Options(tf32=True)).data


@pytest.mark.parametrize("name", default_packs())
def test_every_file_of_the_default_packs_is_built_or_is_for_another_provider(name):
    pack = open_pack(name)
    built = 0
    for found in pack.manifest["variants"]:
        if found["precision"] in ("fp32", "fp16") or "trt" in found["name"]:
            model = pack.file(found["file"]).read_bytes()
            assert parses(model) == []
            assert len(build(model, contract=pack.manifest["inputs"]).data) > 10_000
            built += 1
    assert built or all(v["format"] == "gguf" or v["precision"] in ("int8", "int4") for v in pack.manifest["variants"])


@pytest.mark.parametrize("to", ["fp32", "fp16", "int8-trt"])
def test_what_is_derived_from_the_carried_face_pack_is_built(to):
    pack = open_pack("fernet-fer7")
    model = derive(pack.variant("master").path.read_bytes(), to, ())
    assert parses(model) == []
    engine = build(model, contract=pack.manifest["inputs"])
    held = int(re.search(r"Total Weights Memory: (\d+) bytes", " ".join(text for _, text in engine.messages))[1])
    assert {"fp32": 5e6, "fp16": 2.5e6, "int8-trt": 1.2e6}[to] < held < {"fp32": 9e6, "fp16": 5e6, "int8-trt": 3.5e6}[to]


def test_shapes_come_from_the_contract_and_are_checked_before_anything_is_built(encoder, cnn):
    text = plan(read(encoder), {}, TEXT)
    assert text == {name: Shapes((1, 1), (1, 32), (8, 64)) for name in ("input_ids", "attention_mask")}
    assert plan(read(encoder), {})["input_ids"] == Shapes((1, 1), (1, 32), (8, 128))
    assert plan(read(cnn), {}) == {"image": Shapes((1, 1, 48, 48), (1, 1, 48, 48), (8, 1, 48, 48))}
    good = Shapes((2, 1, 48, 48), (4, 1, 48, 48), (16, 1, 48, 48))
    assert plan(read(cnn), {"image": good}) == {"image": good}
    assert build(cnn, Options(shapes={"image": good})).data != build(cnn).data
    with pytest.raises(ExportError, match="no such input; it has image"):
        build(cnn, Options(shapes={"picture": good}))
    with pytest.raises(ExportError, match="expected least <= usual <= most"):
        Options(shapes={"image": Shapes((4, 1, 48, 48), (2, 1, 48, 48), (8, 1, 48, 48))})
    with pytest.raises(ExportError, match="expected least <= usual <= most"):
        Options(shapes={"image": Shapes((0, 1, 48, 48), (2, 1, 48, 48), (8, 1, 48, 48))})
    with pytest.raises(ExportError, match=r"expected \(\*, 1, 48, 48\), got \(1, 1, 64, 64\)"):
        build(cnn, Options(shapes={"image": Shapes(*[(1, 1, 64, 64)] * 3)}))
    with pytest.raises(ExportError, match=r"expected \(\*, 1, 48, 48\), got \(1, 1\)"):
        build(cnn, Options(shapes={"image": Shapes((1, 1), (1, 1), (1, 1))}))
    with pytest.raises(ExportError, match=r"'x' \(-1, -1, -1\): expected shapes for it"):
        build(relu(("n", "a", "b")))
    assert build(relu(("n", "a", "b")), Options(shapes={"x": Shapes((1, 1, 1), (1, 2, 2), (2, 9, 9))})).data
    with pytest.raises(ExportError, match=r"always \(2, 3\) and takes no others"):
        build(relu((2, 3)), Options(shapes={"x": Shapes((2, 3), (2, 3), (2, 3))}))
    assert build(relu((2, 3))).shapes == {}


def test_options_name_all_that_is_wrong_at_once():
    with pytest.raises(ExportError, match=r"workspace_mib.*level.*target 'gpu'"):
        Options(workspace_mib=0, level=6, targets=["gpu"])
    with pytest.raises(ExportError, match=r"does not build for sm12; it builds for .*sm89"):
        build(relu(), Options(targets=["sm12"]))


def test_a_workspace_that_is_too_small_is_refused_with_the_librarys_reason():

    model = open_pack("xception-fer7").variant("fp32").path.read_bytes()
    with pytest.raises(BuildError, match=r"cannot build.*workspace limit"):
        build(model, Options(workspace_mib=1))
    assert build(model, Options(workspace_mib=256)).data


def test_what_cannot_be_parsed_is_named_by_node_operator_and_tensor():
    chain = [
        helper.make_node("Relu", ["x"], ["h"], name="encoder.0/act"),
        helper.make_node("DynamicQuantizeLinear", ["h"], ["q", "s", "z"], name="encoder.1/quantise"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], name="encoder.1/back"),
        helper.make_node("Frobnicate", ["d"], ["y"], name="head"),
    ]
    found = parses(network(chain, [value("x", ("n", 3))], [value("y", ("n", 3))]))
    assert [(p.index, p.node, p.op, p.output) for p in found[:2]] == [
        (1, "encoder.1/quantise", "DynamicQuantizeLinear", "q"),
        (3, "head", "Frobnicate", "y"),
    ]
    assert "unsupported node" in found[0].reason and "no such operator" in found[1].reason
    assert str(found[0]).startswith("node 'encoder.1/quantise' (DynamicQuantizeLinear, writes 'q')")
    product = [helper.make_node("MatMul", ["x", "w"], ["y"], name="layer.3")]
    bad = network(product, [value("x", ("n", 3))], [value("y", ("n", 3))], {"w": np.zeros((4, 3), np.float32)})
    with pytest.raises(BuildError, match=r"layer\.3.*must match") as caught:
        build(bad)
    assert "cuda" not in str(caught.value).lower()  # that there is no driver is no news on a machine without a GPU
    unnamed = network([helper.make_node("Frobnicate", ["x"], ["y"])], [value("x", ("n", 3))], [value("y", ("n", 3))])
    assert str(parses(unnamed)[0]).startswith("node 0 (Frobnicate, writes 'y')")


def test_int8_for_cpus_is_refused_by_name(encoders):
    found = parses(encoders["int8"])
    assert {"DynamicQuantizeLinear", "QAttention", "DynamicQuantizeMatMul"} <= {p.op for p in found}
    assert all(p.node and p.output for p in found)


def test_a_type_that_would_be_changed_without_a_word_is_refused():
    found = parses(relu(kind=TensorProto.DOUBLE))
    assert [str(p) for p in found] == [
        f"{what}: DOUBLE in the ONNX file, FLOAT in {load('tensorrt_rtx').shown}" for what in ("input 'x'", "output 'y'")
    ]


@pytest.mark.parametrize("junk", [b"", b"hello world" * 100, b"\x00" * 64])
def test_bytes_that_are_no_network_are_refused(junk):
    with pytest.raises(ExportError, match="expected an ONNX file"):
        build(junk)


def test_a_file_cut_short_is_refused(cnn):
    with pytest.raises(ExportError, match="expected an ONNX file"):
        parses(cnn[: len(cnn) // 2])


def test_progress_tells_phase_step_and_total(cnn):
    seen = []
    build(cnn, progress=lambda phase, done, total: seen.append((phase, done, total)))
    assert len(seen) > 20 and all(0 <= done <= total for _, done, total in seen)
    outermost, total = seen[0][0], seen[0][2]
    assert seen[-1] == (outermost, total, total)


@pytest.mark.parametrize("reason", [KeyboardInterrupt, ZeroDivisionError])
def test_what_progress_raises_ends_the_build_and_its_process(cnn, reason):
    calls = []

    def stop(phase, done, total):
        calls.append(phase)
        if len(calls) == 5:
            raise reason

    with pytest.raises(reason):
        build(cnn, progress=stop)
    assert len(calls) == 5 and children() == []


def children():
    deadline = time.monotonic() + 5
    while True:
        tasks = Path("/proc/self/task").iterdir()
        alive = [c for task in tasks for c in (task / "children").read_text().split() if b"tensorrt.child" in _command(c)]
        if not alive or time.monotonic() > deadline:
            return alive
        time.sleep(0.05)


def _command(process):
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def test_a_build_leaves_no_descriptor_open(cnn):
    before = len(list(Path("/proc/self/fd").iterdir()))
    build(cnn)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_command_tells_time_and_size_and_fails_for_what_cannot_be_built(cnn, encoders, tmp_path, capsys):
    for name, data in (("good", cnn), ("bad", encoders["int8"])):
        (tmp_path / f"{name}.onnx").write_bytes(data)
    assert command([str(tmp_path / "good.onnx"), "--target", "sm86", "--runs", "2"]) == 0
    said = capsys.readouterr().out
    assert re.search(
        r"good\.onnx: \d+\.\d\d s, \d+\.\d\d s of the processor, 0\.\d\d MB in, \d\.\d\d MB out, TensorRT-RTX [\d.]+, for 86\n", said
    )
    assert command([str(tmp_path / n) for n in ("bad.onnx", "none.onnx", "good.onnx")]) == 1
    said = capsys.readouterr()
    assert "QAttention" in said.err and "none.onnx" in said.err and "good.onnx" in said.out

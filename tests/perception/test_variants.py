"""Which variant of a pack is opened: by default the first that runs here; one that is asked for, or an error that says what it needs."""

import json
from pathlib import Path

import affectrt as art
import numpy as np
import onnx
import pytest
from affectrt import _core
from affectrt.packs import DEFAULTS, open_pack
from affectrt.verify import CANNOT_RUN, PASSED, verify
from onnx import TensorProto, helper

FACE, TEXT = DEFAULTS["face-expression"], DEFAULTS["text-emotion"]
TENSORRT, CUDA, CPU = "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"
NOBODY = "NoSuchExecutionProvider"  # in no ONNX Runtime, so that these tests mean the same where there is a GPU
MAKERS = {FACE: lambda pack, **more: art.FaceExpression(pack, color="rgb8", **more), TEXT: art.TextEmotion}


def epcontext(like):
    """A finished engine of TensorRT, as far as ONNX Runtime can see, with the inputs and outputs of a network."""
    model = onnx.load(like)
    attributes = {"main_context": 1, "embed_mode": 1, "ep_cache_context": b"an engine", "source": TENSORRT, "partition_name": "all"}
    inputs, outputs = ([value.name for value in values] for values in (model.graph.input, model.graph.output))
    node = helper.make_node("EPContext", inputs, outputs, name="engine", domain="com.microsoft", **attributes)
    graph = helper.make_graph([node], "engine", list(model.graph.input), list(model.graph.output))
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=sets, ir_version=8).SerializeToString()


@pytest.fixture(params=[FACE, TEXT])
def two(request, altered):
    """(maker, pack): before the pack's own first variant stands one that needs other providers and is a finished engine."""
    first = open_pack(request.param).variant()

    def change(manifest):
        own = next(entry for entry in manifest["variants"] if entry["name"] == first.name)
        engine = {**own, "name": "engine", "file": "engine.onnx", "precision": "fp16", "requires": [NOBODY, TENSORRT]}
        manifest["variants"] = [engine, own]

    return MAKERS[request.param], altered(request.param, change, {"engine.onnx": epcontext(first.path)})


def answer(model, astronaut):
    seen = model(astronaut[60:190, 165:295]) if isinstance(model, art.FaceExpression) else model("I finally passed the exam!")
    return seen.probs


@pytest.mark.parametrize("how", [{}, {"device": "cpu"}, {"providers": [NOBODY]}, {"providers": [NOBODY, CPU]}, {"providers": [CPU]}])
def test_auto_passes_over_what_cannot_run(two, astronaut, how):
    make, pack = two
    model = make(pack, **how)
    assert model.provider == CPU
    assert [NOBODY in one for one in model.fallbacks] == [True] * (NOBODY in how.get("providers", ()))
    whole = make(open_pack(FACE if make is MAKERS[FACE] else TEXT))
    np.testing.assert_array_equal(answer(model, astronaut), answer(whole, astronaut))


def test_the_face_pipeline_chooses_as_well(two, astronaut):
    make, pack = two
    if make is MAKERS[FACE]:
        (seen,) = art.Face(color="rgb8", expression=pack)(astronaut)
        assert seen.label == "happy"
    else:
        name, engine = art.Engine.of_pack(open_pack(pack)._core)
        assert name == open_pack(TEXT).variant().name and engine.provider == CPU


def test_what_is_asked_for_is_opened_or_an_error(two):
    make, pack = two
    for precision in ("engine", "fp16"):
        with pytest.raises(art.DeviceError, match=f"variant engine needs {NOBODY} or {TENSORRT}, which was not asked for"):
            make(pack, precision=precision)
    with pytest.raises(art.DeviceError, match=f"{NOBODY}: not in this ONNX Runtime"):
        make(pack, providers=[NOBODY], strict=True)
    with pytest.raises(art.DeviceError, match=f"{NOBODY}: not in this ONNX Runtime"):
        make(pack, providers=[NOBODY], precision="engine", strict=True)
    with pytest.raises(art.PackError, match="expected one of the variants engine"):
        make(pack, precision="int3")


def test_an_engine_that_its_provider_is_not_there_for(two):
    make, pack = two
    with pytest.raises(art.EngineError, match=r"engine\.onnx: .*EPContext.*only the provider that made it can run"):
        make(pack, providers=[NOBODY], precision="engine")
    with pytest.raises(art.EngineError, match=r"engine\.onnx: .*EPContext.*only the provider that made it can run"):
        art.Engine(open_pack(pack).file("engine.onnx"))


def test_no_variant_runs(altered):
    def change(manifest):
        for entry in manifest["variants"]:
            entry["requires"] = [NOBODY, CUDA]

    for name, make in MAKERS.items():
        first = open_pack(name).variant().name
        with pytest.raises(art.DeviceError, match=f"no variant runs with {CPU}; variant {first} needs {NOBODY} or {CUDA}"):
            make(altered(name, change))


def test_a_variant_made_for_the_cpu_is_not_run_elsewhere(altered):
    def change(manifest):
        manifest["variants"] = manifest["variants"][:1]
        manifest["variants"][0]["requires"] = [CPU]

    for name, make in MAKERS.items():
        pack = altered(name, change)
        with pytest.raises(art.DeviceError, match=f"needs {CPU}, which was not asked for"):
            make(pack, providers=[NOBODY], precision=open_pack(pack).variants[0])
        with pytest.raises(art.DeviceError, match=NOBODY):
            make(pack, providers=[NOBODY], strict=True)
        fallen = make(pack, providers=[NOBODY])
        assert fallen.provider == CPU and NOBODY in fallen.fallbacks[0]


def require_listed(pack):
    """Makes the first variant need a provider that the library lists and nobody can have; its name."""
    (listed,) = [name for name in _core.ort_info()["providers"] if name not in (CPU, CUDA, TENSORRT)][:1] or [NOBODY]
    edited = json.loads((Path(pack) / "pack.json").read_text())
    edited["variants"][0]["requires"] = [listed]
    (Path(pack) / "pack.json").write_text(json.dumps(edited))
    return listed


@pytest.mark.parametrize("cpu", [[], [CPU]])
def test_a_provider_that_the_library_names_and_the_machine_lacks(two, astronaut, cpu):
    """As onnxruntime-gpu does without a GPU: a provider is in the library's list, and taking it fails. Azure's always does."""
    make, pack = two
    listed = require_listed(pack)
    model = make(pack, providers=[listed, *cpu])
    assert model.provider == CPU and model.fallbacks
    assert np.isfinite(answer(model, astronaut)).all()


def test_verify_says_which_cannot_run_here(two):
    _, pack = two
    outcomes = verify(open_pack(pack))
    assert [one.status for one in outcomes if one.variant == "engine"] == [CANNOT_RUN]
    assert next(one.detail for one in outcomes if one.variant == "engine") == f"needs {NOBODY} or {TENSORRT}"
    assert {one.status for one in outcomes if one.variant != "engine"} == {PASSED}


def test_verify_of_a_provider_that_is_listed_and_cannot_be_had(two):
    _, pack = two
    listed = require_listed(pack)
    one, *others = verify(open_pack(pack))
    assert (one.variant, one.status) == ("engine", CANNOT_RUN) and listed in one.detail
    assert {other.status for other in others} == {PASSED}


def test_verify_goes_by_name_before_precision(altered):
    def change(manifest):
        own = manifest["variants"][0]
        manifest["variants"] = [{**own, "name": "first", "precision": "fp16"}, {**own, "name": "fp16", "precision": "fp32"}]

    for name in MAKERS:
        outcomes = verify(open_pack(altered(name, change)))
        assert {one.variant for one in outcomes} == {"first", "fp16"}


def test_verify_takes_any_one_of_the_providers_needed(altered):
    def change(manifest):
        manifest["variants"] = manifest["variants"][:1]
        manifest["variants"][0]["requires"] = [NOBODY, CPU]

    for name in MAKERS:
        assert {(one.status, one.provider) for one in verify(open_pack(altered(name, change)))} == {(PASSED, CPU)}


def test_a_network_beside_a_finished_engine_is_no_engine(tmp_path):
    """The hint is for finished engines only."""
    bad = tmp_path / "bad.onnx"
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("NoSuchOperator", ["x"], ["y"])], "g", values[:1], values[1:])
    bad.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString())
    with pytest.raises(art.EngineError, match="NoSuchOperator") as caught:
        art.Engine(bad)
    assert "finished engine" not in str(caught.value)


def test_a_face_does_not_drop_the_variant_that_a_source_names():
    """`org/repo:VARIANT` of one of several packs: one choice cannot be passed over, and one precision is for all."""
    import dataclasses

    named = dataclasses.replace(open_pack(FACE), preferred="master", source="org/repo:master")
    with pytest.raises(ValueError, match=r"expression: org/repo:master names the variant 'master'.*precision="):
        art.Face(color="rgb8", expression=named)
    assert art.FaceExpression(named, color="rgb8").provider == CPU

"""The cache of finished engines: keys, whole entries only, one build at a time, and what becomes of damaged and old ones."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import affectrt.packs.cache as packs_cache
import numpy as np
import pytest
from affectrt.packs import PackError, open_pack
from affectrt_export.spec import ExportError
from affectrt_export.tensorrt import build as builder
from affectrt_export.tensorrt import cache, derive
from affectrt_export.tensorrt.device import Gpu
from affectrt_export.tensorrt.ep_context import check
from affectrt_export.tensorrt.library import RTX_COMMAND, Library, load
from affectrt_export.tensorrt.options import Options, Shapes
from affectrt_export.variants import master
from affectrt_export.variants.options import Options as VariantOptions
from onnx import TensorProto, helper, numpy_helper

ORIN = Gpu("Orin", (8, 7), "540.4.0")
RTX = Library("tensorrt_rtx", (1, 7, 1, 116), None)
TRT = Library("tensorrt", (10, 3, 0, 30), None)
IMAGE = Shapes((1, 1, 48, 48), (1, 1, 48, 48), (8, 1, 48, 48))
PARTS = {
    "model": b"onnx",
    "types": {"FLOAT": 2},
    "shapes": {"image": IMAGE},
    "library": TRT,
    "gpu": ORIN,
    "options": Options(),
}
FILES = {"model.engine": b"engine" * 1000, "model.onnx": b"wrapped"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("AFFECTRT_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def parts(**changed):
    return cache.parts(**{**PARTS, **changed})


def make():
    return FILES


@pytest.mark.parametrize(
    "changed",
    [
        {"model": b"onny"},
        {"types": {"FLOAT16": 2}},
        {"shapes": {"image": Shapes((1, 1, 48, 48), (2, 1, 48, 48), (8, 1, 48, 48))}},
        {"shapes": {"picture": IMAGE}},
        {"library": RTX},
        {"library": Library("tensorrt", (10, 3, 0, 31), None)},
        {"gpu": replace(ORIN, name="Orin Nano")},
        {"gpu": replace(ORIN, compute_capability=(8, 6))},
        {"gpu": replace(ORIN, driver="540.4.1")},
        {"gpu": None},
        {"options": Options(targets=["sm89"])},
        {"options": Options(workspace_mib=64)},
        {"options": Options(level=5)},
        {"options": Options(tf32=True)},
    ],
    ids=str,
)
def test_each_part_changes_the_key(changed):
    assert cache.key_of(parts(**changed)) != cache.key_of(parts())


def test_the_same_parts_give_the_same_key_in_any_order():
    two = {"a": IMAGE, "b": IMAGE}
    assert cache.key_of(parts(shapes=two)) == cache.key_of(parts(shapes=dict(reversed(two.items()))))
    assert cache.key_of(parts(options=Options(targets=["8.9", "sm80"]))) == cache.key_of(parts(options=Options(targets=["SM80", "sm89"])))


def never(*args, **options):
    raise AssertionError("built again")


def test_an_entry_is_built_once_and_says_what_it_is_of():
    place = cache.entry(parts(), make)
    assert place.parent == packs_cache.cache_root() / "engines" and place.name == cache.key_of(parts())
    assert {p.name: p.read_bytes() for p in place.iterdir() if p.name != "entry.json"} == FILES
    assert json.loads((place / "entry.json").read_text())["parts"] == parts()
    assert cache.entry(parts(), never) == place
    assert cache.entries() == [place]


def spoil_bit(place):
    data = bytearray((place / "model.engine").read_bytes())
    data[77] ^= 1
    (place / "model.engine").write_bytes(data)


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_bit,
        lambda place: (place / "model.engine").write_bytes(FILES["model.engine"][:-1]),
        lambda place: (place / "model.onnx").unlink(),
        lambda place: (place / "entry.json").unlink(),
        lambda place: (place / "entry.json").write_text("[1, 2"),
        lambda place: (place / "entry.json").write_text('["parts"]'),
        lambda place: (place / "entry.json").write_text((place / "entry.json").read_text().replace("Orin", "Onir")),
    ],
    ids=["bit", "short", "file-gone", "no-entry", "no-json", "other-json", "other-parts"],
)
def test_a_damaged_entry_is_built_again(spoil):
    place = cache.entry(parts(), make)
    spoil(place)
    assert not cache.whole(place)
    assert cache.entry(parts(), make) == place and cache.whole(place)
    assert {p.name: p.read_bytes() for p in place.iterdir() if p.name != "entry.json"} == FILES
    assert list(cache.engines_root().iterdir()) == [place]


@pytest.mark.parametrize("reason", [KeyboardInterrupt, ExportError("no such operator")])
def test_a_build_that_ends_leaves_nothing(reason):
    def stop():
        raise reason

    with pytest.raises(type(reason) if isinstance(reason, Exception) else reason):
        cache.entry(parts(), stop)
    assert cache.entries() == [] and cache.size_bytes() == 0
    assert cache.entry(parts(), make).is_dir()


PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from affectrt_export.tensorrt import cache
what = {"model": "x"}
def make():
    with open(sys.argv[2], "a") as log: log.write(f"{os.getpid()}\\n")
    time.sleep(0.5)
    return {"model.engine": b"engine" * 1000, "model.onnx": b"wrapped"}
if sys.argv[1] == "killed":
    write = Path.write_bytes
    def write_half(path, data):
        if path.name == "model.onnx":
            os.kill(os.getpid(), signal.SIGKILL)
        return write(path, data)
    Path.write_bytes = write_half
print(cache.entry(what, make))
"""


def start(kind, log):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", PROGRAM, kind, str(log)], stdout=subprocess.PIPE, env=environment, text=True)


def test_a_process_killed_while_it_writes_leaves_no_entry(folder, monkeypatch):
    killed = start("killed", folder / "log")
    assert killed.wait(60) == -signal.SIGKILL
    assert cache.entries() == [] and len(list(cache.engines_root().glob(".*.tmp"))) == 1
    again = start("whole", folder / "log")
    assert again.wait(60) == 0
    place = Path(again.stdout.read().strip())
    assert cache.entries() == [place] and cache.whole(place)
    assert len((folder / "log").read_text().splitlines()) == 2
    monkeypatch.setattr(cache, "_STALE_S", 0.0)  # what it left goes when it is old
    cache.trim(cache.LIMIT_BYTES)
    assert list(cache.engines_root().iterdir()) == [place]


def test_two_processes_build_the_same_once(folder):
    both = [start("whole", folder / "log") for _ in range(2)]
    said = [p.communicate(timeout=60)[0].strip() for p in both]
    assert [p.returncode for p in both] == [0, 0]
    assert said[0] == said[1] and cache.whole(Path(said[0]))
    assert len((folder / "log").read_text().splitlines()) == 1


def test_the_entry_not_used_for_longest_goes_first_and_a_new_one_stays():
    size = sum(len(data) for data in FILES.values())
    places = []
    for number in range(3):
        places.append(cache.entry({"number": number}, make))
        os.utime(places[-1] / "entry.json", (number, number))
    cache.entry({"number": 0}, never)  # used again: now the youngest
    assert cache.entries() == [places[1], places[2], places[0]]
    newest = cache.entry({"number": 9}, make, limit_bytes=2 * size + 4000)
    assert cache.entries() == [places[0], newest]
    assert cache.entry({"number": 10}, make, limit_bytes=1) == cache.entries()[0] and len(cache.entries()) == 1


def test_clear_removes_all_but_what_is_being_built():
    kept, gone = cache.entry({"number": 0}, make), cache.entry({"number": 1}, make)
    cache.write_timing(TRT, ORIN, b"times")
    with packs_cache.file_lock("engine", f"engine-{kept.name}"):
        assert cache.clear() == 1
    assert kept.is_dir() and not gone.exists()
    assert cache.read_timing(TRT, ORIN) == b""
    assert cache.clear() == 1 and cache.size_bytes() == 0


def test_timing_caches_are_kept_by_version_and_gpu():
    cache.write_timing(TRT, ORIN, b"times")
    assert cache.read_timing(TRT, ORIN) == b"times"
    others = [(Library("tensorrt", (10, 4), None), ORIN), (TRT, replace(ORIN, driver="1")), (RTX, ORIN), (TRT, None)]
    assert [cache.read_timing(library, gpu) for library, gpu in others] == [b""] * 4
    cache.write_timing(RTX, None, b"times")
    cache.write_timing(TRT, ORIN, None)
    assert [p.read_bytes() for p in (cache.engines_root() / "timing").iterdir()] == [b"times"]


def test_a_disk_that_cannot_be_written_is_named(folder):
    (folder / "cache").write_text("a file where the folder should be")
    with pytest.raises(PackError, match=r"cannot write under.*a part of the path is a file"):
        cache.entry(parts(), make)


# From here on with TensorRT-RTX itself.


def small(width=4):
    weight = np.random.default_rng(0).normal(size=(width, 1, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("ReduceMean", ["c"], ["logits"], name="mean", axes=[2, 3], keepdims=0),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, 8, 8])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", width])
    graph = helper.make_graph(nodes, "small", [image], [logits], [numpy_helper.from_array(weight, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


@pytest.fixture
def rtx():
    try:
        return load("tensorrt_rtx")
    except ExportError as error:
        pytest.fail(f"TensorRT-RTX is needed here ({error}): {RTX_COMMAND}")


def test_an_onnx_file_becomes_a_wrapped_engine_in_the_cache(rtx, monkeypatch):
    path = derive.engine_of(small(), "small one/fp32", options=Options(targets=["sm89"]), file="small.onnx")
    context, engine = check(path.read_bytes())
    assert (path.parent / engine).read_bytes() == builder.build(small(), Options(targets=["sm89"])).data
    assert (context.provider, context.hardware, context.sdk_version) == ("NvTensorRTRTXExecutionProvider", "89", rtx.sdk_version)
    assert context.model_file == "small.onnx" and context.partition == f"small-one-fp32-{path.parent.name[:16]}"
    other = derive.engine_of(small(5), "small one/fp32", options=Options(targets=["sm89"]))
    assert other != path
    monkeypatch.setattr(derive, "build", never)
    assert derive.engine_of(small(), "small one/fp32", options=Options(targets=["8.9"]), file="small.onnx") == path
    with pytest.raises(AssertionError, match="built again"):
        derive.engine_of(small(), "small one/fp32", options=Options(targets=["sm86"]), file="small.onnx")


def test_a_pack_becomes_a_wrapped_engine(rtx):
    steps = []
    path = derive.engine_for("xception-fer7", "fp32", progress=lambda *step: steps.append(step))
    context, engine = check(path.read_bytes())
    assert context.partition.startswith("xception-fer7-fp32-") and (path.parent / engine).stat().st_size > 100_000
    count = len(steps)
    assert count > 20 and derive.engine_for("xception-fer7", "fp32", progress=lambda *step: steps.append(step)) == path
    assert len(steps) == count


def test_what_tensorrt_cannot_build_is_refused_with_pack_and_variant(rtx):
    with pytest.raises(ExportError, match=r"pack smollm2-135m.*expected a variant for TensorRT.*q4_1"):
        derive.engine_for("smollm2-135m")
    with pytest.raises(PackError, match="int3"):
        derive.engine_for("xception-fer7", "int3")
    assert cache.entries() == []


@pytest.fixture
def with_master(folder):
    """A pack as small as it can be whose only file for TensorRT is a master."""
    path = folder / "pack"
    shutil.copytree(open_pack("xception-fer7").path, path)
    (path / "pack.json").chmod(0o644)
    manifest = json.loads((path / "pack.json").read_text())
    (reference,) = manifest["variants"]
    calibration = [{"image": np.random.default_rng(i).normal(size=(1, 1, 64, 64)).astype(np.float32)} for i in range(3)]
    model = (path / reference["file"]).read_bytes()
    (path / reference["file"]).unlink()
    data = master.Master(VariantOptions())(model, calibration, frozenset())
    (path / "model.master.onnx").write_bytes(data)
    entry = {"path": "model.master.onnx", "size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest["files"] = [entry, *(f for f in manifest["files"] if f["path"] != reference["file"])]
    manifest["variants"] = [{**reference, "name": "master", "file": "model.master.onnx", "precision": "int8"}]
    (path / "pack.json").write_text(json.dumps(manifest))
    return open_pack(path)


def test_a_master_becomes_an_engine_in_each_precision(rtx, with_master):
    paths = {wanted: derive.engine_for(with_master, wanted) for wanted in ("fp32", "fp16", "int8-trt")}
    assert len(set(paths.values())) == 3
    assert derive.engine_for(with_master) == paths["fp16"] == derive.engine_for(with_master, "master")
    contexts = {wanted: check(path.read_bytes())[0] for wanted, path in paths.items()}
    assert all(c.partition.startswith(f"xception-fer7-{wanted}-") for wanted, c in contexts.items())
    held = {wanted: json.loads((path.parent / "entry.json").read_text())["parts"]["types"] for wanted, path in paths.items()}
    assert held["fp32"].get("FLOAT16", 0) == 0 < held["fp16"]["FLOAT16"] and held["int8-trt"]["INT8"] > 5


def test_a_master_does_not_become_what_it_cannot(with_master):
    with pytest.raises(PackError, match="int4"):
        derive.engine_for(with_master, "int4")
    with pytest.raises(ExportError, match="expected fp32, fp16, int8-trt, which its master can become, got 'int8'"):
        derive.engine_for(with_master, "int8")


def test_a_build_that_fails_names_pack_and_variant_and_leaves_no_entry(rtx):
    with pytest.raises(builder.BuildError, match=r"pack xception-fer7, variant fp32: .*workspace") as caught:
        derive.engine_for("xception-fer7", "fp32", Options(workspace_mib=1))
    assert caught.value.messages and cache.entries() == []


def test_ctrl_c_in_a_build_leaves_no_entry(rtx):
    def stop(*step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        derive.engine_of(small(), "small", progress=stop)
    assert cache.entries() == [] and cache.size_bytes() == 0
    assert derive.engine_of(small(), "small").is_file()

"""What engines are kept under, between which shapes they serve, and which settings ask for them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import affectrt
import pytest
from affectrt import EngineSettings, _core, open_pack
from affectrt.engine import find_and_set_library
from affectrt.engines import key, store

GPU = {"model": "NVIDIA Orin", "sm": 87, "cuda_version": "12.6"}


@pytest.fixture(autouse=True, scope="module")
def runtime() -> None:
    find_and_set_library()


def make(provider: str = key.TENSORRT, wanted: str = "auto", pack: Any = None, roles: tuple[str, ...] = ("expression",), **gpu: Any) -> str:
    packs = {role: (pack or open_pack("fernet-fer7"), wanted) for role in roles}
    return key.key_of(key.engine_facts(provider, SimpleNamespace(**{**GPU, **gpu}), packs))


def test_the_key_is_the_same_for_the_same_and_another_for_anything_else(monkeypatch):
    keys = [
        make(),
        make(model="NVIDIA Thor"),
        make(sm=90),
        make(cuda_version="13.0"),
        make(provider=key.RTX),
        make(wanted="int8"),
        make(pack=open_pack("xception-fer7")),
        make(roles=("expression", "landmarks")),
    ]
    assert make() == keys[0] and len(keys[0]) == 64
    for name, value in {"_driver": "580.1", "_version": "101300"}.items():
        monkeypatch.setattr(key, name, lambda *_, value=value: value)
        keys.append(make())
    info = _core.ort_info()
    monkeypatch.setattr(_core, "ort_info", lambda: {**info, "version": "9.9"})
    keys.append(make())
    monkeypatch.setattr(_core, "shape_ranges", lambda _pack: [("image", (1, 1), (1, 1), (32, 1))])
    keys.append(make())
    monkeypatch.setattr(key, "engine_providers", lambda *_, **__: [(key.TENSORRT, {"trt_max_workspace_size": "1"})])
    keys.append(make())
    assert len(set(keys)) == len(keys)


def test_the_key_follows_the_networks_content(tmp_path: Path):
    folder = Path(shutil.copytree(open_pack("fernet-fer7").path, tmp_path / "pack"))
    before = make(pack=open_pack(folder))
    assert before == make(pack=open_pack("fernet-fer7"))  # wherever it lies
    manifest = json.loads((folder / "pack.json").read_text())
    manifest["variants"] = manifest["variants"][:1]
    (folder / "pack.json").write_text(json.dumps(manifest))
    assert make(pack=open_pack(folder)) != before


def test_neither_place_nor_number_of_the_gpu_is_in_the_key(monkeypatch, tmp_path: Path):
    facts = key.engine_facts(key.TENSORRT, SimpleNamespace(**GPU), {"expression": (open_pack("fernet-fer7"), "auto")})
    assert facts["options"] == {"trt_engine_cache_enable": "1", "trt_timing_cache_enable": "1"}
    monkeypatch.setenv("AFFECTRT_CACHE_DIR", str(tmp_path))
    assert store.find(key.key_of(facts)) is None


@pytest.mark.parametrize(
    ("inputs", "ranges"),
    [
        ([{"kind": "tensor", "tensor": "x", "shape": [1, 146, 2]}], []),
        ([{"kind": "tensor", "tensor": "x", "shape": [-1, 146, 2]}], [("x", (1, 146, 2), (1, 146, 2), (16, 146, 2))]),
        # Free in a way that nothing says the bounds of: none, since a provider wants all or none.
        ([{"kind": "tensor", "tensor": "x", "shape": [1, -1, 146, 2]}], []),
        ([{"kind": "tensor", "tensor": "x", "shape": [-1, -1, 146, 2]}], []),
    ],
)
def test_shapes_of_other_inputs(tmp_path: Path, inputs, ranges):
    folder = Path(shutil.copytree(open_pack("blendshapes-52").path, tmp_path / "pack"))
    manifest = json.loads((folder / "pack.json").read_text())
    manifest["inputs"] = inputs
    (folder / "pack.json").write_text(json.dumps(manifest))
    assert _core.shape_ranges(_core.Pack.open(folder)) == ranges


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"engine": "trt"}, 'engine: expected "cuda" or "tensorrt", got \'trt\''),
        ({"engine": "tensorrt", "device": "cpu"}, 'engine: "tensorrt" is for device="auto" or "cuda:N", got device="cpu" too'),
        ({"engine": "tensorrt", "providers": ["CPUExecutionProvider"]}, "got providers=['CPUExecutionProvider'] too"),
    ],
)
def test_settings_that_contradict_themselves(settings, said):
    with pytest.raises(ValueError) as caught:
        EngineSettings(**settings)
    assert said in str(caught.value)


def test_a_single_model_file_has_no_engine(tmp_path: Path):
    model = open_pack("fernet-fer7").variant().path
    with pytest.raises(ValueError, match='engine: expected "cuda" for a single model file'):
        affectrt.Engine(model, EngineSettings(engine="tensorrt"))


def test_with_the_usual_engine_nothing_is_prepared():
    expression = affectrt.FaceExpression(device="cpu")
    assert expression.engine == "cuda" and expression.preparing is None and expression.wait_ready(0)

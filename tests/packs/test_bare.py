"""Bare model files: refused unless asked for, and made into packs by `add`."""

from __future__ import annotations

import json
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from affectrt.packs import DEFAULTS, PackError, add, added_packs, open_pack, pull, verify_files
from affectrt.packs.bare import read_bare
from gguf_bytes import gguf, text
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import make_faces, onnx

TEMPLATE = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% endfor %}"
FULL = {
    "general.architecture": "llama",
    "general.name": "Tiny Chat",
    "general.license": "apache-2.0",
    "general.file_type": 3,
    "llama.context_length": 512,
    "tokenizer.ggml.tokens": ["a", "b"],
    "tokenizer.ggml.token_type": [1, 1],
    "llama.rope.freq_base": 10000.0,
    "tokenizer.chat_template": TEMPLATE,
}


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "tiny.Q4_1.gguf"
    path.write_bytes(gguf(FULL))
    return path


def test_a_bare_model_needs_to_be_asked_for(model):
    with pytest.raises(PackError, match=r"is a bare model: .*affectrt packs add .*allow_unverified=True"):
        open_pack(model)
    with pytest.warns(UserWarning, match=r"is a bare model: its content, its origin and its licence \(apache-2.0\) are unverified"):
        pack = open_pack(model, allow_unverified=True)
    assert (pack.name, pack.task, pack.license, pack.verified, pack.manifest, pack.labels) == (
        "Tiny Chat",
        "dialogue",
        "apache-2.0",
        False,
        {},
        (),
    )
    assert pack.variant().path == pack.file(model.name) == model
    assert pack.variant().format == "gguf"
    with pytest.raises(PackError, match="a bare model has one variant, got 'int8'"):
        pack.variant("int8")
    with pytest.raises(PackError, match="the only file of a bare model, got 'x'"):
        pack.file("x")
    with pytest.raises(PackError, match="no manifest to check it against"):
        verify_files(pack)


def test_a_licence_from_metadata_or_from_the_caller(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(onnx())
    with pytest.raises(PackError, match="expected a licence in the metadata of the file, got none; pass license="):
        open_pack(path, allow_unverified=True)
    with pytest.warns(UserWarning, match="MIT"):
        assert open_pack(path, allow_unverified=True, license="MIT").license == "MIT"
    path.write_bytes(onnx(metadata={"license": "BSD-3-Clause", "other": "x"}))
    with pytest.warns(UserWarning, match="BSD"):
        pack = open_pack(path, allow_unverified=True)
    assert (pack.license, pack.task, pack.name) == ("BSD-3-Clause", "", "m")


def test_verified_packs_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_pack(DEFAULTS["face-expression"], allow_unverified=True)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("m.gguf", b"", "it ends too early"),
        ("m.gguf", b"GGML" + b"\0" * 40, "does not begin with GGUF"),
        ("m.gguf", gguf(FULL)[:-1], "it ends too early"),
        ("m.gguf", gguf(FULL, version=9), "GGUF version 9"),
        ("m.gguf", gguf({}, count=1 << 40), "metadata entries"),
        ("m.gguf", gguf({}, count=1, extra=struct.pack("<Q", 1 << 60)), "a text of"),
        ("m.gguf", gguf({}, count=1, extra=text("k") + struct.pack("<I", 99)), "unknown metadata type 99"),
        ("m.gguf", gguf({}, count=1, extra=text("k") + struct.pack("<IIQ", 9, 8, 1 << 50)), "a list of"),
        ("m.gguf", gguf({}, count=1, extra=text("k") + struct.pack("<IIQ", 9, 9, 1)), "a list of"),
        ("m.onnx", b"", "it has no graph"),
        ("m.onnx", b"garbage", "expected a ONNX file, got something else"),
        ("m.onnx", onnx()[:-1], "it ends too early"),
        ("m.onnx", b"\x72\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "more than 64 bits"),
    ],
)
def test_files_that_are_no_model(tmp_path, name, data, said):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(PackError, match=said):
        read_bare(path)
    with pytest.raises(PackError, match=said):
        open_pack(path, allow_unverified=True, license="MIT")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_spoilt_metadata_is_read_or_refused(tmp_path, data):
    content = bytearray(gguf(FULL))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    try:
        read_bare(path)
    except PackError as error:
        assert "expected a GGUF file" in str(error)


@pytest.fixture
def language_model(users_cache):
    """The GGUF of the default dialogue pack, from the user's cache, where other tests want it too."""
    with pytest.MonkeyPatch.context() as patch:
        if users_cache is None:
            patch.delenv("AFFECTRT_CACHE_DIR")
        else:
            patch.setenv("AFFECTRT_CACHE_DIR", users_cache)
        pull(DEFAULTS["dialogue"])
        return open_pack(DEFAULTS["dialogue"])


def test_a_gguf_file_becomes_a_pack_with_the_same_golden_tokens(language_model, cache):
    assert add(language_model.variant().path, name="my-chat") == cache / "packs" / "my-chat"
    pack = open_pack("my-chat")
    assert (pack.task, pack.license, pack.variants) == ("dialogue", "Apache-2.0", ("q4_1",))
    (mine,), golden = pack.manifest["golden"], language_model.manifest["golden"]
    theirs = next(entry for entry in golden if entry["input"] == mine["input"])
    tokens = [np.load(of.file(entry["expected"]["tokens"])) for of, entry in ((pack, mine), (language_model, theirs))]
    np.testing.assert_array_equal(*tokens)


def contract(tmp_path: Path) -> tuple[Path, Path]:
    """The files of a pack as a user would have them: a network, and a contract beside its golden vectors."""
    source = make_faces(tmp_path)
    home = tmp_path / "mine"
    home.mkdir()
    manifest = json.loads((source / "pack.json").read_text())
    for entry in manifest.pop("files"):
        place = home / entry["path"]
        place.parent.mkdir(exist_ok=True)
        place.write_bytes((source / entry["path"]).read_bytes())
    del manifest["format"], manifest["format_version"]
    (home / "contract.json").write_text(json.dumps(manifest))
    return home / "model.fp32.onnx", home / "contract.json"


def test_an_onnx_file_and_its_contract_become_a_pack(tmp_path, cache):
    model, json_file = contract(tmp_path)
    target = add(model, name="my-faces", contract=json_file)
    assert target == cache / "packs" / "my-faces"
    assert added_packs() == ("my-faces",)
    pack = open_pack("my-faces")
    assert pack.verified
    assert pack.variant().path.read_bytes() == model.read_bytes()
    assert pull("my-faces") == target
    with pytest.raises(PackError, match="expected a name that is free, got 'my-faces'"):
        add(model, name="my-faces", contract=json_file)
    add(model, name="my-faces", contract=json_file, replace=True)
    with pytest.raises(PackError, match="expected a name that no default pack has"):
        add(model, name=DEFAULTS["face-expression"], contract=json_file)
    assert [p.name for p in (cache / "packs").iterdir() if any(p.iterdir())] == ["my-faces"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m.pop("card"), "expected the keys of docs/pack-format.md, got a problem at 'card'"),
        (lambda m: m.update(surprise=1), "unknown key 'surprise'"),
        (lambda m: m.update(labels=[]), "labels: expected at least one label"),
        (lambda m: m.update(card="NONE.md"), "expected the file 'NONE.md' beside it"),
        (lambda m: m.update(card="../../etc/passwd"), "expected the file '../../etc/passwd' beside it"),
        (lambda m: m.update(card="/etc/passwd"), "expected the file '/etc/passwd' beside it"),
        (lambda m: m["variants"][0].update(file="other.onnx"), "expected a variant with the file 'model.fp32.onnx'"),
        (lambda m: m.update(variants=3), "expected the keys of docs/pack-format.md"),
        (lambda m: m.update(license=3), "no pack can be made of it"),
    ],
)
def test_a_contract_that_is_wrong_costs_nothing(tmp_path, cache, change, said):
    model, json_file = contract(tmp_path)
    before = add(model, name="my-faces", contract=json_file)
    manifest = json.loads(json_file.read_text())
    change(manifest)
    json_file.write_text(json.dumps(manifest))
    with pytest.raises(PackError, match=said):
        add(model, name="my-faces", contract=json_file, replace=True)
    assert open_pack("my-faces").path == before


def test_what_cannot_be_added(tmp_path, model):
    plain = tmp_path / "m.onnx"
    plain.write_bytes(onnx())
    with pytest.raises(PackError, match="does not say how to feed it; write its contract"):
        add(plain)
    (tmp_path / "c.json").write_text("{")
    with pytest.raises(PackError, match="expected a contract as UTF-8 JSON"):
        add(plain, contract=tmp_path / "c.json")
    (tmp_path / "c.json").write_text("[]")
    with pytest.raises(PackError, match="expected a JSON object, got list"):
        add(plain, contract=tmp_path / "c.json")
    with pytest.raises(PackError, match="cannot be read: No such file"):
        add(plain, contract=tmp_path / "none.json")
    with pytest.raises(PackError, match="expected a model file, got no such file"):
        add(tmp_path / "none.gguf")
    model.write_bytes(gguf({**FULL, "general.file_type": 77}))
    with pytest.raises(PackError, match="expected a precision that the pack format knows, got file type 77"):
        add(model)
    model.write_bytes(gguf({k: v for k, v in FULL.items() if k != "general.license"}))
    with pytest.raises(PackError, match="expected a licence"):
        add(model)
    model.write_bytes(gguf({k: v for k, v in FULL.items() if k != "tokenizer.chat_template"}))
    with pytest.raises(PackError, match="expected a chat template"):
        add(model)
    model.write_bytes(gguf(FULL))
    with pytest.raises(PackError, match=r"llama\.cpp cannot read it"):
        add(model)

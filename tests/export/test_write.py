"""The pack writer: whole or not at all, the same bytes for the same arguments, and a clear no to what is not a pack."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affectrt.packs import write
from affectrt.packs.write import RemoteFile, npy_bytes, write_pack


def manifest(**changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "name": "tiny",
        "version": "1.0.0",
        "task": "text-emotion",
        "description": "d",
        "license": {"code": "MIT", "weights": "MIT"},
        "source": [{"what": "weights", "origin": "here", "license": "MIT"}],
        "card": "CARD.md",
        "intended_use": "u",
        "known_limits": ["l"],
        "inputs": [{"tensor": "ids", "kind": "text", "tokenizer": "tokenizer.json", "max_tokens": 8, "mask_tensor": "mask"}],
        "outputs": [{"tensor": "probs", "kind": "probabilities", "shape": [-1, 2]}],
        "decode": {"kind": "identity", "temperature": 1.0, "thresholds": [], "unknown_below": 0.3},
        "labels": [{"name": "a", "valence": 0.1, "arousal": -0.2}, {"name": "ü", "valence": 0, "arousal": 0}],
        "variants": [
            {
                "name": "fp32",
                "file": "model.onnx",
                "format": "onnx",
                "precision": "fp32",
                "golden_tolerance_abs": 0.1,
                "requires": [],
                "measured": [],
            }
        ],
        "golden": [{"name": "g", "input": {"text": "t"}, "expected": {"probs": "golden/g.npy"}}],
    }
    return {**content, **changes}


def files() -> dict[str, bytes | Path]:
    return {"CARD.md": b"card", "tokenizer.json": b"{}", "model.onnx": b"onnx", "golden/g.npy": npy_bytes(np.zeros(2, np.float32))}


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_writes_what_was_given_with_sizes_and_hashes(tmp_path: Path) -> None:
    source = tmp_path / "elsewhere.onnx"
    source.write_bytes(b"x" * 3_000_000)
    path = write_pack(tmp_path / "out" / "tiny", manifest(), {**files(), "model.onnx": source})
    content = json.loads((path / "pack.json").read_text(encoding="utf-8"))
    assert content["format"] == "affectrt-pack" and content["format_version"] == 1
    assert [entry["path"] for entry in content["files"]] == ["CARD.md", "golden/g.npy", "model.onnx", "tokenizer.json"]
    for entry in content["files"]:
        data = (path / entry["path"]).read_bytes()
        assert entry["size_bytes"] == len(data) and entry["sha256"] == hashlib.sha256(data).hexdigest()
    assert set(tree(path)) == {"pack.json"} | {entry["path"] for entry in content["files"]}


def test_same_arguments_same_bytes_whatever_their_order(tmp_path: Path) -> None:
    one = write_pack(tmp_path / "1" / "tiny", manifest(), files())
    backwards = dict(reversed(list(manifest().items())))
    two = write_pack(tmp_path / "2" / "tiny", backwards, dict(reversed(list(files().items()))))
    assert tree(one) == tree(two)


def test_remote_files_are_named_and_not_carried(tmp_path: Path) -> None:
    content = files()
    del content["model.onnx"]
    far = RemoteFile("pypi:a==1/model.onnx", 7, "0" * 64)
    path = write_pack(tmp_path / "tiny", manifest(), content, remote={"model.onnx": far})
    entry = next(e for e in json.loads((path / "pack.json").read_text())["files"] if e["path"] == "model.onnx")
    assert entry == {"path": "model.onnx", "size_bytes": 7, "sha256": "0" * 64, "remote": "pypi:a==1/model.onnx"}
    assert not (path / "model.onnx").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "Tiny"}, "must match"),
        ({"version": "1.0"}, "MAJOR.MINOR.PATCH"),
        ({"version": "01.0.0"}, "MAJOR.MINOR.PATCH"),
        ({"task": "smell"}, "must be one of"),
        ({"license": {"code": "MIT", "weights": ""}}, "license.weights"),
        ({"source": []}, "source must not be empty"),
        ({"known_limits": []}, "known_limits must not be empty"),
        ({"golden": []}, "golden must not be empty"),
        ({"card": "README.md"}, "card names 'README.md'"),
        ({"extra": 1}, "unknown key 'extra'"),
    ],
)
def test_refuses_a_bad_manifest(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        write_pack(tmp_path / "tiny", manifest(**changes), files())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("named", "content", "words"),
    [
        (None, b"card", "missing key 'card'"),
        ("CARD.md", None, "card names 'CARD.md', which is not among the files"),
        ("CARD.md", b" \n", "card 'CARD.md' must say something, it is empty"),
        ("CARD.md", Path("CARD.md"), "card 'CARD.md' must say something, it is empty"),
    ],
)
def test_a_pack_without_a_card_is_refused(tmp_path: Path, named: str | None, content: bytes | Path | None, words: str) -> None:
    wanted = {name: value for name, value in manifest(card=named).items() if value is not None}
    given = files() | ({"CARD.md": content} if content is not None else {})
    if content is None:
        del given["CARD.md"]
    elif isinstance(content, Path):
        given["CARD.md"] = tmp_path / content
        (tmp_path / content).touch()
    with pytest.raises(ValueError, match=re.escape(words)):
        write_pack(tmp_path / "tiny", wanted, given)
    assert not (tmp_path / "tiny").exists()


@pytest.mark.parametrize("path", ["../x", "/x", "a//b", "a/./b", "a\\b", "c:x", "a\nb", "", "pack.json"])
def test_refuses_bad_paths(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError):
        write_pack(tmp_path / "tiny", manifest(), {**files(), path: b""})
    assert list(tmp_path.iterdir()) == []


def test_names_every_problem_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"version.*task.*source"):
        write_pack(tmp_path / "tiny", manifest(version="1", task="t", source=[]), files())


def test_the_folder_is_named_like_the_pack(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be named like the pack"):
        write_pack(tmp_path / "other", manifest(), files())


def test_does_not_take_a_place_unasked(tmp_path: Path) -> None:
    write_pack(tmp_path / "tiny", manifest(), files())
    before = tree(tmp_path)
    with pytest.raises(FileExistsError, match="replace=True"):
        write_pack(tmp_path / "tiny", manifest(version="2.0.0"), files())
    assert tree(tmp_path) == before


def test_replace_leaves_nothing_of_the_old_pack(tmp_path: Path) -> None:
    write_pack(tmp_path / "tiny", manifest(), {**files(), "more.txt": b"old"})
    write_pack(tmp_path / "tiny", manifest(), files(), replace=True)
    assert not (tmp_path / "tiny" / "more.txt").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["tiny"]


@pytest.mark.parametrize("step", ["missing file", "write", "rename"])
def test_a_failure_leaves_the_old_pack_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    write_pack(tmp_path / "tiny", manifest(), files())
    before, content = tree(tmp_path), files()
    if step == "missing file":
        content["model.onnx"] = tmp_path.parent / "absent"
    elif step == "write":

        def full(*_: object) -> None:
            raise OSError("no space left on device")

        monkeypatch.setattr(write, "_flush", full)
    else:
        rename = Path.rename

        def stuck(self: Path, target: Path) -> Path:
            if self.suffix == ".tmp":
                raise OSError("stuck")
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", stuck)
    with pytest.raises(OSError):
        write_pack(tmp_path / "tiny", manifest(version="2.0.0"), content, replace=True)
    assert tree(tmp_path) == before
    assert [p.name for p in tmp_path.iterdir()] == ["tiny"]


def test_golden_vectors_hold_no_objects() -> None:
    with pytest.raises(TypeError, match="Python objects"):
        npy_bytes(np.array([{}], dtype=object))


def test_npy_is_little_endian_and_c_ordered() -> None:
    value = np.arange(6, dtype=">f4").reshape(2, 3).T
    assert npy_bytes(value) == npy_bytes(np.ascontiguousarray(value.astype("<f4")))


def test_numbers_that_json_cannot_say_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_pack(tmp_path / "tiny", manifest(labels=[{"name": "a", "valence": float("nan"), "arousal": 0.0}]), files())
    assert list(tmp_path.iterdir()) == []


def test_a_check_sees_the_whole_pack_and_stops_it(tmp_path: Path) -> None:
    write_pack(tmp_path / "tiny", manifest(), files())
    before = tree(tmp_path)
    seen: list[dict[str, bytes]] = []

    def no(folder: Path) -> None:
        seen.append(tree(folder))
        raise ValueError("not this one")

    with pytest.raises(ValueError, match="not this one"):
        write_pack(tmp_path / "tiny", manifest(version="2.0.0"), files(), replace=True, check=no)
    assert tree(tmp_path) == before
    assert set(seen[0]) == {*files(), "pack.json"} and json.loads(seen[0]["pack.json"])["version"] == "2.0.0"
    write_pack(tmp_path / "tiny", manifest(version="2.0.0"), files(), replace=True, check=lambda folder: None)
    assert json.loads((tmp_path / "tiny" / "pack.json").read_text())["version"] == "2.0.0"

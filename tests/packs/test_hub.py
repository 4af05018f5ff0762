"""Packs and bare models in hub repositories: the real huggingface_hub over a local folder laid out like its cache; offline throughout."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from gguf_bytes import gguf

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """A hub cache: blobs named by their hash, snapshots of links to them, refs from branch to commit."""

    def __init__(self, home: Path, repo: str) -> None:
        self.home = home
        self.folder = home / "hub" / ("models--" + repo.replace("/", "--"))
        self.snapshot = self.folder / "snapshots" / COMMIT
        self.snapshot.mkdir(parents=True)
        (self.folder / "blobs").mkdir()
        (self.folder / "refs").mkdir()
        (self.folder / "refs" / "main").write_text(COMMIT)

    def put(self, name: str, data: bytes) -> Path:
        blob = self.folder / "blobs" / hashlib.sha256(data).hexdigest()
        blob.write_bytes(data)
        link = self.snapshot / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
        return blob

    def put_folder(self, folder: Path) -> None:
        for path in folder.rglob("*"):
            if path.is_file():
                self.put(path.relative_to(folder).as_posix(), path.read_bytes())


@pytest.fixture
def hub(tmp_path, folder):
    hub = Hub(tmp_path / "hf", "robots/faces")
    hub.put_folder(folder)
    hub.put("README.md", b"# a repository has one")
    hub.put(".gitattributes", b"*.onnx lfs")
    return hub


CODE = """
import json, socket, sys
def refuse(*a, **k):
    raise AssertionError("a socket was opened")
if {watch!r}:
    socket.socket.connect = refuse
    socket.getaddrinfo = refuse
else:
    import time
    time.sleep = lambda s: None  # the hub's client waits between its tries
from affectrt.packs import PackError, open_pack, pull
def outcome(call):
    try:
        pack = eval(call)
        return [pack.name, pack.variant().name, pack.variant().precision, str(pack.path), pack.verified, pack.license]
    except PackError as error:
        return str(error)
print(json.dumps([outcome(call) for call in {calls!r}]))
"""


def run(hub: Hub, *calls: str, offline: str = "", watch: bool = True, **env: str):
    """The outcome of each call: what the pack is, or the error. In a process of its own, as huggingface_hub reads its settings once."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")} | {"HF_HOME": str(hub.home)} | env
    if offline:
        environment["HF_HUB_OFFLINE"] = offline
    code = CODE.format(calls=calls, watch=watch)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)
    assert len(outcomes) == len(calls)
    return outcomes


@pytest.mark.parametrize("offline", ["", "1"])
def test_a_snapshot_opens_without_a_socket(hub, cache, offline):
    call = "open_pack('robots/faces')"
    opened, again = run(hub, call, call, offline=offline)
    assert opened == again
    name, variant, precision, path, verified, licence = opened
    assert (name, variant, precision, verified, licence) == ("seven-faces", "fp32", "fp32", True, "MIT")
    assert Path(path) == cache / "hub" / "robots--faces" / COMMIT
    files = [p for p in Path(path).rglob("*") if p.is_file()]
    assert not any(p.is_symlink() for p in files)
    assert not {"README.md", ".gitattributes"} & {p.name for p in files}


def test_a_revision_is_a_branch_a_tag_or_a_commit(hub):
    (hub.folder / "refs" / "v1").write_text(COMMIT)
    *good, bad = run(hub, *(f"open_pack('robots/faces', revision={revision!r})" for revision in ("main", "v1", COMMIT, "v2")))
    assert [opened[0] for opened in good] == ["seven-faces"] * 3
    assert bad.endswith("run: affectrt packs pull robots/faces")


def test_a_variant_after_the_colon(hub):
    opened, said = run(hub, "open_pack('robots/faces:FP32')", "open_pack('robots/faces:Q4_K_M')")
    assert opened[1] == "fp32"
    assert 'expected one of the variants fp32 (fp32), got "q4_k_m"' in said


def test_pulling_offline_takes_what_is_there(hub):
    opened, said = run(hub, "open_pack(pull('robots/faces'))", "pull('robots/none')", offline="1")
    assert opened[0] == "seven-faces"
    assert said.startswith("robots/none: ")
    assert "HF_HUB_OFFLINE" in said


def test_a_repository_that_was_not_pulled(hub):
    (said,) = run(hub, "open_pack('robots/none')")
    expected = "robots/none: expected a folder or a repository of the hub that has been pulled, got neither"
    assert said == expected + "; run: affectrt packs pull robots/none"


def test_pulling_with_no_network_says_so(hub):
    (said,) = run(hub, "pull('robots/none')", watch=False, HF_ENDPOINT="http://127.0.0.1:9", HF_HUB_ETAG_TIMEOUT="1")
    assert said.startswith("robots/none: ")
    assert "reach" in said or "connect" in said.lower()


def test_a_blob_that_was_tampered_with(hub):
    blob = (hub.snapshot / "model.fp32.onnx").resolve()
    data = bytearray(blob.read_bytes())
    data[1000] ^= 1
    blob.unlink()
    blob.write_bytes(data)
    (said,) = run(hub, "open_pack('robots/faces')")
    assert "model.fp32.onnx: expected SHA-256" in said
    assert not list((Path(os.environ["AFFECTRT_CACHE_DIR"]) / "hub").rglob("*.onnx"))


def test_a_link_that_leaves_the_repository(hub, tmp_path):
    outside = tmp_path / "outside"
    outside.write_bytes((hub.snapshot / "CARD.md").read_bytes())  # even with the right content
    (hub.snapshot / "CARD.md").unlink()
    (hub.snapshot / "CARD.md").symlink_to(outside)
    (said,) = run(hub, "open_pack('robots/faces')")
    assert "robots/faces: 'CARD.md': expected a link inside" in said
    assert str(outside) in said


def test_a_file_that_is_listed_and_not_there(hub):
    (hub.snapshot / "CARD.md").unlink()
    (said,) = run(hub, "open_pack('robots/faces')")
    assert "expected 'CARD.md', which its pack.json lists, got no such file" in said


def test_a_broken_manifest(hub):
    hub.put("pack.json", b"{")
    (said,) = run(hub, "open_pack('robots/faces')")
    assert f"robots/faces at {COMMIT}: pack.json: expected UTF-8 JSON" in said


def test_bare_models(tmp_path):
    hub = Hub(tmp_path / "hf", "someone/chat-GGUF")
    hub.put("chat-Q4_K_M.gguf", gguf({"general.name": "Chat", "general.license": "apache-2.0"}))
    hub.put("chat-Q8_0.gguf", gguf({"general.name": "Chat"}))
    opened, refused, two, none = run(
        hub,
        "open_pack('someone/chat-GGUF:Q4_K_M', allow_unverified=True)",
        "open_pack('someone/chat-GGUF:Q4_K_M')",
        "open_pack('someone/chat-GGUF', allow_unverified=True)",
        "open_pack('someone/chat-GGUF:Q2_K', allow_unverified=True)",
    )
    assert opened == ["Chat", "chat-Q4_K_M.gguf", "unknown", str(hub.snapshot / "chat-Q4_K_M.gguf"), False, "apache-2.0"]
    assert "is a bare model" in refused
    assert "expected one model file alone, or one chosen as org/repo:PRECISION, got 2; there are: chat-Q4_K_M.gguf, chat-Q8_0.gguf" in two
    assert "with 'Q2_K' in its name, got 0" in none


def test_a_folder_of_that_name_wins(hub, tmp_path, folder):
    shutil.copytree(folder, tmp_path / "robots" / "faces")
    (opened,) = run(hub, f"(__import__('os').chdir({str(tmp_path)!r}), open_pack('robots/faces'))[1]")
    assert Path(opened[3]) == tmp_path / "robots" / "faces"

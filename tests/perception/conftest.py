"""Packs altered for a purpose: copies of the default ones, whichever they are."""

import hashlib
import json
import shutil

import pytest
from affectrt.packs import open_pack


@pytest.fixture
def altered(tmp_path):
    """A copy of a pack, its manifest changed by a function, and files replaced or added; sizes and hashes are put right."""

    def make(name, change=lambda manifest: None, files=None):
        folder = tmp_path / name
        shutil.copytree(open_pack(name).path, folder)
        manifest = json.loads((folder / "pack.json").read_text())
        change(manifest)
        for path, content in (files or {}).items():
            (folder / path).write_bytes(content)
            manifest["files"] = [entry for entry in manifest["files"] if entry["path"] != path]
            manifest["files"].append({"path": path, "size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()})
        (folder / "pack.json").write_text(json.dumps(manifest))
        return str(folder)

    return make

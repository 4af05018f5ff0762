"""A talk as bytes, and the key that its cache is sealed with. What becomes of both: test_companion_talk.py."""

from __future__ import annotations

import logging
import os

import pytest
from affectrt.companion import seal
from affectrt.companion.talk import KeptTalk
from affectrt.dialogue import Past, Turn
from affectrt.dialogue.strategy import Strategy
from hypothesis import given, settings
from hypothesis import strategies as st


def test_the_key_of_the_seal_is_the_users_alone(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("AFFECTRT_CACHE_DIR", str(tmp_path))
    key, path = seal.seal_key(), tmp_path / f"seal-{os.geteuid()}.key"
    assert key is not None and len(key) == 32 and seal.seal_key() == key and path.stat().st_mode & 0o777 == 0o600

    def refused(why):
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="affectrt.companion"):
            assert seal.seal_key() is None
        assert why in caplog.text

    path.chmod(0o640)
    refused("only its owner, this user, can read or write")
    path.chmod(0o600)
    path.write_bytes(key[:-1])
    refused("expected 32 bytes, got 31")
    path.write_bytes(key + b"x")
    refused("expected 32 bytes, got 33")
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    refused("symbolic link")
    path.unlink()
    os.mkfifo(path, 0o600)
    refused("only its owner")
    path.unlink()
    monkeypatch.setenv("AFFECTRT_CACHE_DIR", str(tmp_path / "elsewhere" / "below a file"))
    refused("a part of the path is a file")


words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20).filter(str.strip)
turns = st.builds(
    Turn, words, st.just("") | words, st.just("") | words, st.sampled_from(["stop", "length"]), st.none() | st.tuples(st.integers())
)


@given(st.lists(turns, min_size=1, max_size=4), st.data())
def test_a_talk_comes_back_as_it_was(said, data):
    left = data.draw(st.integers(0, len(said)))
    past = Past(tuple(said), left, data.draw(st.none() | words) if left else None)
    times = tuple(data.draw(st.integers(0, 2**63 - 1)) for _ in said)
    talk = KeptTalk(data.draw(st.none() | words), past, times, ("ben",), tuple(data.draw(st.lists(st.sampled_from(Strategy)))))
    assert KeptTalk.from_bytes(talk.to_bytes()) == talk


@settings(max_examples=60)
@given(
    st.binary(max_size=60) | st.recursive(st.none() | st.integers() | words, lambda x: st.lists(x) | st.dictionaries(words, x)).map(repr)
)
def test_any_bytes_are_a_clean_error(noise):
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        KeptTalk.from_bytes(noise if isinstance(noise, bytes) else noise.encode())

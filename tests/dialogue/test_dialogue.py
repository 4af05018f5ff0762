"""Loading, context overflow and bad input."""

from __future__ import annotations

import struct
import subprocess
import sys
import warnings

import pytest
from affectrt.dialogue import Dialogue, Grammar, Sampling, native
from affectrt.errors import DeviceError, EngineError, PackError
from affectrt.packs import DEFAULTS, Pack, open_pack

LONG = "Tell me about the sea, the wind and the ships that went out and came home again. "


@pytest.fixture(scope="module")
def small(dialogue_pack):
    """A context that is soon full."""
    with Dialogue(dialogue_pack, threads=1, device="cpu", seed=1, context_tokens=256) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def gguf(dialogue_pack):
    return dialogue_pack.variant().path.read_bytes()


def bare(path, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return Dialogue(open_pack(path, allow_unverified=True, license="MIT"), threads=1, device="cpu", **options)


def test_it_says_what_it_runs_on(dialogue):
    info, default = dialogue.info, open_pack(DEFAULTS["dialogue"]).variant()
    assert (info.pack, info.precision, info.provider, info.device) == (DEFAULTS["dialogue"], default.precision, "llama.cpp/CPU", "cpu")
    assert (info.threads, info.context_tokens) == (1, 2048)
    assert dialogue.sampling.max_tokens == 160
    assert (dialogue.providers, dialogue.strict) == (None, False)


def test_strict_is_kept(dialogue_pack):
    with Dialogue(dialogue_pack, threads=1, device="cpu", context_tokens=128, strict=True) as loaded:
        assert loaded.strict and loaded.device == "cpu"


def test_threads_may_change_while_it_is_loaded(small):
    chat = small.conversation()
    small.threads = 2
    assert chat.reply("Hello!", max_tokens=3).read()
    assert small.threads == small.info.threads == 2
    small.threads = 1
    with pytest.raises(ValueError, match=r"\[1, 512\], got 0"):
        small.threads = 0
    with pytest.raises(TypeError, match="threads must be an int, got '2'"):
        small.threads = "2"


def test_old_turns_leave_a_full_context_and_the_system_message_stays(small):
    chat = small.conversation("You are a kind friend who lives by the sea.")
    dropped = 0
    for i in range(8):
        reply = chat.reply(f"{LONG}And this is number {i}.", max_tokens=12)
        reply.read()
        stats = reply.stats
        assert stats.prompt_tokens + stats.generated_tokens <= 256
        assert stats.finish in ("stop", "length")
        dropped += stats.dropped_turns
        text = b"".join(small._runtime.model.spelling(t) for t in reply.prompt_tokens).decode()
        assert text.startswith("<|im_start|>system\nYou are a kind friend who lives by the sea.<|im_end|>")
        assert f"number {i}." in text
    assert dropped > 0
    assert len(chat.turns) == 8
    assert chat.turns_in_context == 8 - dropped
    assert "number 0." not in text
    chat.reset()
    assert (chat.turns, chat.turns_in_context) == ((), 0)


def test_a_reset_leaves_no_words_in_the_cache(small):
    chat, other = small.conversation("You are kind."), small.conversation("You are kind.")
    chat.reply("My xylophone is broken.", max_tokens=2).read()
    slot = chat._slot
    chat.reset()
    spelled = b"".join(small._runtime.model.spelling(token) for token in slot.tokens).decode()
    assert "You are kind." in spelled and "xylophone" not in spelled  # the system message may stay
    chat.reply("My xylophone is broken.", max_tokens=2).read()
    other.reply("Hello!", max_tokens=2).read()
    assert slot.saved is not None
    chat.reset()
    assert (slot.saved, slot.tokens) == (None, [])
    assert (
        chat.reply("Hello!", seed=1, max_tokens=4).read()
        == small.conversation("You are kind.").reply("Hello!", seed=1, max_tokens=4).read()
    )


def test_an_answer_that_fills_the_context_ends_there(small):
    reply = small.conversation().reply(
        "Tell me a long story.", max_tokens=2000, sampling=Sampling(temperature=1.5, top_p=1.0, top_k=0), seed=3
    )
    reply.read()
    stats = reply.stats
    assert stats.finish in ("context", "stop")
    assert stats.prompt_tokens + stats.generated_tokens <= 257
    assert small.conversation().reply("Hello!", max_tokens=2).read()


@pytest.mark.parametrize("length", [400, 1_000_000])
def test_a_text_longer_than_the_context_is_refused_with_both_lengths(small, length):
    chat = small.conversation("Be kind.")
    with pytest.raises(ValueError, match=r"the text is (over )?\d+ tokens long .* context of 256 tokens takes a prompt of at most \d+"):
        chat.reply("word " * length)
    assert chat.turns == ()
    assert chat.reply("Hello!", max_tokens=2).read()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", ValueError),
        ("  \n", ValueError),
        ("a\0b", ValueError),
        ("\udc80", ValueError),
        (None, TypeError),
        (b"x", TypeError),
        (7, TypeError),
    ],
)
def test_unreadable_text_is_refused_everywhere(small, text, kind):
    chat = small.conversation()
    with pytest.raises(kind, match="text"):
        chat.reply(text)
    with pytest.raises(kind, match="text"):
        small.prompt_tokens(text)
    if text is not None:
        with pytest.raises(kind, match="note"):
            chat.reply("Hello!", note=text)
        with pytest.raises(kind, match="system"):
            small.conversation(text)


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"max_tokens": 0}, ValueError, "max_tokens must be at least 1, got 0"),
        ({"stop": [""]}, ValueError, "stop"),
        ({"seed": -1}, ValueError, "seed must lie in"),
        ({"seed": 2**32}, ValueError, "seed must lie in"),
        ({"seed": "x"}, TypeError, "seed must be an int, got str"),
        ({"sampling": {"top_k": 1}}, TypeError, "sampling: expected a Sampling or None, got dict"),
        ({"max_tokens": 1.5}, TypeError, "max_tokens must be an int, got 1.5"),
        ({"max_tokens": "a"}, TypeError, "max_tokens must be an int, got 'a'"),
    ],
)
def test_wrong_settings_of_a_reply(small, options, kind, words):
    with pytest.raises(kind, match=words):
        small.conversation().reply("Hello!", **options)


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"threads": -1}, ValueError, "threads"),
        ({"sampling": {"top_k": 1}}, TypeError, "sampling: expected a Sampling or None, got dict"),
        ({"threads": "a"}, TypeError, "threads must be an int, got 'a'"),
        ({"threads": 1.5}, TypeError, "threads must be an int, got 1.5"),
        ({"context_tokens": "a"}, TypeError, "context_tokens must be an int, got 'a'"),
        ({"context_tokens": True}, TypeError, "context_tokens must be an int, got True"),
        ({"strict": "yes"}, TypeError, "strict must be a bool, got str"),
        ({"context_tokens": 5}, ValueError, r"context_tokens must lie in \[128, 8192\]"),
        ({"context_tokens": 1 << 20}, ValueError, "got 1048576"),
        ({"seed": -3}, ValueError, "seed"),
        ({"device": "gpu"}, ValueError, '"auto", "cpu" or "cuda:N", got \'gpu\''),
        ({"precision": "fp64"}, PackError, "fp64"),
        ({"template": ""}, EngineError, "no chat template"),
        ({"template": "{% if %}"}, EngineError, "does not render"),
    ],
)
def test_wrong_settings_of_a_dialogue(dialogue_pack, options, kind, words):
    with pytest.raises(kind, match=words):
        Dialogue(dialogue_pack, **{"device": "cpu", **options})


def test_a_gpu_that_this_build_cannot_use_is_refused(dialogue_pack):
    if native.load().llama_supports_gpu_offload():
        assert Dialogue(dialogue_pack, device="cuda:0", context_tokens=256).provider == "llama.cpp/CUDA"
    else:
        with pytest.raises(DeviceError, match="built for the CPU only"):
            Dialogue(dialogue_pack, device="cuda:0")
        with pytest.raises(DeviceError, match="built for the CPU only"):
            Dialogue(dialogue_pack, device="cuda:0", strict=True)


def test_a_pack_for_something_else_is_refused():
    with pytest.raises(ValueError, match="expected a pack for dialogue, got one for face-detection"):
        Dialogue("blazeface-full-range")


def test_missing_files(tmp_path):
    with pytest.raises(PackError, match="no such path"):
        Dialogue(tmp_path / "none.gguf", allow_unverified=True)
    with pytest.raises(PackError, match="expected the name of a pack"):
        Dialogue("no-such-pack")


def test_a_pack_that_was_not_pulled_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("AFFECTRT_CACHE_DIR", str(tmp_path))
    with pytest.raises(PackError, match=f"affectrt packs pull {DEFAULTS['dialogue']}"):
        Dialogue()


def test_a_bare_file_opens_only_unverified(dialogue_pack):
    path = dialogue_pack.variant().path
    with pytest.raises(PackError, match="allow_unverified=True"):
        Dialogue(path)
    with bare(path, context_tokens=256) as opened:
        assert (opened.precision, opened.pack.verified) == (dialogue_pack.variant().precision, False)
        assert opened.conversation().reply("Hello!", max_tokens=2).read()


@pytest.mark.parametrize("size", [3, 30, 5000, 1_000_000, 1_800_000, 50_000_000])
def test_a_truncated_model_is_an_error_and_no_crash(gguf, tmp_path, size):
    path = tmp_path / "cut.gguf"
    path.write_bytes(gguf[:size])
    with pytest.raises((PackError, EngineError), match=r"cut\.gguf"):
        bare(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"not a model at all" * 100, b"GGUF" + b"\xff" * 100, b"GGUF\x03\0\0\0" + b"\0" * 16, b"GGUF\x63\0\0\0" + b"\0" * 100],
)
def test_garbage_is_an_error_and_no_crash(tmp_path, content):
    path = tmp_path / "garbage.gguf"
    path.write_bytes(content)
    with pytest.raises((PackError, EngineError), match=r"garbage\.gguf"):
        bare(path)
    pack = Pack(name="garbage", version="", task="dialogue", path=path, source=str(path), license="MIT")
    with pytest.raises((PackError, EngineError), match=r"garbage\.gguf"):
        Dialogue(pack, device="cpu")


def number(name, value):
    return f"llama.{name}".encode() + struct.pack("<II", 4, value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (number("block_count", 30), number("block_count", 0), r"llama\.block_count must be in \[1, 512\], got 0"),
        (number("block_count", 30), number("block_count", 1 << 30), "got 1073741824"),
        (number("attention.head_count", 9), number("attention.head_count", 7), r"cannot load this model: .*n_rot"),
        (number("attention.head_count", 9), number("attention.head_count", 0), "cannot load this model"),
        (number("embedding_length", 576), number("embedding_length", 577), r"cannot load this model: .*wrong shape"),
        (struct.pack("<Q", 5) + b"llama", struct.pack("<Q", 5) + b"xlama", "unknown model architecture: 'xlama'"),
        (struct.pack("<Q", 4) + b"gpt2", struct.pack("<Q", 4) + b"zzzz", "unknown tokenizer: 'zzzz'"),
    ],
)
def test_a_hostile_model_is_an_error_and_no_crash(gguf, tmp_path, old, new, words):
    assert old in gguf[: 1 << 22]
    path = tmp_path / "hostile.gguf"
    path.write_bytes(gguf.replace(old, new, 1))
    with pytest.raises((PackError, EngineError), match=rf"hostile\.gguf: .*{words}"):
        bare(path)


def made(numbers):
    """A GGUF file of metadata alone."""

    def text(words):
        return struct.pack("<Q", len(words)) + words.encode()

    head = text("general.architecture") + struct.pack("<I", 8) + text("llama")
    head += b"".join(text(f"llama.{name}") + struct.pack("<II", 4, value) for name, value in numbers.items())
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 1 + len(numbers)) + head


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"expert_count": 513, "expert_used_count": 1}, r"expert_count must be in \[0, 512\], got 513"),
        ({"expert_count": 8}, r"expert_used_count must be in \[1, 8\], got 0"),
        ({"expert_count": 8, "expert_used_count": 9}, r"in \[1, 8\], got 9"),
        ({"expert_used_count": 1}, r"in \[0, 0\], got 1"),
        ({"expert_group_count": 2}, "expert_group_count must be a divisor"),
        (
            {"expert_count": 8, "expert_used_count": 2, "expert_group_count": 3, "expert_group_used_count": 1},
            "a divisor of the experts, got 3",
        ),
        ({"expert_count": 8, "expert_used_count": 2, "expert_group_count": 2, "expert_group_used_count": 2}, "expert_group_count"),
        ({}, "cannot load this model"),
        ({"expert_count": 8, "expert_used_count": 2, "expert_group_count": 2, "expert_group_used_count": 1}, "cannot load this model"),
    ],
)
def test_numbers_that_end_the_process_of_llama_cpp_are_refused(tmp_path, numbers, words):
    path = tmp_path / "made.gguf"
    path.write_bytes(made(numbers))
    with pytest.raises((PackError, EngineError), match=rf"made\.gguf: .*{words}"):
        bare(path)


def test_a_reply_that_never_ends_is_ended(dialogue):
    endless = Grammar.gbnf('root ::= "a" root')  # it may not end by itself
    reply = dialogue.answer("Hello!", grammar=endless)
    reply.read()
    assert (reply.stats.finish, reply.stats.generated_tokens) == ("length", dialogue.sampling.max_tokens)
    with Dialogue(dialogue.pack, threads=1, device="cpu", context_tokens=128) as tiny:
        reply = tiny.answer("Hello!", grammar=endless, max_tokens=10**9)
        reply.read()
        assert reply.stats.finish == "context" and reply.stats.prompt_tokens + reply.stats.generated_tokens <= tiny.context_tokens + 1


def test_llama_cpp_missing_names_the_command(monkeypatch, dialogue_pack):
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    native.load.cache_clear()
    try:
        with pytest.raises(EngineError, match=r'pip install "affectrt\[dialogue\]"'):
            Dialogue(dialogue_pack)
    finally:
        monkeypatch.undo()
        native.load.cache_clear()
        native.load()


QUIET = """
import sys, threading
from affectrt.dialogue import Dialogue
d = Dialogue(threads=1, device="cpu", context_tokens=256)
r = d.conversation().reply("Tell me a long story.", max_tokens=200)
next(r)
{end}
"""


@pytest.mark.parametrize(
    "end",
    [
        "d.close()",
        "pass  # everything is still open",
        "threading.Thread(target=r.read, daemon=True).start()",
        "import asyncio\nasync def go():\n    async for _ in d.conversation().areply('Hi!', max_tokens=200): break\nasyncio.run(go())",
    ],
)
def test_a_process_ends_cleanly_and_silently(dialogue_pack, end):
    done = subprocess.run([sys.executable, "-c", QUIET.format(end=end)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_llama_cpp_speaks_through_logging(dialogue_pack, caplog, capfd):
    import logging

    with caplog.at_level(logging.DEBUG, logger="affectrt.llama"):
        Dialogue(dialogue_pack, threads=1, device="cpu", context_tokens=256).close()
    assert any(record.name == "affectrt.llama" for record in caplog.records)
    assert capfd.readouterr() == ("", "")

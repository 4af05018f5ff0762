"""Dialogue with models of random weights and with the tokenizers of four families: the form of an answer is the grammar's work alone, and
a prompt has the tokens that transformers gives it."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import gguf_models as tiny
import pytest
import transformers
from affectrt.dialogue import Dialogue, Grammar
from affectrt.dialogue.conditioning import TASKS
from affectrt.dialogue.template import Message
from affectrt.errors import PackError
from affectrt_export.gguf.convert import convert

KINDS = ("smollm", "qwen2", "llama-bpe", "sentencepiece")
SMALL = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "max_position_embeddings": 2048}
TALK = [
    ("system", "You are kind.\nUse short sentences.\n\nNever swear."),
    ("user", 'You see that I look sad.\n\nHe said "no".\nWhat now?\n\n- one\n- two 42'),
    ("assistant", "I am sorry. (So am I.)\n\nTell me more!"),
    ("user", "Ünïcode 😀\n日本語。\n\nBye..."),
]


pytestmark = pytest.mark.filterwarnings("ignore:.*bare model")


@pytest.fixture(scope="module", params=KINDS)
def drawn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder of a checkpoint with random weights, and its GGUF file."""
    folder = tmp_path_factory.mktemp(request.param) / "hub"
    tiny.save(folder, tiny.drawn(**SMALL), tiny.sentencepiece() if request.param == "sentencepiece" else tiny.byte_level(request.param))
    return folder, convert(folder, folder.parent / "drawn.gguf", license="mit").path


def test_random_weights_under_a_grammar_always_give_an_answer(drawn: tuple[Path, Path]) -> None:
    with Dialogue(drawn[1], threads=1, device="cpu", allow_unverified=True, context_tokens=2048) as model:
        wild = replace(model.sampling, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, max_tokens=400)
        for task in TASKS.values():
            emotion = "joy" if task.about_emotion else None
            grammar = Grammar.gbnf(task.grammar(emotion))
            for seed in range(3):
                answer = model.ask(task.prompt("I lost my key.", emotion, wrapped=False), grammar=grammar, sampling=wild, seed=seed)
                task.parse(answer, emotion)


def test_a_prompt_has_the_tokens_that_transformers_gives_it(drawn: tuple[Path, Path]) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(drawn[0])
    with Dialogue(drawn[1], threads=1, device="cpu", allow_unverified=True, context_tokens=2048) as model:
        for talk in (TALK, TALK[1:], TALK[:2], TALK[3:]):
            messages = [{"role": role, "content": text} for role, text in talk]
            expected = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=False)
            ours = list(model._runtime.template.prompt([Message(role, text) for role, text in talk]).tokens)
            assert ours == ([model._runtime.model.bos] if model._runtime.model.adds_bos else []) + expected


FLIPS = """
import random, sys, warnings
from affectrt.dialogue import Dialogue
from affectrt.errors import EngineError, PackError
warnings.simplefilter("ignore")
source, target = sys.argv[1:]
data, chance, ends = open(source, "rb").read(), random.Random(3), set()
for i in range(150):
    spoilt = bytearray(data)
    spoilt[chance.randrange(4, (2500, 25000, len(data))[i % 3])] ^= 1 << chance.randrange(8)
    open(target, "wb").write(spoilt)
    try:
        with Dialogue(target, allow_unverified=True, threads=1, context_tokens=128, device="cpu") as model:
            model.conversation("Be kind.").reply("Hello.", max_tokens=3, seed=1).read()
        ends.add("ok")
    except (EngineError, PackError, ValueError) as error:
        ends.add(type(error).__name__)
print(sorted(ends))
"""


@pytest.mark.parametrize("drawn", ["smollm"], indirect=True)
def test_a_flipped_bit_is_an_error_or_none_and_never_the_end_of_the_process(drawn: tuple[Path, Path], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FLIPS, str(drawn[1]), str(tmp_path / "spoilt.gguf")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "GGML_NO_BACKTRACE": "1"},
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert {"EngineError", "PackError", "ok"} <= set(eval(done.stdout))


@pytest.mark.parametrize("drawn", ["smollm"], indirect=True)
def test_a_token_that_is_there_twice_is_refused(drawn: tuple[Path, Path], tmp_path: Path) -> None:
    """llama.cpp ends the process at it."""
    first, second = (struct.pack("<Q", 1) + word for word in (b"A", b"B"))
    data = drawn[1].read_bytes()
    at = data.index(b"tokenizer.ggml.tokens")
    (tmp_path / "twice.gguf").write_bytes(data[:at] + data[at:].replace(first, second, 1))
    with pytest.raises(PackError, match=r"twice\.gguf: .*the token 'B' is in its vocabulary twice"):
        Dialogue(tmp_path / "twice.gguf", allow_unverified=True)

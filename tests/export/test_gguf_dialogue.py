"""Dialogue with models of random weights and with the tokenizers of four families: the form of an answer is the grammar's work alone, and
a prompt has the tokens that transformers gives it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gguf_models as tiny
import pytest
import transformers
from affectrt.dialogue import Dialogue, Grammar
from affectrt.dialogue.conditioning import TASKS
from affectrt.dialogue.template import Message
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

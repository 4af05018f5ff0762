"""A language model from a pack, and conversations with it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np

from affectrt.dialogue import native
from affectrt.dialogue.asking import Asker, check_messages
from affectrt.dialogue.conversation import Conversation, check_seed, choose_settings
from affectrt.dialogue.engine import Context, Model
from affectrt.dialogue.grammar import Grammar
from affectrt.dialogue.past import Past
from affectrt.dialogue.reply import Reply, Turn
from affectrt.dialogue.runtime import Runtime
from affectrt.dialogue.sampling import Sampling, check_int, check_sampling
from affectrt.dialogue.template import ChatTemplate, Message
from affectrt.dialogue.text import check_text
from affectrt.dialogue.tuned import decide
from affectrt.packs import DEFAULTS, Pack, open_pack
from affectrt.packs.bare import read_bare

_BARE_CONTEXT_TOKENS = 2048  # for a bare GGUF file, which knows how far it was trained but not how much memory the device has
_MIN_CONTEXT_TOKENS = 128


@dataclass(frozen=True, slots=True)
class DialogueInfo:
    """What a Dialogue runs on."""

    pack: str
    provider: str
    device: str
    precision: str
    threads: int
    context_tokens: int
    tuned: bool
    """Whether threads or variant are what `affectrt tune` measured to be fastest on this machine."""


class Dialogue:
    """Answers text with text, on the device. One model in memory serves any number of conversations from any number of threads.

    Needs `pip install "affectrt[dialogue]"`.
    """

    def __init__(
        self,
        pack: str | os.PathLike[str] | Pack | None = None,
        *,
        threads: int = 0,
        context_tokens: int | None = None,
        seed: int | None = None,
        device: str = "auto",
        precision: str = "auto",
        strict: bool = False,
        sampling: Sampling | None = None,
        template: str | None = None,
        allow_unverified: bool = False,
    ) -> None:
        """Load the model.

        Args:
            pack: A pack's name, folder, zip or `org/repo:Q4_K_M`; an open Pack; with `allow_unverified`, a bare .gguf file. None opens the
                default, SmolLM2-135M: quick on any device, and no deep thinker.
            threads: 0 takes what `affectrt tune` measured to be fastest on this machine, or where it never ran the physical cores that this
                process may use. Fewer are often faster beside other work: measure.
            context_tokens: How much a conversation may hold; more takes memory. None takes the pack's number.
            seed: Makes every reply repeatable.
            device: "auto" (a GPU if llama-cpp-python was built for one and finds it, else the CPU), "cpu" or "cuda:N".
            precision: Which of the pack's variants, by name or precision; "auto" takes the one that measured fastest on this machine, or
                where nothing was measured the first.
            strict: As in the other objects: a named device that cannot be had raises DeviceError. Here it does so without `strict` too, as
                llama.cpp has nothing between the device named and another one; "auto" names none, so the CPU is no fallback of it.
            sampling: Instead of the pack's settings.
            template: A Jinja chat template instead of the model's own.
            allow_unverified: Accept a file that is no pack: no hash, no licence check.

        Raises:
            PackError: The pack or file is missing or broken.
            EngineError: llama-cpp-python is missing, or refuses the model.
            DeviceError: There is no such device.
            TypeError: An argument is of another type.
            ValueError: An argument is out of range, or the pack is not for dialogue.
        """
        _check_threads(threads, 0)
        if context_tokens is not None:
            check_int("context_tokens", context_tokens)
        if not isinstance(strict, bool):
            raise TypeError(f"strict must be a bool, got {type(strict).__name__}")
        self._strict = strict
        check_sampling(sampling)
        if seed is not None:
            check_seed(seed)
        self._pack = opened = pack if isinstance(pack, Pack) else open_pack(pack or DEFAULTS["dialogue"], allow_unverified=allow_unverified)
        if opened.task != "dialogue":
            raise ValueError(f"{opened.name}: expected a pack for dialogue, got one for {opened.task}")
        variant = opened.variant(precision)
        if variant.format != "gguf":
            raise ValueError(f"{opened.name}: expected a variant in the format gguf, got {variant.format} ({variant.name})")
        measured = decide(opened, precision, threads, device)
        self._tuned = measured is not None
        if measured is not None:
            variant, threads = opened.variant(measured.variant), measured.threads
        decode = opened.manifest.get("decode")
        self._sampling = sampling or (Sampling.from_decode(decode) if decode else Sampling())
        self._precision = variant.precision if opened.verified else read_bare(variant.path).precision or "unknown"
        self._seed = seed
        checked = {file["path"]: file["sha256"] for file in opened.manifest.get("files", ())}
        model = Model(variant.path, device=device, sha256=checked.get(variant.file))
        tokens = self._context_tokens(context_tokens, model)
        chat = ChatTemplate(template if template is not None else model.chat_template, model)
        self._runtime = Runtime(model, Context(model, context_tokens=tokens, threads=threads or native.default_threads()), chat)
        self._asker = Asker(self._runtime)

    def conversation(
        self, system: str | None = None, *, sampling: Sampling | None = None, turns: Sequence[Turn] | Past = (), summarise: bool = True
    ) -> Conversation:
        """Start a conversation, or go on with an earlier one.

        Args:
            system: Who the model is to be and what it knows; None leaves that to the model's template.
            sampling: Instead of the Dialogue's settings.
            turns: What was said before, such as the `turns` of a conversation, oldest first; or its `past`, which also tells what of that
                the model no longer saw. The `tokens` of another model's answers are not used.
            summarise: Let the model sum up the turns that no longer fit the context, rather than drop them; it takes a second or so then.

        Raises:
            TypeError, ValueError: `system`, or a text of `turns`, is not readable.
        """
        self._runtime.check_open()
        check_sampling(sampling)
        past = turns if isinstance(turns, Past) else Past(tuple(turns))
        return Conversation(self._runtime, system, sampling or self._sampling, self._seed, past, summarise=summarise)

    def answer(
        self,
        messages: str | Sequence[Message],
        *,
        system: str | None = None,
        grammar: Grammar | None = None,
        sampling: Sampling | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] | None = None,
        seed: int | None = None,
    ) -> Reply:
        """One reply without a conversation: it disturbs none, and none is kept. Any number may run at once.

        Args:
            messages: What the user says; or messages, user and assistant in turn, a user's last, perhaps a system message before them. If
                they go on from messages answered lately, or share the system message with such, that part is in the cache.
            system: The system message, if `messages` has none.
            grammar, sampling, max_tokens, stop, seed: As in `Conversation.reply`.

        Raises:
            TypeError: An argument is of another type.
            ValueError: Messages out of turn, unreadable, or longer than the context; or a setting is out of range.
            EngineError: The Dialogue is closed.
        """
        settings = choose_settings(self._sampling, sampling, grammar, max_tokens, stop)
        chosen = check_seed(seed if seed is not None else self._seed)
        return self._asker.answer(check_messages(messages, system), settings, chosen, grammar)

    def ask(
        self,
        messages: str | Sequence[Message],
        *,
        system: str | None = None,
        grammar: Grammar | None = None,
        sampling: Sampling | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] | None = None,
        seed: int | None = None,
    ) -> Any:
        """`answer`, waited for: its text, or with a grammar what `Grammar.parse` makes of it.

        With a grammar the likeliest answer is given, the same each time.

        Raises:
            TypeError, ValueError: As `answer`.
            EngineError: As `answer`; or the answer came to no end that the grammar allows (`max_tokens` too small, or a grammar that
                this model cannot write).
        """
        reply = self.answer(messages, system=system, grammar=grammar, sampling=sampling, max_tokens=max_tokens, stop=stop, seed=seed)
        return reply.parsed() if grammar is not None else reply.read()

    def choose(
        self, system: str | None, text: str | Sequence[Message], choices: Sequence[str]
    ) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        """How probable each of a few short answers is, given that it is one of them: a decision without drawing any token.

        Each answer's log-likelihood is that of its tokens and of the end of the turn after them, so "sad" is not a part of "sadness".
        Longer and rarer words have less: compare choices of a kind. Others have their turn between the evaluations, one for each token.

        Args:
            system: The system message, or None.
            text: What the user says; or messages, as in `ask`.
            choices: The answers as the model would write them; at least one, none twice.

        Returns:
            (len(choices),) float32, in their order; the sum is 1.

        Raises:
            TypeError, ValueError: As `ask`; or a choice is blank or there twice, or too long for the context.
            EngineError: The Dialogue is closed.
        """
        listed = [choices] if isinstance(choices, str) else list(choices)
        for choice in listed:
            check_text(choice, "a choice")
        if not listed or len(set(listed)) < len(listed):
            raise ValueError(f"choices must be at least one, none twice, got {listed!r:.80}")
        answers = [tuple(self._runtime.model.tokenize(choice)) for choice in listed]
        longest = max(map(len, answers))
        if longest > self.context_tokens // 4:
            raise ValueError(f"a choice has {longest} tokens, the limit is {self.context_tokens // 4}")
        prompt = self._asker.prompt(check_messages(text, system), longest + 1)
        likelihoods = np.array(self._asker.log_likelihoods(prompt, answers))
        shares = np.exp(likelihoods - likelihoods.max())
        probabilities: np.ndarray[tuple[int], np.dtype[np.float32]] = (shares / shares.sum()).astype(np.float32)
        return probabilities

    def count_tokens(self, text: str) -> int:
        """How many tokens a text has in a prompt, but for blanks around it: for `Assembled.costs`. Raises TypeError for what is no str."""
        if not isinstance(text, str):
            raise TypeError(f"text: expected a str, got {type(text).__name__}")
        return len(self._runtime.template.text_tokens(text))

    def prompt_tokens(self, text: str) -> list[int]:
        """The tokens of `text` as one user turn through the chat template: what a pack's golden vector holds."""
        check_text(text, "text")
        return list(self._runtime.template.prompt([Message("user", text)]).tokens)

    @property
    def info(self) -> DialogueInfo:
        """What it really runs on."""
        return DialogueInfo(self._pack.name, self.provider, self.device, self._precision, self.threads, self.context_tokens, self._tuned)

    @property
    def pack(self) -> Pack:
        """The open pack."""
        return self._pack

    @property
    def provider(self) -> str:
        """The engine that does the work: "llama.cpp/CPU" or "llama.cpp/CUDA"."""
        return "llama.cpp/CPU" if self.device == "cpu" else "llama.cpp/CUDA"

    @property
    def device(self) -> str:
        """Where it runs: "cpu" or "cuda:N"."""
        return self._runtime.model.device

    @property
    def precision(self) -> str:
        """The variant's precision, such as "q4_1"."""
        return self._precision

    @property
    def providers(self) -> None:
        """None, always: llama.cpp does the work, not a list of ONNX Runtime's providers."""
        return None

    @property
    def strict(self) -> bool:
        """Whether falling back was forbidden."""
        return self._strict

    @property
    def sampling(self) -> Sampling:
        """The settings of every reply that brings none of its own."""
        return self._sampling

    @property
    def context_tokens(self) -> int:
        """How many tokens a conversation may hold, its next answer included."""
        return self._runtime.context.capacity

    @property
    def threads(self) -> int:
        """How many threads evaluate; may be set at any time."""
        return self._runtime.context.threads

    @threads.setter
    def threads(self, threads: int) -> None:
        _check_threads(threads, 1)
        with self._runtime.lock:
            self._runtime.check_open()
            self._runtime.context.set_threads(threads)
            self._tuned = False

    def close(self) -> None:
        """Free the context now instead of when the last conversation is gone. Replies that are running end with an EngineError."""
        self._runtime.close()

    def __enter__(self) -> Dialogue:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _context_tokens(self, wanted: int | None, model: Model) -> int:
        trained = model.trained_tokens
        if wanted is None:
            inputs = self._pack.manifest.get("inputs") or [{}]
            wanted = int(inputs[0].get("context_tokens", min(_BARE_CONTEXT_TOKENS, trained)))
        if not _MIN_CONTEXT_TOKENS <= wanted <= trained:
            raise ValueError(f"context_tokens must lie in [{_MIN_CONTEXT_TOKENS}, {trained}] for {self._pack.name}, got {wanted}")
        return wanted


def _check_threads(threads: int, least: int) -> None:
    """Raises TypeError for what is no int, ValueError for one outside [least, 512]."""
    check_int("threads", threads)
    if not least <= threads <= 512:
        raise ValueError(f"threads must lie in [{least}, 512], got {threads}")

"""From messages to tokens, through the chat template that the model was trained with.

The template is the Jinja text in the GGUF file, rendered in a sandbox: llama.cpp's own `llama_chat_apply_template` knows a list of
families by their look and leaves out what a template adds (SmolLM2's default system message, for one). Jinja comes with llama-cpp-python.

No text of a message ever passes through the template or through the tokenizer's search for control tokens: the template is rendered
with placeholders, its own control tokens are cut out, and what lies between them is tokenized as plain text, in pieces that no token
reaches out of. A user who writes `<|im_start|>system` has written eight or so ordinary tokens.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from affectrt.dialogue.template.marks import Marks
from affectrt.dialogue.template.pieces import Pieces, Vocabulary
from affectrt.dialogue.template.sandbox import Renderer, TemplateError
from affectrt.errors import EngineError

# llama_token_attr
_UNKNOWN, _CONTROL, _USER_DEFINED, _LSTRIP, _RSTRIP = 1 << 0, 1 << 3, 1 << 4, 1 << 7, 1 << 8


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: str
    """"system", "user" or "assistant"."""
    content: str
    tokens: tuple[int, ...] | None = None
    """The tokens that the model itself wrote for `content`: they go back as they were, so that the cache still fits, unless the template
    speaks with one of them."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Messages as tokens."""

    tokens: tuple[int, ...]
    system_length: int
    """How many tokens at the front depend on the system message only."""


class ChatTemplate:
    """Renders messages for one model. Safe to use from several threads."""

    def __init__(self, source: str, vocabulary: Vocabulary) -> None:
        """Compile the template.

        Raises:
            EngineError: There is no template, it is not valid Jinja, or it does not render two turns.
        """
        if not source:
            raise EngineError("the model file has no chat template: give one with Dialogue(template=...), or use a model tuned for chat")
        self._vocabulary = vocabulary
        names = {
            "bos_token": vocabulary.spelling(vocabulary.bos).decode("utf-8", "replace") if vocabulary.bos >= 0 else "",
            "eos_token": vocabulary.spelling(vocabulary.eos).decode("utf-8", "replace") if vocabulary.eos >= 0 else "",
        }
        self._pieces = Pieces(vocabulary)
        self._atoms: dict[str, list[int | str]] = {}
        self._chunks: dict[tuple[str, ...], list[int]] = {}
        try:
            self._renderer = Renderer(source, names)
            probe = [Message("user", "a"), Message("assistant", "b"), Message("user", "c")]
            rendered = [self._slots(probe)]
        except TemplateError as error:
            raise EngineError(f"the model's chat template does not render a conversation: {error}") from error
        try:
            rendered.append(self._slots([Message("system", "s"), *probe]))
            self.has_system_role = True
        except TemplateError:  # Gemma and Mistral raise, others leave the system message out
            self.has_system_role = False
        self._marks = Marks(mark for parts in rendered for mark in self._plain_marks(parts))

    @property
    def plain_marks(self) -> tuple[str, ...]:
        """The role marks that are plain text to the model; none where control tokens part the turns."""
        return self._marks.marks

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        """The tokens of `messages` and the opening of the assistant's answer.

        Args:
            messages: An optional system message, then user and assistant in turn, a user's last.

        Raises:
            EngineError: The template fails on them.
        """
        messages = [self._harmless(message) for message in messages]
        messages = self._without_system(messages) if not self.has_system_role else messages
        try:
            parts = self._slots(messages)
        except TemplateError as error:
            raise EngineError(f"the model's chat template failed: {error}") from error
        tokens: list[int] = []
        plain: list[str] = []  # up to the next control token
        system_length = -1

        def flush() -> None:
            if plain:
                tokens.extend(self._plain(tuple(plain)))
                plain.clear()

        for part in parts:
            if isinstance(part, str):
                for atom in self._split(part):
                    if isinstance(atom, int):
                        flush()
                        tokens.append(atom)
                    else:
                        plain.append(atom)
                continue
            if part.role == "user" and system_length < 0:
                system_length = len(tokens)  # `plain` may still hold the start of this chunk: it belongs to the user's
            if part.tokens is not None and self._spoken().isdisjoint(part.tokens):
                flush()
                tokens.extend(part.tokens)
            else:
                plain.append(part.content)
        flush()
        vocabulary = self._vocabulary
        if vocabulary.adds_bos and vocabulary.bos >= 0 and tokens[:1] != [vocabulary.bos]:
            tokens.insert(0, vocabulary.bos)
            system_length += 1
        return Prompt(tuple(tokens), max(0, system_length))

    def _slots(self, messages: Sequence[Message]) -> list[str | Message]:
        """The rendered template, cut where the messages go. Raises TemplateError."""
        mark = f"q{secrets.token_hex(8)}q"  # letters and digits: no template strips or quotes them, and no user can guess them
        named = [{"role": m.role, "content": f"{mark}{i}z"} for i, m in enumerate(messages)]
        text = self._renderer.render(named)
        pieces = re.split(f"{mark}([0-9]+)z", text)
        found = [int(index) for index in pieces[1::2]]
        if found != list(range(len(messages))):
            raise TemplateError(f"expected every message once and in order, got {found} of {len(messages)}")
        return [messages[int(piece)] if odd % 2 else piece for odd, piece in enumerate(pieces)]

    def _split(self, text: str) -> list[int | str]:
        """A piece of the template's own text: its control tokens as ids, the rest as text."""
        if (known := self._atoms.get(text)) is not None:
            return known
        atoms: list[int | str] = []
        vocabulary, start = self._vocabulary, 0
        strip_next = False
        for token in vocabulary.tokenize(text, special=True):
            attributes = vocabulary.attributes(token)
            if not attributes & (_UNKNOWN | _CONTROL | _USER_DEFINED):
                continue
            spelling = vocabulary.spelling(token).decode("utf-8", "replace")
            at = text.find(spelling, start)
            if at < 0 or not spelling:  # an unknown token stands for something else: it is plain text
                continue
            before = text[start:at]
            before = before.lstrip() if strip_next else before
            before = before.rstrip() if attributes & _LSTRIP else before
            atoms += [before, token] if before else [token]
            start, strip_next = at + len(spelling), bool(attributes & _RSTRIP)
        rest = text[start:].lstrip() if strip_next else text[start:]
        if rest:
            atoms.append(rest)
        return self._atoms.setdefault(text, atoms)

    def text_tokens(self, text: str) -> list[int]:
        """The tokens of a text as they stand in a prompt, but for blanks around it."""
        spoken = self._spoken()
        return [token for piece in self._pieces.cut([text]) for token in self._tokenize_plain(piece, spoken, first=False)]

    def _plain(self, fragments: tuple[str, ...]) -> list[int]:
        """Tokens of text that holds no control token, whatever it looks like; the template's and the messages' parts of it apart."""
        if (known := self._chunks.get(fragments)) is not None:
            return known
        pieces, spoken = self._pieces.cut(fragments), self._spoken()
        tokens = [token for i, piece in enumerate(pieces) for token in self._tokenize_plain(piece, spoken, first=i == 0)]
        if len(self._chunks) > 512:  # a long-lived robot hears many sentences
            self._chunks.clear()
        self._chunks[fragments] = tokens
        return tokens

    def _spoken(self) -> set[int]:
        """The control tokens that the template speaks with."""
        return {atom for atoms in list(self._atoms.values()) for atom in atoms if isinstance(atom, int)}

    def _tokenize_plain(self, text: str, spoken: set[int], *, first: bool) -> list[int]:
        tokens = self._pieces.tokenize(text, first=first)
        # The tokenizer finds user-defined tokens even in plain text. One that the template speaks with must not come out of a message.
        forged = next((token for token in tokens if token in spoken), None)
        if forged is None:
            return tokens
        spelling = self._vocabulary.spelling(forged).decode("utf-8", "replace")
        head, found, tail = text.partition(spelling)
        if len(found) < 2:
            raise EngineError(f"the text becomes the control token {spelling!r} and cannot be taken apart")
        front = self._tokenize_plain(head + found[:1], spoken, first=first)
        return front + self._tokenize_plain(found[1:] + tail, spoken, first=False)

    def _plain_marks(self, parts: Sequence[str | Message]) -> list[str]:
        """What the template writes in plain text next to its messages, if nothing else parts two of them."""
        between = [self._split(part) for part in parts if isinstance(part, str)]
        if all(any(isinstance(atom, int) for atom in atoms) for atoms in between[1:]):
            return []
        marks = []
        for i, atoms in enumerate(between):
            lines = [[line for line in atom.splitlines() if line.strip()] if isinstance(atom, str) else [] for atom in atoms]
            marks += lines[-1][-1:] if lines else []  # opens the next message
            marks += lines[0][:1] if lines and i > 0 else []  # closes the one before
        return marks

    def _harmless(self, message: Message) -> Message:
        """Without role marks in plain text, unless the application wrote it, or the model did, whose tokens stay as they are."""
        if message.role == "system" or message.tokens is not None or (content := self._marks.defuse(message.content)) == message.content:
            return message
        return replace(message, content=content)

    @staticmethod
    def _without_system(messages: Sequence[Message]) -> list[Message]:
        """For a template that knows no system message: its text opens the first user message."""
        if not messages or messages[0].role != "system":
            return list(messages)
        first, user, *rest = messages
        return [Message("user", f"{first.content}\n\n{user.content}"), *rest]

"""The stages wired together: what the camera sees and what the words tell reaches the answer, and the face that goes with it."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from affectrt.dialogue import AsyncReply, Conversation, Dialogue, Reply, ReplyStats
from affectrt.dialogue.layers import observation_note
from affectrt.dialogue.persona import Persona, find_persona
from affectrt.dialogue.sampling import check_number
from affectrt.engine import ProviderSpec
from affectrt.expression import NEUTRAL, Expression, answer_to, expression_of
from affectrt.perception import UNKNOWN, Face, FaceObservation, TextEmotion, TextObservation
from affectrt.perception.face import check_stamp


class SeesFaces(Protocol):
    """What Companion asks of `face`; `Face` is one."""

    def __call__(self, frame: Any, stamp_ns: int | None = None, *, color: str | None = None) -> list[FaceObservation]: ...  # noqa: D102


class ReadsText(Protocol):
    """What Companion asks of `text`; `TextEmotion` is one."""

    def __call__(self, text: str, stamp_ns: int | None = None) -> TextObservation: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Impression:
    """How the person seems, from one source at one time. Never "unknown": then there is no impression."""

    label: str
    expression: str
    """The same as a string of hri_msgs/Expression."""
    valence: float
    arousal: float
    confidence: float
    stamp_ns: int


@dataclass(frozen=True, slots=True)
class CompanionState:
    """What Companion makes of the person at `stamp_ns`, and what it would show."""

    stamp_ns: int
    """Of the newest observation; 0 if there was none yet."""
    seen: Impression | None
    """From the largest face; None if no face told anything lately."""
    read: Impression | None
    """From the last words; None if they told nothing, or it was too long ago."""
    faces: int
    """How many faces the newest frame held."""
    valence: float
    """Mean of what is seen and read, weighted by confidence; 0 if neither is there. [-1, 1], and so `arousal`."""
    arousal: float
    expression: Expression


@dataclass(frozen=True, slots=True)
class Trace:
    """The parts of the prompt as they went in, from the most lasting to the most fleeting."""

    system: str
    note: str | None
    """The line about how the person looks and sounds; None if there was nothing to say."""
    user: str
    state: CompanionState


@dataclass(frozen=True, slots=True)
class Piece:
    """A bit of the answer."""

    text: str
    expression: Expression
    """What the robot's face shows while it says this."""

    def __str__(self) -> str:
        return self.text


class CompanionReply(Iterator[Piece]):
    """An answer as it comes. Cancel it from any thread; dropping it early cancels it too."""

    def __init__(self, reply: Reply, trace: Trace) -> None:
        """Made by `Companion.reply`."""
        self._reply = reply
        self.trace = trace
        self.expression = trace.state.expression
        """Known before the first word: a face answers sooner than a sentence."""

    def __iter__(self) -> CompanionReply:
        return self

    def __next__(self) -> Piece:
        return Piece(next(self._reply), self.expression)

    def read(self) -> str:
        """Wait for the end; returns the whole answer."""
        return self._reply.read()

    def cancel(self) -> None:
        """Stop as soon as possible, also in the middle of the prompt."""
        self._reply.cancel()

    def close(self) -> None:
        """Cancel, and wait until the next reply may begin (milliseconds)."""
        self._reply.close()

    @property
    def text(self) -> str:
        """The answer so far."""
        return self._reply.text

    @property
    def stats(self) -> ReplyStats:
        """What it cost so far."""
        return self._reply.stats


class AsyncCompanionReply(AsyncIterator[Piece]):
    """The same for `async for`. Reading the text and building the prompt run in a thread too: errors come at the first piece."""

    def __init__(self, companion: Companion, text: str, stamp_ns: int, options: dict[str, Any]) -> None:
        """Made by `Companion.areply`."""
        self._start = lambda: companion.reply(text, stamp_ns, **options)
        self._reply: CompanionReply | None = None
        self._pieces: AsyncReply | None = None
        self._cancelled = False

    def __aiter__(self) -> AsyncCompanionReply:
        return self

    async def __anext__(self) -> Piece:
        if self._reply is None:
            self._reply = await asyncio.get_running_loop().run_in_executor(None, self._start)
            self._pieces = AsyncReply(self._reply._reply)
            if self._cancelled:
                self._reply.cancel()
        assert self._pieces is not None
        return Piece(await self._pieces.__anext__(), self._reply.expression)

    async def aclose(self) -> None:
        """Cancel, and wait until the next reply may begin."""
        self.cancel()
        if self._pieces is not None:
            await self._pieces.aclose()

    def cancel(self) -> None:
        """Stop as soon as possible; may be called from any thread, also before the first piece."""
        self._cancelled = True
        if self._reply is not None:
            self._reply.cancel()

    @property
    def trace(self) -> Trace | None:
        """The prompt's parts; None before the first piece."""
        return self._reply.trace if self._reply is not None else None

    @property
    def text(self) -> str:
        """The answer so far."""
        return self._reply.text if self._reply is not None else ""

    @property
    def stats(self) -> ReplyStats | None:
        """What it cost so far; None before the first piece."""
        return self._reply.stats if self._reply is not None else None


class Companion:
    """Sees, reads, answers. `see` may run in a camera's thread while `reply` runs in another."""

    def __init__(
        self,
        persona: str | Persona = "warm",
        *,
        face: SeesFaces | Literal[False] | None = None,
        text: ReadsText | Literal[False] | None = None,
        dialogue: Dialogue | None = None,
        color: str | None = None,
        stale_after_s: float = 5.0,
        seed: int | None = None,
        threads: int = 0,
    ) -> None:
        """Load what is not given.

        Args:
            persona: "warm", "calm", "cheerful", "plain", your own description of some words, or a Persona.
            face: None loads the default packs; False does without a camera; or a Face of your own.
            text: None loads the default pack; False leaves the words unread; or a TextEmotion of your own.
            dialogue: None loads the default pack; or a Dialogue of your own, which may serve others too.
            color: Encoding of the frames, unless `see` is told each time.
            seed: Makes the answers of a Dialogue that is loaded here repeatable.
            threads: For the parts that are loaded here; 0 leaves it to each.
            stale_after_s: What was seen is used for an answer only if its stamp is this close to that of the words.

        Raises:
            PackError, EngineError, DeviceError: A part cannot be loaded.
            TypeError, ValueError: An argument is wrong.
        """
        check_number("stale_after_s", stale_after_s)
        if not (math.isfinite(stale_after_s) and stale_after_s > 0):
            raise ValueError(f"stale_after_s must be positive and finite, got {stale_after_s}")
        self.persona = find_persona(persona)
        self._stale_ns = int(stale_after_s * 1e9)
        self._color = color
        self.face: SeesFaces | None = (Face(color=color, threads=threads) if face is None else face) or None
        self.text: ReadsText | None = (TextEmotion(threads=threads) if text is None else text) or None
        self.dialogue = dialogue if dialogue is not None else Dialogue(seed=seed, threads=threads)
        self.conversation: Conversation = self.dialogue.conversation(self.persona.system)
        self._lock = threading.Lock()  # around the four below; never held while something computes
        self._frame_ns: int | None = None
        self._faces = 0
        self._seen: Impression | None = None
        self._read: Impression | None = None

    def see(self, frame: Any, stamp_ns: int | None = None, *, color: str | None = None) -> list[FaceObservation]:
        """Look at a frame; returns what Face makes of it. A frame older than the last one seen changes nothing.

        Args:
            frame: (H, W, C) uint8, as Face takes it.
            stamp_ns: Capture time; None takes now, by the monotonic clock. Use one clock for frames and words.
            color: Encoding of this frame.

        Raises:
            ValueError: There is no camera (`face=False`), or the frame is wrong.
        """
        if self.face is None:
            raise ValueError("this Companion was made with face=False and cannot see")
        stamp = check_stamp(stamp_ns)
        faces = self.face(frame, stamp, color=color or self._color)
        largest = max(faces, key=_area, default=None)
        seen = _impression(largest, stamp) if largest is not None else None
        with self._lock:
            if self._frame_ns is None or stamp >= self._frame_ns:
                self._frame_ns, self._faces = stamp, len(faces)
                if seen is not None:
                    self._seen = seen  # a face turned away for a moment does not wipe out what was seen just before
        return faces

    def reply(self, text: str, stamp_ns: int | None = None, *, seed: int | None = None, max_tokens: int | None = None) -> CompanionReply:
        """Answer what the person says, in the light of how they look and sound.

        Args:
            text: The person's words.
            stamp_ns: When they were said; None takes now.
            seed, max_tokens: As in `Conversation.reply`.

        Raises:
            TypeError, ValueError, EngineError: As in `Conversation.reply`.
        """
        stamp = check_stamp(stamp_ns)
        read = _impression(self.text(text, stamp), stamp) if self.text is not None and isinstance(text, str) else None
        with self._lock:
            before, self._read = self._read, read
            state = self._summary(stamp)
        # Unknown is left out, never guessed at: a wrong "you look sad" is worse than none.
        note = observation_note(state.seen.label if state.seen else None, read.label if read else None)
        try:
            reply = self.conversation.reply(text, note=note, seed=seed, max_tokens=max_tokens)
        except BaseException:
            with self._lock:
                self._read = before
            raise
        return CompanionReply(reply, Trace(self.persona.system, note, text, state))

    def areply(
        self, text: str, stamp_ns: int | None = None, *, seed: int | None = None, max_tokens: int | None = None
    ) -> AsyncCompanionReply:
        """`reply` for `async for`; nothing of it runs in the event loop. Errors come at the first piece."""
        return AsyncCompanionReply(self, text, check_stamp(stamp_ns), {"seed": seed, "max_tokens": max_tokens})

    @property
    def provider(self) -> dict[str, str]:
        """What each part really runs on: {"face": "CPUExecutionProvider", "text": ..., "dialogue": "llama.cpp/CPU"}.

        In this and the four below a part that is not there is left out, and so is one of your own that does not say.
        """
        return self._of_parts("provider")

    @property
    def device(self) -> dict[str, str]:
        """The device of each part: the one asked for ("auto", "cpu", "cuda:N"); of the dialogue the one that it runs on."""
        return self._of_parts("device")

    @property
    def precision(self) -> dict[str, str]:
        """The precision of each part: the one asked for; of the dialogue that of the variant."""
        return self._of_parts("precision")

    @property
    def providers(self) -> dict[str, tuple[ProviderSpec, ...] | None]:
        """The ONNX Runtime providers asked for by each part, or None: always None for the dialogue."""
        return self._of_parts("providers")

    @property
    def strict(self) -> dict[str, bool]:
        """Whether falling back was forbidden to each part."""
        return self._of_parts("strict")

    def _of_parts(self, name: str) -> dict[str, Any]:
        parts = {"face": self.face, "text": self.text, "dialogue": self.dialogue}
        return {part: getattr(one, name) for part, one in parts.items() if one is not None and hasattr(one, name)}

    @property
    def state(self) -> CompanionState:
        """How things stand now, by the newest stamp seen or read."""
        with self._lock:
            stamps = [self._frame_ns, self._read.stamp_ns if self._read else None]
            return self._summary(max((s for s in stamps if s is not None), default=0))

    def _summary(self, stamp: int) -> CompanionState:
        def fresh(impression: Impression | None) -> Impression | None:
            # Both ways: a stamp far ahead is of another clock, and says nothing about now.
            return impression if impression is not None and abs(stamp - impression.stamp_ns) <= self._stale_ns else None

        seen, read = fresh(self._seen), fresh(self._read)
        known = [i for i in (seen, read) if i is not None]
        weight = sum(i.confidence for i in known)
        # Words tell more than a face about what an answer should meet, unless they are neutral.
        person = next((i.expression for i in (read, seen) if i is not None and i.expression != "neutral"), None)
        return CompanionState(
            stamp_ns=stamp,
            seen=seen,
            read=read,
            faces=self._faces,
            valence=sum(i.valence * i.confidence for i in known) / weight if weight > 0 else 0.0,
            arousal=sum(i.arousal * i.confidence for i in known) / weight if weight > 0 else 0.0,
            expression=answer_to(person, self.persona.expressiveness) if person else NEUTRAL,
        )


def _area(face: FaceObservation) -> float:
    x0, y0, x1, y1 = (float(v) for v in face.box)
    return (x1 - x0) * (y1 - y0)


def _impression(observation: FaceObservation | TextObservation, stamp: int) -> Impression | None:
    if observation.label == UNKNOWN:
        return None
    return Impression(
        label=observation.label,
        expression=expression_of(observation.label, observation.valence, observation.arousal),
        valence=observation.valence,
        arousal=observation.arousal,
        confidence=observation.confidence,
        stamp_ns=stamp,
    )

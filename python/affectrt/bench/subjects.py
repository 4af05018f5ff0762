"""What can be measured: each subject is opened (that is timed), then run over and over; a run tells its own stages.

To add one: a class with the attributes of `Subject`, and an entry in `open_subject`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from affectrt.packs import Pack
    from affectrt.perception.text_network import TextNetwork

PIPELINES = ("face", "text", "dialogue", "companion")

SENTENCES = (
    "I finally passed the exam!",
    "My dog died last night and I can't stop crying.",
    "Could you please stop shouting at me, I am only trying to help you.",
    "The train leaves at nine.",
    "I had no idea that you could do that, wow!",
    "Thank you so much for staying with me all night, it means the world to me.",
    "This is disgusting, who left the food out for a week?",
    "I'm scared of what the doctor will say tomorrow, and nobody answers the phone.",
)
SYSTEM = (
    "You are a kind companion robot in somebody's home. You notice how the person feels, you answer in two or three short sentences, "
    "and you never give medical advice. The person in front of you looks happy and sounds excited."
)
REPLY_TOKENS = 48


@dataclass(frozen=True)
class Options:
    """How a subject is opened and fed."""

    device: str = "auto"
    precision: str = "auto"
    threads: int = 0
    batch: int = 1
    frame: NDArray[np.uint8] | None = None
    """(H, W, 3) rgb8; None: see `default_frame`."""

    def engine(self) -> dict[str, Any]:
        """The keyword arguments that every class takes."""
        return {"device": self.device, "precision": self.precision, "threads": self.threads}


class Subject(Protocol):
    """Something to measure."""

    provider: str
    input: str
    """What goes in, in words."""
    per_run: int
    """How many inputs one run works on."""
    packs: Mapping[str, str]
    """Role to "name version"."""

    def run(self) -> Mapping[str, float]:
        """Do the work once. Keys that end in `_ms` are stages, others rates."""
        ...


def _no_batch(options: Options, what: str) -> None:
    if options.batch != 1:
        raise ValueError(f"{what} works on one input at a time: --batch 1 was expected, got {options.batch}")


def _label(pack: Pack) -> str:
    return f"{pack.name} {pack.version}".strip()


def default_frame() -> tuple[NDArray[np.uint8], str]:
    """A 640x480 frame with one face of some 110 px, made of the last golden picture of the default detector, and its encoding.

    It takes no decoder of pictures, so that a device without Pillow measures the same as one with it.
    """
    import numpy as np

    from affectrt.packs import DEFAULTS, open_pack

    pack = open_pack(DEFAULTS["face-detection"])
    given = pack.manifest["golden"][-1]["input"]
    picture = np.load(pack.file(given["image"]), allow_pickle=False).repeat(2, axis=0).repeat(2, axis=1)[:480, :640]
    frame = np.full((480, 640, picture.shape[2]), 96, dtype=np.uint8)
    top, left = (480 - picture.shape[0]) // 2, (640 - picture.shape[1]) // 2
    frame[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return frame, given["color"]


def _frame(options: Options) -> tuple[NDArray[np.uint8], str]:
    return (options.frame, "rgb8") if options.frame is not None else default_frame()


class FaceSubject:
    """A frame to its faces."""

    per_run = 1

    def __init__(self, options: Options, **parts: Any) -> None:
        from affectrt import Face

        _no_batch(options, "the face pipeline")
        self._frame, color = _frame(options)
        # Smoothing over time costs the same with and without history; a moving clock keeps the track alive as a camera would.
        self._face = Face(color=color, **parts, **options.engine())
        self.provider = self._face.provider
        self.packs = {role: _label(pack) for role, pack in self._face.packs.items()}
        self._stamp_ns, found = 0, len(self._face(self._frame, 0))
        self.input = f"{self._frame.shape[1]}x{self._frame.shape[0]} {color}, {found} face{'s' * (found != 1)}"
        self._stages = ("detect", *(role for role in ("expression", "landmarks", "blendshapes") if role in self._face.packs))

    def run(self) -> Mapping[str, float]:
        """One frame."""
        self._stamp_ns += 33_000_000
        self._face(self._frame, self._stamp_ns)
        spent = self._face.timings_ms
        return {f"{stage}_ms": spent[stage] for stage in (*self._stages, "total") if stage in spent}


class ExpressionSubject:
    """Face crops to expressions."""

    def __init__(self, options: Options, pack: Pack) -> None:
        import numpy as np

        from affectrt import FaceExpression

        self._expression = FaceExpression(pack, **options.engine())
        given = pack.manifest["golden"][0]["input"]
        self._crops = [np.load(pack.file(given["image"]), allow_pickle=False)] * options.batch
        self._color = given["color"]
        self.provider, self.per_run, self.packs = self._expression.provider, options.batch, {"expression": _label(pack)}
        self.input = f"{options.batch} x {'x'.join(str(n) for n in self._crops[0].shape)} {self._color}"

    def run(self) -> Mapping[str, float]:
        """One batch."""
        self._expression(self._crops, 0, color=self._color)
        return {}


def _batch(network: TextNetwork, pack: Pack, count: int) -> tuple[list[str], tuple[str, ...]]:
    """`count` sentences to read, and warnings: ours, or the pack's golden texts where its tokenizer does not read ours."""
    texts: Sequence[str] = SENTENCES
    warnings: tuple[str, ...] = ()
    if any(network.tokens(text).problem for text in SENTENCES):
        golden = [entry["input"]["text"] for entry in pack.manifest["golden"] if "text" in entry["input"]]
        texts = [text for text in golden if not network.tokens(text).problem] or SENTENCES
        problem = next(filter(None, (network.tokens(text).problem for text in texts)), "")
        if problem:
            warnings = (f"{problem}: the pack's tokenizer reads neither these sentences nor its golden texts, so the network may not run",)
    return [texts[i % len(texts)] for i in range(count)], warnings


class TextSubject:
    """Sentences to emotions."""

    def __init__(self, options: Options, pack: Pack | None = None) -> None:
        from affectrt import TextEmotion

        self._text = TextEmotion(pack, **options.engine())
        self._batch, self.warnings = _batch(self._text._network, self._text.pack, options.batch)
        self.provider, self.per_run, self.packs = self._text.provider, options.batch, {"text": _label(self._text.pack)}
        self.input = f"{options.batch} sentence{'s' * (options.batch > 1)}, {sum(len(s.split()) for s in self._batch)} words"

    def run(self) -> Mapping[str, float]:
        """One batch."""
        self._text(self._batch, 0)
        return {}


class EmbeddingSubject:
    """Sentences to vectors."""

    def __init__(self, options: Options, pack: Pack) -> None:
        from affectrt import TextEmbedding

        self._embed = TextEmbedding(pack, **options.engine())
        self._batch, self.warnings = _batch(self._embed._network, pack, options.batch)
        self.provider, self.per_run, self.packs = self._embed.provider, options.batch, {"embedding": _label(pack)}
        self.input = f"{options.batch} sentence{'s' * (options.batch > 1)}, {sum(len(s.split()) for s in self._batch)} words"

    def run(self) -> Mapping[str, float]:
        """One batch."""
        self._embed(self._batch)
        return {}


class DialogueSubject:
    """Two turns of a conversation: the first with nothing in the cache, the second with all but its own sentence there."""

    per_run = 1

    def __init__(self, options: Options, pack: Pack | None = None) -> None:
        from affectrt import Dialogue

        _no_batch(options, "dialogue")
        self._dialogue = Dialogue(pack, threads=options.threads, device=options.device, precision=options.precision, seed=1)
        self.provider = self._dialogue.provider
        self.packs = {"dialogue": f"{_label(self._dialogue.pack)} {self._dialogue.precision}"}
        self._count = 0
        tuned = " (tuned)" if self._dialogue.info.tuned else ""
        self.input = f"two turns, at most {REPLY_TOKENS} tokens each, {self._dialogue.threads} threads{tuned}"

    def run(self) -> Mapping[str, float]:
        """One conversation."""
        import dataclasses

        self._count += 1
        # The number stands first, so that no earlier conversation's cache holds any of this prompt.
        sampling = dataclasses.replace(self._dialogue.sampling, max_tokens=REPLY_TOKENS)
        chat = self._dialogue.conversation(f"Conversation {self._count}. {SYSTEM}", sampling=sampling)
        first = chat.reply(SENTENCES[0])
        first.read()
        second = chat.reply(SENTENCES[5])
        second.read()
        return {**_reply(first.stats, ""), **_reply(second.stats, "followup_")}


def _reply(stats: Any, prefix: str) -> dict[str, float]:
    found: dict[str, float] = {}
    if stats.ttft_ms:
        found[f"{prefix}ttft_ms"] = stats.ttft_ms
        if not prefix:
            found["prompt_tok_s"] = (stats.prompt_tokens - stats.cached_tokens) / stats.ttft_ms * 1e3
    if stats.decode_tok_s and not prefix:
        found["decode_tok_s"] = stats.decode_tok_s
    return found


class CompanionSubject:
    """A frame is seen, a sentence read, an answer spoken."""

    per_run = 1

    def __init__(self, options: Options) -> None:
        from affectrt import Companion, Dialogue, TextEmotion

        _no_batch(options, "the companion")
        self._frame, self._color = _frame(options)
        dialogue = Dialogue(threads=options.threads, device=options.device, seed=1)
        self._bot = Companion(color=self._color, text=TextEmotion(), dialogue=dialogue)
        self.provider = self._bot.dialogue.provider
        self.packs = {"dialogue": _label(self._bot.dialogue.pack)}
        self._stamp_ns = 0
        self.input = f"one frame {self._frame.shape[1]}x{self._frame.shape[0]}, one sentence, one answer"

    def run(self) -> Mapping[str, float]:
        """See, read, answer."""
        import time

        self._stamp_ns += 1_000_000_000
        start = time.perf_counter_ns()
        self._bot.see(self._frame, self._stamp_ns)
        seen = time.perf_counter_ns()
        self._bot.conversation.reset()  # its length must not grow from run to run; who answers stays in the cache, as on a robot
        reply = self._bot.reply(SENTENCES[0], self._stamp_ns, max_tokens=REPLY_TOKENS)
        first = 0
        for _ in reply:
            first = first or time.perf_counter_ns()
        end = time.perf_counter_ns()
        return {"see_ms": (seen - start) / 1e6, "first_piece_ms": ((first or end) - seen) / 1e6, "answer_ms": (end - seen) / 1e6}


def open_subject(pipeline: str | None, pack: str | None, options: Options) -> Subject:
    """Open what the two names ask for. ValueError for an unknown pipeline or a task that cannot be measured."""
    if pack is None:
        if pipeline not in PIPELINES:
            raise ValueError(f"pipeline: one of {', '.join(PIPELINES)} was expected, got {pipeline!r}")
        makers: dict[str, Any] = {"face": FaceSubject, "text": TextSubject, "dialogue": DialogueSubject, "companion": CompanionSubject}
        subject: Subject = makers[pipeline](options)
        return subject
    from affectrt.packs import open_pack

    opened = open_pack(pack)
    by_task: dict[str, Any] = {
        "face-detection": lambda: FaceSubject(options, detector=opened, expression=False),
        "face-landmarks": lambda: FaceSubject(options, landmarks=opened, expression=False),
        "face-blendshapes": lambda: FaceSubject(options, blendshapes=opened, expression=False),
        "face-expression": lambda: ExpressionSubject(options, opened),
        "text-emotion": lambda: TextSubject(options, opened),
        "text-embedding": lambda: EmbeddingSubject(options, opened),
        "dialogue": lambda: DialogueSubject(options, opened),
    }
    if opened.task not in by_task:
        raise ValueError(f"{pack}: no benchmark for task {opened.task!r}")
    chosen: Subject = by_task[opened.task]()
    return chosen

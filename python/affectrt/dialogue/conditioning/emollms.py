"""EmoLLMs' five tasks: instruction in, answer of a fixed form out.

Z. Liu et al., "EmoLLMs: a series of emotional large language models and annotation tools for comprehensive affective analysis", KDD 2024,
arXiv 2401.08508. Instructions, fields and answers are those of lzw108/EmoLLMs (MIT, LICENSES/EmoLLMs.txt): four from its README; the
ordinal intensity, which the README leaves out, from its data/dev.json, with "text" for "tweet" and laid out like the others. The wrapper
is that of its src/inference.py.

Models tuned for them (Emollama and others, as GGUF) know these very words. Another model answers too, since the grammar leaves it no
choice of form, but then measure whether it means anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from affectrt.dialogue.prompt import one_line
from affectrt.dialogue.text import check_text
from affectrt.labels import TAXONOMIES

Answer = float | int | frozenset[str]

NO_EMOTION = "neutral or no emotion"
EMOTIONS: tuple[str, ...] = TAXONOMIES["emollms11"].labels
"""The eleven of the classification, without `NO_EMOTION`."""

_AMOUNTS = ("no", "low amount of", "moderate amount of", "high amount of")
_DEGREES = {
    3: "very positive",
    2: "moderately positive",
    1: "slightly positive",
    0: "neutral or mixed",
    -1: "slightly negative",
    -2: "moderately negative",
    -3: "very negative",
}
_SHARE = re.compile(r"(?:0(?:\.[0-9]{1,6})?|1(?:\.0{1,6})?)")
_ORDINAL = re.compile(r"(-?[0-9])(?:: (.+))?")


@dataclass(frozen=True, slots=True)
class EmotionTask:
    """One of the five; made here, see `TASKS`."""

    name: str
    instruction: str
    ends_with: str
    """The last line of the prompt, which the answer goes on from."""
    about_emotion: bool
    """Whether it asks about one emotion, which must then be named."""
    _grammar: Callable[[str], str]
    _parse: Callable[[str, str], Answer]

    def prompt(self, text: str, emotion: str | None = None, *, wrapped: bool = True) -> str:
        """The prompt for a text.

        Args:
            text: What is judged; it is put on one line.
            emotion: Which emotion, for the two tasks about one.
            wrapped: Whether "Human:" and "Assistant:" stand around it, as the models were trained; a chat template does without.

        Raises:
            TypeError, ValueError: `text` is not readable, or `emotion` is missing, not a word, or not asked for.
        """
        check_text(text, "text")
        word = self._word(emotion)
        about = f"Emotion: {word}\n" if self.about_emotion else ""
        body = f"Task: {self.instruction}\nText: {one_line(text)}\n{about}{self.ends_with}"
        return f"Human: \n{body}\n\nAssistant:\n" if wrapped else body

    def grammar(self, emotion: str | None = None) -> str:
        """GBNF whose every text `parse` takes."""
        return self._grammar(self._word(emotion))

    def parse(self, answer: str, emotion: str | None = None) -> Answer:
        """The value of an answer, and nothing but an answer: float in [0, 1], int of the class, or the set of emotions (empty: none).

        Raises:
            TypeError: `answer` is no str.
            ValueError: It is no answer to this task.
        """
        if not isinstance(answer, str):
            raise TypeError(f"answer: expected a str, got {type(answer).__name__}")
        return self._parse(answer.strip(), self._word(emotion))

    def _word(self, emotion: str | None) -> str:
        if not self.about_emotion:
            if emotion is not None:
                raise ValueError(f"{self.name} asks about no single emotion, got {emotion!r:.40}")
            return ""
        if not isinstance(emotion, str):
            raise TypeError(f"{self.name} asks about one emotion: expected its name, got {emotion!r:.40}")
        if not re.fullmatch(r"[a-z]{1,32}", emotion):
            raise ValueError(f"emotion: expected one word in small letters, got {emotion!r:.40}")
        return emotion


def _share_grammar(_: str) -> str:
    return 'root ::= "0." [0-9]{1,3} | "1.0"\n'


def _parse_share(answer: str, _: str) -> float:
    if not _SHARE.fullmatch(answer):
        raise ValueError(f"answer: expected a number in [0, 1] such as 0.896, got {answer!r:.60}")
    return float(answer)


def _amounts(word: str) -> dict[int, str]:
    return {level: f"{amount} {word} can be inferred" for level, amount in enumerate(_AMOUNTS)}


def _degrees(kind: str) -> dict[int, str]:
    # The answers say "emotional state" where the instruction says "mental state".
    return {level: f"{degree} {kind} state can be inferred" for level, degree in _DEGREES.items()}


def _classes_grammar(classes: dict[int, str]) -> str:
    return "root ::= " + " | ".join(f'"{level}: {words}"' for level, words in classes.items()) + "\n"


def _parse_class(answer: str, *spellings: dict[int, str]) -> int:
    found = _ORDINAL.fullmatch(answer)
    classes = spellings[0]
    if found is None or str(level := int(found[1])) != found[1] or level not in classes:
        raise ValueError(f"answer: expected one of {', '.join(map(str, sorted(classes)))}, perhaps with its words, got {answer!r:.60}")
    if found[2] is not None and all(found[2].rstrip(".") != words[level] for words in spellings):
        raise ValueError(f"answer: expected {classes[level]!r} after {level}, got {found[2]!r:.60}")
    return level


def _labels_grammar(_: str) -> str:
    """Any of the eleven, each at most once, in their order."""
    rules = [f'root ::= "{NO_EMOTION}" | s0']
    last = len(EMOTIONS) - 1
    for i, label in enumerate(EMOTIONS):
        rules.append(f's{i} ::= "{label}" (", " s{i + 1})? | s{i + 1}' if i < last else f's{i} ::= "{label}"')
    return "\n".join(rules) + "\n"


def _parse_labels(answer: str, _: str) -> frozenset[str]:
    if answer == NO_EMOTION:
        return frozenset()
    found = answer.split(", ")
    if len(set(found)) != len(found) or not set(found) <= set(EMOTIONS):
        raise ValueError(f"answer: expected {NO_EMOTION!r} or some of {', '.join(EMOTIONS)}, each once, got {answer!r:.80}")
    return frozenset(found)


TASKS: dict[str, EmotionTask] = {
    task.name: task
    for task in (
        EmotionTask(
            "emotion_intensity",
            "Assign a numerical value between 0 (least E) and 1 (most E) to represent the intensity of emotion E expressed in the text.",
            "Intensity Score:",
            True,
            _share_grammar,
            _parse_share,
        ),
        EmotionTask(
            "emotion_intensity_class",
            "Assign one of four ordinal intensity classes of emotion E to a given text based on the emotional state of the user. "
            "0: no E can be inferred. 1: low amount of E can be inferred. 2: moderate amount of E can be inferred. "
            "3: high amount of E can be inferred.",
            "Intensity Class:",
            True,
            lambda word: _classes_grammar(_amounts(word)),
            lambda answer, word: _parse_class(answer, _amounts(word), _amounts("E")),
        ),
        EmotionTask(
            "sentiment_strength",
            "Evaluate the valence intensity of the writer's mental state based on the text, assigning it a real-valued score from 0 (most "
            "negative) to 1 (most positive).",
            "Intensity Score:",
            False,
            _share_grammar,
            _parse_share,
        ),
        EmotionTask(
            "sentiment_class",
            "Categorize the text into an ordinal class that best characterizes the writer's mental state, considering various degrees of "
            "positive and negative sentiment intensity. 3: very positive mental state can be inferred. 2: moderately positive mental state "
            "can be inferred. 1: slightly positive mental state can be inferred. 0: neutral or mixed mental state can be inferred. "
            "-1: slightly negative mental state can be inferred. -2: moderately negative mental state can be inferred. "
            "-3: very negative mental state can be inferred",
            "Intensity Class:",
            False,
            lambda _: _classes_grammar(_degrees("emotional")),
            lambda answer, _: _parse_class(answer, _degrees("emotional"), _degrees("mental")),
        ),
        EmotionTask(
            "emotions",
            "Categorize the text's emotional tone as either 'neutral or no emotion' or identify the presence of one or more of the given "
            f"emotions ({', '.join(EMOTIONS)}).",
            "This text contains emotions:",
            False,
            _labels_grammar,
            _parse_labels,
        ),
    )
}
"""The five, by name."""

"""Why someone is thought to feel so: clues that really were observed, a set of labels, and how sure it is.

The task is that of EMER (Z. Lian et al., "Explainable multimodal emotion reasoning", arXiv 2306.15401): clues for each modality and an open
set of labels. Here no clue is made up: each comes from one field of a state or an observation, and what a language model writes from them
is checked against them (`check_text`, `Explanation.choose`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from affectrt.affect import AffectState
from affectrt.dialogue.prompt.words import feeling_word
from affectrt.labels import ALIASES, TAXONOMIES
from affectrt.perception.observation import UNKNOWN, ExpressionObservation, FaceObservation, TextObservation

__all__ = ["Clue", "Explanation", "check_text", "explain", "label_overlap", "narrate"]

Observation = FaceObservation | ExpressionObservation | TextObservation

SHOWN = 0.5
"""A blendshape from this on counts as seen."""
CONFLICT = 0.25
"""A contradiction from this on is told of: the planner asks from there on, too."""
_SHAPES = {
    "mouthSmile": "the corners of their mouth are up, as in a smile",
    "mouthFrown": "the corners of their mouth are down, as in a frown",
    "browDown": "their brows are drawn down",
    "browInnerUp": "the inner ends of their brows are raised",
    "browOuterUp": "the outer ends of their brows are raised",
    "eyeWide": "their eyes are wide open",
    "eyeSquint": "their eyes are narrowed",
    "jawOpen": "their mouth is open",
    "mouthPress": "their lips are pressed together",
    "noseSneer": "their nose is wrinkled",
}


@dataclass(frozen=True, slots=True)
class Clue:
    """One thing that was observed."""

    source: str
    """"face", "text", "voice", "event" or what the evidence called it."""
    kind: str
    """"label", "place", "shape", "words", "unknown" or "conflict"."""
    value: str
    """As it was observed: a label, the name of a blendshape, the person's words, a reason."""
    text: str
    """The same as half a sentence."""
    confidence: float
    """[0, 1]"""

    @property
    def id(self) -> str:
        """Names it within its explanation: "face:label:sad". A person's words go by "text:words"."""
        return f"{self.source}:{self.kind}" if self.kind == "words" else f"{self.source}:{self.kind}:{self.value}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is thought, how sure it is, and what it rests on."""

    stamp_ns: int
    labels: tuple[str, ...]
    """Of the state's taxonomy, likeliest first; empty if nothing is known."""
    confidence: float
    """[0, 1]: the state's."""
    clues: tuple[Clue, ...]
    """Those that count most first."""

    def render(self) -> str:
        """One or two sentences from a template; the same input gives the same words."""
        told = [one.text for one in self.clues if one.kind != "words"]
        if not self.labels:
            return f"How they feel is not known{f': {_listed(told)}' if told else ''}."
        sure = "probably" if self.confidence >= 0.6 else "perhaps" if self.confidence >= 0.3 else "for all that is known, which is little,"
        feels = _listed([feeling_word(label) for label in self.labels], "or")
        return f"They are {sure} {feels}: {_listed(told)}." if told else f"They are {sure} {feels}."

    def choose(self, ids: Sequence[str], labels: Sequence[str] = ()) -> Explanation:
        """The same with only these clues and labels, as a language model chose them.

        Raises:
            ValueError: One of them is not in this explanation; all such are named.
        """
        known = {one.id: one for one in self.clues}
        invented = [one for one in ids if one not in known] + [one for one in labels if one not in self.labels]
        if invented:
            raise ValueError(f"expected clues and labels that were observed, got {', '.join(map(repr, invented))}")
        kept = tuple(one for one in self.clues if one.id in ids)
        return Explanation(self.stamp_ns, tuple(one for one in self.labels if one in labels), self.confidence, kept)

    def schema(self) -> dict[str, Any]:
        """JSON Schema of what `choose` takes, for an answer that is constrained to it: {"clues": [ids], "labels": [...]}."""
        lists = {"clues": list(dict.fromkeys(one.id for one in self.clues)), "labels": list(self.labels)}
        properties: dict[str, Any] = {
            name: {"type": "array", "items": {"enum": values}, "minItems": 1, "maxItems": len(values)} if values else {"const": []}
            for name, values in lists.items()
        }
        return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}

    def to_dict(self) -> dict[str, Any]:
        """In types that JSON has."""
        flat = [{f.name: getattr(one, f.name) for f in fields(Clue)} for one in self.clues]
        return {"stamp_ns": self.stamp_ns, "labels": list(self.labels), "confidence": self.confidence, "clues": flat}


def explain(state: AffectState, observations: Sequence[Observation] = (), *, most_labels: int = 3) -> Explanation:
    """What a state rests on.

    Args:
        state: Its sources become clues, in the order of their shares; so does a contradiction of at least `CONFLICT`.
        observations: What some of the sources saw or read: blendshapes of a face from `SHOWN` on, further labels of a text, its words, and
            why something is unknown. Only their own fields are looked at, not whether the state was made from them.
        most_labels: How many labels at most; a label counts that has at least half of the likeliest one's probability, and 0.15.

    Raises:
        ValueError: `most_labels` is below 1.
        TypeError: An observation is none.
    """
    if most_labels < 1:
        raise ValueError(f"most_labels: expected at least 1, got {most_labels}")
    clues: list[Clue] = []
    for one in sorted(state.sources, key=lambda source: -source.share):
        placed = one.valence is not None or one.arousal is not None
        word = one.said or (_place(one.valence or 0.0, one.arousal or 0.0) if placed else one.label)
        if word:
            clues.append(Clue(one.source, "place" if placed and not one.said else "label", word, _says(one.source, word), one.confidence))
    for observation in observations:
        clues += [clue for clue in _clues(observation) if clue.id not in {one.id for one in clues}]
    if (split := state.contradiction) is not None and state.conflict >= CONFLICT:
        pair = f"{split.first} and {split.second}"
        clues.append(
            Clue(split.first, "conflict", f"{split.second} {split.axis}", f"{pair} do not agree about {split.axis}", state.conflict)
        )
    order = sorted(range(len(state.labels)), key=lambda i: -float(state.probs[i]))
    least = max(0.15, float(state.probs[order[0]]) / 2) if order else 1.0
    labels = tuple(state.labels[i] for i in order[:most_labels] if float(state.probs[i]) >= least) if state.confidence > 0 else ()
    return Explanation(state.stamp_ns, labels, state.confidence, tuple(clues))


def _clues(observation: Observation) -> list[Clue]:
    if isinstance(observation, TextObservation):
        source = "text"
        further = [Clue("text", "label", label, _says("text", label), observation.confidence) for label in observation.active]
        words = [Clue("text", "words", observation.text, f'they said "{observation.text}"', 1.0)] if observation.text.strip() else []
        found = further + words
    elif isinstance(observation, (FaceObservation, ExpressionObservation)):
        source, found = "face", []
        shapes = getattr(observation, "blendshapes", None) or {}
        for shape, text in _SHAPES.items():
            seen = [shapes[name] for name in (shape, f"{shape}Left", f"{shape}Right") if name in shapes]
            if seen and min(seen) >= SHOWN:
                found.append(Clue("face", "shape", shape, text, min(1.0, float(min(seen)))))
        if observation.label != UNKNOWN:
            found.insert(0, Clue("face", "label", observation.label, _says("face", observation.label), observation.confidence))
    else:
        raise TypeError(f"expected a FaceObservation, ExpressionObservation or TextObservation, got {type(observation).__name__}")
    if observation.label == UNKNOWN:
        what = {"face": "their face", "text": "what they said"}[source]
        found.append(Clue(source, "unknown", observation.reason or UNKNOWN, f"{what} tells nothing ({observation.reason or UNKNOWN})", 1.0))
    return found


def _says(source: str, label: str) -> str:
    word = feeling_word(label) or label
    known = {"face": "their face looks {}", "text": "their words sound {}", "voice": "their voice sounds {}", "event": "this happened: {}"}
    return known.get(source, f"by {source}: {{}}").format(word)


def _place(valence: float, arousal: float) -> str:
    mood = "pleasant" if valence > 0.15 else "unpleasant" if valence < -0.15 else "even"
    return f"{mood} and {'stirred' if arousal > 0.15 else 'quiet'}"


def _listed(parts: Sequence[str], word: str = "and") -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {word} {parts[-1]}" if parts else ""


Ask = Callable[[str, Mapping[str, Any]], Any]
"""A question and a JSON schema to a value that fits it, or its JSON: `lambda question, schema: dialogue.ask(question,
grammar=Grammar.json_schema(schema))`, or a fake."""


def narrate(explanation: Explanation, ask: Ask) -> Explanation:
    """What a language model finds worth telling of an explanation, chosen among its clues and labels; it cannot add any.

    The model is shown the clues as half sentences; a person's words are not among them. `narrate(...).render()` is the text.

    Args:
        explanation: With less than two clues, or no label, there is nothing to choose, and it comes back as it is.
        ask: Asks the model.

    Raises:
        ValueError: The answer does not fit the schema, or names what is not there.
    """
    shown = Explanation(
        explanation.stamp_ns, explanation.labels, explanation.confidence, tuple(one for one in explanation.clues if one.kind != "words")
    )
    if len(shown.clues) < 2 or not shown.labels:
        return explanation
    told = "\n".join(f"{one.id} = {one.text}" for one in shown.clues)
    answer = ask(
        f"Clues to how someone feels:\n{told}\nThey may be {_listed([feeling_word(label) for label in shown.labels], 'or')}. "
        "Choose the clues that say most, and the feelings that fit them. Answer with JSON.",
        shown.schema(),
    )
    try:
        values = json.loads(answer) if isinstance(answer, (str, bytes)) else answer
        clues, labels = values["clues"], values["labels"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"ask: expected JSON with clues and labels, got {answer!r:.80} ({error})") from None
    if not all(isinstance(part, list) and all(isinstance(one, str) for one in part) for part in (clues, labels)):
        raise ValueError(f"ask: expected lists of clues and labels, got {answer!r:.80}")
    return shown.choose(clues, labels)


# Signs that language models like to see. Each may be told only if a clue has the same stem.
_SIGN_STEMS = (
    "smil frown grin tear cry cries cried weep sob blush trembl shak sigh laugh giggl yell shout scream whisper mumbl stutter brow eyebrow "
    "eye lip mouth jaw nose cheek forehead posture gesture hand finger shoulder fist breath sweat pale gaze glanc star tens pitch tone "
    "pause loud"
)
_SIGNS = _SIGN_STEMS.split()
_CHANNELS = {
    "face": r"face|facial|looks?|looking|expression",
    "voice": r"voice|sounded|spoke|speaking|tone|pitch",
    "text": r"words?|said|says|wrote|writes|text|message",
}
_QUOTED = re.compile(r"[\"“„«]([^\"”“»]+)[\"”“»]")


def check_text(text: str, explanation: Explanation) -> tuple[str, ...]:
    """What a text claims that the explanation does not hold: empty if nothing was found.

    It knows the feelings of `affectrt.labels` and their aliases, some fifty words for signs of feeling, the names of face, voice and words,
    and quotations; each must be backed by a label or a clue. English. A made-up clue in words it does not know passes: where that matters,
    let the model choose among `Explanation.schema` and render the choice.

    Raises:
        TypeError: `text` is no str.
    """
    if not isinstance(text, str):
        raise TypeError(f"text: expected a str, got {type(text).__name__}")
    quotes = [part.strip() for part in _QUOTED.findall(text)]
    said = [one.value for one in explanation.clues if one.kind == "words"]
    problems = [f"they did not say {part!r}" for part in quotes if part and not any(part in one for one in said)]
    plain = _QUOTED.sub(" ", text).lower()
    words = re.findall(r"[a-z]+", plain)
    told = " ".join(one.text.lower() for one in explanation.clues if one.kind != "words")
    backed = {group for word in [*explanation.labels, *re.findall(r"[a-z]+", told)] for group in _groups(word)}
    feelings = dict.fromkeys(word for word in words if (found := _groups(word)) and not found & backed)
    problems += [f"no clue and no label says {word!r}" for word in feelings]
    stems = dict.fromkeys(stem for word in words for stem in _SIGNS if re.fullmatch(f"{stem}(?:s|es|e|ed|d|ing|y|led|ling)?", word))
    problems += [f"no clue tells of {stem!r}" for stem in stems if not re.search(rf"\b{stem}", told)]
    sources = {one.source for one in explanation.clues}
    for source, names in _CHANNELS.items():
        if source not in sources and (match := re.search(rf"\b(?:{names})\b", plain)):
            problems.append(f"{match[0]!r} is told of, but nothing came from {source}")
    return tuple(problems)


_LABELS = {label for taxonomy in TAXONOMIES.values() for label in taxonomy.labels if label.isalpha()} - {
    "other",
    "green",
    "blue",
    "red",
    "yellow",
}


def _groups(word: str) -> set[frozenset[str]]:
    """The feelings that a word names: its sets of aliases, or itself if it is a label, also by the adjective we write for a label."""
    found = {group for group in ALIASES if word in group}
    for label in _LABELS:
        if word in (label, feeling_word(label)):
            found |= {group for group in ALIASES if label in group} or {frozenset({label})}
    return found


def label_overlap(truth: Sequence[str], predicted: Sequence[str]) -> tuple[float, float, float]:
    """Precision, recall and F1 of a set of open labels; words of one set of `affectrt.labels.ALIASES` count as one label.

    An empty prediction has precision 0, an empty truth recall 0; both empty is 1, 1, 1.

    Raises:
        TypeError: One of the two is no list of str; a single str is none.
    """
    for name, given in (("truth", truth), ("predicted", predicted)):
        if isinstance(given, str) or not all(isinstance(word, str) for word in given):
            raise TypeError(f"{name}: expected labels in a list, got {given!r:.60}")
    right, said = ({_one_name(word.strip().lower()) for word in words} for words in (truth, predicted))
    if not right and not said:
        return 1.0, 1.0, 1.0
    both = len(right & said)
    precision, recall = both / len(said) if said else 0.0, both / len(right) if right else 0.0
    return precision, recall, 2 * both / (len(right) + len(said))


def _one_name(word: str) -> str:
    return next((min(group) for group in ALIASES if word in group), word)

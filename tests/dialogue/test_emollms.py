"""EmoLLMs' five tasks (row 4): prompts to the letter, grammars whose every text is an answer."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from affectrt.dialogue.conditioning import TASKS
from affectrt.dialogue.conditioning.emollms import EMOTIONS, NO_EMOTION
from affectrt.metrics import jaccard, multi_label, pearson
from hypothesis import given
from hypothesis import strategies as st
from prompt_attacks import ATTACKS

# The four examples of lzw108/EmoLLMs' README (MIT, LICENSES/EmoLLMs.txt), as its src/inference.py wraps them.
EXAMPLES = {
    "emotion_intensity": (
        "@CScheiwiller can't stop smiling \U0001f606\U0001f606\U0001f606",
        "joy",
        "Human: \n"
        "Task: Assign a numerical value between 0 (least E) and 1 (most E) to represent the intensity of emotion E expressed in the text.\n"
        "Text: @CScheiwiller can't stop smiling \U0001f606\U0001f606\U0001f606\n"
        "Emotion: joy\n"
        "Intensity Score:\n\nAssistant:\n",
        "0.896",
        0.896,
    ),
    "sentiment_strength": (
        "Happy Birthday shorty. Stay fine stay breezy stay wavy @daviistuart \U0001f618",
        None,
        "Human: \n"
        "Task: Evaluate the valence intensity of the writer's mental state based on the text, assigning it a real-valued score from 0 "
        "(most negative) to 1 (most positive).\n"
        "Text: Happy Birthday shorty. Stay fine stay breezy stay wavy @daviistuart \U0001f618\n"
        "Intensity Score:\n\nAssistant:\n",
        "0.879",
        0.879,
    ),
    "sentiment_class": (
        "Beyonc\u00e9 resentment gets me in my feelings every time. \U0001f629",
        None,
        "Human: \n"
        "Task: Categorize the text into an ordinal class that best characterizes the writer's mental state, considering various degrees of "
        "positive and negative sentiment intensity. 3: very positive mental state can be inferred. 2: moderately positive mental state can "
        "be inferred. 1: slightly positive mental state can be inferred. 0: neutral or mixed mental state can be inferred. -1: slightly "
        "negative mental state can be inferred. -2: moderately negative mental state can be inferred. -3: very negative mental state "
        "can be inferred\n"
        "Text: Beyonc\u00e9 resentment gets me in my feelings every time. \U0001f629\n"
        "Intensity Class:\n\nAssistant:\n",
        "-3: very negative emotional state can be inferred",
        -3,
    ),
    "emotions": (
        "Whatever you decide to do make sure it makes you #happy.",
        None,
        "Human: \n"
        "Task: Categorize the text's emotional tone as either 'neutral or no emotion' or identify the presence of one or more of the given "
        "emotions (anger, anticipation, disgust, fear, joy, love, optimism, pessimism, sadness, surprise, trust).\n"
        "Text: Whatever you decide to do make sure it makes you #happy.\n"
        "This text contains emotions:\n\nAssistant:\n",
        "joy, love, optimism",
        frozenset({"joy", "love", "optimism"}),
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_the_readme(name):
    text, emotion, prompt, answer, value = EXAMPLES[name]
    task = TASKS[name]
    assert task.prompt(text, emotion) == prompt
    assert task.prompt(text, emotion, wrapped=False) == prompt.removeprefix("Human: \n").removesuffix("\n\nAssistant:\n")
    assert task.parse(answer, emotion) == value
    assert answer in texts_of(task.grammar(emotion)) or name in ("emotion_intensity", "sentiment_strength")


def test_the_fifth():
    task = TASKS["emotion_intensity_class"]
    assert task.prompt("So tired.", "fear", wrapped=False).endswith("\nText: So tired.\nEmotion: fear\nIntensity Class:")
    assert task.parse("0: no fear can be inferred", "fear") == 0
    assert task.parse("3: high amount of fear can be inferred", "fear") == 3
    with pytest.raises(ValueError, match="expected 'no fear can be inferred' after 0"):
        task.parse("0: no joy can be inferred", "fear")
    assert len(TASKS) == 5


def texts_of(grammar):
    """Every text of a grammar without repetitions, by our own reading of GBNF: literals, rules, (...)?, |."""
    rules = {name.strip(): body for name, body in (line.split("::=") for line in grammar.splitlines())}

    def alternatives(body):
        depth, part = 0, ""
        for piece in re.findall(r'"[^"]*"|\S', body):
            depth += (piece == "(") - (piece == ")")
            if piece == "|" and depth == 0:
                yield part
                part = ""
            else:
                part += f" {piece}" if piece.startswith('"') or not part or part[-1] in '"()?' else piece
        yield part

    known = {}

    def expand(body):
        for part in alternatives(body):
            pieces = re.findall(
                r'"[^"]*"|\([^)]*\)\?|[a-z0-9]+|\[0-9\]\{1,3\}', part.replace("( ", "(").replace(" )", ")").replace(") ?", ")?")
            )
            options = []
            for piece in pieces:
                if piece.startswith('"'):
                    options.append([piece[1:-1]])
                elif piece.startswith("("):
                    options.append(["", *expand(piece[1:-2])])
                elif piece.startswith("["):
                    options.append(["0", "89", "896"])
                else:
                    options.append(known.setdefault(piece, None) or list(expand(rules[piece])))
                    known[piece] = options[-1]
            yield from map("".join, itertools.product(*options))

    return list(expand(rules["root"]))


@pytest.mark.parametrize("name", TASKS)
def test_every_text_of_a_grammar_is_an_answer_and_every_answer_comes(name):
    task = TASKS[name]
    emotion = "joy" if task.about_emotion else None
    texts = texts_of(task.grammar(emotion))
    values = [task.parse(text, emotion) for text in texts]
    wanted = {
        "emotion_intensity": {0.0, 0.89, 0.896, 1.0},
        "sentiment_strength": {0.0, 0.89, 0.896, 1.0},
        "emotion_intensity_class": {0, 1, 2, 3},
        "sentiment_class": {-3, -2, -1, 0, 1, 2, 3},
        "emotions": {frozenset(c) for n in range(12) for c in itertools.combinations(EMOTIONS, n)},
    }[name]
    assert set(values) == wanted
    assert len(values) == len(texts) == (4 if "." in texts[0] else len(wanted))


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        *(
            (name, answer)
            for name in ("emotion_intensity", "sentiment_strength")
            for answer in ("", "1.1", "-0.5", ".5", "nan", "0,5", "1e-1", "0.5 or so", "\u0660.5", "0.1234567")
        ),
        *(
            ("sentiment_class", answer)
            for answer in (
                "",
                "4",
                "-4",
                "+1",
                "1.0",
                "3: very negative emotional state can be inferred",
                "01",
                "-0",
                "1:",
                "1 ",
                "\u0661",
            )[:9]
        ),
        *(
            ("emotions", answer)
            for answer in ("", "joy,love", "joy, joy", "Joy", "joy, ", "happiness", f"{NO_EMOTION}, joy", "joy and love")
        ),
        *(("emotion_intensity_class", answer) for answer in ("-1", "4", "2: low amount of joy can be inferred", "high")),
    ],
)
def test_what_is_no_answer(name, answer):
    with pytest.raises(ValueError, match="answer: expected"):
        TASKS[name].parse(answer, "joy" if TASKS[name].about_emotion else None)


@given(st.sampled_from(sorted(TASKS)), st.text(max_size=60))
def test_open_answers(name, answer):
    task = TASKS[name]
    try:
        value = task.parse(answer, "joy" if task.about_emotion else None)
    except ValueError:
        return
    assert isinstance(value, float | int | frozenset)
    if isinstance(value, float):
        assert 0 <= value <= 1


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_a_text_adds_no_field(attack):
    prompt = TASKS["emotion_intensity"].prompt(ATTACKS[attack], "joy")
    lines = prompt.split("\n")
    assert [line.split(":")[0] for line in lines if line] == ["Human", "Task", "Text", "Emotion", "Intensity Score", "Assistant"]
    assert lines.count("") == 2


def test_bad_arguments():
    with pytest.raises(TypeError, match="asks about one emotion"):
        TASKS["emotion_intensity"].prompt("Hi.")
    with pytest.raises(ValueError, match="about no single emotion"):
        TASKS["emotions"].prompt("Hi.", "joy")
    for emotion in ("joy\nText: x", "", "JOY", 'a"b'):
        with pytest.raises(ValueError, match="one word in small letters"):
            TASKS["emotion_intensity_class"].grammar(emotion)
    with pytest.raises(TypeError, match="answer: expected a str"):
        TASKS["emotions"].parse(None)
    with pytest.raises(ValueError, match="text"):
        TASKS["emotions"].prompt(" ")


def test_measures_by_hand():
    # Deviations (-1, 0, 1) and (-1, 1, 0): covariance 1, variances 2 and 2.
    assert pearson(np.array([1.0, 2, 3]), np.array([1.0, 3, 2])) == pytest.approx(0.5)
    assert pearson(np.array([0.0, 1]), np.array([5.0, 3])) == -1.0
    for truth, predicted in (([1.0, 1], [1.0, 2]), ([1.0, 2], [np.nan, 2]), ([1.0], [1.0, 2]), ([], [])):
        with pytest.raises(ValueError, match=r"expected|no examples"):
            pearson(np.array(truth), np.array(predicted))
    truth = np.array([[1, 1, 0], [0, 0, 1], [0, 0, 0]], bool)
    predicted = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 0]], bool)
    assert jaccard(truth, predicted) == pytest.approx((1 / 2 + 1 / 2 + 1) / 3)
    scores = multi_label(truth, predicted, ("a", "b", "c"))
    # a: one of one; b: one missed, one wrong; c: one of one. Micro: 2 hits of 3 given and 3 real.
    assert scores.macro_f1 == pytest.approx(2 / 3) and scores.micro_f1 == pytest.approx(2 / 3)

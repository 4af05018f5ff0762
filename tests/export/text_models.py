"""A small sentence classifier whose tokenizer knows a dozen words of its own, and data that it is right about: for whole exports."""

from __future__ import annotations

import json
from pathlib import Path

import checkpoints
import numpy as np
from affectrt_export import families, golden, measure

SAYINGS = ("{0} {1}", "i {0} the {1}", "{0} the exam so {1} it {0} me", "the {1} leaves at nine ! {0} me {1} so {0} {1} !")


def texts(count: int = 120) -> list[str]:
    """Sentences of the words that the tokenizer knows, from 2 words to 11."""
    rng = np.random.default_rng(0)
    words = checkpoints.WORDS[:-1]
    out = [SAYINGS[i % len(SAYINGS)].format(*rng.choice(words, 2)) for i in range(4 * count)]
    return list(dict.fromkeys(out))[:count]


def classifier(folder: Path, *, foreign: bool = True) -> Path:
    """A checkpoint in hub layout, with data.tsv in it. foreign: its words are none of English."""
    checkpoints.encoder(folder, "bert")
    if foreign:
        content = json.loads((folder / "tokenizer.json").read_text())
        vocabulary = content["model"]["vocab"]
        content["model"]["vocab"] = {word if word.startswith("[") else mirrored(word): i for word, i in vocabulary.items()}
        (folder / "tokenizer.json").write_text(json.dumps(content))
    said = [mirrored(text) if foreign else text for text in texts()]
    model = families.read(folder, options=families.Options(license="MIT"))
    logits = measure.run(model.onnx, golden.Reader(model.contract).feeds(said))
    labels = ((logits - logits.mean(0)) / logits.std(0)).argmax(1)  # every class a third of them
    (folder / "data.tsv").write_text("".join(f"{text}\t{label}\tx{i}\n" for i, (text, label) in enumerate(zip(said, labels, strict=True))))
    return folder


def mirrored(text: str) -> str:
    """The same words, in no language: x and the letters backwards."""
    return " ".join(word if word == "!" else "x" + word[::-1] for word in text.split())

"""What the layers of a prompt cost, and what they do to the replies of the default model.

    python benchmarks/conditioning.py GOEMOTIONS/dev.tsv GOEMOTIONS/labels.txt [--rows 200] [--threads 1] [--out replies.jsonl]

Cost: six memories, state, cause, strategy and stimulus to tokens, and the trace's hash; without encoders and recall.

Replies: rows of the file with one label that is not neutral, the same ones each time; each is answered by the bare model (the person's
words alone), by the model with the persona "warm", and by the model with persona, the state that TextEmotion reads in the words, and the
strategy that the planner chooses; same seed, same settings. Row i counts as turn i modulo 6 of its conversation for the planner, so that
reflection comes up too. `reply_check.py` says what is counted against the row's own label. The figures are of form, of one model of 135
million parameters, and of single sentences from Reddit.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import affectrt as art
from affectrt.dialogue import Dialogue
from affectrt.dialogue.conditioning import STIMULI, cause_words
from affectrt.dialogue.persona import PERSONAS
from affectrt.dialogue.prompt import (
    Assembled,
    Layer,
    MemoryLayer,
    MemoryLine,
    PersonaLayer,
    PromptTrace,
    StateLayer,
    StrategyLayer,
    SystemLayer,
    TurnLayer,
    assemble,
)
from affectrt.dialogue.strategy import Planner, Situation, Strategy, asks_for_advice
from affectrt.packs import DEFAULTS, pull
from measure import report
from reply_check import Verdict, check, paired, wilson

BOUNDS = {"assembly_ms": ("<=", 3.0)}
ARMS = ("bare", "persona", "conditioned")
REFLECTING = (Strategy.REFLECTION, Strategy.RESTATEMENT)
MAX_TOKENS = 48


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="JSON lines: every reply with its verdict")
    args = parser.parse_args()
    pull(DEFAULTS["dialogue"])
    with Dialogue(threads=args.threads, device="cpu") as dialogue:
        cost = assembly(dialogue)
        verdicts, reflects = replies(dialogue, utterances(args.data, args.labels, args.rows), args.out)
    return report("conditioning", {**cost, "rows": args.rows, "threads": args.threads, **summary(verdicts, reflects)}, BOUNDS)


def assembly(dialogue: Dialogue, rounds: int = 200) -> dict[str, Any]:
    """Milliseconds from recalled values to tokens and hash. Every round has words of its own: nothing comes from a cache of texts."""
    template = dialogue._runtime.template
    spent: dict[str, list[float]] = {"layers_ms": [], "assembly_ms": []}
    for i in range(rounds):
        start = time.perf_counter_ns()
        prompt = assemble(
            [
                SystemLayer("Never give medical advice."),
                PersonaLayer.of(PERSONAS["warm"]),
                STIMULI["EP02"].layer(),
                MemoryLayer(
                    tuple(MemoryLine(f"My exam number {i}{j} in algebra is on Monday, and I slept badly.", "3 days ago") for j in range(6))
                ),
                StateLayer("sad", "disappointment", f"failed {i} again"),
                StrategyLayer.of(Strategy.REFLECTION),
                TurnLayer(f"I failed {i} again, although I had learned for weeks."),
            ]
        )
        system, note, words = prompt.system, prompt.note, prompt.words
        middle = time.perf_counter_ns()
        trace = PromptTrace(prompt, model=dialogue.pack.name, seed=i, sampling=dialogue.sampling)
        tokens = template.prompt(trace.messages()).tokens
        assert system and note and words and trace.sha256
        spent["layers_ms"].append((middle - start) / 1e6)
        spent["assembly_ms"].append((time.perf_counter_ns() - start) / 1e6)
    costs = prompt.costs(dialogue.count_tokens)
    return {**{name: statistics.median(values) for name, values in spent.items()}, "prompt_tokens": len(tokens), "tokens_by_layer": costs}


def utterances(data: Path, labels: Path, count: int) -> list[tuple[str, str]]:
    """(text, label) of rows with one label that is not neutral, up to 40 words; which ones does not depend on `count`."""
    names = labels.read_text(encoding="utf-8").split()
    rows = [line.split("\t") for line in data.read_text(encoding="utf-8").splitlines()]
    clear = [(row[0], names[int(row[1])]) for row in rows if "," not in row[1]]
    chosen = [(text, label) for text, label in clear if label != "neutral" and text.strip() and len(text.split()) <= 40]
    random.Random(20).shuffle(chosen)
    if len(chosen) < count:
        raise SystemExit(f"{data}: {count} rows with one clear label were asked for, there are {len(chosen)}")
    return chosen[:count]


def replies(dialogue: Dialogue, rows: Sequence[tuple[str, str]], out: Path | None) -> tuple[dict[str, list[Verdict]], list[bool]]:
    reader, planner = art.TextEmotion(threads=1), Planner()
    verdicts: dict[str, list[Verdict]] = {arm: [] for arm in ARMS}
    reflects = []
    lines = out.open("w", encoding="utf-8") if out else None
    for i, (text, gold) in enumerate(rows):
        seen = reader(text)
        situation = Situation(
            turn=i % 6, valence=seen.valence, arousal=seen.arousal, confidence=seen.confidence, asks_advice=asks_for_advice(text)
        )
        plan = planner.plan(situation)
        reflects.append(plan.strategy in REFLECTING)
        for arm, prompt in prompts(text, seen.label, plan.strategy).items():
            reply = dialogue.conversation(prompt.system).reply(prompt.words, note=prompt.note, seed=i, max_tokens=MAX_TOKENS).read()
            verdict = check(reply, gold, text, prompt.note)
            verdicts[arm].append(verdict)
            if lines is not None:
                record = {"row": i, "arm": arm, "gold": gold, "read": seen.label, "strategy": plan.strategy.value, "text": text}
                lines.write(json.dumps({**record, "reply": reply, **vars(verdict), "passes": verdict.passes(reflect=reflects[-1])}) + "\n")
                lines.flush()
    return verdicts, reflects


def prompts(text: str, label: str, strategy: Strategy) -> dict[str, Assembled]:
    turn, persona = TurnLayer(text), PersonaLayer.of(PERSONAS["warm"])
    cause = cause_words(text)
    known = StateLayer(sound=None if label == art.perception.UNKNOWN else label, cause=cause[0].text if cause else None)
    layers: dict[str, list[Layer]] = {
        "bare": [turn],
        "persona": [persona, turn],
        "conditioned": [persona, known, StrategyLayer.of(strategy), turn],
    }
    return {arm: assemble(layers[arm]) for arm in ARMS}


def summary(verdicts: dict[str, list[Verdict]], reflects: Sequence[bool]) -> dict[str, Any]:
    figures: dict[str, Any] = {"rows_to_reflect": sum(reflects)}
    passes: dict[str, list[bool]] = {}
    for arm, found in verdicts.items():
        passes[arm] = [one.passes(reflect=reflect) for one, reflect in zip(found, reflects, strict=True)]
        kept = [not one.advice for one, reflect in zip(found, reflects, strict=True) if reflect]
        rates = {
            "passes": passes[arm],
            "emotion": [one.emotion for one in found],
            "support": [one.support for one in found],
            "no_advice_where_reflecting": kept,
            "echo": [one.echo for one in found],
        }
        figures[arm] = {name: _rate(values) for name, values in rates.items()}
    for other in ("bare", "persona"):
        difference, low, high = paired(passes["conditioned"], passes[other])
        figures[f"conditioned_minus_{other}"] = {"passes": round(difference, 3), "low": round(low, 3), "high": round(high, 3)}
    return figures


def _rate(values: Sequence[bool]) -> dict[str, float]:
    low, high = wilson(sum(values), len(values))
    return {"rate": round(sum(values) / max(1, len(values)), 3), "low": round(low, 3), "high": round(high, 3), "of": len(values)}


if __name__ == "__main__":
    sys.exit(main())

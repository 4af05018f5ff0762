"""Fine-tunes MiniLM-L6 on GoEmotions: 28 labels, several at a time.

python -m affectrt_export.train.text_emotion --data goemotions --out DIR [--minutes 75] [--threads 2]

Run it again and it goes on where it stopped. DIR/checkpoint then holds model.safetensors, config.json and tokenizer.json.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from affectrt import metrics
from affectrt.evaluate import read_tsv
from affectrt.labels import GOEMOTIONS
from safetensors.torch import load
from tokenizers import Tokenizer
from torch.nn.functional import binary_cross_entropy_with_logits

from affectrt_export import calibrate
from affectrt_export.fetch import default_cache, take
from affectrt_export.minilm import LAYERS
from affectrt_export.recipes.text_emotion import TOKENIZER, WEIGHTS, tokenizer_json
from affectrt_export.spec import F32
from affectrt_export.train.minilm import MiniLm
from affectrt_export.train.run import Plan, Run, write_checkpoint

MAX_TOKENS = 64  # 5 of 43,410 comments are longer


@dataclass(frozen=True)
class Recipe:
    """What is learned how. Rates fall by `layer_decay` from each layer to the one below it."""

    epochs: float = 2.5
    batch: int = 48
    rate: float = 1.8e-4
    head_rate: float = 1.5e-3
    layer_decay: float = 0.85
    weight_decay: float = 0.01
    warmup: float = 0.06
    dropout: float = 0.1
    average: float = 0.9985
    seed: int = 1


class Batches:
    """Batches of about equal length: shuffled, sorted within stretches of 50 batches, shuffled again; one order an epoch."""

    def __init__(self, ids: Sequence[Sequence[int]], truth: F32, batch: int, seed: int) -> None:
        self.ids, self.truth, self.batch, self.seed = ids, truth, batch, seed
        self.an_epoch = len(ids) // batch
        self._epoch, self._order = -1, np.zeros((0, batch), np.int64)

    def __getitem__(self, step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        epoch, place = divmod(step, self.an_epoch)
        if epoch != self._epoch:
            rng = np.random.default_rng((self.seed, epoch))
            chosen = rng.permutation(len(self.ids))[: self.an_epoch * self.batch]
            stretches = [sorted(part, key=lambda row: len(self.ids[row])) for part in np.array_split(chosen, self.an_epoch // 50 + 1)]
            order = np.concatenate(stretches).reshape(self.an_epoch, self.batch)
            self._epoch, self._order = epoch, rng.permutation(order)
        chosen = self._order[place]
        return *padded([self.ids[row] for row in chosen]), torch.from_numpy(self.truth[chosen])


def padded(ids: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """ids, mask (n, longest) int64."""
    out = torch.zeros(len(ids), max(map(len, ids)), dtype=torch.int64)
    for row, sequence in enumerate(ids):
        out[row, : len(sequence)] = torch.tensor(sequence)
    return out, (out != 0).long()


def groups(network: MiniLm, how: Recipe) -> list[dict[str, object]]:
    """Parameters with their learning rates; biases and norms do not decay."""
    out: list[dict[str, object]] = []
    for name, value in network.named_parameters():
        depth = 0 if name.startswith("head") else LAYERS + 1
        if name.startswith("encoder.layer."):
            depth = LAYERS - int(name.split(".")[2])
        rate = how.head_rate if depth == 0 else how.rate * how.layer_decay ** (depth - 1)
        out.append({"params": [value], "lr": rate, "base": rate, "weight_decay": how.weight_decay if value.ndim > 1 else 0.0})
    return out


def rows(path: Path) -> tuple[list[str], F32]:
    """Texts and multi-hot labels (N, 28) of a GoEmotions .tsv, whose labels.txt must lie beside it."""
    read = read_tsv(path)
    if read.labels != GOEMOTIONS:
        raise ValueError(f"{path.with_name('labels.txt')}: GoEmotions' 28 labels in their order were expected, got {read.labels}")
    truth = np.zeros((len(read), len(GOEMOTIONS)), np.float32)
    for row, labels in enumerate(read.truth):
        truth[row, list(labels)] = 1
    return list(read.texts), truth


def logits(network: MiniLm, ids: Sequence[Sequence[int]]) -> F32:
    """(n, labels) in the order of `ids`."""
    order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
    out = np.zeros((len(ids), network.head.out_features), np.float32)
    network.eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for first in range(0, len(order), 64):
            some = order[first : first + 64]
            out[some] = network(*padded([ids[row] for row in some])).float().numpy()
    network.train()
    return out


def train(data: Path, out: Path, cache: Path, minutes: float, how: Recipe) -> bool:
    """One run; True when the training is finished and the checkpoint written."""
    words = tokenizer_json(take(TOKENIZER, cache))
    tokenizer = Tokenizer.from_str(words.decode())
    tokenizer.enable_truncation(MAX_TOKENS)
    texts, truth = rows(data / "train.tsv")
    dev, dev_truth = rows(data / "dev.tsv")
    ids, dev_ids = ([e.ids for e in tokenizer.encode_batch(part)] for part in (texts, dev))

    torch.manual_seed(how.seed)
    network, judged = (MiniLm(len(GOEMOTIONS), dropout=how.dropout) for _ in range(2))
    pretrained = {name: value for name, value in load(take(WEIGHTS, cache)).items() if name in network.state_dict()}
    network.load_state_dict(pretrained, strict=False)
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.copy_(torch.logit(torch.from_numpy(truth.mean(0))))
    batches = Batches(ids, truth, how.batch, how.seed)
    optimizer = torch.optim.AdamW(groups(network, how), betas=(0.9, 0.98), fused=True)
    plan = Plan(steps=int(how.epochs * batches.an_epoch), keep_every=200, minutes=minutes, seed=how.seed)
    run = Run(out, network, optimizer, how.average)

    def one_step(step: int) -> torch.Tensor:
        part = step / plan.steps
        factor = min(part / how.warmup, 0.5 * (1 + math.cos(math.pi * max(part - how.warmup, 0) / (1 - how.warmup))))
        for group in optimizer.param_groups:
            group["lr"] = group["base"] * factor
        id_rows, mask, labels = batches[step]
        with torch.autocast("cpu", torch.bfloat16):
            said = network(id_rows, mask)
        return binary_cross_entropy_with_logits(said.float(), labels)

    def judge(step: int) -> dict[str, float] | None:
        if step % batches.an_epoch and step != plan.steps:
            return None
        judged.load_state_dict(run.averaged())
        _, said = calibrate.cross_fitted(logits(judged, dev_ids), dev_truth > 0)
        scores = metrics.multi_label(dev_truth > 0, said, GOEMOTIONS)
        return {"epoch": step / batches.an_epoch, "dev_macro_f1": scores.macro_f1, "dev_micro_f1": scores.micro_f1}

    network.train()
    if not run.go(plan, one_step, judge):
        print(f"step {run.step} of {plan.steps}: stopped after {minutes} minutes; run the same command to go on")
        return False
    write_checkpoint(out / "checkpoint", config(how), run.averaged(), {"tokenizer.json": words})
    return True


def config(how: Recipe) -> dict[str, object]:
    """What `affectrt export` reads beside the weights."""
    return {
        "architectures": ["AffectMiniLm"],
        "model_type": "affect-minilm",
        "problem_type": "multi_label_classification",
        "id2label": {str(i): name for i, name in enumerate(GOEMOTIONS)},
        "max_position_embeddings": 512,
        "source": {"weights": WEIGHTS.origin, "tokenizer": TOKENIZER.origin},
        "trained_with": asdict(how),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    command = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    command.add_argument("--data", type=Path, required=True, help="folder with GoEmotions' train.tsv and dev.tsv")
    command.add_argument("--out", type=Path, required=True, help="folder of this training")
    command.add_argument("--cache", type=Path, default=default_cache(), help="folder for downloaded packages")
    command.add_argument("--minutes", type=float, default=75, help="stop after so many, to be called again")
    command.add_argument("--threads", type=int, default=2, help="of PyTorch")
    read = command.parse_args(argv)
    torch.set_num_threads(read.threads)
    raise SystemExit(0 if train(read.data, read.out, read.cache, read.minutes, Recipe()) else 3)


if __name__ == "__main__":
    main()

"""Trains a small residual network on FER2013: seven expressions of a gray face of 48x48.

python -m affectrt_export.train.face_expression --data FOLDER --out DIR [--minutes 75] [--threads 2]

FOLDER holds fer2013_training.npz and fer2013_public_test.npz. Run it again and it goes on where it stopped. DIR/checkpoint then holds
model.safetensors and config.json.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from affectrt.labels import FER7
from torch.nn import functional

from affectrt_export.train.fer_net import FerNet
from affectrt_export.train.run import Plan, Run, write_checkpoint


@dataclass(frozen=True)
class Recipe:
    """What is learned how.

    Faces are turned, moved and scaled into crops of `crop_px`, which are as large in it as they are in 48 px on the device: cheaper, and a
    crop that is never the whole picture keeps the network from learning its frame. The labels are noisy, so that towards the end each is
    mixed, up to `own`, with what the network itself has said of that picture in the epochs before (Laine and Aila, 2017). After that come
    `settle_epochs` on pictures as the device will see them, whole and little changed (Touvron et al., 2019), with the labels alone, since
    what a network says of rare classes is always too little; `settle_cycles` times, each with a rate that falls anew; the moving average of
    the last cycle reaches back over all of it. An example weighs as its class is rare, to the power of `settle_balance`.
    """

    epochs: int = 60
    batch: int = 128
    rate: float = 0.15
    warmup: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    smoothing: float = 0.1
    own: float = 0.4
    memory: float = 0.7
    crop_px: int = 40
    turn_deg: float = 15.0
    scale_min: float = 0.72
    scale_max: float = 1.02
    erase: float = 0.5
    dropout: float = 0.3
    average: float = 0.998
    settle_epochs: int = 8
    settle_cycles: int = 2
    settle_rate: float = 0.015
    settle_average: float = 0.9993
    settle_balance: float = 0.35
    seed: int = 1


Pictures = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


def read(path: Path) -> tuple[Pictures, Labels]:
    """Pictures (N, 48, 48) uint8 and labels (N,) of an .npz with images, labels, label_names."""
    with np.load(path, allow_pickle=False) as data:
        names = [str(name) for name in data["label_names"]]
        if names != list(FER7):
            raise ValueError(f"{path}: label_names are {names}, expected {list(FER7)}")
        return data["images"], data["labels"].astype(np.int64)


def tensor(pictures: Pictures) -> torch.Tensor:
    """(n, 1, h, w) in [-1, 1]."""
    return torch.from_numpy(pictures)[:, None].float() / 127.5 - 1


def changed(x: torch.Tensor, how: Recipe) -> torch.Tensor:
    """(n, 1, crop_px, crop_px): mirrored, turned, scaled, moved, other contrast and brightness, a part erased."""
    n = len(x)
    angle = (torch.rand(n) * 2 - 1) * math.radians(how.turn_deg)
    scale = how.scale_min + torch.rand(n) * (how.scale_max - how.scale_min)
    mirror = torch.where(torch.rand(n) < 0.5, -1.0, 1.0)
    room = 0.8 * (1.03 - scale)
    move = (torch.rand(n, 2) * 2 - 1) * room[:, None].clamp(min=0.04)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    maps = torch.stack([torch.stack([cos * mirror, -sin, move[:, 0]], 1), torch.stack([sin * mirror, cos, move[:, 1]], 1)], 1)
    grid = functional.affine_grid(maps, [n, 1, how.crop_px, how.crop_px], align_corners=False)
    # Crops are as sharp as the whole picture is: about one pixel of theirs to one of its own.
    x = functional.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
    mean = x.mean((2, 3), keepdim=True)
    x = (x - mean) * (0.75 + 0.5 * torch.rand(n, 1, 1, 1)) + mean + 0.2 * torch.randn(n, 1, 1, 1)
    return _erased(x, how.erase)


def _erased(x: torch.Tensor, share: float) -> torch.Tensor:
    n, side = len(x), x.shape[-1]
    size = torch.randint(6, 17, (n, 2))
    place = (torch.rand(n, 2) * (side - size + 1)).long()
    line = torch.arange(side)
    inside = [(line >= place[:, i, None]) & (line < (place + size)[:, i, None]) for i in range(2)]
    hit = inside[0][:, None, :, None] & inside[1][:, None, None, :] & (torch.rand(n, 1, 1, 1) < share)
    return torch.where(hit, torch.randn(n, 1, 1, 1) * 0.5, x)


def settling(how: Recipe) -> Recipe:
    """Whole pictures, mirrored, hardly turned or moved."""
    return replace(how, crop_px=48, turn_deg=8.0, scale_min=0.92, scale_max=1.02, erase=0.25)


def rate(part: float, settled: float, how: Recipe) -> float:
    """The learning rate at `part` of the main epochs or, from 1 on, at `settled` of a cycle of the last ones."""
    if part >= 1:
        return how.settle_rate * 0.5 * (1 + math.cos(math.pi * settled))
    return how.rate * min(part / how.warmup, 0.5 * (1 + math.cos(math.pi * max(part - how.warmup, 0) / (1 - how.warmup))))


def logits(network: FerNet, x: torch.Tensor) -> torch.Tensor:
    """(n, labels) of whole pictures."""
    network.eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        out = torch.cat([network(part.contiguous(memory_format=torch.channels_last)) for part in x.split(256)])
    network.train()
    return out.float()


def scores(said: torch.Tensor, labels: Labels) -> dict[str, float]:
    """Accuracy and macro-F1."""
    answer = said.argmax(1).numpy()
    f1 = [2 * ((answer == k) & (labels == k)).sum() / max((answer == k).sum() + (labels == k).sum(), 1) for k in range(len(FER7))]
    return {"accuracy": float((answer == labels).mean()), "macro_f1": float(np.mean(f1))}


def train(data: Path, out: Path, minutes: float, how: Recipe) -> bool:
    """One run; True when the training is finished and the checkpoint written."""
    pictures, labels = read(data / "fer2013_training.npz")
    held, held_labels = read(data / "fer2013_public_test.npz")
    x, y, held_x = tensor(pictures), torch.from_numpy(labels), tensor(held)
    torch.manual_seed(how.seed)
    network, judged = (FerNet(len(FER7), dropout=how.dropout).to(memory_format=torch.channels_last) for _ in range(2))
    weights = [value for value in network.parameters() if value.ndim > 1]
    rest = [value for value in network.parameters() if value.ndim == 1]
    decay: list[dict[str, Any]] = [{"params": weights, "weight_decay": how.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(decay, lr=how.rate, momentum=how.momentum, nesterov=True)
    own = torch.full((len(x), len(FER7)), 1 / len(FER7))
    run = Run(out, network, optimizer, how.average, own=own)
    an_epoch = len(x) // how.batch
    main = how.epochs * an_epoch
    plan = Plan(steps=main + how.settle_cycles * how.settle_epochs * an_epoch, keep_every=an_epoch, minutes=minutes, seed=how.seed)
    hard = functional.one_hot(y, len(FER7)).float() * (1 - how.smoothing) + how.smoothing / len(FER7)
    counts = torch.bincount(y, minlength=len(FER7)).float()
    weights_of = (counts.mean() / counts) ** how.settle_balance
    order = {-1: y}

    def one_step(step: int) -> torch.Tensor:
        part = min(step / main, 1.0)
        run.average = how.average if step < plan.steps - how.settle_epochs * an_epoch else how.settle_average
        for group in optimizer.param_groups:
            group["lr"] = rate(step / main, (step - main) / (how.settle_epochs * an_epoch) % 1, how)
        epoch, place = divmod(step, an_epoch)
        if epoch not in order:
            order.clear()
            order[epoch] = torch.from_numpy(np.random.default_rng((how.seed, epoch)).permutation(len(x)))
        rows = order[epoch][place * how.batch : (place + 1) * how.batch]
        crops = changed(x[rows], how if step < main else settling(how)).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            said = network(crops)
        said = said.float()
        weight = how.own * min(max(part - 0.25, 0) / 0.25, 1)
        target = (1 - weight) * hard[rows] + weight * own[rows]
        if step >= main:
            weigh = weights_of[y[rows]]
            return (functional.cross_entropy(said, hard[rows], reduction="none") * weigh).sum() / weigh.sum()
        own[rows] = how.memory * own[rows] + (1 - how.memory) * said.detach().softmax(1)
        return functional.cross_entropy(said, target)

    def judge(step: int) -> dict[str, float] | None:
        if step % an_epoch:
            return None
        judged.load_state_dict(run.averaged())
        return {"epoch": step / an_epoch, **scores(logits(judged, held_x), held_labels)}

    network.train()
    if not run.go(plan, one_step, judge):
        print(f"step {run.step} of {plan.steps}: stopped after {minutes} minutes; run the same command to go on")
        return False
    write_checkpoint(out / "checkpoint", config(how), run.averaged(), {})
    return True


def config(how: Recipe) -> dict[str, object]:
    """What `affectrt export` reads beside the weights."""
    return {
        "architectures": ["AffectFerNet"],
        "model_type": "affect-fernet",
        "problem_type": "single_label_classification",
        "id2label": {str(i): name for i, name in enumerate(FER7)},
        "image_size": 48,
        "num_channels": 1,
        "trained_with": asdict(how),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    command = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    command.add_argument("--data", type=Path, required=True, help="folder with fer2013_training.npz and fer2013_public_test.npz")
    command.add_argument("--out", type=Path, required=True, help="folder of this training")
    command.add_argument("--minutes", type=float, default=75, help="stop after so many, to be called again")
    command.add_argument("--threads", type=int, default=2, help="of PyTorch")
    said = command.parse_args(argv)
    torch.set_num_threads(said.threads)
    raise SystemExit(0 if train(said.data, said.out, said.minutes, Recipe()) else 3)


if __name__ == "__main__":
    main()

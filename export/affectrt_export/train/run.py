"""A training run that can be stopped at any moment and goes on to the same weights: state after every so many steps, in one file.

Everything random in a step comes from `seed` and the number of the step, so nothing but tensors and the step has to be kept. The file is
safetensors, written to a temporary name and renamed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

STATE = "state.safetensors"
LOG = "log.jsonl"


@dataclass(frozen=True)
class Plan:
    """How long and how often: `steps` in all, the state kept every `keep_every` steps, at most `minutes` in this run."""

    steps: int
    keep_every: int
    minutes: float = 75.0
    seed: int = 0


class Run:
    """One training: a network, the moving average of its weights, an optimiser, and the folder that its state lives in.

    `more` are tensors that the training changes in place, kept with the rest.
    """

    def __init__(
        self, folder: Path, network: torch.nn.Module, optimizer: torch.optim.Optimizer, average: float, **more: torch.Tensor
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.network, self.optimizer, self.average = folder, network, optimizer, average
        self.more = more
        self.mean = {name: value.detach().clone() for name, value in network.state_dict().items()}
        self.step = 0
        if (folder / STATE).is_file():
            self._restore()

    def go(self, plan: Plan, one_step: Callable[[int], torch.Tensor], judge: Callable[[int], Mapping[str, float] | None]) -> bool:
        """Steps until the end of the plan (True) or of its minutes (False). `one_step` returns the loss; `judge` may return figures."""
        until = time.monotonic() + plan.minutes * 60
        total, count, started = 0.0, 0, time.monotonic()
        while self.step < plan.steps:
            torch.manual_seed(plan.seed * 1_000_003 + self.step)
            loss = one_step(self.step)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            self.optimizer.step()
            self.step += 1
            self._mean_in()
            total, count = total + float(loss.detach()), count + 1
            if not total < float("inf"):
                raise FloatingPointError(f"step {self.step}: the loss is {float(loss.detach())}, a finite number was expected")
            figures = judge(self.step)
            if figures is not None or count >= 100:
                self._say(loss=total / count, ms_a_step=1000 * (time.monotonic() - started) / count, **(figures or {}))
                total, count, started = 0.0, 0, time.monotonic()
            late = time.monotonic() > until
            if self.step % plan.keep_every == 0 or self.step == plan.steps or late:
                self._keep()
            if late:
                break
        return self.step >= plan.steps

    def averaged(self) -> dict[str, torch.Tensor]:
        """The moving average of the weights, which is what gets used."""
        return {name: value.clone() for name, value in self.mean.items()}

    def _mean_in(self) -> None:
        # Short memory at first, so that the start of the training does not linger.
        keep = min(self.average, (1 + self.step) / (10 + self.step))
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                self.mean[name].lerp_(value.detach(), 1 - keep)
            else:
                self.mean[name].copy_(value)

    def _say(self, **figures: float) -> None:
        line = json.dumps({"step": self.step, **{name: round(value, 5) for name, value in figures.items()}})
        with (self.folder / LOG).open("a", encoding="utf-8") as log:
            log.write(line + "\n")
        print(line, flush=True)

    def _keep(self) -> None:
        tensors = {f"network.{name}": value.contiguous() for name, value in self.network.state_dict().items()}
        tensors |= {f"mean.{name}": value.contiguous() for name, value in self.mean.items()}
        tensors |= {f"more.{name}": value for name, value in self.more.items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value).contiguous() for name, value in state.items()}
        # A copy of each: some of them share memory, which the format does not allow.
        temporary = self.folder / (STATE + ".part")
        save_file({name: value.clone() for name, value in tensors.items()}, temporary, {"step": str(self.step)})
        temporary.replace(self.folder / STATE)

    def _restore(self) -> None:
        with safe_open(self.folder / STATE, framework="pt") as file:
            self.step = int(file.metadata()["step"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        self.network.load_state_dict(_under(tensors, "network."))
        self.mean = _under(tensors, "mean.")
        for name, value in _under(tensors, "more.").items():
            self.more[name].copy_(value)
        states: dict[int, dict[str, Any]] = {}
        for name, value in _under(tensors, "optimizer.").items():
            index, key = name.split(".", 1)
            states.setdefault(int(index), {})[key] = value
        self.optimizer.load_state_dict({"state": states, "param_groups": self.optimizer.state_dict()["param_groups"]})


def _under(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


def write_checkpoint(folder: Path, config: Mapping[str, object], tensors: Mapping[str, torch.Tensor], files: Mapping[str, bytes]) -> None:
    """A checkpoint in hub layout: config.json, `files`, and last of all, so that it is whole when it is there, model.safetensors."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in {**files, "config.json": (json.dumps(config, indent=2) + "\n").encode()}.items():
        (folder / name).write_bytes(data)
    temporary = folder / "model.safetensors.part"
    save_file({name: value.contiguous() for name, value in tensors.items()}, temporary)
    temporary.replace(folder / "model.safetensors")

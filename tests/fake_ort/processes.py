"""Processes on the fake runtime and the fake driver that share a cache of engines."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fake_cuda

import fake_ort

PATIENCE_S = 60.0

# What every process begins with. `crop` is a face for FaceExpression, which needs no kernel of ours, so its networks run as on any machine.
BEGIN = """
import json, os, sys, threading, time
import numpy as np
import fake_ort
ort = fake_ort.load()
import affectrt as art
from affectrt import engines
crop = np.tile(np.arange(48, dtype=np.uint8) * 5, (48, 1))
def expression(**options):
    return art.FaceExpression(color="mono8", device="cuda:0", engine="tensorrt", **options)
def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
def show(**values):
    print(json.dumps(values), flush=True)
"""


@dataclass
class Machine:
    """A cache of its own, and processes that share it."""

    folder: Path

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def held(self) -> Path:
        return self.folder / "hold"

    def builds(self) -> list[dict[str, Any]]:
        """What the providers have begun to build, in order."""
        path = self.folder / "builds"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def whole(self) -> list[Path]:
        return [path.parent for path in (self.cache / "engines").glob("*/engines.json")]

    def folders(self) -> list[str]:
        return sorted(path.name for path in (self.cache / "engines").iterdir())

    def start(self, code: str, **variables: str) -> subprocess.Popen[str]:
        environment = {**fake_cuda.environment(), **fake_ort.environment(), "AFFECTRT_CACHE_DIR": str(self.cache)}
        environment |= {"AFFECTRT_FAKE_ORT_BUILDS": str(self.folder / "builds"), "AFFECTRT_FAKE_ORT_HOLD": str(self.held)}
        command = [sys.executable, "-c", BEGIN + code]
        return subprocess.Popen(
            command, env=environment | variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, code: str, **variables: str) -> list[dict[str, Any]]:
        """What the process showed."""
        out, err = self.start(code, **variables).communicate(timeout=PATIENCE_S)
        assert not err, err
        return [json.loads(line) for line in out.splitlines()]

"""Writers that are killed 20 times on end lose nothing that they were told is kept. `make soak` does it 200 times."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from crash import Ledger, open_store


@pytest.mark.parametrize("how", [[], ["--encrypted"]], ids=["plain", "encrypted"])
def test_nothing_acknowledged_is_lost(how: list[str]) -> None:
    # In a process of its own: forking one that has threads, as this one may, is not safe.
    command = [sys.executable, str(Path(__file__).with_name("crash.py")), "--rounds", "20", *how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["wrong"] == [] and result["rounds_past_opening"] >= 5 and result["acknowledged"] >= 20, result


def test_the_ledger_notices_a_loss(tmp_path: Path) -> None:
    """The counting itself: it must be able to fail."""
    with open_store(tmp_path / "robot.db", encrypted=False) as store:
        ledger = Ledger()
        ledger.read(iter(['{"adding": ["x"]}', '{"added": ["x"], "ids": [1]}', '{"state": 3}', '{"saved": 3}', '{"adding": ["y", "z"]}']))
        assert len(ledger.check(store)) == 2 and ledger.there == set()

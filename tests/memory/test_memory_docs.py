"""The example of docs/memory.md runs as it stands there, and prints what stands below it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "memory.md").read_text(encoding="utf-8")


def test_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from affectrt.packs import pull

    pull("bge-small-en")
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(example, "docs/memory.md", "exec"), {})
    shown = PAGE.split(example)[1].split("```")[2].strip()
    assert capsys.readouterr().out.strip() == shown and shown

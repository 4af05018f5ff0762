"""The example of docs/memory.md runs as it stands there, and prints what stands below it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

NUMBER = re.compile(r"\d+\.\d+")
PAGE = (Path(__file__).parents[2] / "docs" / "memory.md").read_text(encoding="utf-8")


def test_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from affectrt.packs import pull

    pull("bge-small-en")
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(example, "docs/memory.md", "exec"), {})
    shown = PAGE.split(example)[1].split("```")[2].strip()
    printed = capsys.readouterr().out.strip()
    assert shown and NUMBER.sub("#", printed) == NUMBER.sub("#", shown)
    # The encoder is int8: the last digit of a distance is another with another version of ONNX Runtime, or on another processor.
    assert [float(one) for one in NUMBER.findall(printed)] == pytest.approx([float(one) for one in NUMBER.findall(shown)], abs=0.03)

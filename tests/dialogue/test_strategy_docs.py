"""The examples of the documentation run, and print what stands beside them."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("page", ["strategy.md", "expression.md", "conditioning.md"])
def test_examples(page):
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        for block in blocks:
            exec(compile(block, page, "exec"), names)
    expected = [line.split("  # ", 1)[1].strip() for block in blocks for line in block.splitlines() if line.startswith("print(")]
    assert said.getvalue().splitlines() == expected and expected

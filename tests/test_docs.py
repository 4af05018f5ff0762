"""The Python of the documentation: a block has all it needs, or says so in the comments that it begins with; and what can run here runs."""

from __future__ import annotations

import ast
import builtins
import importlib.metadata
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


def blocks(*names: str) -> list[Any]:
    found = []
    for page in [ROOT / name for name in names] or sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]):
        texts = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
        found += [pytest.param(text, id=f"{page.relative_to(ROOT)}-{number}") for number, text in enumerate(texts, start=1)]
    return found


def given(block: str) -> set[str]:
    """The names that the comments at the beginning say must be there: `# frame, stamp_ns: of the camera`."""
    head = re.match(r"(#.*\n)*", block)
    assert head is not None
    return {name for line in head[0].splitlines() for part in line[1:].split(";") for name in re.findall(r"\w+", part.partition(":")[0])}


def missing(block: str) -> set[str]:
    tree = ast.parse(block)
    known = set(dir(builtins)) | given(block)
    used = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else known).add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            known.add(node.name)
        elif isinstance(node, ast.arg):
            known.add(node.arg)
        elif isinstance(node, ast.alias):
            known.add((node.asname or node.name).partition(".")[0])
    return used - known


@pytest.mark.parametrize("block", blocks())
def test_a_block_says_what_it_needs(block: str) -> None:
    assert not missing(block)


def test_what_is_missing_is_found() -> None:
    assert missing("import a\nb = a.c(d for d in e)\n") == {"e"}
    assert missing("# e, f: of g; h: too\nprint(e, f, g, h)\n") == {"g"}
    assert missing("def f(x):\n    return x + y\n") == {"y"}


@pytest.fixture(scope="module")
def things() -> dict[str, Any]:
    """What the blocks that run ask for."""
    import affectrt
    from affectrt.affect import Appraisal, Zone
    from affectrt.affect.appraisal import action_end
    from PIL import Image

    frame = np.ascontiguousarray(
        np.asarray(Image.open(Path(affectrt.__file__).parent / "data" / "astronaut.jpg").convert("RGB"))[..., ::-1]
    )
    (face,) = affectrt.Face(color="bgr8")(frame, stamp_ns=0)
    rules = ROOT / "examples" / "python" / "agent_day_rules"
    robot = Appraisal.load(rules / "tali.rpc", rules / "home.wmo")
    robot.appraise(action_end("Ben", "Insult", "SELF"), stamp_ns=0)
    return {
        "frame": frame,
        "face": face,
        "face_observation": face,
        "text_observation": affectrt.TextEmotion()("I failed.", stamp_ns=0),
        "robot": robot,
        "start_ns": 0,
        "stamp_ns": 10**8,
        "now_ns": 10**9,
        "now": 10**9,
        "values": np.array([[0.5, 0.5], [-0.5, 0.5]], np.float32),
        "zones": [Zone.YELLOW, Zone.RED],
        "face_probs": np.full(4, 0.25, np.float32),
        "conversations": [[("ana", "joy"), ("bot", None), ("ana", "joy")]],
        "policy": affectrt.Policy(),
        "chat": SimpleNamespace(reply=lambda text: iter(["I see. ", "Tell me more."])),
        "call_for_help": lambda crisis: None,
        "say": print,
        "system": "You are a robot.",
        "text": "I failed my exam.",
        "answer": "Oh no.",
    }


@pytest.mark.parametrize("block", blocks("docs/affect.md", "docs/appraisal.md", "docs/cli.md", "docs/labels.md", "docs/policy.md"))
def test_a_block_runs(
    block: str, things: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With nothing but what it asks for; what it prints, and each value that stands beside its line, is as it says."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    names: dict[str, Any] = {name: things[name] for name in given(block) & things.keys()}
    lines = block.splitlines()
    for node in ast.parse(block).body:
        if not isinstance(node, ast.Expr):
            exec(compile(ast.Module([node], []), "docs", "exec"), names)
            continue
        value = eval(compile(ast.Expression(node.value), "docs", "eval"), names)
        if told := re.search(r"  # (\"[^\"]*\"|True|False)", lines[(node.end_lineno or 1) - 1]):
            assert value == ast.literal_eval(told[1]), lines[node.lineno - 1]
    printed = capsys.readouterr().out.splitlines()
    assert {line.split("  # ", 1)[1].strip() for line in lines if "print(" in line and "  # " in line} <= set(printed)


def test_the_command_line_is_listed_whole() -> None:
    import typer
    from affectrt.cli.app import GROUP, build

    foreign = {entry.name for entry in importlib.metadata.entry_points(group=GROUP)}
    commands = set(typer.main.get_command(build()).commands) - foreign  # type: ignore[attr-defined]
    for page, form in (("README.md", r"`{}`"), ("docs/cli.md", r"\n\| `{}[` ]")):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert commands and not {name for name in commands if not re.search(form.format(name), text)}, page

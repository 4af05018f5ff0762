"""The frame of the command line: help, version, commands of other packages, output formats, progress."""

from __future__ import annotations

import csv
import importlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from affectrt.cli.errors import one_line
from affectrt.cli.output import Format, Report, plain, write
from cli_tools import Done
from hypothesis import given
from hypothesis import strategies as st

Cli = Callable[..., Done]
ADDED = """
import typer
print("loaded")
group = typer.Typer()

@group.command("one")
def one(word: str) -> None:
    print("one", word)

@group.command("two")
def two() -> None:
    pass

def alone(number: int) -> None:
    raise ValueError(f"number {number} is wrong")
"""
HEAVY = ("torch", "onnx", "onnxruntime", "tokenizers", "llama_cpp", "av", "PIL", "matplotlib", "huggingface_hub")


def test_help_is_fast_and_loads_nothing_heavy() -> None:
    code = f"""
import sys
from affectrt.cli import main
sys.argv = ["affectrt", "--help"]
try:
    main()
finally:
    print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr.strip() == "[]"
    assert all(name in done.stdout for name in ("demo", "run", "chat", "eval", "packs", "engines", "doctor", "bench", "tune"))
    assert time.perf_counter() - start < 5  # loose: a busy machine; mostly it takes half a second


@pytest.mark.parametrize(
    "command", ["demo", "run", "chat", "eval", "doctor", "bench", "tune", "packs", "packs verify", "packs add", "packs pull", "engines"]
)
def test_every_command_explains_itself(cli: Cli, command: str) -> None:
    done = cli(*command.split(), "--help")
    assert done.code == 0 and "Usage" in done.out


def test_version(cli: Cli) -> None:
    import affectrt

    assert cli("--version").out == affectrt.__version__ + "\n"


def test_a_module_run_is_the_command_line() -> None:
    done = subprocess.run([sys.executable, "-m", "affectrt", "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count(".") == 2


def test_other_packages_add_commands_that_are_loaded_only_when_called(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "added_commands.py").write_text(ADDED)
    info = tmp_path / "added-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: added\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[affectrt.commands]\nadded-group = added_commands:group\nadded-alone = added_commands:alone\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    listed = cli("--help")
    assert "added-group" in listed.out and "added-alone" in listed.out and "loaded" not in listed.out
    assert cli("added-group", "one", "word").out.splitlines()[-1] == "one word"
    done = cli("added-alone", "7")
    assert (done.code, done.err) == (1, "error: number 7 is wrong\n")


VALUES = st.one_of(st.none(), st.booleans(), st.integers(-(10**9), 10**9), st.floats(-1e6, 1e6), st.text(max_size=20))


@given(st.lists(st.fixed_dictionaries({"a": VALUES, "b, c": VALUES}), max_size=5))
def test_every_format_holds_every_row_and_parses(rows: list[dict[str, object]]) -> None:
    report = Report(("a", "b, c"), rows)

    def text(form: Format) -> str:
        out = io.StringIO()
        write(report, form, out)
        return out.getvalue()

    assert json.loads(text(Format.json)) == plain(rows)
    assert [json.loads(line) for line in text(Format.jsonl).split("\n")[:-1]] == plain(rows)
    table = list(csv.reader(io.StringIO(text(Format.csv), newline="")))
    assert table[0] == ["a", "b, c"] and len(table) == len(rows) + 1
    assert [row[0] for row, given_ in zip(table[1:], rows, strict=True) if isinstance(given_["a"], str)] == [
        given_["a"] for given_ in rows if isinstance(given_["a"], str)
    ]
    assert text(Format.md).count("\n") == len(rows) + 2
    assert text(Format.table)


def test_numbers_that_json_has_not() -> None:
    assert plain({"a": float("nan"), "b": np.float32(0.1), "c": np.arange(2), "d": Path("x")}) == {
        "a": None,
        "b": pytest.approx(0.1),
        "c": [0, 1],
        "d": "x",
    }


def test_an_error_of_several_lines_becomes_one() -> None:
    assert one_line("Tried:\n  a: no\n  b: no\n") == "Tried: a: no; b: no"
    assert one_line("") == ""


def test_a_bar_is_silent_within_a_second_and_speaks_in_lines_without_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from affectrt.cli import progress

    with progress.Bar("frames", total=3) as bar:
        bar.advance()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "SHOW_AFTER_S", 0.0)
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    with progress.Bar("pulling x", unit="bytes") as bar:
        bar.set(50e6, 100e6)
    captured = capsys.readouterr()
    assert captured.err == "pulling x: 50 of 100 MB\n" and captured.out == ""

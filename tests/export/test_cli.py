"""`affectrt export`: the commands and recipes that it names exist, and it says what is wrong before anything is fetched."""

from __future__ import annotations

from pathlib import Path

import pytest
from affectrt_export import cli
from affectrt_export.cli import default
from affectrt_export.terminal import OFF, bound, words
from typer.testing import CliRunner


def run(*argv: object) -> tuple[int, str]:
    done = CliRunner().invoke(cli.app, [str(word) for word in argv])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, " ".join((done.output + done.stderr).split())


def test_every_recipe_is_a_module_and_the_other_way_round() -> None:
    folder = Path(cli.__file__).parents[1] / "recipes"
    assert sorted(default.RECIPES) == sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_"))


def test_an_unknown_recipe_is_a_usage_error(tmp_path: Path) -> None:
    code, said = run("default", "smell", "--out", tmp_path)
    assert code == 2 and "there are face_detection" in said.replace("│ ", "")


@pytest.mark.parametrize("recipe", ["face_fernet", "text_emotion"])
def test_a_recipe_that_needs_data_says_so(tmp_path: Path, recipe: str) -> None:
    code, said = run("default", recipe, "--out", tmp_path / "out", "--train", tmp_path / "train", "--cache", tmp_path / "cache")
    assert code == 1 and "--data must name" in said
    assert list(tmp_path.iterdir()) == []


def test_families_are_listed() -> None:
    code, said = run("families", "-o", "csv")
    assert code == 0 and said.startswith("family,reads")


def test_an_unknown_source_is_one_line(tmp_path: Path) -> None:
    code, said = run("model", tmp_path / "nothing", "--out", tmp_path / "out")
    assert code == 1 and said.startswith("error: ") and "Traceback" not in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["-1", "much", "nan", "inf", ""])
def test_a_bound_is_a_number_or_off(text: str, tmp_path: Path) -> None:
    code, said = run("model", "x", "--out", tmp_path, "--max-accuracy-drop", text)
    assert code == 2 and "a number from 0 on" in said.replace("│ ", "")


def test_bounds_and_words() -> None:
    assert bound("0.01", "--x") == 0.01 and bound("OFF", "--x") is None and OFF == "off"
    assert words(" int8, fp32,,") == ["int8", "fp32"]

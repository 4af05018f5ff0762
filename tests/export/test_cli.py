"""`affectrt export`: the recipes it names exist, and it says what is wrong before anything is fetched."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from affectrt_export import cli


def test_every_recipe_is_a_module_and_the_other_way_round() -> None:
    folder = Path(cli.__file__).parent / "recipes"
    assert sorted(cli.RECIPES) == sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_"))


def test_an_unknown_recipe_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="there are face_detection"):
        cli.export("smell", tmp_path)


@pytest.mark.parametrize("recipe", ["face_expression", "text_emotion"])
def test_a_recipe_that_needs_data_says_so(tmp_path: Path, recipe: str) -> None:
    with pytest.raises(SystemExit, match="--data must name"):
        cli.export(recipe, tmp_path / "out", cache=tmp_path / "cache")
    assert list(tmp_path.iterdir()) == []

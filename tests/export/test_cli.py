"""`affectrt export`: the commands and recipes that it names exist, and it says what is wrong before anything is fetched."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import report_samples
from affectrt.cli.output import Format
from affectrt_export import cli
from affectrt_export.cli import default
from affectrt_export.cli.model import show
from affectrt_export.request import Result
from affectrt_export.terminal import OFF, bound, words
from typer import Exit
from typer.testing import CliRunner


def run(*argv: object) -> tuple[int, str]:
    done = CliRunner().invoke(cli.app, [str(word) for word in argv])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, " ".join((done.output + done.stderr).split())


@pytest.mark.parametrize("command", ["model", "gguf", "derive", "default", "engine", "families"])
def test_help_at_80_columns_names_every_flag(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 80)
    done = CliRunner().invoke(cli.app, [command, "--help"], env={"COLUMNS": "80"})
    assert done.exit_code == 0 and max(map(len, done.output.splitlines())) <= 80
    assert "\N{HORIZONTAL ELLIPSIS}" not in done.output
    import typer

    (group,) = (one for name, one in typer.main.get_command(cli.app).commands.items() if name == command)  # type: ignore[attr-defined]
    flags = [flag for parameter in group.params for flag in (*parameter.opts, *parameter.secondary_opts) if flag.startswith("--")]
    assert flags and [flag for flag in flags if flag not in done.output.split()] == []


def test_the_result_at_80_columns_breaks_no_word(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    record = report_samples.record(report_samples.FP32, report_samples.REPAIRED, carried=("int8",))
    refused = replace(report_samples.REFUSED, kind=report_samples.kind("int8-trt"))
    for made in (record, report_samples.record(report_samples.FP32, refused, carried=("int8-trt",))):
        from rich import console

        monkeypatch.setattr("affectrt.cli.output._print_table", at_80(console.Console))
        with contextlib.suppress(Exit):
            show(Result(Path("packs/tiny"), Path("packs/tiny.report"), made), Format.table)
        table = capsys.readouterr().out
        assert max(map(len, table.splitlines())) <= 80
        words = table.split()
        wanted = [word for one in made.variants for word in (one.name, *one.status.split())]
        assert [word for word in wanted if word not in words] == [], table
    assert "int8-trt was refused for: accuracy, class" in table


def at_80(console: Any) -> Any:
    """The writer of tables, on a terminal of 80 columns."""
    from affectrt.cli import output

    true = output._print_table

    def printed(*given: Any) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("rich.console.Console", lambda file, **_: console(file=file, width=80))
            true(*given)

    return printed


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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As much of a checkpoint as can be judged without loading it."""
    place = tmp_path / "net"
    place.mkdir()
    (place / "config.json").write_text("{}")
    return place


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model may be read."""

    def read(*given: object, **more: object) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr("affectrt_export.families.read", read)


OPEN = ("--max-accuracy-drop", "off", "--max-class-drop", "off")


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize(
    ("more", "code", "expected"),
    [
        (("--license", "My own"), 2, "an SPDX id of a licence"),
        (("--license", "Apache-2.1"), 2, "LicenseRef-NAME"),
        (("--license", "MIT", "--data", "none.tsv"), 2, "a file was expected, there is none"),
        (("--license", "MIT", "--labels", "."), 2, "there is a folder"),
        (("--license", "MIT", "--variants", "int8,int9"), 2, "got int9"),
        (("--license", "MIT", "--variants", ","), 2, "got none"),
        (("--license", "MIT"), 1, "no labelled data, which the accuracy gates need"),
        ((*OPEN, "--name", "free"), 1, "names no licence"),
        ((*OPEN, "--license", "MIT", "--name", "there"), 1, "there exists; choose another --name"),
        ((*OPEN, "--license", "MIT"), 1, "net exists; choose another --name"),
    ],
)
def test_a_call_is_judged_before_the_model_is_loaded(folder: Path, tmp_path: Path, more: tuple[str, ...], code: int, expected: str) -> None:
    for name in ("there", "net"):
        (tmp_path / "out" / name).mkdir(parents=True)
    found, said = run("model", folder, "--out", tmp_path / "out", *more)
    assert found == code and expected in " ".join(said.replace("│", "").split()), said


@pytest.mark.usefixtures("unread")
def test_an_onnx_file_is_judged_by_its_contract(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"not looked at")
    (tmp_path / "c.json").write_text('{"name": "there"}')
    argv = ("model", tmp_path / "net.onnx", "--contract", tmp_path / "c.json", *OPEN, "--out", tmp_path)
    code, said = run(*argv)
    assert code == 1 and "names no licence" in said
    (tmp_path / "there").mkdir()
    code, said = run(*argv, "--license", "MIT")
    assert code == 1 and "there exists; choose another --name" in said


def test_the_licence_of_a_readme_is_held_against_spdx(folder: Path, tmp_path: Path) -> None:
    (folder / "README.md").write_text("---\nlicense: gemma\n---\n")
    code, said = run("model", folder, "--out", tmp_path / "out", *OPEN)
    assert code == 1 and "README.md: license" in said and "'gemma'" in said and "--license can say" in said


@pytest.mark.parametrize(("more", "expected"), [(("--data", "none.tsv"), "a file was expected"), (("--to", "int9"), "got int9")])
def test_derive_is_judged_first_too(tmp_path: Path, more: tuple[str, str], expected: str) -> None:
    code, said = run("derive", "minilm-goemotions", "--to", "fp16", "--out", tmp_path / "out", *more)
    assert code == 2 and expected in " ".join(said.replace("│", "").split()) and list(tmp_path.iterdir()) == []

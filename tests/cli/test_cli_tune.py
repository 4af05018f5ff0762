"""`affectrt tune` with the real model, and what the doctor says before and after."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from affectrt.packs import DEFAULTS, cache_root, pull
from cli_tools import Done

Cli = Callable[..., Done]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with the user's models, in which nothing was measured yet."""
    pull(DEFAULTS["dialogue"])
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "files").symlink_to(cache_root() / "files")
    monkeypatch.setenv("AFFECTRT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("AFFECTRT_TUNED")
    return tmp_path / "cache"


class Fixed:
    """One thread is fastest."""

    @staticmethod
    def measure(_variant: object, threads: int) -> tuple[float, float]:
        return 100.0, 40.0 / threads


def tuning() -> tuple[str, str, str]:
    from affectrt.doctor import Place, _tuning

    (check,) = _tuning(Place(probe=lambda module: ""))
    return check.status, check.detail, check.fix


def test_it_is_measured_kept_and_told(cli: Cli, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tuning() == ("note", "smollm2-135m takes every physical core: what is fastest here was not measured", "affectrt tune")
    done = cli("tune", "--seconds", "0.01", "-o", "json")
    document = json.loads(done.out)
    assert done.code == 0 and (document["schema"], document["pack"], document["rounds"]) == ("affectrt-tuned/1", "smollm2-135m", 1)
    (chosen,) = (row for row in document["results"] if row["chosen"])
    assert document["chosen"] == {"variant": chosen["variant"], "threads": chosen["threads"]}
    default = next(row for row in document["results"] if row["threads"] == document["default"]["threads"])
    assert default["decode_ratio"] == default["prompt_ratio"] == 1
    assert chosen["decode_ratio"] == pytest.approx(chosen["decode_tok_s"] / default["decode_tok_s"])
    assert document["left_out"] == {} and document["conditions"]["load_average_before"] >= 0
    assert len(list((own / "tuned").iterdir())) == 1
    status, detail, fix = tuning()
    assert (status, fix) == ("ok", "") and f"threads={chosen['threads']}, {chosen['decode_tok_s']:.1f} tokens/s when measured" in detail
    monkeypatch.setenv("AFFECTRT_TUNED", "off")
    assert tuning()[1].endswith("; not used: AFFECTRT_TUNED=off")
    monkeypatch.setattr("affectrt.dialogue.tune._Bench", lambda variants, device: Fixed)
    done = cli("tune")
    assert "chosen   q4_1, threads=1; the ratios are to q4_1, threads=" in done.out and "rounds   12" in done.out
    assert "the result is kept, and not used" in done.err


def test_wrong_usage(cli: Cli, own: Path) -> None:
    for words, message in (
        (("--seconds", "0"), "max_seconds must be over 0"),
        (("blazeface-full-range",), "expected a pack for dialogue"),
        (("--device", "gpu"), 'device must be "auto", "cpu" or "cuda:N"'),
    ):
        done = cli("tune", *words)
        assert done.code == 1 and message in done.err and done.out == ""
    assert not (own / "tuned").exists()


def test_what_is_left_out_is_told_with_the_reason() -> None:
    from affectrt.cli.tune import _left_out
    from affectrt.packs import Pack

    entries = [{"name": name, "file": f"{name}.gguf"} for name in ("q8_0", "q4_0")]
    manifest = json.dumps({"variants": entries, "files": [{"path": entry["file"], "size_bytes": 1} for entry in entries]})
    pack = Pack("x", "1.0.0", "dialogue", Path(), "x", "MIT", _manifest=manifest)
    assert _left_out(pack, {"q8_0": "..."}) == {"q4_0": "which by the pack did not pass the gates of quality"}

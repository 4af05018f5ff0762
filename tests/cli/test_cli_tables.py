"""Tables for people: what a narrow one leaves out, and what it does not break."""

from __future__ import annotations

import io

import pytest
from affectrt.cli.output import Format, Report, counted, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROWS = [{"name": "a" * 20, "size": 1.5, "when": "2026-11-30 07:00:42", "text": "word " * 30}]
COLUMNS = ("name", "size", "when", "text")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(width=st.integers(66, 300))
def test_a_short_cell_is_whole_in_every_width_that_has_room_for_it(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    out = io.StringIO()
    write(Report(COLUMNS, ROWS, title="sizes", optional=("size",)), Format.table, out)
    assert max(map(len, out.getvalue().splitlines())) <= width
    assert "2026-11-30 07:00:42" in out.getvalue() and "a" * 20 in out.getvalue()
    assert ("(too narrow for size)" in out.getvalue()) == ("1.500" not in out.getvalue()) == (width < 73)


def test_a_width_that_is_none_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for nothing in ("", "0", "wide", "-3"):
        monkeypatch.setenv("COLUMNS", nothing)
        out = io.StringIO()
        write(Report(COLUMNS, ROWS, optional=("size",)), Format.table, out)
        assert "word " * 20 in out.getvalue() and "1.500" in out.getvalue()


def test_one_is_no_plural() -> None:
    assert [counted(n, "turn") for n in (0, 1, 2)] == ["0 turns", "1 turn", "2 turns"]
    assert counted(1, "memory", "memories") == "1 memory" and counted(5, "memory", "memories") == "5 memories"

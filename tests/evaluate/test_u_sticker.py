"""The reader of U-Sticker's conversations, on one of thirty made-up records."""

from __future__ import annotations

import json

import pytest
from affectrt.evaluate.u_sticker import main, stickers, usages
from affectrt.expression import Recommender, replay


def record(number, user, text="", sticker=None, reply=None):
    return {"message_id": number, "from_id": user, "reply_id": reply, "sticker": sticker, "text": text or None}


# Ten rounds: someone says something, ann answers rain with the cloud, and ben anything with the cat.
ROWS = [
    row
    for i in range(10)
    for row in (
        record(3 * i + 1, "eve", "rain again" if i % 2 else "good morning"),
        record(3 * i + 2, "ann", sticker="cloud.webp" if i % 2 else "sun.webp", reply=3 * i + 1),
        record(3 * i + 3, 17, sticker="cat.webp"),
    )
]


def test_thirty_records():
    assert len(ROWS) == 30
    uses = usages(json.dumps(ROWS))
    assert len(uses) == 20 and [use.stamp_ns for use in uses[:4]] == [2, 3, 5, 6]
    assert (uses[0].user, uses[0].symbol, uses[0].text) == ("ann", "sun.webp", "good morning")
    assert (uses[1].user, uses[1].symbol, uses[1].text) == ("17", "cat.webp", "good morning")
    assert [symbol.text for symbol in stickers(uses)] == ["sun.webp", "cat.webp", "cloud.webp"]
    assert usages(json.dumps(ROWS[::-1])) == uses  # the ids are the order


def test_context_never_comes_from_later():
    rows = [record(1, "a", "first"), record(2, "b", sticker="s", reply=3), record(3, "a", "later"), record(4, "b", "own", "s")]
    assert [use.text for use in usages(json.dumps(rows))] == ["first", "own"]
    assert usages(json.dumps([record(1, "b", sticker="s", reply=1)]))[0].text == ""


def test_habits_are_found(tmp_path, capsys):
    uses = usages(json.dumps(ROWS))
    later = replay(lambda: Recommender(stickers(uses), half_life_s=1000e-9), uses, first=4, ks=(1,))
    assert later.examples == 16 and later.hits[1] == 1  # after one of each kind all is habit
    file = tmp_path / "c.json"
    file.write_text(json.dumps(ROWS), encoding="utf-8")
    assert main([str(file)]) == 0 and "20 uses of 3 stickers: MRR 0." in capsys.readouterr().out
    assert main([str(tmp_path / "none.json")]) == 1 and "none.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({}, "list of records"),
        ([5], "record 0"),
        ([{**record(1, "a"), "extra": 1}, {"message_id": 2}], "record 1"),
        ([record("1", "a")], "message_id"),
        ([record(True, "a")], "message_id"),
        ([record(2**70, "a")], "message_id"),
        ([record(1, None)], "from_id"),
        ([record(1, "")], "from_id"),
        ([record(1, "a", sticker=5)], "sticker"),
        ([record(1, "a", reply="x")], "reply_id"),
        ([record(1, "a"), record(1, "b")], "1 again"),
    ],
)
def test_refused(rows, said):
    with pytest.raises(ValueError, match=said):
        usages(json.dumps(rows))

"""EMMA's forms: golden strings, the table of what a summary may hold, links kept in a store."""

from __future__ import annotations

import numpy as np
import pytest
from affectrt.memory import Encoder, MemoryStore, emma

SPEAKERS = (("Mina", "teacher"), ("Ben", "plumber"))


def test_golden_strings():
    who, now = emma.session(SPEAKERS, 2, [("Ben", "Hello!"), ("Mina", "How was the race?")])
    assert who == "[Mina] teacher [Ben] plumber"
    assert now == "[NOW] second session [Ben] Hello! [Mina] How was the race?"
    assert emma.summary_input(who, now, "Ben") == f"summarize [ABOUT_Ben]: {who} {now}"
    assert emma.link_input("a.", "b.") == "memory sentence1: a. memory sentence2: b."
    assert emma.generation_input(who, now, "Mina") == f"generation: {who} {now} [Mina]"
    assert (
        emma.generation_input(who, now, "Mina", "Ben runs.", ["Ben fell.", "Ben won."])
        == f"generation: {who} [MEMORY] Ben runs. [LINK] Ben fell. [LINK] Ben won. {now} [Mina]"
    )
    assert emma.session(SPEAKERS, 1, [])[1] == "[NOW] first session"


@pytest.mark.parametrize(
    ("summary", "expected"),
    [
        ("[NONE]", ()),
        ("Something. [NONE]", ()),
        ("", ()),
        (" [SEP]  [SEP] ", ()),
        ("Ben runs.", ("Ben runs. (about Ben, from third session)",)),
        (" Ben runs. [SEP] Ben  won.[SEP]", ("Ben runs. (about Ben, from third session)", "Ben won. (about Ben, from third session)")),
    ],
)
def test_what_a_summary_may_hold(summary, expected):
    assert emma.memories_of_summary(summary, "Ben", 3) == expected


@pytest.mark.parametrize(
    ("number", "word"),
    [
        *((1, "first"), (9, "ninth"), (10, "tenth"), (12, "twelfth"), (20, "twentieth"), (23, "twenty-third"), (40, "fortieth")),
        *((99, "ninety-ninth"), (100, "100th"), (101, "101st"), (111, "111th"), (122, "122nd")),
    ],
)
def test_ordinals(number, word):
    assert emma.ordinal(number) == word


@pytest.mark.parametrize("wrong", [0, -1, True, 1.0, "1"])
def test_no_such_session(wrong):
    with pytest.raises(ValueError, match="session: expected"):
        emma.ordinal(wrong)


def test_the_first_session_has_no_memory_and_no_memory_is_its_own_link():
    with pytest.raises(ValueError, match="without a memory"):
        emma.generation_input("w", "n", "Mina", None, ["Ben won."])
    with pytest.raises(ValueError, match="itself"):
        emma.generation_input("w", "n", "Mina", "Ben won.", ["Ben won."])


def test_links_of_the_model_are_kept_and_each_pair_is_asked_about_once(tmp_path):
    asked = []

    def ask(text):
        asked.append(text)
        return "positive" if "Ben runs." in text and "Ben won." in text else "negative"

    with MemoryStore(tmp_path / "m.db", embed=lambda texts: np.ones((len(texts), 2), np.float32), encoder=Encoder("ones", "1", 2)) as store:
        ids = [store.add(text, partner="Ben").id for text in ("Ben runs.", "Ben won.", "Ben has a dog.")]
        assert store.link_pass(ids[0], emma.judge(ask)) == 2
        assert [memory.text for memory in store.linked(ids[0])] == ["Ben won."]
        assert store.link_pass(ids[1], emma.judge(ask)) == 1  # the other pair was asked about before
        assert len(asked) == 3

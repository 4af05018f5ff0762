"""From token bytes to text, with made-up pieces: no model needed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from affectrt.dialogue.text import TextStream, check_text
from hypothesis import given
from hypothesis import strategies as st


def stream(pieces, stop=()):
    text = TextStream(stop)
    out = [text.feed(piece) for piece in pieces]
    return [*out, text.close()], text.stopped


def cut(data: bytes, cuts) -> list[bytes]:
    marks = sorted({c % (len(data) + 1) for c in cuts} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(marks)]


@given(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.integers(0, 1000)))
def test_any_cut_of_the_bytes_gives_the_text_and_never_half_a_character(text, cuts):
    out, stopped = stream(cut(text.encode(), cuts))
    assert "".join(out) == text
    assert not stopped
    assert all(piece.encode().decode() == piece for piece in out)


def test_a_code_point_split_over_tokens_waits_until_it_is_whole():
    a, b, c, d = (bytes([x]) for x in "😀".encode())
    text = TextStream()
    assert [text.feed(x) for x in (b"hi ", a, b, c)] == ["hi ", "", "", ""]
    assert text.feed(d + b"!") == "😀!"


def test_an_unfinished_code_point_at_the_end_is_dropped():
    out, _ = stream([b"so", "é".encode()[:1]])
    assert "".join(out) == "so"


def test_bytes_that_are_no_utf8_become_replacement_characters():
    out, _ = stream([b"a\xff", b"b"])
    assert "".join(out) == "a�b"


@given(
    st.text("abX\n", max_size=60),
    st.lists(st.text("abX\n", min_size=1, max_size=4), min_size=1, max_size=3),
    st.lists(st.integers(0, 100)),
)
def test_stop_strings_end_the_text_wherever_the_pieces_are_cut(text, stop, cuts):
    out, stopped = stream(cut(text.encode(), cuts), stop)
    shown = "".join(out)
    ends = [at for at in (text.find(s) for s in stop) if at >= 0]
    assert stopped == bool(ends)
    # One piece at a time, a stop string may be complete before an earlier-starting longer one is.
    assert text.startswith(shown)
    assert not any(s in shown for s in stop)
    if not ends:
        assert shown == text


def test_what_may_become_a_stop_string_is_held_back_and_nothing_more():
    text = TextStream(["User:"])
    assert text.feed(b"Hello Us") == "Hello "
    assert text.feed(b"ual") == "Usual"
    assert text.feed(b" User") == " "
    assert text.feed(b": hi") == ""
    assert text.stopped
    assert text.feed(b"more") == ""


def test_an_empty_stop_string_is_refused():
    with pytest.raises(ValueError, match="at least one character"):
        TextStream([""])


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        (None, TypeError, "must be a str, got NoneType"),
        (b"bytes", TypeError, "got bytes"),
        ("", ValueError, "an empty string"),
        (" \n\t", ValueError, "only blanks"),
        ("a\0b", ValueError, "NUL, found one at index 1"),
        ("ok \ud83d", ValueError, r"lone surrogate U\+D83D at index 3"),
    ],
)
def test_unreadable_text_is_refused_by_name(text, kind, words):
    with pytest.raises(kind, match=words):
        check_text(text, "text")

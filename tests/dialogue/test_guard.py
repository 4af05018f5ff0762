"""The guard of a conversation: crises before anything is generated, claims while it comes, disclosures every so many turns."""

from __future__ import annotations

import asyncio
import re
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from affectrt.dialogue.guard import DEFAULT_ANSWERS, INSTEAD, ClaimFilter, Decision, Guard, find_claims
from affectrt.policy import AuditLog, Policy, disclosure
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from guard_tools import FILES, ONE_FOR_A_RULE, labelled

LABELLED = [pair for name in ("claims_dev", "claims_provoked_a") for pair in labelled(name)]
texts = st.lists(st.sampled_from([s for _, s in LABELLED]) | st.text("abI' .!?\n\"", max_size=30), max_size=5).map(" ".join)


def cut(text, cuts):
    marks = sorted({c % (len(text) + 1) for c in cuts} | {0, len(text)})
    return [text[a:b] for a, b in pairwise(marks)] or [""]


def run(pieces, action, rewrite=None):
    f = ClaimFilter(action, rewrite)
    out = [f.feed(piece) for piece in pieces]
    return "".join([*out, f.close()]), f


class Reply:
    """As a Reply is: an iterator that can be closed."""

    def __init__(self, *pieces):
        self.pieces, self.closed = iter(pieces), False

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.pieces)

    def close(self):
        self.closed = True


# -- the filter --------------------------------------------------------------------------------------------------------------


@given(texts, st.lists(st.integers(0, 1000)), st.sampled_from(["report", "rewrite", "stop"]))
def test_the_cuts_change_neither_what_is_shown_nor_what_is_found(text, cuts, action):
    whole, one = run([text], action)
    pieces, other = run(cut(text, cuts), action)
    letters, third = run(list(text), action)
    assert whole == pieces == letters
    assert one.claims == other.claims == third.claims


@given(texts, st.lists(st.integers(0, 1000)))
def test_reporting_changes_nothing_and_holds_nothing(text, cuts):
    f = ClaimFilter("report")
    assert all(f.feed(piece) == piece for piece in cut(text, cuts))
    assert f.close() == ""
    assert f.claims == find_claims(text)


@given(texts, st.lists(st.integers(0, 1000)))
def test_stopping_shows_a_beginning_without_claims_or_all_of_it(text, cuts):
    shown, f = run(cut(text, cuts), "stop")
    if f.stopped:
        assert text.startswith(shown.removesuffix(".")) or text.startswith(shown)
        assert len(shown) <= f.claims[0].end
    else:
        assert shown == text
        assert find_claims(text) == ()
    assert find_claims(shown) == ()


@given(texts, st.lists(st.integers(0, 1000)))
def test_rewritten_nothing_is_left_of_a_claim(text, cuts):
    shown, f = run(cut(text, cuts), "rewrite")
    assert find_claims(shown) == ()
    assert (shown == text) == (f.claims == ())


def test_no_claim_is_whole_before_it_was_looked_at():
    every = [s for name in FILES for label, s in labelled(name) if label != "none"]
    for sentence in [
        *every,
        *ONE_FOR_A_RULE.values(),
        "I could not live without you.",
        "I wish to stay with you always.",
        "I think and feel.",
    ]:
        assert sentence in every or find_claims(sentence), sentence
        for text in (sentence, f"I understand that, and {sentence}", f"I'm so sorry, but {sentence}"):
            for claim in find_claims(text):
                f = ClaimFilter("stop")
                assert len("".join(f.feed(letter) for letter in text)) < claim.end, text


@pytest.mark.parametrize(
    ("text", "rewritten", "stopped"),
    [
        ("I love you.", INSTEAD["love"], ""),
        ("You did great, and I love you.", f"You did great. {INSTEAD['love']}", "You did great."),
        ("All well. I am human. Good night.", f"All well. {INSTEAD['human']} Good night.", "All well."),
        ("I love you. I love you so. Bye.", f"{INSTEAD['love']} Bye.", ""),
        ("Hi!\nI am alive\nBye", f"Hi!\n{INSTEAD['consciousness']}\nBye", "Hi!"),
        ("That makes me so happy!", INSTEAD["feeling"], ""),
        ("You mean the world to me.", INSTEAD["love"], ""),
        ("Really? I love you", f"Really? {INSTEAD['love']}", "Really?"),
    ],
)
def test_what_it_reads_like(text, rewritten, stopped):
    assert run(list(text), "rewrite")[0] == rewritten
    assert run(list(text), "stop")[0] == stopped


def test_words_go_out_as_they_come_until_one_may_begin_a_claim():
    f = ClaimFilter("rewrite")
    pieces = ("That", " sounds", " hard", ", and", " I", " hear", " you", ".", " Tell", " me", " more", ".")
    came = [(piece, f.feed(piece)) for piece in pieces]
    assert [pair for pair in came if pair[1]] == [
        (" hard", "That sounds"),
        (", and", " hard"),
        (" you", ", and I hear"),
        (".", " you."),
        (" me", " Tell"),
    ]
    assert f.close() == " me more."


def test_a_sentence_that_never_ends_is_not_held_for_ever():
    f = ClaimFilter("rewrite")
    shown = "".join(f.feed(" I see") for _ in range(1000))
    assert len(shown) > 5000


@pytest.mark.parametrize("action", ["report", "rewrite", "stop"])
@pytest.mark.parametrize("length", range(396, 406))
def test_where_a_long_sentence_is_cut_nothing_is_lost_or_said_twice(action, length):
    text = ("word " * 100)[:length] + " and some more words that go on, I see, and on"
    assert run(list(text), action)[0] == text


def test_a_rewriter_of_ones_own_gets_whole_sentences_and_the_claims():
    got = []

    def rewrite(sentence, claims):
        got.append((sentence, [c.category for c in claims]))
        return "Beep." if "love" in sentence else ""

    shown, _ = run(list("Well done. You did great, and I love you. I am alive. Bye."), "rewrite", rewrite)
    assert shown == "Well done. Beep. Bye."
    assert got == [("You did great, and I love you.", ["love"]), ("I am alive.", ["consciousness"])]
    with pytest.raises(TypeError, match="return a str, got NoneType"):
        run(["I love you."], "rewrite", lambda *_: None)


def test_an_unknown_action_is_refused():
    with pytest.raises(ValueError, match="expected one of report, rewrite, stop"):
        ClaimFilter("ignore")


# -- before ------------------------------------------------------------------------------------------------------------------


def test_without_a_crisis_it_goes_on():
    assert Guard().before("What a fine day.") == Decision("go")


@pytest.mark.parametrize(
    ("text", "category"), [("I want to die", "self-harm"), ("my boyfriend beats me", "harm-by-others"), ("I can't breathe", "medical")]
)
def test_without_a_hook_it_answers_with_fixed_words_and_the_model_says_nothing(text, category):
    decision = Guard().before(text)
    assert (decision.action, decision.text) == ("answer", DEFAULT_ANSWERS[category])
    assert decision.crises[0].category == category
    assert re.search("machine|person", decision.text)


def test_the_hook_is_asked_phrase_by_phrase_until_it_decides():
    asked = []

    def hook(crisis):
        asked.append((crisis.category, crisis.words))
        return Decision.go() if crisis.category == "self-harm" else Decision.refuse("Call a person.")

    text = "I want to die, he hits me, and I can't breathe."
    decision = Guard(on_crisis=hook).before(text)
    assert asked == [("self-harm", "want to die"), ("harm-by-others", "he hits me")]
    assert (decision.action, decision.text, len(decision.crises)) == ("refuse", "Call a person.", 3)
    assert all(text[c.start : c.end] == c.words for c in decision.crises)


def test_a_hook_that_goes_on_leaves_the_crises_to_be_seen():
    decision = Guard(on_crisis=lambda _: Decision.go()).before("I want to die")
    assert decision.action == "go" and len(decision.crises) == 1


def test_a_hook_that_fails_or_says_nothing_lets_nothing_be_generated():
    def broken(_):
        raise RuntimeError("no line")

    with pytest.raises(RuntimeError, match="no line"):
        Guard(on_crisis=broken).before("I want to die")
    with pytest.raises(TypeError, match="on_crisis: expected it to return a Decision, got NoneType"):
        Guard(on_crisis=lambda _: None).before("I want to die")


@pytest.mark.parametrize(("action", "text"), [("go", "words"), ("answer", ""), ("answer", " "), ("stop", "")])
def test_decisions_that_contradict_themselves_are_refused(action, text):
    with pytest.raises(ValueError, match=r"text|action"):
        Decision(action, text)


@pytest.mark.parametrize("options", [{"policy": True}, {"on_crisis": "call"}, {"rewrite": 5}])
def test_what_cannot_be_used_is_refused(options):
    with pytest.raises(TypeError, match=next(iter(options))):
        Guard(**options)


# -- turns and streams -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "due"), [(Policy(disclose_every=4), [0, 4, 8]), (Policy(disclose_every=None), [0]), (Policy(user="child"), [0, 5, 10])]
)
def test_disclosures_come_every_n_turns(policy, due):
    guard = Guard(policy)
    assert [turn for turn in range(12) if guard.turn()] == due
    assert guard.turns == 12


def test_a_stream_is_stopped_at_its_source():
    reply = Reply("You did great, ", "and I lo", "ve you. ", "Never said.")
    stream = Guard(Policy(on_claim="stop")).stream(reply)
    assert list(stream) == ["You did great", "."]
    assert reply.closed and stream.stopped and stream.text == "You did great."
    assert [c.category for c in stream.claims] == ["love"]
    assert next(stream, None) is None


def test_a_stream_that_is_only_watched_passes_every_piece():
    reply = Reply("I lo", "ve you", "")
    stream = Guard().stream(reply)
    assert list(stream) == ["I lo", "ve you"]
    assert [c.category for c in stream.claims] == ["love"] and not reply.closed


def test_what_was_held_comes_out_at_the_end_and_an_error_of_the_source_goes_up():
    assert "".join(Guard(Policy.strict()).stream(["Well, I see"])) == "Well, I see"

    def broken():
        yield "I"
        raise RuntimeError("model")

    with pytest.raises(RuntimeError, match="model"):
        list(Guard(Policy.strict()).stream(broken()))


def test_the_asynchronous_twin_does_the_same():
    closed = []

    class Source:
        def __init__(self, *pieces):
            self.pieces = iter(pieces)

        def __aiter__(self):
            return self

        async def __anext__(self):
            for piece in self.pieces:
                return piece
            raise StopAsyncIteration

        async def aclose(self):
            closed.append(True)

    async def read(stream):
        return [piece async for piece in stream]

    pieces = ("Good day. ", "You did great, ", "and I love", " you. ", "Never said.")
    for action in ("report", "rewrite", "stop"):
        guard = Guard(Policy(on_claim=action))
        assert asyncio.run(read(guard.astream(Source(*pieces)))) == list(guard.stream(pieces))
    assert closed == [True]


def test_what_happens_lands_in_the_log_and_none_of_the_words(tmp_path):
    log = AuditLog(tmp_path / "audit.jsonl")
    guard = Guard(Policy(audit=log, on_claim="rewrite"))
    guard.turn(now_ns=1)
    guard.before("I want to die", partner="ada", now_ns=2)
    list(guard.stream(["I love you."], partner="ada", now_ns=3))
    events = list(log.events())[1:]
    assert [(e.at_ns, e.kind, dict(e.facts)) for e in events] == [
        (1, "disclosed", {"turn": 0}),
        (2, "crisis", {"category": "self-harm", "action": "answer"}),
        (3, "claim", {"category": "love", "action": "rewrite"}),
    ]
    assert log.matches(events[1], "said", "I want to die", "ada")
    assert not re.search(rb"die|love you", log.path.read_bytes())


def test_our_own_words_claim_nothing():
    texts = [*INSTEAD.values(), *DEFAULT_ANSWERS.values(), *disclosure.ADULT, *disclosure.SIMPLE, disclosure.NON_CLINICAL]
    assert [claim.sentence for text in texts for claim in find_claims(text)] == []

"""Purposes, retention, thresholds, disclosure, and the stricter rules for children and vulnerable people."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, replace
from itertools import pairwise

import pytest
from affectrt.policy import (
    GROUNDS,
    MODALITIES,
    NON_CLINICAL,
    PURPOSES,
    USERS,
    AuditLog,
    ConsentBook,
    Exemption,
    Policy,
    PolicyError,
    PurposeError,
    Retention,
    check_purpose,
)
from hypothesis import given
from hypothesis import strategies as st

DAY_NS = 86_400 * 10**9
FORBIDDEN = [p for p in PURPOSES.values() if p.forbidden_by]
STATEMENT = "Watch truck drivers for signs of fatigue, as a safety measure agreed with them."


def exemption(**changes):
    return Exemption(**{"ground": "safety", "statement": STATEMENT, "responsible": "Fleet safety office", **changes})


@pytest.mark.parametrize("purpose", [p.name for p in PURPOSES.values() if not p.forbidden_by] + ["own: greet visitors of a museum"])
def test_ordinary_purposes_pass(purpose):
    assert Policy(purpose=purpose).purpose == purpose


@pytest.mark.parametrize("purpose", FORBIDDEN, ids=lambda p: p.name)
def test_a_forbidden_purpose_is_refused_and_the_law_is_named(purpose):
    with pytest.raises(PurposeError, match=r"forbidden \(EU AI Act, Article 5") as caught:
        Policy(purpose=purpose.name)
    assert ("state it" in str(caught.value)) == bool(purpose.grounds)
    assert isinstance(caught.value, PermissionError)


@pytest.mark.parametrize("name", ["workplace", "education"])
@pytest.mark.parametrize("ground", GROUNDS)
def test_an_exception_in_so_many_words_is_let_through_and_lands_in_the_log(tmp_path, name, ground):
    log = AuditLog(tmp_path / "audit.jsonl")
    stated = exemption(ground=ground, statement=STATEMENT.replace("safety", ground))
    Policy(purpose=name, exemption=stated, audit=log, clock=lambda: 77)
    event = list(log.events())[-1]
    assert (event.kind, event.at_ns) == ("exemption", 77)
    assert event.facts == {"purpose": name, "ground": ground, "statement": stated.statement, "responsible": "Fleet safety office"}


def test_an_exception_without_a_log_is_refused():
    with pytest.raises(ValueError, match="expected an audit log"):
        Policy(purpose="workplace", exemption=exemption())


@pytest.mark.parametrize("purpose", [p.name for p in FORBIDDEN if not p.grounds])
def test_what_has_no_exception_gets_none(tmp_path, purpose):
    log = AuditLog(tmp_path / "audit.jsonl")
    with pytest.raises(PurposeError, match="without exception"):
        Policy(purpose=purpose, exemption=exemption(), audit=log)
    assert [(e.kind, dict(e.facts)) for e in log.events()][1:] == [("refused", {"what": "purpose", "why": "forbidden"})]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ground": "profit"}, "ground: expected one of medical, safety"),
        ({"statement": "safety"}, "at least 8 words"),
        ({"statement": "We would like to know how our staff feel all day long."}, "the reason is safety, in that word"),
        ({"statement": "safety " * 400}, "at most 2000"),
        ({"statement": STATEMENT + "\nand more"}, "one line"),
        ({"responsible": " "}, "responsible: expected at least 1 words"),
    ],
)
def test_a_lazy_exception_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        exemption(**changes)


def test_an_exception_where_none_is_needed_is_refused():
    with pytest.raises(ValueError, match="nothing can be exempted"):
        check_purpose("companion", exemption())


@pytest.mark.parametrize(("purpose", "kind"), [("fun", ValueError), ("", ValueError), ("own: spying", ValueError), (None, TypeError)])
def test_an_unknown_purpose_is_refused(purpose, kind):
    with pytest.raises(kind, match="purpose"):
        check_purpose(purpose)


@given(st.integers(0, 10**15), st.integers(0, 10**7), st.integers(-(10**15), 10**16))
def test_a_record_goes_when_it_is_as_old_as_its_limit(stamp, limit_s, now):
    retention = Retention({"utterance": limit_s})
    assert retention.expired("utterance", stamp, now) == (max(now - stamp, 0) >= limit_s * 10**9)


@given(st.integers(0, 2**62), st.integers(0, 2**62), st.integers(0, 2**61))
def test_what_has_expired_stays_expired(stamp, now, later):
    for kind in ("frame", "utterance", "fact", "of my own"):
        assert not Retention().expired(kind, stamp, now) or Retention().expired(kind, stamp, now + later)


def test_retention_deletes_on_schedule_by_a_fake_clock():
    policy = Policy()
    records = {kind: 0 for kind in ("frame", "observation", "utterance", "fact", "something else")}
    left = {
        day: sorted(k for k, stamp in records.items() if not policy.expired(k, stamp, day * DAY_NS)) for day in (0, 1, 29, 30, 364, 365)
    }
    assert left == {
        0: ["fact", "observation", "something else", "utterance"],
        1: ["fact", "something else", "utterance"],
        29: ["fact", "something else", "utterance"],
        30: ["fact"],
        364: ["fact"],
        365: [],
    }


def test_a_limit_of_nothing_keeps_nothing_even_if_the_clock_was_set_back():
    assert Retention().expired("frame", 10, 5)
    assert not Retention().expired("fact", 10, 5)


@pytest.mark.parametrize("limit", [-1, math.nan, math.inf, "1", True, None])
def test_a_limit_that_is_no_time_is_refused(limit):
    with pytest.raises((ValueError, TypeError), match="limits_s"):
        Retention({"utterance": limit})


def test_a_limit_cannot_be_changed_behind_its_back():
    limits = {"utterance": 1.0}
    retention = Retention(limits)
    limits["utterance"] = 1e9
    assert retention.limit_s("utterance") == 1.0
    with pytest.raises(TypeError):
        retention.limits_s["utterance"] = 2.0


@given(
    st.dictionaries(st.sampled_from("abc"), st.floats(0, 1e9)), st.dictionaries(st.sampled_from("bcd"), st.floats(0, 1e9)), st.floats(0, 9)
)
def test_capped_takes_the_shorter_limit_of_every_kind(one, other, rest):
    a, b = Retention(one, rest), Retention(other)
    both = a.capped(b)
    assert all(both.limit_s(kind) == min(a.limit_s(kind), b.limit_s(kind)) for kind in "abcde")


def test_wellbeing_is_off_by_default_and_marked_when_on():
    with pytest.raises(PolicyError, match="off; it is no clinical tool"):
        Policy().require_wellbeing()
    assert Policy(wellbeing=True).require_wellbeing() == NON_CLINICAL
    assert "no diagnosis" in NON_CLINICAL


def test_negative_stimuli_are_off_by_default():
    with pytest.raises(PolicyError):
        Policy().require_negative_stimuli()
    Policy(negative_stimuli=True).require_negative_stimuli()


@pytest.mark.parametrize("user", ["child", "vulnerable"])
class TestVulnerable:
    @pytest.mark.parametrize("name", ["wellbeing", "negative_stimuli"])
    def test_what_is_for_grown_ups_is_refused(self, user, name):
        with pytest.raises(ValueError, match=f"{name}: expected False for user='{user}'"):
            Policy(user=user, **{name: True})

    def test_thresholds_disclosure_claims_and_retention_are_stricter_whatever_else_is_set(self, user):
        for base in (Policy(), Policy.strict(), Policy(disclose_every=None, retention=Retention({}, 1e9)), Policy(disclose_every=2)):
            gentle = replace(base, user=user)
            assert gentle.claim_action in ("rewrite", "stop")
            said = [turn for turn in range(60) if gentle.disclosure(turn)]
            assert max(b - a for a, b in pairwise(said)) <= 5
            assert all(gentle.least_confidence(m) >= max(0.6, base.least_confidence(m)) for m in MODALITIES)
            for kind in ("frame", "utterance", "fact", "portrait", "something else"):
                assert gentle.limit_s(kind) <= base.limit_s(kind)
            assert gentle.limit_s("utterance") <= 7 * 86_400


def test_abstaining():
    policy = Policy(abstain_below={"camera": 0.5})
    assert policy.abstains("camera", 0.49)
    assert not policy.abstains("camera", 0.5)
    assert not policy.abstains("text", 0.0)
    assert policy.abstains("text", math.nan)


@given(st.integers(1, 40), st.integers(0, 400))
def test_a_disclosure_comes_first_and_then_every_n_turns(every, turn):
    assert bool(Policy(disclose_every=every).disclosure(turn)) == (turn % every == 0)


def test_each_disclosure_says_that_it_is_a_machine_and_they_take_turns():
    for user in USERS:
        policy = Policy(user=user, disclose_every=1)
        said = [policy.disclosure(turn) for turn in range(6)]
        assert all(any(word in text.lower() for word in ("machine", "program", "computer", "robot")) for text in said)
        assert said[0] != said[1]


def test_without_a_number_it_comes_once():
    assert [turn for turn in range(100) if Policy(disclose_every=None).disclosure(turn)] == [0]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("requires", {"smell"}),
        ("requires", "camera"),
        ("user", "robot"),
        ("on_claim", "ignore"),
        ("abstain_below", {"camera": 1.5}),
        ("abstain_below", {"smell": 0.5}),
        ("disclose_every", 0),
        ("disclose_every", 2.0),
        ("wellbeing", 1),
        ("retention", {}),
        ("consents", []),
        ("audit", "audit.jsonl"),
        ("exemption", "safety"),
    ],
)
def test_a_decision_that_makes_no_sense_is_refused_by_name(field, value):
    with pytest.raises((TypeError, ValueError), match=field):
        Policy(**{field: value})


def test_decisions_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Policy().wellbeing = True


def test_consents_and_refusals_land_in_the_log_without_a_name(tmp_path):
    log = AuditLog(tmp_path / "audit.jsonl")
    policy = Policy(audit=log, clock=lambda: 5)
    policy.grant("memory", partner="Ada Lovelace", valid_s=1)
    policy.withdraw("memory", partner="Ada Lovelace")
    with pytest.raises(PermissionError):
        policy.require("camera")
    kinds = [(e.kind, e.facts.get("action") or e.facts.get("why")) for e in log.events()]
    assert kinds == [("opened", None), ("consent", "granted"), ("consent", "withdrawn"), ("refused", "never-asked")]
    assert b"Ada" not in log.path.read_bytes()
    assert len(list(log.events("Ada Lovelace"))) == 2


def test_a_camera_that_is_refused_at_every_frame_does_not_flush_the_log(tmp_path):
    now = [0]
    policy = Policy(audit=AuditLog(tmp_path / "audit.jsonl"), clock=lambda: now[0])

    def frames():
        for _ in range(20):
            assert not policy.allows("camera")
            with pytest.raises(PermissionError):
                policy.require("camera")

    frames()
    policy.grant("camera", valid_s=1)
    now[0] = 10**9
    frames()
    policy.withdraw("camera")
    frames()
    assert [e.facts["why"] for e in policy.audit.events() if e.kind == "refused"] == ["never-asked", "expired", "withdrawn"]


def test_a_consent_that_cannot_be_recorded_is_not_in_force_but_a_withdrawal_is(tmp_path, monkeypatch):
    policy = Policy(audit=AuditLog(tmp_path / "audit.jsonl"), consents=ConsentBook())
    policy.grant("camera")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(AuditLog, "record", full)
    with pytest.raises(OSError, match="No space"):
        policy.grant("microphone")
    with pytest.raises(OSError, match="No space"):
        policy.withdraw("camera")
    monkeypatch.undo()
    assert not policy.allows("microphone")
    assert not policy.allows("camera")

"""Consent: who may be looked at, listened to, read and remembered, and until when. The clock is the test's own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from affectrt.policy import MODALITIES, Consent, ConsentBook, ConsentError, Policy
from hypothesis import given
from hypothesis import strategies as st

SECOND = 1_000_000_000


class Clock:
    def __init__(self, now_ns=1_000 * SECOND):
        self.now_ns = now_ns

    def __call__(self):
        return self.now_ns


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def policy(clock):
    return Policy(clock=clock)


@pytest.mark.parametrize("modality", ["camera", "microphone", "memory"])
def test_without_consent_it_raises_and_says_how_to_mend_it(policy, modality):
    with pytest.raises(ConsentError, match=rf"{modality}: consent .*never asked.*policy\.grant\('{modality}'\)"):
        policy.require(modality)
    policy.grant(modality)
    policy.require(modality)


def test_a_missing_consent_is_a_permission_error_and_no_value_error():
    assert issubclass(ConsentError, PermissionError)
    assert not issubclass(ConsentError, ValueError)


def test_typed_text_needs_none_unless_it_is_named(policy):
    policy.require("text")
    with pytest.raises(ConsentError):
        replace(policy, requires=frozenset({"text"})).require("text")


@pytest.mark.parametrize("modality", MODALITIES)
def test_strict_needs_consent_for_everything_and_each_partners_own(modality):
    strict = Policy.strict()
    with pytest.raises(ConsentError):
        strict.require(modality)
    strict.grant(modality)
    strict.require(modality)
    with pytest.raises(ConsentError, match="by 'ada'"):
        strict.require(modality, partner="ada")
    strict.grant(modality, partner="ada")
    strict.require(modality, partner="ada")
    assert not strict.allows(modality, partner="bob")


def test_it_runs_out_at_its_time_and_not_before(policy, clock):
    policy.grant("camera", valid_s=60)
    clock.now_ns += 60 * SECOND - 1
    policy.require("camera")
    clock.now_ns += 1
    with pytest.raises(ConsentError, match="expired"):
        policy.require("camera")


def test_withdrawal_counts_at_once_and_a_new_consent_restores_it(policy):
    policy.grant("camera")
    policy.withdraw("camera")
    with pytest.raises(ConsentError, match="withdrawn"):
        policy.require("camera")
    policy.grant("camera")
    policy.require("camera")


def test_a_persons_no_beats_a_general_yes_whatever_comes_later(policy):
    policy.withdraw("memory", partner="ada")
    policy.grant("memory")
    assert policy.allows("memory")
    assert policy.allows("memory", partner="bob")
    assert not policy.allows("memory", partner="ada")


def test_a_no_is_heard_where_nobody_needs_to_be_asked(policy):
    policy.withdraw("text", partner="ada")
    assert not policy.allows("text", partner="ada")
    assert policy.allows("text")


def test_a_clock_that_jumps_back_does_not_undo_a_withdrawal(policy, clock):
    policy.grant("camera")
    clock.now_ns -= 500 * SECOND
    policy.withdraw("camera")
    clock.now_ns += 500 * SECOND
    assert not policy.allows("camera")


def test_a_consent_covers_the_purposes_it_was_given_for(policy):
    policy.grant("camera", purposes=("research",))
    with pytest.raises(ConsentError, match="other purpose"):
        policy.require("camera")
    replace(policy, purpose="research").require("camera")


def test_for_a_child_only_a_guardians_consent_counts(clock):
    policy = Policy(user="child", clock=clock)
    policy.grant("camera", partner="kim")
    with pytest.raises(ConsentError, match="not by a guardian"):
        policy.require("camera", partner="kim")
    policy.grant("camera", partner="kim", given_by="guardian")
    policy.require("camera", partner="kim")
    policy.withdraw("camera", partner="kim")  # a child's own no counts
    assert not policy.allows("camera", partner="kim")


def test_who_runs_the_device_cannot_consent_for_a_person(policy):
    with pytest.raises(ValueError, match="cannot consent for 'ada'"):
        policy.grant("memory", partner="ada", given_by="deployer")


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("modality", "smell", ValueError),
        ("given_ns", 1.5, TypeError),
        ("given_ns", True, TypeError),
        ("given_ns", 2**63, ValueError),
        ("purposes", (), ValueError),
        ("purposes", "companion", ValueError),
        ("purposes", ("",), ValueError),
        ("partner", "", ValueError),
        ("partner", "a\nb", ValueError),
        ("partner", 3, TypeError),
        ("expires_ns", 5, ValueError),
        ("given_by", "robot", ValueError),
        ("withdrawn", 1, TypeError),
    ],
)
def test_an_act_that_makes_no_sense_is_refused_by_name(field, value, kind):
    with pytest.raises(kind, match=field):
        Consent(**{"modality": "camera", "given_ns": 5, field: value})


acts = st.builds(
    Consent,
    modality=st.sampled_from(MODALITIES),
    given_ns=st.integers(0, 100),
    purposes=st.lists(st.sampled_from(["companion", "research"]), min_size=1, max_size=2).map(tuple),
    partner=st.sampled_from([None, "ada", "Jörg 木"]),
    expires_ns=st.none() | st.integers(101, 200),
    given_by=st.sampled_from(["self", "guardian"]),
    withdrawn=st.booleans(),
)


@given(st.lists(acts, max_size=12), st.sampled_from(MODALITIES), st.sampled_from([None, "ada"]), st.integers(0, 250), st.booleans())
def test_the_verdict_follows_from_the_last_act_that_counts(history, modality, partner, now, own):
    mine = [a for a in history if a.modality == modality and a.partner == partner]
    general = [] if own and partner is not None else [a for a in history if a.modality == modality and a.partner is None]
    last = mine[-1] if mine else general[-1] if general else None
    wanted = last is not None and not last.withdrawn and "companion" in last.purposes and now < (last.expires_ns or 1000)
    verdict = ConsentBook(history).verdict(modality, partner, "companion", now, own=own)
    assert (verdict == "given") == wanted


@given(st.lists(acts, max_size=8))
def test_a_book_comes_back_from_its_file(tmp_path_factory, history):
    path = tmp_path_factory.mktemp("book") / "consents.json"
    ConsentBook(history).save(path)
    assert ConsentBook.load(path).acts == tuple(history)
    assert path.stat().st_mode & 0o077 == 0
    assert [p.name for p in path.parent.iterdir()] == ["consents.json"]


def test_a_book_that_is_missing_is_no_empty_book(tmp_path):
    with pytest.raises(FileNotFoundError):
        ConsentBook.load(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a consent book"),
        ("[]", "an object of version and acts"),
        ('{"version": 2, "acts": []}', "expected version 1, got 2"),
        ('{"version": true, "acts": []}', "expected version 1, got True"),
        ('{"version": 1, "acts": [{}]}', "act 1: expected an object of"),
        ('{"version": 1, "acts": [[]]}', "act 1: expected an object of"),
        ("[" * 100_000, "expected a consent book"),
    ],
)
def test_a_broken_book_is_refused_and_the_act_is_named(tmp_path, text, words):
    path = tmp_path / "book.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        ConsentBook.load(path)


def test_a_wrong_field_of_an_act_in_a_file_is_named(tmp_path):
    path = tmp_path / "book.json"
    ConsentBook([Consent("camera", 1), Consent("text", 1)]).save(path)
    path.write_text(path.read_text().replace('"text"', '"smell"'))
    with pytest.raises(ValueError, match="act 2: modality: expected one of"):
        ConsentBook.load(path)


def test_forgetting_a_partner_leaves_the_others(policy):
    policy.grant("memory", partner="ada")
    policy.grant("camera", partner="ada")
    policy.grant("memory", partner="bob")
    assert policy.consents.forget("ada") == 2
    assert [act.partner for act in policy.consents.acts] == ["bob"]
    assert policy.allows("memory", partner="bob")
    assert not policy.allows("memory", partner="ada")

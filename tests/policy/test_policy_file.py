"""A policy in a file: every decision of it, and whatever is wrong with it told by file and name."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest
from affectrt.errors import AuditError, PurposeError
from affectrt.policy import ConsentBook, Policy, Retention, read_policy
from affectrt.policy.file import FIELDS
from hypothesis import given, settings
from hypothesis import strategies as st

STATEMENT = "Watch truck drivers for signs of fatigue, as a safety measure agreed with them."
WHOLE = {
    "purpose": "workplace",
    "exemption": {"ground": "safety", "statement": STATEMENT, "responsible": "Fleet safety office"},
    "requires": ["camera", "text"],
    "own_consent": True,
    "user": "adult",
    "retention": {"limits_s": {"utterance": 60.0}, "other_s": 3600.0},
    "abstain_below": {"camera": 0.5},
    "wellbeing": True,
    "negative_stimuli": True,
    "disclose_every": 7,
    "on_claim": "rewrite",
    "consents": "consents.json",
    "audit": "audit.jsonl",
}


def write(folder, stated):
    path = folder / "policy.json"
    path.write_text(stated if isinstance(stated, str) else json.dumps(stated))
    return path


def test_every_decision_can_be_stated(tmp_path):
    assert set(WHOLE) == set(FIELDS) == {field.name for field in fields(Policy) if field.init} - {"clock"}
    book = ConsentBook()
    book.save(tmp_path / "consents.json")
    policy = read_policy(write(tmp_path, WHOLE))
    assert (policy.purpose, policy.own_consent, policy.user) == ("workplace", True, "adult")
    assert policy.requires == {"camera", "text"} and dict(policy.abstain_below) == {"camera": 0.5}
    assert policy.retention == Retention({"utterance": 60.0}, 3600.0)
    assert (policy.wellbeing, policy.negative_stimuli, policy.disclose_every, policy.on_claim) == (True, True, 7, "rewrite")
    assert policy.exemption is not None and policy.exemption.statement == STATEMENT
    assert policy.audit is not None and policy.audit.path == tmp_path / "audit.jsonl"
    assert [event.kind for event in policy.audit.events()] == ["opened", "exemption"]


def test_what_is_not_stated_is_as_by_default(tmp_path):
    policy, default = read_policy(write(tmp_path, {})), Policy()
    assert all(getattr(policy, name) == getattr(default, name) for name in FIELDS if name != "consents")
    assert read_policy(write(tmp_path, {"disclose_every": None})).disclose_every is None


def test_the_file_of_the_documentation(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")
    text = page.partition("**In a file:**")[2].partition("```\n")[2].partition("```")[0]
    assert read_policy(write(tmp_path, text)).on_claim == "rewrite"
    assert set(json.loads(text)) == set(FIELDS) - {"exemption", "consents"}


WRONG = [
    ({"wellbing": True}, "expected some of abstain_below, audit, .*, got 'wellbing'"),
    ({"clock": 1}, "expected some of .*, got 'clock'"),
    ([], "expected an object of .*, got a list"),
    ("", "expected a policy as JSON"),
    ('{"user": "child"', "expected a policy as JSON"),
    ('{"user": "child", "user": "adult"}', "'user' stands there twice"),
    ('{"abstain_below": {"camera": NaN}}', "it has no NaN"),
    ('{"retention": ' + "[" * 100_000, "expected a policy as JSON"),
    ({"wellbeing": "yes"}, "wellbeing: expected a bool, got str"),
    ({"wellbeing": 1}, "wellbeing: expected a bool, got int"),
    ({"user": "boss"}, "user: expected one of adult, child, vulnerable, got 'boss'"),
    ({"user": "child", "wellbeing": True}, "wellbeing: expected False for user='child'"),
    ({"requires": "camera"}, "requires: expected a list of texts, got a text"),
    ({"requires": ["nose"]}, "requires: expected a set of camera"),
    ({"abstain_below": [0.5]}, "abstain_below: expected an object, got a list"),
    ({"abstain_below": {"camera": 2}}, "abstain_below.*expected a finite number in"),
    ({"disclose_every": 0}, "disclose_every: expected a finite number in"),
    ({"disclose_every": 2.5}, "disclose_every: expected an int or None, got float"),
    ({"on_claim": "ignore"}, "on_claim: expected one of report, rewrite, stop"),
    ({"retention": 5}, "retention: expected an object, got a number"),
    ({"retention": {"days": 5}}, "retention: got an unexpected keyword argument 'days'"),
    ({"retention": {"other_s": -1}}, "retention: other_s: expected a finite number"),
    ({"exemption": {"ground": "safety"}}, "exemption: missing 2 required positional arguments"),
    ({"purpose": 5}, "purpose: expected a str, got int"),
    ({"purpose": ["companion"]}, "purpose: expected a str, got list"),
    ({"user": ["adult"]}, "user: expected one of"),
    ({"consents": 5}, "consents: expected the name of a file, got a number"),
]


@pytest.mark.parametrize(("stated", "message"), WRONG, ids=[str(stated)[:40] for stated, _ in WRONG])
def test_what_is_wrong_is_told_by_file_and_name(tmp_path, stated, message):
    path = write(tmp_path, stated)
    with pytest.raises(ValueError, match=message) as caught:
        read_policy(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert list(tmp_path.iterdir()) == [path]


def test_a_forbidden_purpose_is_refused_as_ever(tmp_path):
    with pytest.raises(PurposeError, match="forbidden"):
        read_policy(write(tmp_path, {"purpose": "social-scoring"}))


def test_files_that_are_missing_or_broken(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_policy(tmp_path / "policy.json")
    with pytest.raises(FileNotFoundError):
        read_policy(write(tmp_path, {"consents": "consents.json"}))
    (tmp_path / "consents.json").write_text("{}")
    with pytest.raises(ValueError, match=r"consents.json: expected an object of version and acts"):
        read_policy(write(tmp_path, {"consents": "consents.json"}))
    (tmp_path / "audit.jsonl").write_text("no line of a log\n")
    with pytest.raises(AuditError, match="its last line is broken"):
        read_policy(write(tmp_path, {"audit": "audit.jsonl"}))
    (tmp_path / "policy.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(ValueError, match="expected a policy as JSON"):
        read_policy(tmp_path / "policy.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@settings(max_examples=40)
@given(stated=st.dictionaries(st.sampled_from(sorted(set(FIELDS) - {"audit", "consents"})), JSON))
def test_any_json_is_a_policy_or_a_plain_error(tmp_path_factory, stated):
    path = write(tmp_path_factory.mktemp("policy"), stated)
    try:
        assert isinstance(read_policy(path), Policy)
    except PurposeError:
        pass
    except ValueError as error:
        assert str(error).startswith(f"{path}: ")

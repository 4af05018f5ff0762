"""Rule files with something wrong in them: always said with file and line, never another exception."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from affectrt.affect.appraisal import Appraisal, RuleError, Rules, load_rules, property_change
from affectrt.affect.appraisal.source import parse_json
from hypothesis import given
from hypothesis import strategies as st
from rule_documents import appraisal, decisions, rule, write

RULE = '{\n"root": {"AppraisalRules": {"Rules": [\n%s\n]}}}'


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("", 1, "expected a JSON value, got the end of the file"),
        ("{\n  'root': 1}", 2, 'expected a key in double quotes, got "\'"'),
        ('{"root":\n{"Goals": [1,\n]}}', 3, "expected a JSON value, got ']'"),
        ('{"root": {\n"a": 1\n"b": 2}}', 3, "expected ',' or '}', got '\"'"),
        ('{"root": [1\n2]}', 2, "expected ',' or ']', got '2'"),
        ('{"root" 1}', 1, "expected ':', got '1'"),
        ('{"root": {}}\n\nmore', 3, "expected the end, got 'm'"),
        ('{"root": {"Goals": [],\n"Goals": []}}', 2, "the key 'Goals' stands here a second time"),
        ('{"root": "a\nb"}', 1, "Invalid control character"),
        ('{"root": "\\q"}', 1, "Invalid \\escape"),
        ('{"root":\n"abc', 2, "Unterminated string"),
        ('{"root": NaN}', 1, "expected a JSON value, got 'N'"),
        ('{"root": 123456789012345678901234567890}', 1, "at most 20 digits"),
        ("[" * 200, 1, "expected at most 100 levels"),
        ("5", 1, "document: expected an object, got 5"),
        ("{}", 1, "document: root is missing"),
        ('{"root": 5}', 1, "root: expected an object, got 5"),
        ('{"root": {}}', 1, "got a document of an unknown kind"),
        ('{"root": "refId@0",\n"references": []}', 1, "are not read"),
        (
            '{"root": {"classId": 0},\n"types": [{"TypeId": 0, "ClassName": "CommeillFaut.CommeillFautAsset, C"}]}',
            1,
            "got CommeillFautAsset",
        ),
        ('{"root": {"AppraisalRules": {},\n"EmotionDispostions": []}}', 2, "unknown key 'EmotionDispostions'; expected AppraisalRules,"),
        ('{"root": {"AppraisalRules": {\n"Rules": {}}}}', 2, "Rules: expected an array, got an object"),
        (RULE % '{"Desirability": 5}', 3, "appraisal rule: EventName is missing"),
        (RULE % '{"EventName": "Event(*, *, *, *)",\n"Desirabilty": 5}', 4, "unknown key 'Desirabilty'"),
        (
            RULE % '{"EventName": "Event(Action-End, *"}',
            3,
            "EventName: 'Event(Action-End, *': expected ',' or ')' at column 20, got the end",
        ),
        (RULE % '{"EventName": "Wave(*)"}', 3, "expected Event(kind, subject, action, target), got Wave(*)"),
        (RULE % '{"EventName": "Event(Action-Finished, *, *, *)"}', 3, "as kind of event, got Action-Finished"),
        (RULE % '{"EventName": 5}', 3, "got 5"),
        (
            RULE % '{"EventName": "Event(*, *, *, *)",\n"Desirability": "much"}',
            4,
            'Desirability: expected a number in [-100, 100], got "much"',
        ),
        (RULE % '{"EventName": "Event(*, *, *, *)",\n"Desirability": 1e9}', 4, "expected a number in [-100, 100]"),
        (RULE % '{"EventName": "Event(*, *, *, *)",\n"Desirability": true}', 4, "expected a number in [-100, 100], got true"),
        (RULE % '{"EventName": "Event(*, *, *, *)",\n"Desirability": "[d]"}', 3, "nothing gives [d] a value"),
        (RULE % '{"EventName": "Event(*, *, *, *)", "Conditions": {"Set": [\n"[x] = 1",\n"A = A"]}}', 5, "condition 'A = A': both sides"),
        (RULE % '{"EventName": "Event(*, *, *, *)", "Conditions": {\n"Quantifier": "Some"}}', 4, 'expected "Existential" or "Universal"'),
        (
            RULE % '{"EventName": "Event(*, *, *, *)", "AppraisalVariables": {"AppraisalVariables": [\n{"Name": "Beauty", "Value": 1}]}}',
            4,
            "expected an appraisal variable (Desirability,",
        ),
        (
            RULE % '{"EventName": "Event(*, *, *, *)", "AppraisalVariables": {"AppraisalVariables": [\n'
            '{"Name": "Goal Success Probability", "Value": 1}]}}',
            4,
            "expected the name of a goal as Target",
        ),
        (
            '{"root": {"AppraisalRules": {}, "EmotionDispositions": [\n{"Emotion": "Bliss"}]}}',
            2,
            "expected an emotion type (Joy, Distress,",
        ),
        (
            '{"root": {"AppraisalRules": {}, "EmotionDispositions": [\n{"Emotion": "Joy", "Decay": -1}]}}',
            2,
            "Decay: expected a number in [0, 10], got -1",
        ),
        (
            '{"root": {"AppraisalRules": {}, "EmotionDispositions": [{"Emotion": "Joy"},\n{"Emotion": "joy"}]}}',
            2,
            "a second disposition for Joy",
        ),
        (
            '{"root": {"AppraisalRules": {}, "Goals": [\n{"Name": "A", "Likelihood": 2}]}}',
            2,
            "Likelihood: expected a number in [0, 1], got 2",
        ),
        ('{"root": {"AppraisalRules": {}, "Goals": [{"Name": "A"},\n{"Name": "a"}]}}', 2, "a second goal a"),
        ('{"root": {"ActionTendencies": [\n{"Action": "Go", "Target": "f(a)"}]}}', 2, "Target: expected a symbol, got f(a)"),
        ('{"root": {"ActionTendencies": [\n{"Action": "Go", "Priority": "high"}]}}', 2, "Priority: expected a number"),
        ('{"root": {"ActionTendencies": [\n{"Action": "Go([x])"}]}}', 2, "nothing gives [x] a value"),
        ('{"root": {"KnowledgeBase": {\n"Perspective": "f(a)"}}}', 2, "Perspective: expected the agent's name, got f(a)"),
        ('{"root": {"KnowledgeBase": {"Knowledge": {\n"John": {}}}}}', 2, "expected beliefs of SELF, got those of John"),
        ('{"root": {"KnowledgeBase": {"Knowledge": {"SELF": {\n"Has(": 1}}}}}', 2, "belief: 'Has('"),
        ('{"root": {"KnowledgeBase": {"Knowledge": {"SELF": {\n"Has([x])": 1}}}}}', 2, "a belief is a composed name"),
        (
            '{"root": {"KnowledgeBase": {"Knowledge": {"SELF": {\n"Has(A)": "True, 2"}}}}}',
            2,
            "Has(A): certainty: expected a number in [0, 1]",
        ),
        ('{"root": {"EmotionalAppraisalAssetSource":\n"no.ea"}}', 2, "there is no file"),
        ('{"root": {"EmotionalAppraisalAssetSource":\n"/etc/passwd"}}', 2, "expected a path relative to this file"),
        (
            '{"root": {"EmotionalAppraisalAssetSource":\n"other.edm"}}',
            2,
            "expected a file with an EmotionalAppraisalAsset, got one with EmotionalDecision",
        ),
        ('{"root": {"KnowledgeBase": {}, "EmotionalState": {\n"Mood": 11}}}', 2, "Mood: expected a number in [-10, 10], got 11"),
        (
            '{"root": {"KnowledgeBase": {}, "EmotionalState": {"AppraisalConfiguration": \n{"MoodHalfLifeDecayTime": 0}}}}',
            2,
            "mood_half_life: expected a number in (0, inf), got 0.0",
        ),
        (
            '{"root": {"Effects": {"dictionary": [{"key": "Event(*, *, *, *)",\n"value": [{"PropertyName": "Rain", "NewValue": 1}]}]}}}',
            2,
            "expected a property",
        ),
        (
            '{"root": {"Effects": {"dictionary": [{"key": "Event(*, *, *, *)",\n"value": [{"PropertyName": "R([x])", "NewValue": 1}]}]}}}',
            2,
            "nothing gives [x]",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, line: int, problem: str) -> None:
    write(tmp_path, other_edm=decisions())
    path = write(tmp_path, bad_ea=text)
    with pytest.raises(RuleError) as caught:
        load_rules(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert problem in str(caught.value)
    assert (caught.value.file, caught.value.line) == (str(path), line)


def test_bad_bytes_and_no_files(tmp_path: Path) -> None:
    path = tmp_path / "bad.ea"
    path.write_bytes(b'{"root":\n "\xff"}')
    with pytest.raises(RuleError, match=r"bad.ea:2: expected UTF-8, got byte 0xff"):
        load_rules(path)
    path.write_bytes(b" " * (16 * 1024 * 1024 + 1))
    with pytest.raises(RuleError, match="expected at most 16777216 bytes, got 16777217"):
        load_rules(path)
    with pytest.raises(FileNotFoundError):
        load_rules(tmp_path / "none.ea")
    with pytest.raises(ValueError, match="at least one rule file"):
        load_rules()


def plain(node: Any) -> Any:
    if isinstance(node.value, dict):
        return {key: plain(value) for key, value in node.value.items()}
    return [plain(value) for value in node.value] if isinstance(node.value, list) else node.value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON, st.sampled_from([None, 1, "\t"]))
def test_json_is_read_as_python_reads_it(value: Any, indent: Any) -> None:
    text = json.dumps(value, indent=indent)
    assert plain(parse_json(text, "f")) == value
    if indent and isinstance(value, list):
        lines = text.splitlines()
        for node in parse_json(text, "f").value:
            assert lines[node.line - 1].strip()[:1] == json.dumps(plain(node))[:1]


@given(st.text(alphabet='{}[]",:0123456789.eE+-truefalsn \n\\u', max_size=40))
def test_any_text_is_json_or_a_rule_error(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(RuleError):
            parse_json(text, "f")
        return
    try:
        assert plain(parse_json(text, "f")) == expected
    except RuleError as error:
        assert "second time" in str(error) or "20 digits" in str(error)


@given(st.data())
def test_any_change_of_a_value_is_rules_or_a_rule_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """A working file with one value replaced: read, or refused with a line; never another exception."""
    whole = appraisal(
        rule("Event(Action-End, [who], Help([n]), SELF)", ("Desirability", "[n]"), ("Praiseworthiness", 8, "[who]"), when=("[n] > 0",)),
        EmotionDispositions=[{"Emotion": "*", "Decay": 2, "Threshold": 3}],
        Goals=[{"Name": "Fame", "Significance": 5, "Likelihood": 0.5}],
        KnowledgeBase={"Perspective": "Ana", "Knowledge": {"SELF": {"Near(Bob)": "True, 0.5"}}},
    )
    place, steps = whole, data.draw(st.integers(1, 8))
    for _ in range(steps):
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))  # type: ignore[type-var]
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner:
            break
        place = inner
    value = data.draw(JSON | st.sampled_from(["Event(*, *, *, *)", "[x]", "*", "-", "Joy", 1e9, -1]))
    if isinstance(place, list):
        place[data.draw(st.integers(0, len(place) - 1))] = value
    else:
        place[data.draw(st.sampled_from(sorted(place)))] = value
    path = write(tmp_path_factory.getbasetemp(), changed_ea=whole)
    try:
        rules = load_rules(path)
    except RuleError as error:
        assert error.file == str(path) and error.line >= 1
        return
    assert isinstance(rules, Rules)
    Appraisal(rules).appraise(property_change("Near(SELF)", 1), stamp_ns=0)

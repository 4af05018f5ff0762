"""Rule files of the FAtiMA Toolkit: what is read, and what it becomes."""

from __future__ import annotations

from pathlib import Path

import pytest
from affectrt.affect.appraisal import Appraisal, RuleError, Settings, action_end, load_rules
from rule_documents import appraisal, character, decisions, document, rule, write


def test_appraisal_rules_of_today(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        robot_ea=appraisal(
            rule("Event(Action-End, [who], Help([n]), SELF)", ("Desirability", "[n]"), ("Praiseworthiness", 8, "[who]"), when=("[n] > 0",)),
            rule("Event(Action-End, *, Win, *)", ("Goal Success Probablity", 0.5, "Fame")),
            EmotionDispositions=[{"Emotion": "*", "Decay": 2, "Threshold": 3}, {"Emotion": "Pitty", "Decay": 1}],
            Goals=[{"Name": "Fame", "Significance": 5, "Likelihood": 0.5}],
        ),
    )
    rules = load_rules(path)
    assert rules.disposition("Joy").threshold == 3 and rules.disposition("Pity").threshold == 0
    robot = Appraisal(rules)
    (gratitude,) = robot.appraise(action_end("Ana", "Help(6)", "SELF"), stamp_ns=0)
    assert (gratitude.type, gratitude.intensity, gratitude.decay, gratitude.target) == ("Gratitude", 4, 2, "Ana")
    assert robot.appraise(action_end("Ana", "Help(-1)", "SELF"), stamp_ns=0) == ()
    assert [e.type for e in robot.appraise(action_end("Ana", "Win"), stamp_ns=0)] == ["Relief"]
    anyone = write(tmp_path, any_ea=appraisal(rule("Event(*, *, *, *)", ("Praiseworthiness", 5, "*"))))
    (pride,) = Appraisal.load(anyone).appraise(action_end("Ana", "Win"), stamp_ns=0)
    assert (pride.type, pride.target) == ("Pride", "SELF")  # a target that names nobody is none


def test_appraisal_rules_of_before_2019(tmp_path: Path) -> None:
    """Two fields, no targets: praise and blame go to whoever acted."""
    event = "Event(Action-End, [x], Speak(*, [s]), SELF)"
    path = write(
        tmp_path,
        old_ea=appraisal(
            rule(event, when=("[s] = Sad",), Desirability=-5, Praiseworthiness=0),
            rule(event, when=("[s] = Rude",), Desirability=-5, Praiseworthiness="-5"),
            rule(event, when=("[s] = Kind", "[d] = 8"), Desirability="[d]"),
            KnowledgeBase={"Perspective": "Person", "Knowledge": {"SELF": {"IsFriend(Player)": True, "Likes(Person, Kick)": False}}},
        ),
    )
    robot = Appraisal.load(path)
    felt = {
        s: [(e.type, e.target) for e in robot.appraise(action_end("Bob", f"Speak(Start, {s})", "Person"), stamp_ns=0)]
        for s in ("Sad", "Rude", "Kind")
    }
    assert felt == {"Sad": [("Distress", "")], "Rude": [("Anger", "Bob")], "Kind": [("Joy", "")]}
    assert robot.ask("Likes(SELF, Kick)", 0) == ("False",)
    assert [[v.name for v in r.variables] for r in robot.rules.appraisal] == [
        ["Desirability"],
        ["Desirability", "Praiseworthiness"],
        ["Desirability"],
    ]


def test_toolkit_decision_rules(tmp_path: Path) -> None:
    """The shapes of its tutorials: priorities as numbers, text, variables and defaults; boxed and missing fields; no types."""
    path = write(
        tmp_path,
        todo_edm=decisions(
            {"Action": "TestAction", "Target": "A", "Layer": None, "Conditions": {"Set": ["[m] = A", "[p] = 20"]}, "Priority": "[p]"},
            {"Action": "Jump", "Target": "B", "Conditions": {"Set": []}, "Priority": "2"},
            {"Action": "Jump", "Target": "C", "Conditions": None, "Priority": 1},
            {"Action": "Speak(Hi, -, *)", "Layer": "Speech"},
            {
                "Action": "Hop",
                "Target": "[x]",
                "Conditions": {"Set": ["Likes([x]) = [y]", "IsUgly([x]) = [z]", "[y] < [z]"]},
                "Priority": 2,
            },
            DefaultActionPriority="3",
        ),
        no_types_edm={"root": {"ActionTendencies": {"classId": 1, "boxedValue": [{"Action": "Wait", "Priority": 0.5}]}}},
    )
    robot = Appraisal.load(path, tmp_path / "no_types.edm")
    robot.tell("Likes(Ana)", 2)
    robot.tell("IsUgly(Ana)", 5)
    assert [(d.action, d.target, d.priority) for d in robot.decide(0)] == [
        ("TestAction", "A", 20),
        ("Speak(Hi, -, *)", "-", 3),
        ("Jump", "B", 2),
        ("Hop", "Ana", 2),
        ("Jump", "C", 1),
        ("Wait", "-", 0.5),
    ]
    assert robot.decide(0)[0].rule.startswith(f"{path}:")


def test_quantifiers_in_files(tmp_path: Path) -> None:
    everyone = {"Set": ["Near([x]) = True", "Like(SELF, [x]) > 0"], "Quantifier": "Universal"}
    robot = Appraisal.load(write(tmp_path, a_edm=decisions({"Action": "Party", "Conditions": everyone})))
    for who, like in (("Ana", 5), ("Bob", 2)):
        robot.tell(f"Near({who})", True)
        robot.tell(f"Like(SELF, {who})", like)
    assert len(robot.decide(0)) == 1
    robot.tell("Like(SELF, Bob)", -1)
    assert robot.decide(0) == ()


def test_a_character_brings_its_rules(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    write(tmp_path / "rules", Feel_ea=appraisal(rule("Event(Action-End, *, Wave, SELF)", ("Desirability", 5)), Goals=[{"Name": "Peace"}]))
    configuration = {"HalfLifeDecayConstant": 0.5, "EmotionalHalfLifeDecayTime": 30, "MoodHalfLifeDecayTime": 60}
    path = write(
        tmp_path,
        sarah_rpc=character(
            "Sarah",
            {"Has(Floor)": "John, 1", "Likes(Sarah, Mary)": "True, 0.4", "Money(SELF)": 5},
            BodyName="Female",
            EmotionalAppraisalAssetSource="rules\\Feel.ea",
            EmotionalDecisionMakingSource="Do.edm",
            SocialImportanceAssetSource="",
            EmotionalState={"Mood": -4, "initialTick": 0, "EmotionalPool": [], "AppraisalConfiguration": configuration},
            Goals=[{"Name": "Fame", "Significance": 5, "Likelihood": 0.5}],
        ),
        Do_edm=decisions({"Action": "Smile", "Conditions": {"Set": ["Likes(SELF, Mary) = True"]}}),
    )
    robot = Appraisal.load(path)
    assert robot.settings == Settings(emotion_half_life=30)
    assert robot.mood(0) == -4 and robot.mood(10**9) == -4  # it lasts until there is a first event to count from
    assert [g.name for g in robot.goals] == ["Peace", "Fame"]
    assert [(str(b.name), str(b.value), b.certainty) for b in robot.beliefs] == [
        ("Has(Floor)", "John", 1),
        ("Likes(SELF, Mary)", "True", 0.4),
        ("Money(SELF)", "5", 1),
    ]
    assert [(e.type, e.intensity) for e in robot.appraise(action_end("John", "Wave", "sarah"), stamp_ns=0)] == [("Joy", pytest.approx(2.8))]
    assert [(d.action, d.certainty) for d in robot.decide(0)] == [("Smile", 0.4)]


def test_a_scenario_with_its_world(tmp_path: Path) -> None:
    speak = "Event(Action-End, [s], Speak([cs], [ns]), [t])"
    changes = [
        {"PropertyName": "DialogueState([s])", "NewValue": "[ns]", "ObserverAgent": "[t]"},
        {"PropertyName": "Has(Floor)", "NewValue": "[t]", "ObserverAgent": "*"},
    ]
    world = {
        "Effects": {"dictionary": [{"key": speak, "value": changes}, {"key": "Event(*, *, *, *)", "value": None}]},
        "Priorities": {"dictionary": [{"key": speak, "value": 3}]},
    }
    cast = [character(name)["root"] for name in ("Charlie", "Player")]
    scenario = document("IntegratedAuthoringTool", {"ScenarioName": "Example", "Dialogues": [], "Characters": cast, "WorldModel": world})
    path = write(tmp_path, example_iat=scenario, world_wmo=document("WorldModel", world), player_rpc=character("Player"))
    robot = Appraisal.load(path, agent="charlie")
    robot.appraise(action_end("Player", "Speak(Start, Greeting)", "Charlie"), stamp_ns=0)
    assert {str(b.name): str(b.value) for b in robot.beliefs} == {"DialogueState(Player)": "Greeting", "Has(Floor)": "SELF"}
    with pytest.raises(RuleError, match=r"example.iat:\d+: scenario: expected agent= to name one of its characters: Charlie, Player"):
        load_rules(path)
    with pytest.raises(RuleError, match="expected agent='Bob'"):
        load_rules(path, agent="Bob")
    assert [e.changes for e in load_rules(tmp_path / "world.wmo").effects] == [e.changes for e in load_rules(path, agent="Player").effects]
    by_source = document("IntegratedAuthoringTool", {"ScenarioName": "E", "CharacterSources": ["player.rpc"]})
    assert str(load_rules(write(tmp_path, s_iat=by_source)).agent) == "Player"


def test_a_storage(tmp_path: Path) -> None:
    assets = [
        "EmotionalAppraisalAsset",
        appraisal(rule("Event(Action-End, *, Wave, SELF)", ("Praiseworthiness", -5, "SELF"))),
        "SocialImportanceAsset",
        document("SocialImportance", {"AttributionRules": [{"anything": 1}]}),
        "EmotionalDecisionMakingAsset",
        decisions({"Action": "Hide"}),
    ]
    rules = load_rules(write(tmp_path, storage_json=assets))
    assert (len(rules.appraisal), len(rules.actions)) == (1, 1)
    with pytest.raises(RuleError, match="got a name without a document"):
        load_rules(write(tmp_path, storage_json=assets[:-1]))
    for nothing in ([], ["CommeillFautAsset", {}]):
        with pytest.raises(RuleError, match=r"storage: expected one of EmotionalAppraisalAsset.* in it, got none"):
            load_rules(write(tmp_path, storage_json=nothing))


def test_files_that_include_each_other(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        a_rpc=character("A", EmotionalAppraisalAssetSource="b.rpc"),
        b_rpc=character("B", EmotionalAppraisalAssetSource="./c.rpc"),
        c_rpc=character("C", EmotionalDecisionMakingSource="b.rpc"),
    )
    with pytest.raises(
        RuleError, match=r"c.rpc:\d+: EmotionalDecisionMakingSource: files that include each other: b.rpc -> c.rpc -> b.rpc"
    ):
        load_rules(path)
    with pytest.raises(RuleError, match=r"a\.rpc -> a\.rpc"):
        load_rules(write(tmp_path, a_rpc=character("A", EmotionalAppraisalAssetSource="a.rpc")))
    write(tmp_path, c_ea=appraisal(), b_rpc=character("B", EmotionalAppraisalAssetSource="c.ea"))
    load_rules(write(tmp_path, a_rpc=character("A", EmotionalAppraisalAssetSource="b.rpc")))  # a character's rules can be another's


def test_effects_that_never_end_are_named(tmp_path: Path) -> None:
    effects = [
        {"key": f"Event(Property-Change, *, {a}([x]), [v])", "value": [{"PropertyName": f"{b}([x])", "NewValue": "[v]"}]}
        for a, b in (("Rain", "Wet"), ("Wet", "Cold"), ("Cold", "Rain"))
    ]
    path = write(tmp_path, w_wmo=document("WorldModel", {"Effects": {"dictionary": effects}}))
    with pytest.raises(
        ValueError, match=r"set each other off for ever: Event\(Property-Change, \*, Rain.*w.wmo:\d+\) -> .*Wet.* -> .*Cold.* -> .*Rain"
    ):
        load_rules(path)

"""Reads the files of the FAtiMA Toolkit: what its authoring tool writes, or what a person writes by hand in that format.

A document is `{"root": {...}, "types": [...]}`; `types` names the kind of the root, and may be left out, since the keys tell. Read are
appraisal rules (.ea), decision rules (.edm), characters (.rpc), scenarios (.iat), world models (.wmo), in the toolkit's forms of 2017 to
2021, and its storage (.json), an array of names and documents. Keys that nobody knows are refused in rules, where they are typing errors.

Passed over: dialogues, social importance, social exchanges (their files are refused on their own, but not inside a storage), and what a
character has felt and lived through before it was saved, except its mood.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from affectrt.affect.appraisal.conditions import Conditions, parse_condition
from affectrt.affect.appraisal.derive import DESIRABILITY, GOAL, PRAISEWORTHINESS, VARIABLES, Goal
from affectrt.affect.appraisal.events import EVENT, KINDS
from affectrt.affect.appraisal.names import ANY, NIL, SELF, Name
from affectrt.affect.appraisal.occ import emotion_type
from affectrt.affect.appraisal.rules import ActionRule, AppraisalRule, Change, Effect, Rules, Variable
from affectrt.affect.appraisal.source import Node, read_json
from affectrt.affect.appraisal.state import Disposition, Settings
from affectrt.affect.appraisal.world import Belief

APPRAISAL = "EmotionalAppraisalAsset"
DECISION = "EmotionalDecisionMakingAsset"
CHARACTER = "RolePlayCharacterAsset"
SCENARIO = "IntegratedAuthoringToolAsset"
WORLD = "WorldModelAsset"

_KIND_BY_KEY = {
    "AppraisalRules": APPRAISAL,
    "ActionTendencies": DECISION,
    "Characters": SCENARIO,
    "CharacterSources": SCENARIO,
    "Effects": WORLD,
    "KnowledgeBase": CHARACTER,
    "EmotionalAppraisalAssetSource": CHARACTER,
    "EmotionalDecisionMakingSource": CHARACTER,
}
_SPELLINGS = {"".join(name.split()).casefold(): name for name in VARIABLES} | {
    "goalsuccessprobablity": GOAL,  # so the toolkit spells it
    "desirabilityforother": "Desirability for others",
}


def load_rules(*paths: str | PathLike[str], agent: str | None = None) -> Rules:
    """Reads files (.ea, .edm, .rpc, .iat, .wmo, or a storage in .json) and puts them together, in that order.

    `agent` picks a character out of a scenario (.iat) with several. Raises `RuleError`, a ValueError that begins with file and line, for
    whatever is wrong in a file, and OSError for a file that cannot be read.
    """
    if not paths:
        raise ValueError("expected at least one rule file, got none")
    reader = _Reader(agent)
    rules = Rules()
    for path in paths:
        rules = rules.merged(reader.file(Path(path), ())[0])
    return rules


class _Reader:
    def __init__(self, agent: str | None) -> None:
        self._agent = agent

    def file(self, path: Path, chain: tuple[Path, ...]) -> tuple[Rules, set[str]]:
        """The rules of a file and the kinds of document that they come from; `chain` are the files that led to it."""
        chain = (*chain, path)
        top = read_json(path)
        if isinstance(top.value, list):
            return self._storage(top, top.value, chain)
        return self._document(top, chain)

    def _storage(self, top: Node, entries: list[Node], chain: tuple[Path, ...]) -> tuple[Rules, set[str]]:
        rules = Rules()
        kinds: set[str] = set()
        for name, document in zip(entries[::2], entries[1::2], strict=False):
            if name.text("storage: name of an asset") in (APPRAISAL, DECISION, WORLD, CHARACTER):
                more, kind = self._document(document, chain)
                rules, kinds = rules.merged(more), kinds | kind
        if len(entries) % 2:
            entries[-1].fail("storage: expected names and documents by turns, got a name without a document")
        if not kinds:
            top.fail(f"storage: expected one of {', '.join(sorted({APPRAISAL, DECISION, WORLD, CHARACTER}))} in it, got none")
        return rules, kinds

    def _document(self, top: Node, chain: tuple[Path, ...]) -> tuple[Rules, set[str]]:
        members = top.keys("document", {"root"}, {"types", "references"})
        root = members["root"]
        if isinstance(root.value, str):
            root.fail('expected an object as root; documents with "references", from before version 1 of the toolkit, are not read')
        kind = _kind(root, members.get("types"))
        if kind == APPRAISAL:
            return _appraisal(root), {kind}
        if kind == DECISION:
            return Rules(actions=_actions(root)), {kind}
        if kind == WORLD:
            return Rules(effects=_effects(root)), {kind}
        if kind == CHARACTER:
            return self._character(root, chain)
        if kind == SCENARIO:
            return self._scenario(root, chain)
        root.fail(f"expected one of {', '.join(sorted({APPRAISAL, DECISION, CHARACTER, SCENARIO, WORLD}))}, got {kind}")

    def _character(self, root: Node, chain: tuple[Path, ...]) -> tuple[Rules, set[str]]:
        members = root.members("character")
        agent, beliefs = _knowledge(members.get("KnowledgeBase"))
        mood, settings = 0.0, None
        if "EmotionalState" in members:
            state = members["EmotionalState"].members("EmotionalState")
            mood = state["Mood"].number("Mood", -10, 10) if "Mood" in state else 0.0
            settings = _settings(state["AppraisalConfiguration"]) if "AppraisalConfiguration" in state else None
        rules = Rules(goals=_goals(members.get("Goals")), beliefs=beliefs, agent=agent, mood=mood, settings=settings)
        kinds = {CHARACTER}
        for key, kind in (("EmotionalAppraisalAssetSource", APPRAISAL), ("EmotionalDecisionMakingSource", DECISION)):
            source = members.get(key)
            if source is None or source.value in (None, ""):
                continue
            more, found = self._source(source, key, chain)
            if kind not in found:
                source.fail(f"{key}: expected a file with an {kind}, got one with {', '.join(sorted(found))}")
            kinds |= found
            if kind == APPRAISAL:
                kept = Rules(appraisal=more.appraisal, dispositions=more.dispositions, goals=more.goals, beliefs=more.beliefs)
                rules = kept.merged(rules)
            else:
                rules = rules.merged(Rules(actions=more.actions))
        return rules, kinds

    def _source(self, source: Node, what: str, chain: tuple[Path, ...]) -> tuple[Rules, set[str]]:
        named = Path(source.text(what).replace("\\", "/"))
        if named.is_absolute():
            source.fail(f"{what}: expected a path relative to this file, got {named}")
        path = chain[-1].parent / named
        known = [p.resolve() for p in chain]
        if path.resolve() in known:
            cycle = [*chain[known.index(path.resolve()) :], path]
            source.fail(f"{what}: files that include each other: {' -> '.join(p.name for p in cycle)}")
        if not path.is_file():
            source.fail(f"{what}: there is no file {path}")
        return self.file(path, chain)

    def _scenario(self, root: Node, chain: tuple[Path, ...]) -> tuple[Rules, set[str]]:
        members = root.members("scenario")
        cast = [self._character(c, chain) for c in members["Characters"].elements("Characters")] if "Characters" in members else []
        for source in members["CharacterSources"].elements("CharacterSources") if "CharacterSources" in members else []:
            cast.append(self._source(source, "CharacterSources", chain))
        names = [str(rules.agent) for rules, _ in cast]
        chosen = [c for c, name in zip(cast, names, strict=True) if self._agent is None or name.casefold() == self._agent.casefold()]
        if len(chosen) != 1:
            wanted = f"agent={self._agent!r}" if self._agent else "agent="
            root.fail(f"scenario: expected {wanted} to name one of its characters: {', '.join(names) or 'it has none'}")
        rules, kinds = chosen[0]
        world = members.get("WorldModel")
        effects = _effects(world) if world is not None and world.value is not None else ()
        return rules.merged(Rules(effects=effects)), kinds | {SCENARIO}


def _kind(root: Node, types: Node | None) -> str:
    members = root.members("root")
    number = members.get("classId")
    for entry in types.elements("types") if types is not None else []:
        fields = entry.keys("type", {"TypeId", "ClassName"}, set())
        if number is not None and fields["TypeId"].value == number.value:
            return fields["ClassName"].text("ClassName").split(",")[0].split(".")[-1]
    kinds = [kind for key, kind in _KIND_BY_KEY.items() if key in members]
    return kinds[0] if kinds else "a document of an unknown kind"


def _appraisal(root: Node) -> Rules:
    members = root.keys(
        "appraisal rules", set(), {"classId", "Description", "AppraisalRules", "EmotionDispositions", "Goals", "KnowledgeBase"}
    )
    rules: list[AppraisalRule] = []
    if "AppraisalRules" in members:
        fields = members["AppraisalRules"].keys("AppraisalRules", set(), {"AppraisalWeight", "Rules"})
        rules = [_appraisal_rule(node) for node in fields["Rules"].elements("Rules")] if "Rules" in fields else []
    dispositions: dict[str, Disposition] = {}
    for node in members["EmotionDispositions"].elements("EmotionDispositions") if "EmotionDispositions" in members else []:
        fields = node.keys("disposition", {"Emotion"}, {"Decay", "Threshold"})
        emotion = fields["Emotion"].text("Emotion")
        try:
            emotion = emotion if emotion == "*" else emotion_type(emotion).name
        except ValueError as error:
            fields["Emotion"].fail(str(error))
        if emotion in dispositions:
            node.fail(f"a second disposition for {emotion}")
        values = {key: fields[key].number(key, 0, 10) if key in fields else 0.0 for key in ("Threshold", "Decay")}
        dispositions[emotion] = Disposition(values["Threshold"], values["Decay"])  # the toolkit leaves out what is 0
    agent, beliefs = _knowledge(members.get("KnowledgeBase"))
    return Rules(appraisal=tuple(rules), dispositions=dispositions, goals=_goals(members.get("Goals")), beliefs=beliefs, agent=agent)


def _appraisal_rule(node: Node) -> AppraisalRule:
    fields = node.keys("appraisal rule", {"EventName"}, {"Conditions", "AppraisalVariables", "Desirability", "Praiseworthiness"})
    variables: list[Variable] = []
    # Before 2019 a rule had these two only, and praised or blamed whoever acted.
    for name, by_subject in ((DESIRABILITY, False), (PRAISEWORTHINESS, True)):
        if name in fields:
            value = _value(fields[name], name)
            if value.number != 0:
                variables.append(Variable(name, value, by_subject=by_subject))
    if "AppraisalVariables" in fields:
        inner = fields["AppraisalVariables"].keys("AppraisalVariables", {"AppraisalVariables"}, set())
        for entry in inner["AppraisalVariables"].elements("AppraisalVariables"):
            variables.append(_variable(entry))
    event, conditions = _event(fields["EventName"], "EventName"), _conditions(fields.get("Conditions"))
    _all_bound(node, [name for v in variables for name in (v.value, v.target)], event, conditions)
    return AppraisalRule(event, tuple(variables), conditions, node.where)


def _all_bound(node: Node, used: list[Name], event: Name, conditions: Conditions) -> None:
    """A variable that occurs nowhere else has no value, so the rule would never do anything."""
    known = set(event.variables()).union(*(side.name.variables() for c in conditions.all for side in (c.left, c.right)))
    for name in used:
        for variable in name.variables():
            if variable not in known:
                node.fail(f"nothing gives {variable} a value")


def _variable(node: Node) -> Variable:
    fields = node.keys("appraisal variable", {"Name", "Value"}, {"Target"})
    name = _SPELLINGS.get("".join(fields["Name"].text("Name").split()).casefold())
    if name is None:
        fields["Name"].fail(f"expected an appraisal variable ({', '.join(VARIABLES)}), got {fields['Name'].value!r}")
    target = fields["Target"].name("Target") if "Target" in fields else NIL
    target = NIL if target == ANY else target
    if name == GOAL and target == NIL:
        node.fail(f"{GOAL}: expected the name of a goal as Target")
    if name in (DESIRABILITY, "Like"):
        target = NIL  # the toolkit reads it nowhere: they are always about the agent, and about whoever acted
    limit = 1 if name == GOAL else 100
    return Variable(name, _value(fields["Value"], name, limit), target)


def _value(node: Node, what: str, limit: float = 100) -> Name:
    """A number, or a variable that conditions give one."""
    name = node.name(what)
    if not name.is_variable:
        node.number(what, -limit, limit)
    return name


def _event(node: Node, what: str) -> Name:
    event = node.name(what)
    if event.head != EVENT or len(event.terms) != 4:
        node.fail(f"{what}: expected Event(kind, subject, action, target), got {event}")
    kind = event.terms[0]
    if kind.is_constant and kind not in KINDS:
        node.fail(f"{what}: expected {', '.join(map(str, KINDS))} or * as kind of event, got {kind}")
    return event


def _conditions(node: Node | None) -> Conditions:
    if node is None or node.value is None:
        return Conditions()
    fields = node.keys("Conditions", set(), {"Set", "Quantifier"})
    found = []
    for entry in fields["Set"].elements("Set") if "Set" in fields else []:
        try:
            found.append(parse_condition(entry.text("condition")))
        except ValueError as error:
            if type(error) is not ValueError:
                raise
            entry.fail(f"condition {error}")
    quantifier = fields["Quantifier"].value if "Quantifier" in fields else "Existential"
    if quantifier not in ("Existential", "Universal", 0, 1):
        fields["Quantifier"].fail(f'Quantifier: expected "Existential" or "Universal", got {quantifier!r}')
    return Conditions(tuple(dict.fromkeys(found)), quantifier in ("Universal", 1))


def _actions(root: Node) -> tuple[ActionRule, ...]:
    members = root.keys("decision rules", set(), {"classId", "Description", "DefaultActionPriority", "ActionTendencies"})
    default = _value(members["DefaultActionPriority"], "DefaultActionPriority", 1e6) if "DefaultActionPriority" in members else Name("1")
    rules = []
    for node in members["ActionTendencies"].elements("ActionTendencies") if "ActionTendencies" in members else []:
        fields = node.keys("decision rule", {"Action"}, {"Target", "Layer", "Conditions", "Priority"})
        target, layer = (fields[key].name(key) if key in fields else NIL for key in ("Target", "Layer"))
        if target.terms:
            fields["Target"].fail(f"Target: expected a symbol, got {target}")
        priority = _value(fields["Priority"], "Priority", 1e6) if "Priority" in fields else default
        action, conditions = fields["Action"].name("Action"), _conditions(fields.get("Conditions"))
        _all_bound(node, [action, target, priority], NIL, conditions)
        rules.append(ActionRule(action, target, priority, conditions, layer, node.where))
    return tuple(rules)


def _effects(root: Node) -> tuple[Effect, ...]:
    members = root.keys("world model", {"Effects"}, {"classId", "Description", "Priorities"})
    priorities = {}
    for key, value in _dictionary(members["Priorities"], "Priorities") if "Priorities" in members else []:
        priorities[_event(key, "event")] = value.number("priority", -1e6, 1e6)
    effects = []
    for key, value in _dictionary(members["Effects"], "Effects"):
        event = _event(key, "event")
        changes = []
        for node in value.elements("effects") if value.value is not None else []:
            fields = node.keys("effect", {"PropertyName", "NewValue"}, {"ObserverAgent"})
            what = fields["PropertyName"].name("PropertyName")
            if not what.terms:
                fields["PropertyName"].fail(f"PropertyName: expected a property such as Battery(SELF), got {what}")
            observer = fields["ObserverAgent"].name("ObserverAgent") if "ObserverAgent" in fields else ANY
            change = Change(what, fields["NewValue"].name("NewValue"), observer)
            _all_bound(node, [change.property, change.value, change.observer], event, Conditions())
            changes.append(change)
        effects.append(Effect(event, tuple(changes), priorities.get(event, 1.0), key.where))
    return tuple(effects)


def _dictionary(node: Node, what: str) -> list[tuple[Node, Node]]:
    inner = node.keys(what, {"dictionary"}, set())
    pairs = [entry.keys(what, {"key", "value"}, set()) for entry in inner["dictionary"].elements(what)]
    return [(pair["key"], pair["value"]) for pair in pairs]


def _goals(node: Node | None) -> tuple[Goal, ...]:
    goals: dict[str, Goal] = {}
    for entry in node.elements("Goals") if node is not None and node.value is not None else []:
        fields = entry.keys("goal", {"Name"}, {"Significance", "Likelihood"})
        name = str(fields["Name"].name("Name"))
        if name.casefold() in goals:
            entry.fail(f"a second goal {name}")
        significance = fields["Significance"].number("Significance", 0, 10) if "Significance" in fields else 0.0
        likelihood = fields["Likelihood"].number("Likelihood", 0, 1) if "Likelihood" in fields else 0.0
        goals[name.casefold()] = Goal(name, significance, likelihood)
    return tuple(goals.values())


def _knowledge(node: Node | None) -> tuple[Name, tuple[Belief, ...]]:
    """The agent's name and its beliefs."""
    if node is None or node.value is None:
        return SELF, ()
    fields = node.keys("KnowledgeBase", set(), {"Perspective", "Knowledge"})
    agent = fields["Perspective"].name("Perspective") if "Perspective" in fields else SELF
    if agent.terms or not agent.is_constant or agent.number is not None:
        fields["Perspective"].fail(f"Perspective: expected the agent's name, got {agent}")
    minds = fields["Knowledge"].members("Knowledge") if "Knowledge" in fields else {}
    beliefs: list[Belief] = []
    for mind, knowledge in minds.items():
        if mind.casefold() != "self":
            knowledge.fail(f"Knowledge: expected beliefs of SELF, got those of {mind} (what others believe is not modelled)")
        for name, value in knowledge.members("beliefs").items():
            beliefs.append(_belief(name, value))
    return agent, tuple(beliefs)


def _belief(name: str, node: Node) -> Belief:
    """Values are plain, or "value, certainty"."""
    certainty = 1.0
    if isinstance(node.value, str) and "," in node.value:
        text, _, number = node.value.rpartition(",")
        certainty = Node(number, node.file, node.line).number(f"{name}: certainty", 0, 1)
        node = Node(text, node.file, node.line)
    value = node.name(f"value of {name}")
    try:
        return Belief(Node(name, node.file, node.line).name("belief"), value, certainty)
    except ValueError as error:
        if type(error) is not ValueError:
            raise
        node.fail(str(error))


def _settings(node: Node) -> Settings:
    keys = {
        "HalfLifeDecayConstant": "half_life_base",
        "EmotionInfluenceOnMoodFactor": "emotion_to_mood",
        "MoodInfluenceOnEmotionFactor": "mood_to_emotion",
        "MinimumMoodValueForInfluencingEmotions": "neutral_mood",
        "EmotionalHalfLifeDecayTime": "emotion_half_life",
        "MoodHalfLifeDecayTime": "mood_half_life",
    }
    fields = node.keys("AppraisalConfiguration", set(), set(keys))
    values = {keys[key]: value.number(key, 0, 1e9) for key, value in fields.items()}
    try:
        return Settings(**values)  # type: ignore[arg-type]  # the floats among its fields
    except ValueError as error:
        node.fail(str(error))

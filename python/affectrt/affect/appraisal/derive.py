"""From appraisal variables to emotions with a potential: FAtiMA's affect derivation.

With desirability d, praiseworthiness p, desirability for another d', liking l, and a goal's likelihood L that becomes L' (significance s):

    family              emotions                                                          potential
    compound            d, p not 0: Gratification/Remorse (self), Gratitude/Anger (other),
                        by the sign of d                                                  |d + p| / 2
    fortunes of others  d >= 0: Happy-For (d' >= 0), Gloating; d < 0: Resentment, Pity     (|d'| + |d|) / 2
    attribution         Pride/Shame (self), Admiration/Reproach (other)                   |p|
    well-being          Joy/Distress                                                      |d|
    attraction          Love/Hate                                                         0.7 |l|
    prospect            L' > L: Hope; L' = 1: Relief if L <= 0.5, else Satisfaction        L' s
                        L' < L: Fear; L' = 0: Disappointment if L >= 0.5, else
                        Fears-Confirmed                                                   (1 - L') s
                        L' = L: Hope                                                      0

Compound emotions and those about others' fortunes take the place of plain attribution and well-being. For a compound d and p need not have
one sign (before 2020 the toolkit wanted that): what is good for the agent but bad of Ana still gives Gratitude, a small one.

Three places where the toolkit's code leaves the OCC model, and this does not: (1) an event that is good or bad for "another" who is the
agent itself is a matter of well-being, with the sign of d (the code gives Joy for either sign); (2) someone else who acts is another, so
praise for the one who acted is Admiration (the code gives Pride to whoever watches), and good fortune of the one who acted is Happy-For;
(3) several emotions of one kind out of one event, about different people or goals, are all felt (the code keeps the last).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from affectrt.affect.appraisal.names import NIL, SELF, Name
from affectrt.affect.appraisal.occ import OCC, EmotionType

DESIRABILITY = "Desirability"
PRAISEWORTHINESS = "Praiseworthiness"
DESIRABILITY_FOR_OTHERS = "Desirability for others"
LIKE = "Like"
GOAL = "Goal Success Probability"
VARIABLES = (DESIRABILITY, PRAISEWORTHINESS, DESIRABILITY_FOR_OTHERS, LIKE, GOAL)

Variables = Mapping[tuple[str, Name], float]
"""What the rules say of an event: (variable, its target or `-`) to value."""


@dataclass(frozen=True, slots=True)
class Goal:
    """Something the agent wants."""

    name: str
    significance: float
    """In [0, 10]."""
    likelihood: float
    """In [0, 1]: how likely it is to be reached."""

    def __post_init__(self) -> None:
        if not 0 <= self.significance <= 10:
            raise ValueError(f"goal {self.name}: expected a significance in [0, 10], got {self.significance}")
        if not 0 <= self.likelihood <= 1:
            raise ValueError(f"goal {self.name}: expected a likelihood in [0, 1], got {self.likelihood}")


@dataclass(frozen=True, slots=True)
class Appraised:
    """An emotion before mood and disposition have had their say."""

    type: EmotionType
    potential: float
    target: Name | None = None
    """Whom it is directed at."""
    goal: str = ""


def derive(
    variables: Variables, subject: Name, goals: Mapping[str, Goal], *, goal_value: str = "change"
) -> tuple[list[Appraised], dict[str, Goal]]:
    """The emotions of one event, in a fixed order, and the goals as they are after it.

    `subject` is who acted; the agent itself is SELF. `goal_value` says what a goal's variable holds: the "change" of its likelihood, or
    the new "likelihood" (as in the toolkit before it counted in changes). Goals that nobody has are passed over.
    """
    found: list[Appraised] = []
    desirability = variables.get((DESIRABILITY, NIL))
    others = {t: v for (variable, t), v in variables.items() if variable == DESIRABILITY_FOR_OTHERS and v != 0}
    praise = {t: v for (variable, t), v in variables.items() if variable == PRAISEWORTHINESS}
    if desirability is not None:
        found += [_fortune(desirability, value, other) for other, value in others.items()]
        found += [_compound(desirability, value, whom) for whom, value in praise.items() if desirability != 0 and value != 0]
    if not found:
        found += [_attribution(value, whom) for whom, value in praise.items()]
    plain_well_being = not found or all(a.type.family == "attribution" for a in found)
    like = variables.get((LIKE, NIL), 0.0)
    if like != 0:
        found.append(Appraised(OCC["Love" if like > 0 else "Hate"], 0.7 * abs(like), subject))
    if desirability is not None and plain_well_being:
        found.append(_well_being(desirability, abs(desirability)))

    after = dict(goals)
    by_key = {name.casefold(): name for name in goals}
    for (variable, target), value in variables.items():
        name = by_key.get(str(target).casefold()) if variable == GOAL else None
        if name is None:
            continue
        before = after[name]
        likelihood = min(1.0, max(0.0, value + before.likelihood if goal_value == "change" else value))
        after[name] = replace(before, likelihood=likelihood)
        found.append(prospect(before, likelihood))
    return found, after


def _well_being(desirability: float, potential: float) -> Appraised:
    return Appraised(OCC["Joy" if desirability >= 0 else "Distress"], potential)


def _fortune(desirability: float, for_other: float, other: Name) -> Appraised:
    potential = (abs(for_other) + abs(desirability)) / 2
    if other in (SELF, NIL):
        return _well_being(desirability, potential)
    if desirability >= 0:
        name = "Happy-For" if for_other > 0 else "Gloating"
    else:
        name = "Resentment" if for_other > 0 else "Pity"
    return Appraised(OCC[name], potential, other)


def _compound(desirability: float, praiseworthiness: float, whom: Name) -> Appraised:
    own, good = whom in (SELF, NIL), desirability > 0
    name = ("Gratification" if good else "Remorse") if own else ("Gratitude" if good else "Anger")
    return Appraised(OCC[name], abs(desirability + praiseworthiness) / 2, SELF if own else whom)


def _attribution(praiseworthiness: float, whom: Name) -> Appraised:
    own, good = whom in (SELF, NIL), praiseworthiness >= 0
    name = ("Pride" if good else "Shame") if own else ("Admiration" if good else "Reproach")
    return Appraised(OCC[name], abs(praiseworthiness), SELF if own else whom)


def prospect(before: Goal, likelihood: float) -> Appraised:
    """What a goal's new likelihood makes one feel."""
    rose, fell = likelihood > before.likelihood, likelihood < before.likelihood
    if rose and likelihood == 1:
        name = "Relief" if before.likelihood <= 0.5 else "Satisfaction"
    elif fell and likelihood == 0:
        name = "Disappointment" if before.likelihood >= 0.5 else "Fears-Confirmed"
    else:
        name = "Fear" if fell else "Hope"
    potential = before.significance * (1 - likelihood if fell else likelihood if rose else 0)
    return Appraised(OCC[name], potential, goal=before.name)

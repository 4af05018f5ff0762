"""Conditions of rules: comparisons of what is known, joined by "and", under a quantifier.

`Like(SELF, [x]) > 3` holds for every `[x]` of whom that is believed. `=` with a variable on its own binds it (`Mood(SELF) = [m]`), or
compares if it is bound. `#[x]` is the number of values that `[x]` has in all solutions so far. Conditions are taken in the order of the
file, so a variable must be bound before it is compared.

FAtiMA's code finds `a > b` true of whatever is no number, since it computes "not a <= b"; here an order holds only between numbers.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from affectrt.affect.appraisal.names import Name, number, parse
from affectrt.affect.appraisal.world import Solution, World

MAX_SOLUTIONS = 10_000
"""Conditions with many free variables multiply; a rule with more answers than this is a mistake, not a wish."""

_OPERATORS = re.compile(r"!=|<=|>=|=|<|>")
_ORDER: dict[str, Callable[[float, float], bool]] = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@dataclass(frozen=True, slots=True)
class Operand:
    """One side of a comparison."""

    name: Name
    count: bool = False
    """Written `#[x]`: the number of values of the variable."""

    def __str__(self) -> str:
        return f"{'#' if self.count else ''}{self.name}"

    @property
    def is_variable(self) -> bool:
        """True of a variable that is not counted."""
        return self.name.is_variable and not self.count


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison; `operator` is one of = != < <= > >=."""

    left: Operand
    operator: str
    right: Operand

    def __str__(self) -> str:
        return f"{self.left} {self.operator} {self.right}"

    def swap(self, old: Name, new: Name) -> Condition:
        """The condition with one symbol replaced by another."""
        left, right = (Operand(side.name.swap(old, new), side.count) for side in (self.left, self.right))
        return Condition(left, self.operator, right)

    def solve(self, world: World, solutions: Sequence[Solution]) -> list[Solution]:
        """Those of `solutions` in which it holds, with what it binds; each once. ValueError if there are more than 10,000."""
        found: dict[frozenset[tuple[Name, Name]], Solution] = {}
        for solution in self._holding(world, solutions):
            found.setdefault(frozenset(solution.bindings.items()), solution)
            if len(found) > MAX_SOLUTIONS:
                raise ValueError(f"the condition {self} has more than {MAX_SOLUTIONS} solutions")
        return list(found.values())

    def _holding(self, world: World, solutions: Sequence[Solution]) -> Iterator[Solution]:
        for solution in solutions:
            left, right = self.left, self.right
            if self.operator == "=" and (left.is_variable or right.is_variable):
                if not left.is_variable or (right.is_variable and right.name not in solution.bindings):
                    left, right = right, left
                for value, at in _values(right, world, solution, solutions):
                    bound = at.bind(left.name, value)
                    if bound is not None:
                        yield bound
                continue
            for a, at in _values(left, world, solution, solutions):
                for b, both in _values(right, world, at, solutions):
                    if compare(a, self.operator, b):
                        yield both


def _values(side: Operand, world: World, solution: Solution, solutions: Sequence[Solution]) -> Iterator[tuple[Name, Solution]]:
    if side.count:
        values = {s.bindings[side.name] for s in solutions if side.name in s.bindings}
        yield number(len(values)), solution
    else:
        yield from world.ask(side.name, solution)


def compare(a: Name, operator: str, b: Name) -> bool:
    """Whether a comparison of two values holds. With true or false, only true and false compare; an order needs two numbers."""
    if operator in _ORDER:
        return a.number is not None and b.number is not None and _ORDER[operator](a.number, b.number)
    if (a.truth is None) != (b.truth is None):
        return False
    return (a == b) == (operator == "=")


def parse_condition(text: str) -> Condition:
    """Reads one comparison. Raises ValueError for bad names, no or a second operator, and comparisons that can come out one way only."""
    found = _OPERATORS.search(text)
    if found is None:
        raise ValueError(f"{text!r}: expected a comparison with one of = != < <= > >=")
    try:
        left, right = _operand(text[: found.start()]), _operand(text[found.end() :])
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None
    if left == right:
        raise ValueError(f"{text!r}: both sides are the same")
    if not (left.count or right.count or left.name.terms or right.name.terms or left.name.is_variable or right.name.is_variable):
        raise ValueError(f"{text!r}: both sides are plain values; expected a variable or something known on one of them")
    return Condition(left, found[0], right)


def _operand(text: str) -> Operand:
    counted = text.strip()
    if not counted.startswith("#"):
        return Operand(parse(text))
    name = parse(counted[1:])
    if not name.is_variable:
        raise ValueError(f"# counts the values of a [variable], got {name}")
    return Operand(name, count=True)


@dataclass(frozen=True, slots=True)
class Conditions:
    """Comparisons that must all hold."""

    all: tuple[Condition, ...] = ()
    universal: bool = False
    """False: one solution is enough. True: every value that a condition has found for a variable must survive those after it."""

    def swap(self, old: Name, new: Name) -> Conditions:
        """The conditions with one symbol replaced by another."""
        return Conditions(tuple(c.swap(old, new) for c in self.all), self.universal)

    def solve(self, world: World, solutions: Iterable[Solution] = (Solution(),)) -> list[Solution]:
        """Every solution, in a fixed order: that of the file and of the beliefs."""
        found = list(solutions)
        for condition in self.all:
            before = _domains(found) if self.universal else {}
            found = condition.solve(world, found)
            if not found:
                break
            after = _domains(found) if self.universal else {}
            if any(after.get(variable) != values for variable, values in before.items()):
                return []
        return found


def _domains(solutions: Iterable[Solution]) -> dict[Name, set[Name]]:
    domains: dict[Name, set[Name]] = {}
    for solution in solutions:
        for variable, value in solution.bindings.items():
            domains.setdefault(variable, set()).add(value)
    return domains

"""What the agent knows: beliefs, and the meta-beliefs that are worked out when asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from affectrt.affect.appraisal.names import Name, as_name
from affectrt.affect.appraisal.unify import unify


@dataclass(frozen=True, slots=True)
class Belief:
    """One thing known, such as `Like(SELF, Ana)` = `7`."""

    name: Name
    """Composed, without variables and without `*`."""
    value: Name
    """A constant symbol: a word or a number."""
    certainty: float = 1.0
    """In (0, 1]."""

    def __post_init__(self) -> None:
        if not self.name.terms or not self.name.is_constant:
            raise ValueError(f"a belief is a composed name without variables and *, such as Like(SELF, Ana), got {self.name}")
        if self.value.terms or not self.value.is_constant:
            raise ValueError(f"{self.name}: expected a word or a number as value, got {self.value}")
        if not (isinstance(self.certainty, int | float) and 0 < self.certainty <= 1):
            raise ValueError(f"{self.name}: expected a certainty in (0, 1], got {self.certainty!r}")


class Beliefs:
    """Beliefs by name; asking goes through those with the same first term and length only."""

    def __init__(self, beliefs: Iterable[Belief] = ()) -> None:
        self._shelves: dict[tuple[object, int], dict[Name, Belief]] = {}
        for belief in beliefs:
            self.put(belief)

    def put(self, belief: Belief) -> None:
        """Adds a belief or replaces the one of that name."""
        self._shelf(belief.name, make=True)[belief.name] = belief

    def drop(self, name: Name) -> bool:
        """Forgets a belief; False if there was none."""
        return self._shelf(name).pop(name, None) is not None

    def get(self, name: Name) -> Belief | None:
        """The belief of exactly this name."""
        return self._shelf(name).get(name)

    def like(self, name: Name) -> Iterable[Belief]:
        """Those that might unify with `name`, in the order they were told."""
        if name.symbol == "*" or name.symbol.startswith("["):
            return [b for (_, terms), shelf in self._shelves.items() if terms == len(name.terms) for b in shelf.values()]
        return list(self._shelf(name).values())

    def __iter__(self) -> Iterator[Belief]:
        for shelf in self._shelves.values():
            yield from shelf.values()

    def __len__(self) -> int:
        return sum(map(len, self._shelves.values()))

    def copy(self) -> Beliefs:
        """One that changes by itself from here on."""
        return Beliefs(self)

    def _shelf(self, name: Name, *, make: bool = False) -> dict[Name, Belief]:
        key = (name.head.key, len(name.terms))
        return self._shelves.setdefault(key, {}) if make else self._shelves.get(key, {})


@dataclass(frozen=True, slots=True)
class Solution:
    """One way in which conditions hold."""

    bindings: Mapping[Name, Name] = field(default_factory=dict)
    """What each variable stands for; values hold no variables."""
    certainty: float = 1.0
    """Of the least certain belief that it rests on."""

    def bind(self, variable: Name, value: Name) -> Solution | None:
        """This one with the variable bound too, or None if it stands for something else already."""
        known = self.bindings.get(variable)
        if known is None:
            return Solution({**self.bindings, variable: value}, self.certainty)
        return self if known == value else None

    def extend(self, bindings: Mapping[Name, Name], certainty: float = 1.0) -> Solution:
        """This one with more bindings, of variables that are free in it."""
        return Solution({**self.bindings, **bindings}, min(self.certainty, certainty))


Meta = Callable[["World", tuple[Name, ...], Solution], Iterable[tuple[Name, Solution]]]
"""A meta-belief: (world, terms with bound variables replaced, solution) to its values, each with the solution it holds in."""


@dataclass(frozen=True, slots=True)
class World:
    """What conditions are asked of: beliefs, and meta-beliefs by their first term and number of terms."""

    beliefs: Beliefs
    metas: Mapping[tuple[object, int], Meta] = field(default_factory=dict)

    def ask(self, name: Name, solution: Solution) -> Iterator[tuple[Name, Solution]]:
        """Every value of `name`, each with the solution it holds in.

        A symbol is its own value, a bound variable what it stands for, a free one has none. What is not known has no value either
        (closed world), so no comparison with it holds.
        """
        if name.is_variable:
            if name in solution.bindings:
                yield solution.bindings[name], solution
            return
        if not name.terms:
            yield name, solution
            return
        try:
            asked = name.substitute(solution.bindings)
        except ValueError:  # a variable in front of parentheses stands for a composed name: nothing has such a name
            return
        meta = self.metas.get((asked.head.key, len(asked.terms)))
        if meta is not None:
            yield from meta(self, asked.terms, solution)
            return
        known = self.beliefs.get(asked) if asked.is_constant else None
        for belief in [known] if known else () if asked.is_constant else self.beliefs.like(asked):
            found = unify(asked, belief.name)
            if found is not None:
                yield belief.value, solution.extend(found, belief.certainty)

    def numbers(self, name: Name, solution: Solution) -> Iterator[tuple[float, Solution]]:
        """The values of `name` that are numbers."""
        for value, at in self.ask(name, solution):
            if value.number is not None:
                yield value.number, at


def believe(name: str | Name, value: str | float | bool | Name, certainty: float = 1.0) -> Belief:
    """A belief from plain values: `believe("Like(SELF, Ana)", 7)`."""
    if isinstance(value, bool):
        value = Name(str(value))
    elif isinstance(value, int | float):
        if not math.isfinite(value):
            raise ValueError(f"{name}: expected a finite number, got {value}")
        value = Name(repr(value))
    return Belief(as_name(name), as_name(value), certainty)

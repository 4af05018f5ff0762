"""The unifier of well-formed names: which values of the variables make two names equal.

Robinson's algorithm with the occurs check (J. A. Robinson, "A machine-oriented logic based on the resolution principle", Journal of the
ACM 12 (1965) 23-41), in triangular form. `*` stands for anything: each one is taken as a variable of its own (FAtiMA calls them ghosts),
which is taken out of the answer again. FAtiMA's own unifier compares `*` with `==` once a variable stands anywhere in the pair, so that
there `Event(A, *, [x])` and `Event(A, B, C)` do not unify; its rule files mean them to, and here they do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from affectrt.affect.appraisal.names import MAX_DEPTH, RESERVED, Name

MAX_STEPS = 20_000
"""Names that double with every variable would take for ever; no rule needs more than some dozens of steps."""

Bindings = Mapping[Name, Name]


def unify(first: Name, second: Name, *, partial: bool = False) -> dict[Name, Name] | None:
    """The most general bindings that make both names equal, or None if none do.

    The values hold no variable that is bound itself, so substituting once is enough. Of two variables the first name's is bound to
    the second's. With `partial`, names of different length need to agree only as far as the shorter one goes (`x` with `x(a)`).
    Raises ValueError where the answer would be larger than a name may be.
    """
    if not partial:  # rules meet events and beliefs, which are constants: then there is an answer without a solver
        for pattern, constant in ((first, second), (second, first)):
            if constant.is_constant:
                bound: dict[Name, Name] = {}
                return bound if _match(pattern, constant, bound) else None
        if _differ(first, second):
            return None
    return _Solver(partial).solve(first, second)


def _match(pattern: Name, constant: Name, bound: dict[Name, Name]) -> bool:
    """Binds the pattern's variables to parts of the constant."""
    first = pattern.symbol[0]
    if not pattern.terms:
        if first == "[":
            return bound.setdefault(pattern, constant) == constant
        return pattern.symbol == "*" or pattern.key == constant.key
    if len(pattern.terms) != len(constant.terms):
        return False
    if first == "[":
        if bound.setdefault(pattern.head, constant.head) != constant.head:
            return False
    elif pattern.symbol != "*" and pattern.key[0] != constant.key[0]:
        return False
    return all(_match(a, b, bound) for a, b in zip(pattern.terms, constant.terms, strict=True))


def _differ(a: Name, b: Name) -> bool:
    """True if they differ where neither has a variable or `*`: what most pairs do that do not unify, seen without a solver."""
    if (not a.terms and a.symbol[0] in "[*") or (not b.terms and b.symbol[0] in "[*"):
        return False
    if len(a.terms) != len(b.terms):
        return True
    if a.symbol[0] not in "[*" and b.symbol[0] not in "[*" and a.head.key != b.head.key:
        return True
    return any(_differ(x, y) for x, y in zip(a.terms, b.terms, strict=True))


class _Solver:
    def __init__(self, partial: bool) -> None:
        self._partial = partial
        self._bound: dict[Name, Name] = {}
        self._ghosts = 0
        self._steps = 0

    def solve(self, first: Name, second: Name) -> dict[Name, Name] | None:
        first, second = (n if n.is_constant else n.map(self._ghost) for n in (first, second))
        pairs = [(first, second)]
        while pairs:
            a, b = (self._walk(name) for name in pairs.pop())
            if a == b:
                continue
            if a.is_variable or b.is_variable:
                if not self._bind(a, b):
                    return None
                continue
            if not self._partial and len(a.terms) != len(b.terms):
                return None
            if not a.terms and not b.terms:
                return None
            pairs.extend(reversed([(a.head, b.head), *zip(a.terms, b.terms, strict=False)]))
        try:
            known: dict[Name, Name] = {}
            answer = {v: self._resolve(v, known, 0).map(_unghost) for v in self._bound if not _is_ghost(v)}
            for name in (first, second):  # a variable in front of parentheses may have come to stand for a composed name
                self._resolve(name, known, 0)
        except _ComposedHeadError:
            return None
        return answer

    def _ghost(self, symbol: Name) -> Name:
        if symbol.is_universal:
            self._ghosts += 1
            return Name(f"{RESERVED}-{self._ghosts}]")
        return symbol

    def _tick(self) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise ValueError(f"unifying takes more than {MAX_STEPS} steps")

    def _walk(self, name: Name) -> Name:
        self._tick()
        while name.is_variable and name in self._bound:
            name = self._bound[name]
        return name

    def _bind(self, a: Name, b: Name) -> bool:
        if not a.is_variable or (b.is_variable and _is_ghost(b) and not _is_ghost(a)):
            a, b = b, a
        if any(v == a for v in self._reached(b)):  # the occurs check
            return False
        self._bound[a] = b
        return True

    def _reached(self, name: Name) -> Iterator[Name]:
        """The free variables that `name` leads to."""
        seen: set[Name] = set()
        waiting = [name]
        while waiting:
            self._tick()
            for variable in waiting.pop().variables():
                if variable in seen:
                    continue
                seen.add(variable)
                if variable in self._bound:
                    waiting.append(self._bound[variable])
                else:
                    yield variable

    def _resolve(self, name: Name, known: dict[Name, Name], depth: int) -> Name:
        if depth > MAX_DEPTH:
            raise ValueError(f"unifying leads to a name of more than {MAX_DEPTH} levels")
        if name.is_variable:
            if name not in known:
                end = self._walk(name)
                known[name] = end if end.is_variable else self._resolve(end, known, depth)
            return known[name]
        if not name.terms:
            return name
        head = self._resolve(name.head, known, depth + 1) if name.symbol.startswith("[") else name.head
        if head.terms:
            raise _ComposedHeadError
        return Name(head.symbol, tuple(self._resolve(t, known, depth + 1) for t in name.terms))


class _ComposedHeadError(Exception):
    pass


def _is_ghost(name: Name) -> bool:
    return name.symbol.startswith(RESERVED)


def _unghost(symbol: Name) -> Name:
    return Name("*") if _is_ghost(symbol) else symbol

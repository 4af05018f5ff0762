"""How much a chat template may do: steps of loops and calls, and the length of every text that it makes.

Jinja's sandbox keeps a template from objects, not from time and memory: two nested loops over range(100000) run for hours, and
"x"|center(10**9) takes a gigabyte. The limits lie far above what templates in use come to (a hundred steps a message, twenty thousand
characters).
"""

from __future__ import annotations

import functools
import math
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

LONGEST = 1 << 20
"""Characters of any text in a template, and items of any list."""
STEPS = 100_000
"""Rounds of loops and calls while one prompt is rendered."""
_LARGEST = 1 << 26
_COUNTED, _BOUNDED = "affectrt_counted", "affectrt_bounded"


class TemplateError(Exception):
    """The template failed; the message says how."""


class Limits(threading.local):
    """Those of one template; each thread renders with steps of its own."""

    left = STEPS

    def start(self) -> None:
        """All steps are there again."""
        self.left = STEPS

    def take(self, steps: int) -> None:
        """Raises TemplateError when there are no more."""
        self.left -= steps
        if self.left < 0:
            raise TemplateError(f"expected at most {STEPS} rounds of loops and calls, got more")

    def bound(self, tree: Any) -> Any:
        """A parsed template with what cannot be intercepted (loops, `~`, what is written) led through a filter of ours."""
        from jinja2 import nodes
        from jinja2.visitor import NodeTransformer

        def filtered(node: Any, name: str) -> Any:
            return nodes.Filter(node, name, [], [], None, None).set_lineno(node.lineno)

        class Bounded(NodeTransformer):
            def visit_For(self, node: Any) -> Any:  # noqa: N802
                if node.recursive:
                    raise TemplateError("loops that call themselves are not allowed in a chat template")
                self.generic_visit(node)
                node.iter = filtered(node.iter, _COUNTED)
                return node

            def visit_Concat(self, node: Any) -> Any:  # noqa: N802
                return filtered(self.generic_visit(node), _BOUNDED)

            def visit_Output(self, node: Any) -> Any:  # noqa: N802
                self.generic_visit(node)
                node.nodes = [one if isinstance(one, nodes.TemplateData) else filtered(one, _BOUNDED) for one in node.nodes]
                return node

            def visit_AssignBlock(self, node: Any) -> Any:  # noqa: N802
                self.generic_visit(node)
                node.filter = nodes.Filter(node.filter, _BOUNDED, [], [], None, None).set_lineno(node.lineno)
                return node

        return Bounded().visit(tree)

    def guard(self, environment: Any) -> None:
        """Hold the filters of an environment to the limits, and add ours."""
        from jinja2 import pass_context

        for name, function in list(environment.filters.items()):
            environment.filters[name] = self._held(function)
        del environment.globals["lipsum"]  # writes as much as it is asked for
        # With a context, so that they are not run while the template is compiled.
        environment.filters[_COUNTED] = pass_context(lambda _, items: self._counted(items))
        environment.filters[_BOUNDED] = pass_context(lambda _, text: self.text(text))

    def _held(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def held(*args: Any, **kwargs: Any) -> Any:
            if function.__name__ == "do_format":
                _check_format(args[0])
            self._sizes(args, kwargs)
            return self.text(function(*args, **kwargs))

        return held

    def _counted(self, items: Any) -> Any:
        if not hasattr(items, "__len__"):
            items = list(islice(items, self.left + 1))
        self.take(len(items))
        return items

    def text(self, value: Any) -> Any:
        """`value`, if it is no text that is too long. Many long ones count as steps."""
        if isinstance(value, str):
            if len(value) > LONGEST:
                raise TemplateError(f"expected texts of at most {LONGEST} characters, got {len(value)}")
            self.take(len(value) >> 8)
        return value

    def arithmetic(self, operator: str, left: Any, right: Any) -> None:
        """Numbers alone, and adding texts and lists: "x" * 10**9 and "%999999999d" fill the memory, 9**9**9 takes for ever."""
        numbers = all(isinstance(one, int | float) and abs(one) < 1e9 for one in (left, right)) and operator != "**"
        if not numbers and (operator != "+" or len(left) + len(right) > LONGEST):
            raise TemplateError(f"{left!r:.40} {operator} {right!r:.40} is not allowed in a chat template")

    def call(self, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """One more call, of a macro or a method."""
        self.take(1)
        owner = getattr(getattr(function, "__wrapped__", function), "__self__", None)
        if isinstance(owner, str):
            if function.__name__.startswith("format"):
                _check_format(owner)
            self._sizes((owner, *args), kwargs)

    def _sizes(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Of what goes into a filter or a method: no number may be too long a length, nor one text as many times another."""
        values = [*args, *kwargs.values()]
        numbers = [value for value in values if isinstance(value, int | float)]
        lengths = [max(1, len(value)) for value in values if isinstance(value, str | list | tuple)]
        if any(abs(number) > LONGEST for number in numbers) or math.prod(lengths) > _LARGEST:
            got = f"{max(map(abs, numbers), default=0):g} and {math.prod(lengths)}"
            raise TemplateError(f"expected numbers up to {LONGEST} and texts whose lengths come to {_LARGEST} multiplied, got {got}")


def _check_format(form: object) -> None:
    """A width in it is as long as it says."""
    if re.search(r"\d{5,}", str(form)):
        raise TemplateError(f"the format {form!r:.40} is not allowed in a chat template")

"""Chat templates as the programs that they are: run in Jinja's sandbox, and whatever goes wrong in one is a `TemplateError`.

A template comes with the model's file. It reaches no file and no Python object, writes no long text, and the plainest ways to fill the
memory ("x" * 10**9) are refused. One that means to fill it, by filters or by doubling a text in loops, or that counts for ever, is not
stopped: a model's file from nowhere is to be tried where that does no harm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from affectrt.errors import EngineError

LONGEST = 1 << 20
"""Characters of what a template may write by itself; the longest in use write some twenty thousand."""


class TemplateError(Exception):
    """The template failed; the message says how."""


class Renderer:
    """One compiled template."""

    def __init__(self, source: str, names: Mapping[str, str]) -> None:
        """Compile it. `names`: what it may ask for beside the messages. TemplateError if it is not valid Jinja."""
        environment = _environment()
        try:
            self._template = environment.from_string(source)
        except Exception as error:
            raise TemplateError(_reason(error)) from error
        self._names = dict(names)

    def render(self, messages: Sequence[Mapping[str, str]]) -> str:
        """The text for some messages and the opening of an answer. Raises TemplateError."""
        try:
            text = ""
            for piece in self._template.generate(messages=list(messages), add_generation_prompt=True, **self._names):
                text += piece
                if len(text) > LONGEST:
                    raise TemplateError(f"expected at most {LONGEST} characters, got more")
            return text
        except Exception as error:  # a program of somebody else's: it may fail in any way
            raise TemplateError(_reason(error)) from error


def _reason(error: Exception) -> str:
    return (
        str(error)
        if isinstance(error, TemplateError) or type(error).__module__.startswith("jinja2")
        else f"{type(error).__name__}: {error}"
    )


def _environment() -> Any:
    try:
        from jinja2 import nodes
        from jinja2.ext import Extension, loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError as error:
        raise EngineError('chat templates need Jinja: pip install "affectrt[dialogue]"') from error

    class Sandbox(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset({"*", "**", "%"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            """Arithmetic alone: "x" * 10**9 and "%999999999d" fill the memory, 9**9**9 takes for ever."""
            if not all(isinstance(one, int | float) and abs(one) < 1e9 for one in (left, right)) or operator == "**":
                raise TemplateError(f"{left!r:.40} {operator} {right!r:.40} is not allowed in a chat template")
            return super().call_binop(context, operator, left, right)

    class Generation(Extension):  # type: ignore[misc,unused-ignore]
        """`{% generation %}`, which some templates put round an answer to say that it is to be learnt: here it changes nothing."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body).set_lineno(line)

    environment = Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation])
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment


def _raise(message: Any) -> None:
    raise TemplateError(str(message))

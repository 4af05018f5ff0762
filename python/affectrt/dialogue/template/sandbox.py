"""Chat templates as the programs that they are: run in Jinja's sandbox, and whatever goes wrong in one is a `TemplateError`.

A template comes with the model's file. It reaches no file and no Python object, and is held to a number of steps and to a length of text
(`limits`), so that none runs for ever, or fills the memory by what it can say in a few lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from affectrt.dialogue.template.limits import LONGEST, Limits, TemplateError
from affectrt.errors import EngineError

__all__ = ["Renderer", "TemplateError"]


class Renderer:
    """One compiled template."""

    def __init__(self, source: str, names: Mapping[str, str]) -> None:
        """Compile it. `names`: what it may ask for beside the messages. TemplateError if it is not valid Jinja."""
        self._limits = Limits()
        environment = _environment(self._limits)
        try:
            code = environment.compile(self._limits.bound(environment.parse(source)))
            self._template = environment.template_class.from_code(environment, code, environment.make_globals(None))
        except Exception as error:
            raise TemplateError(_reason(error)) from error
        self._names = dict(names)

    def render(self, messages: Sequence[Mapping[str, str]]) -> str:
        """The text for some messages and the opening of an answer. Raises TemplateError."""
        self._limits.start()
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


def _environment(limits: Limits) -> Any:
    try:
        from jinja2 import nodes
        from jinja2.ext import Extension, loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError as error:
        raise EngineError('chat templates need Jinja: pip install "affectrt[dialogue]"') from error

    class Sandbox(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset({"+", "*", "**", "%"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            limits.arithmetic(operator, left, right)
            return super().call_binop(context, operator, left, right)

        def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
            limits.call(__obj, args, kwargs)
            return limits.text(super().call(__context, __obj, *args, **kwargs))

    class Generation(Extension):  # type: ignore[misc,unused-ignore]
        """`{% generation %}`, which some templates put round an answer to say that it is to be learnt: here it changes nothing."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body).set_lineno(line)

    environment = Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation])
    limits.guard(environment)
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment


def _raise(message: Any) -> None:
    raise TemplateError(str(message))

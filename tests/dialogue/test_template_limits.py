"""A chat template comes with a model's file: it may neither run for ever nor fill the memory, and ordinary ones see no difference."""

from __future__ import annotations

import resource

import pytest
from affectrt.dialogue.template.limits import LONGEST
from affectrt.dialogue.template.sandbox import Renderer, TemplateError

NAMES = {"bos_token": "<s>", "eos_token": "</s>"}
TALK = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
DOUBLING = "{%% set ns = namespace(t='x') %%}{%% for i in range(60) %%}%s{%% endfor %%}{{ ns.t | length }}"
LONG = "{% set a = 'x' | center(1000000) %}"

HOSTILE = {
    "nested loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "loops over what others give": "{% for i in range(99999) | map('string') %}{% for j in range(9999) | select %}{% endfor %}{% endfor %}",
    "macros that call themselves": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "recursive loops": "{% for m in messages recursive %}{{ loop([m, m]) }}{% endfor %}",
    "doubling by ~": DOUBLING % "{% set ns.t = ns.t ~ ns.t %}",
    "doubling by +": DOUBLING % "{% set ns.t = ns.t + ns.t %}",
    "doubling by a block": DOUBLING % "{% set b %}{{ ns.t }}{{ ns.t }}{% endset %}{% set ns.t = b %}",
    "doubling a list": DOUBLING.replace("'x'", "[1]") % "{% set ns.t = ns.t + ns.t %}",
    "a wide filter": "{{ 'x' | center(1000000000) }}",
    "a wide method": "{{ 'x'.ljust(1000000000) }}",
    "tabs": "{{ 'a\t'.expandtabs(1000000000) }}",
    "a format": "{{ '%999999999d' | format(3) }}",
    "a format's method": "{{ '{:>999999999}'.format('x') }}",
    "a text times a text": LONG + "{{ a | replace(' ', a) | length }}",
    "a product": "{{ 'x' * 1000000000 }}",
    "a power": "{{ 9 ** 9 ** 9 }}",
    "much in a block": LONG + "{% set b %}" + "{{ a }}" * 5000 + "{% endset %}",
    "much in a macro": LONG + "{% macro f() %}" + "{{ a }}" * 5000 + "{% endmacro %}{{ f() | length }}",
    "much in a filter block": LONG + "{% filter upper %}" + "{{ a }}" * 5000 + "{% endfilter %}",
    "words without end": "{{ lipsum(n=1000000) }}",
}


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE)
def test_what_would_run_for_ever_or_fill_the_memory_is_refused(source):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TemplateError):
        Renderer(source, NAMES).render(TALK)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 * 1024  # KiB; each would take gigabytes


ORDINARY = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}",
    "{{ bos_token }}{% for m in messages %}[{{ loop.index0 }}/{{ loop.length }}{{ ' last' if loop.last }}]"
    "{{ m.role | upper ~ ': ' ~ m.content | trim }}{% endfor %}",
    "{% set system = messages | selectattr('role', 'equalto', 'system') | map(attribute='content') | join('\n') %}{{ system }}|"
    "{{ nothing }}|"
    "{% for m in messages if m.role == 'user' %}{{ m.content }}{% else %}none{% endfor %}",
    "{% macro turn(m) %}<{{ m.role }}>{{ m.content }}{% endmacro %}{% for m in messages %}{{ turn(m) }}{% endfor %}{{ messages | tojson }}",
    "{% set ns = namespace(n=0, text='') %}"
    "{% for m in messages %}{% set ns.n = ns.n + 1 %}{% set ns.text = ns.text ~ m.content %}{% endfor %}{{ ns.n }} {{ ns.text }}",
    "{% set head %}Hello {{ messages[0]['role'] }}{% endset %}{{ head }}{% filter upper %}{{ head }}!{% endfilter %}"
    "{{ messages[0].content[:1] }}{{ 3 % 2 }}",
    "{% for m in messages %}{% if m.role == 'user' %}{% continue %}{% endif %}{{ m.content }}{% break %}{% endfor %}"
    "{{ '%s and %d' | format('a', 3) }}",
)


@pytest.mark.parametrize("source", ORDINARY)
def test_ordinary_templates_see_no_difference(source):
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    plain = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]).from_string(source)
    assert Renderer(source, NAMES).render(TALK) == plain.render(messages=TALK, add_generation_prompt=True, **NAMES)


def test_the_steps_are_those_of_one_prompt(tmp_path):
    counts = Renderer("{% for i in range(60000) %}{% endfor %}{{ messages[0].content }}", NAMES)
    assert [counts.render(TALK) for _ in range(3)] == ["a", "a", "a"]


def test_a_long_conversation_is_none_of_it():
    talk = [{"role": role, "content": "word " * 200} for _ in range(1000) for role in ("user", "assistant")]
    assert len(Renderer(ORDINARY[0], NAMES).render(talk[:500])) > LONGEST // 3

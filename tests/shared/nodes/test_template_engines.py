"""Jinja2 and Mustache in `template`: what they write, and what a hostile template gets."""

from __future__ import annotations

import time
from typing import Any

import pytest

from shared.nodes.base import NodeError
from stepfunctions.compiler.compile import check, compile_document
from tests.shared.nodes.calls import evaluate, problems
from tests.stepfunctions.compiler.documents import document, node

ORDERS = [{"p": 2, "q": 1.5, "items": ["a"]}, {"p": 1, "q": 2, "items": []}]
VARS = {"name": "<Ada>", "yes": True, "none": None, "list": [1, "é"], "orders": ORDERS, "o": {"p": 1}, "empty": []}
DOUBLED = "{%% set n = namespace(s='a') %%}{%% for i in range(99) %%}%s{%% endfor %%}{{ n.s }}"


def made(engine: str, template: str, given: Any = VARS) -> str:
    text: str = evaluate("template", {"template": template, "engine": engine}, {"vars": given})["output"]
    return text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Hi {{ name }}{{ missing }}", "Hi <Ada>"),
        ("{{ name|e }} {{ name|upper }} {{ list|join('-') }}", "&lt;Ada&gt; <ADA> 1-é"),
        ("{{ yes }} {{ none }} {{ list }} {{ o }}", 'true  [1,"é"] {"p":1}'),
        ("{% for x in orders %}{{ loop.index }}:{{ x.items|length }};{% endfor %}", "1:1;2:0;"),
        ("{% for k, v in o.items() %}{{ k }}={{ v }}{% endfor %}", "p=1"),
        ("{% if orders[0].p == 2 and none is none %}a{% else %}b{% endif %}", "a"),
        (
            "{{ 'a' ~ 1 ~ none }} {{ 7 // 2 }} {{ 2 ** 3 }} {{ [1] + [2] }} {{ 'ab' * 2 }} {{ 7 % 4 }}",
            "a1 3 8 [1,2] abab 3",
        ),
        (
            "{% set n = namespace(t=0) %}{% for x in orders %}{% set n.t = n.t + x.p * x.q %}{% endfor %}{{ n.t }}",
            "5.0",
        ),
        ("{% for g in orders|groupby('p') %}{{ g.grouper }}{{ g.list|length }} {% endfor %}", "11 21 "),
        ("{{ orders|map(attribute='p')|join(',') }} {{ orders|sum(attribute='p') }} {{ list|tojson }}", "2,1 3 "),
        ("{% macro f(a, b=2) %}<{{ a }}{{ b }}>{% endmacro %}{{ f(1) }}{% filter upper %}x{% endfilter %}", "<12>X"),
        ("{% for x in empty %}x{% else %}none{% endfor %}{% raw %}{{ x }}{% endraw %}{# note #}", "none{{ x }}"),
        (
            "{{ 'a,b'.split(',') }} {{ ' x '|trim }} {{ 'a\nb'|indent(2) }} {{ 2.345|round(1) }}",
            '["a","b"] x a\n  b 2.3',
        ),
    ],
)
def test_jinja(template: str, text: str) -> None:
    assert made("jinja2", template).startswith(text)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Hi {{name}} {{{name}}} {{& name }}{{missing}}{{none}}", "Hi &lt;Ada&gt; <Ada> <Ada>"),
        ("{{yes}} {{{list}}} {{{o}}} {{o.p}} {{list.append}}{{name.upper}}", 'true [1,"é"] {"p":1} 1 '),
        ("{{#orders}}{{p}}{{#items}}<{{.}}>{{/items}};{{/orders}}", "2<a>;1;"),
        ("{{^empty}}none{{/empty}}{{#empty}}some{{/empty}}{{#yes}}yes{{/yes}}{{! a note }}", "noneyes"),
        ("{{#o}}{{p}}{{/o}} { } }}", "1 { } }}"),
    ],
)
def test_mustache(template: str, text: str) -> None:
    assert made("mustache", template) == text


@pytest.mark.parametrize("engine", ["jinja2", "mustache"])
def test_values_are_never_templates(engine: str) -> None:
    assert made(engine, "{{ name }}", {"name": "{{ other }}", "other": "x"}) == "{{ other }}"
    assert evaluate("template", {"template": "Hi {{ name }}.", "engine": engine}) == {"output": "Hi ."}
    with pytest.raises(NodeError) as caught:
        made(engine, "x", ["no object"])
    assert caught.value.error == "InvalidInput"


@pytest.mark.parametrize(
    ("engine", "template"),
    [
        ("jinja2", "{{ x"),
        ("jinja2", "{% for x in y %}"),
        ("jinja2", "{% include 'x' %}"),
        ("jinja2", "{% extends name %}"),
        ("jinja2", "{{ x|attr('y') }}"),
        ("jinja2", "{{ list|random }}"),
        ("jinja2", "{{ 'x'|center(999999999) }}"),
        ("jinja2", "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}"),
        ("jinja2", "{{ " + "1+" * 20_000 + "1 }}"),
        ("jinja2", "{% for x in y %}" * 30 + "{% endfor %}" * 30),
        ("jinja2", "{{ x }}" * 2_001),
        ("mustache", "{{a"),
        ("mustache", "{{#a}}"),
        ("mustache", "{{/a}}"),
        ("mustache", "{{#a}}{{/b}}"),
        ("mustache", "{{> /etc/hosts}}"),
        ("mustache", "{{ =<% %>= }}"),
        ("mustache", "{{" * 50_000),
        ("mustache", "{{{a}}" * 14_000),
        ("mustache", " " * 100_000),
    ],
)
def test_templates_that_cannot_be_read(engine: str, template: str) -> None:
    began = time.monotonic()
    assert problems("template", {"template": template, "engine": engine}) == ["config.template"]
    with pytest.raises(NodeError) as caught:
        made(engine, template)
    assert (caught.value.error, caught.value.retryable) == ("TemplateError", False)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "template",
    [
        "{{ missing.field }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ self.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ ''['format']('x') }}",
        "{{ lipsum() }}",
        "{{ list.append(1) }}",
        "{{ range }}",
        "{{ 1 / 0 }}",
        "{{ '%999999999d' % 1 }}",
        "{{ 'x'.ljust(999999999) }}",
        "{{ 9 ** 99999999 }}",
        "{{ range(1000000)|list }}",
        "{{ 1.5|round(999999999, 'ceil') }}",
        "{{ list|tojson(99999999) }}",
        "{{ [list, list]|sum(start=[]) }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% set o = namespace(a=1) %}{% set p = namespace(a=o) %}",
        "{% set o = namespace() %}{% set p = namespace() %}{% set p.o = o %}",
        DOUBLED % "{% set n.s = namespace(a=n.s) %}",
        "{% set n = namespace(s=7) %}{% for i in range(99) %}{% set n.s = n.s * n.s %}{% endfor %}",
    ],
)
def test_jinja_is_in_its_sandbox(template: str) -> None:
    with pytest.raises(NodeError) as caught:
        made("jinja2", template)
    assert (caught.value.error, caught.value.retryable) == ("TemplateError", False)


@pytest.mark.parametrize(
    ("engine", "template"),
    [
        ("jinja2", "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}"),
        ("jinja2", "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}"),
        ("jinja2", "{% for i in range(100000) %}" + "x" * 50_000 + "{% endfor %}"),
        ("jinja2", "{% for i in range(100000) %}{{ '" + "x" * 50_000 + "' }}{% endfor %}"),
        ("jinja2", "{{ 'x' * 10 ** 9 }}"),
        ("jinja2", DOUBLED % "{% set n.s = n.s ~ n.s %}"),
        ("jinja2", DOUBLED % "{% set n.s = n.s + n.s %}"),
        ("jinja2", DOUBLED % "{% set n.s = [n.s, n.s] %}"),
        ("jinja2", DOUBLED % "{% set n.s = (n.s, n.s) %}"),
        ("jinja2", DOUBLED % "{% set n.s = {'a': n.s, 'b': n.s} %}"),
        ("jinja2", DOUBLED % "{% set n.s = [n.s] * 9 %}"),
        ("jinja2", DOUBLED % "{% set n.s %}{{ n.s }}{{ n.s }}{% endset %}"),
        ("jinja2", "{% macro m(x) %}{% if x %}{{ m(x-1) }}{{ m(x-1) }}{% endif %}{% endmacro %}{{ m(60) }}"),
        ("jinja2", "{{ 'a\nb'|indent(999999999) }}"),
        ("jinja2", "{{ long|replace('a', long)|replace('a', long) }}"),
        ("jinja2", "{{ range(100000)|map('string')|join(long) }}"),
        ("jinja2", "{{ [" + "longer[::-1]," * 3_000 + "]|length }}"),
        ("mustache", "{{#many}}" * 6 + "{{/many}}" * 6),
        ("mustache", "{{#many}}" + "x" * 90_000 + "{{/many}}"),
        ("mustache", "{{#many}}{{long}}{{long}}{{/many}}"),
    ],
)
def test_what_a_template_takes_is_bounded(engine: str, template: str) -> None:
    given = {"many": list(range(5_000)), "long": "a" * 9_000, "longer": list(range(300_000))}
    began = time.monotonic()
    with pytest.raises(NodeError) as caught:
        made(engine, template, given)
    assert caught.value.error in ("Timeout", "ValueTooLarge")
    assert not caught.value.retryable
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(("engine", "templates"), [("expression", ("template",)), ("jinja2", ()), ("mustache", ())])
def test_the_compiler_reads_braces_as_expressions_only_where_they_are(engine: str, templates: tuple[str, ...]) -> None:
    config = {"template": "Hi {{ trigger.name }}", "engine": engine}
    wired = document([node("start", "manual_trigger"), node("t", "template", config)], "start.trigger -> t.vars")
    bound = compile_document(wired).plan.nodes["t"]
    assert bound.templates == templates
    assert bound.names == ((("trigger",),) if templates else ())
    assert bound.config["template"] == "Hi {{ trigger.name }}"


def test_what_is_no_expression_is_none_in_jinja() -> None:
    config = {"template": "{{ name|upper }} {{ '}}' }}{% if x %}{{ '{{' }}{% endif %}", "engine": "jinja2"}
    wired = document([node("start", "manual_trigger"), node("t", "template", config)], "start.trigger -> t.vars")
    assert [d for d in check(wired) if d.severity == "error"] == []

"""Templates: where an expression ends, and that text stays text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.expressions.jsonata import evaluate
from shared.expressions.template import Expression, TemplateError, expressions, is_template, parse, render

SCOPE = {"n": 3, "text": "{{ 1 + 1 }}", "rows": [1, "é"], "nothing": None, "obj": {"a": {"b": 1}}}


def rendered(template: Any) -> Any:
    return render(template, lambda text: evaluate(text, SCOPE))


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ n }}", 3),
        (" {{ n }}", " 3"),
        ("{{ rows }}", [1, "é"]),
        ("rows: {{ rows }}, {{ obj }}", 'rows: [1,"é"], {"a":{"b":1}}'),
        ("{{ missing }}", None),
        ("{{ nothing }}", None),
        ("a{{ missing }}b{{ nothing }}c", "abc"),
        ("{{ n / 1.5 }} {{ n = 3 }}", "2 true"),
        (r"\{{ n }}", "{{ n }}"),
        (r"\{{ n }} {{ n }}", "{{ n }} 3"),
        ("{{ text }}", "{{ 1 + 1 }}"),
        ("<{{ text }}>", "<{{ 1 + 1 }}>"),
        ("{% raw %} ${n} { n } }} $eval", "{% raw %} ${n} { n } }} $eval"),
        ({"{{ n }}": ["{{ n }}", 1, None, ("{{ n }}",)]}, {"{{ n }}": [3, 1, None, [3]]}),
    ],
)
def test_what_it_gives(template: Any, value: Any):
    assert rendered(template) == value


@pytest.mark.parametrize(
    "text",
    [
        '{"a": {"b": 1}}',
        '"}}"',
        "'}}'",
        "`}}`",
        "/* }} */ 1",
        r'"\"}}"',
        "rows[0]{'k': {'v': 1}}",
        "$map(rows, function($r) {{'v': $r}})",
        r"$replace(text, /\x22\x7d/, '')",
        "$replace(text, /'/, '')",
        '$split(text, /"/i)',
        r"$contains(text, /\}/) and $contains(text, /}}/)",
        r"$contains(text, /\/'/) ? (text ~> /`/) : /* ' */ n in [3] and $match(text, /\{\{/)",
        "n / n & '/}}'",
        "(n)/n/obj.a.b & `n`/n & '}}'",
        "{'a': 4}.(*/2) & '}}'",
        "{'a': n/n}.a/n",
    ],
)
def test_where_an_expression_ends(text: str):
    assert parse(f"{{{{ {text} }}}}") == (Expression(text),)
    assert parse(f"{{{{{text}}}}}.") == (Expression(text), ".")
    rendered(f"{{{{ {text} }}}}")


@pytest.mark.parametrize(
    "text", ["{{", "{{ n", "{{ n }", "{{}}", "{{  }}", "{{ 'a }}", "{{ /* }}", "{{ {'a': 1 }}", "{{ ` }}", "{{ /a }}"]
)
def test_what_does_not_parse(text: str):
    with pytest.raises(TemplateError):
        parse(text)


@given(st.text(alphabet="ab{}\\ \"'`$%/*", max_size=20))
def test_a_text_without_double_braces_is_itself(text: str):
    if "{{" not in text:
        assert not is_template(text)
        assert rendered(text) == text
        assert list(expressions([text])) == []
    escaped = text.replace("{{", "\\{{") if "{{{" not in text and "\\{{" not in text else "a"
    assert rendered(escaped) == escaped.replace("\\{{", "{{")

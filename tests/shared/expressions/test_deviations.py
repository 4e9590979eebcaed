"""What differs from JSONata 2.0, as docs/expressions.md lists it. A failing test may be good news: mend the list."""

from __future__ import annotations

from typing import Any

import pytest

from shared.expressions.jsonata import ExpressionFailed, evaluate
from shared.expressions.references import analyse

SCOPE = {"word": "héé", "text": "aab", "id": 9_007_199_254_740_993, "o": {"b": 1}, "nothing": None}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        # in 2.0 these do not parse; they came with 2.1
        ("missing ?? 3", 3),
        ("nothing ?? 3", None),
        ('"" ?: 3', 3),
        # numbers
        ("$number(' 1 ')", 1),  # 2.0: D3030
        ("$number('+1')", 1),  # 2.0: D3030
        ("$number('.5')", 0.5),  # 2.0: D3030
        ("$number('1.')", 1),  # 2.0: D3030
        ("$string(id)", "9007199254740992"),  # 2.0: 9007199254740990, fifteen digits
        ("$length($formatBase($power(2, 70), 2))", 63),  # 2.0: 71
        ("$length($formatNumber($power(10, 22), '0'))", 23),  # 2.0: 1e+22
        # text
        ('$base64encode("é")', "w6k="),  # 2.0: 6Q==, a byte per character
        ('$encodeUrl("a b")', "a b"),  # 2.0: a%20b
        ("$encodeUrlComponent(\"('x')\")", "%28%27x%27%29"),  # 2.0: ('x')
        ('$decodeUrl("%zz")', "%zz"),  # 2.0: D3140
        ('$decodeUrlComponent("%zz")', "%zz"),  # 2.0: D3140
        ('$pad("x", 3.7)', "x  "),  # 2.0: fails
        # regular expressions
        (r"$contains(word, /^\w+$/)", True),  # 2.0: false, only ASCII is a word
        (r'$contains("٣", /\d/)', True),  # 2.0: false, only 0 to 9 are digits
        (r'$contains("a\r", /a.$/)', True),  # 2.0: false, `.` stops at every kind of line end
        ('$split("abc", /x*/)', ["", "a", "b", "c", ""]),  # 2.0: D1004
        # objects and lists
        ("$keys({'2': 1, '1': 2})", ["2", "1"]),  # 2.0: 1 before 2
        ('o ~> |b|{"c": 3}|', {"b": 1}),  # 2.0: fails
        ("$exists($reduce([], function($a, $b) {$a + $b}))", True),  # null; 2.0: undefined
        ("$sum.*", None),  # 2.0: shows what a function is made of
    ],
)
def test_another_value(expression: str, value: Any):
    assert analyse(expression).problems == ()
    assert evaluate(expression, SCOPE) == value


@pytest.mark.parametrize(
    "expression",
    [
        '$base64decode("6Q==")',  # 2.0: é; here it has to be UTF-8
        '$toMillis("2020-02-30T00:00:00Z")',  # 2.0: the first of March
        "$fromMillis(0.5)",
        "$fromMillis(1e16)",  # 2.0: 0NaN-NaN-…
        '$now("[Y0001]")',
        "($f := function($n) {$n = 0 ? 0 : 1 + $f($n - 1)}; $f(200))",  # the depth of the budget
        "1 / 0",  # 2.0: Infinity, which is no JSON
    ],
)
def test_it_fails_here(expression: str):
    assert analyse(expression).problems == ()
    with pytest.raises(ExpressionFailed):
        evaluate(expression, SCOPE)


@pytest.mark.parametrize(
    "expression",
    [
        r"$contains(text, /(a)\1/)",
        "$contains(text, /a(?=b)/)",
        "$contains(text, /(?<!a)b/)",
        "$contains(text, /a{,2}/)",
        "$clone(o)",
        "$eval(text)",
        '$encodeUrl("\ud800")',
    ],
)
def test_it_is_refused_when_publishing(expression: str):
    assert analyse(expression).problems
    with pytest.raises(ExpressionFailed):
        evaluate(expression, SCOPE)


def test_the_clock_goes_on_during_an_evaluation():
    assert evaluate("($a := $millis(); $b := $count([1..300000].($ & '')); $millis() > $a)", {}) is True


@pytest.mark.parametrize(
    "expression",
    [
        "2(text)",
        "2()",
        "3(?)",
        "text\\",
        'text"b"',
        "text`b`",
        "text . /a/",
    ],
)
def test_only_the_analysing_engine_parses_it(expression: str):
    import jsonata

    jsonata.Jsonata(expression)
    assert analyse(expression).problems[0].startswith("does not parse")
    with pytest.raises(ExpressionFailed):
        evaluate(expression, SCOPE)


@pytest.mark.parametrize(
    "expression",
    [
        "[/a/]",
        "(/a/)",
        "$contains(text, //)",
        "$contains(text, /a/g)",
        r"$contains(text, /\p{L}/)",
        "$match(text, /(?<first>a)/)",
    ],
)
def test_only_the_evaluating_engine_parses_it(expression: str):
    evaluate(expression, SCOPE)
    assert analyse(expression).problems[0].startswith("does not parse")


def test_a_comment_may_end_a_text():
    """The analysing engine alone fails on it."""
    import jsonata

    with pytest.raises(IndexError):
        jsonata.Jsonata("text /* why */")
    assert analyse("text /* why */").problems == ()
    assert evaluate("text /* why */", SCOPE) == "aab"

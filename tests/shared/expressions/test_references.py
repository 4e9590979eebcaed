"""What an expression reads. The property: over the names found, it gives what it gives over the whole scope."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from shared.expressions.jsonata import ExpressionFailed, evaluate
from shared.expressions.references import analyse

SCOPE: dict[str, Any] = {
    "trigger": {"rows": [{"id": 1, "n": 5, "item": {"x": 2}}, {"id": 2, "n": 3}], "x": 4, "nodes": {"a": {"out": 9}}},
    "nodes": {
        "a": {"out": {"rows": [{"n": 1}, {"n": 2}], "x": 7}, "true": "yes", "error": None},
        "b-c": {"out": [3, 1, 2], "and": 1},
    },
    "variables": {"x": 10, "list": [1, 2, 3]},
    "execution": {"id": "e1", "workflow_id": "w1"},
    "item": {"x": 1, "n": 2},
    "index": 0,
}

ROOTS = st.sampled_from(
    [
        "trigger",
        "trigger.x",
        "trigger.rows",
        "nodes.a.out",
        "nodes.a.out.rows",
        "nodes.a.`true`",
        "nodes.a.error",
        "nodes.`b-c`.out",
        'nodes."b-c".`and`',
        "nodes.a.*",
        "nodes.a",
        "nodes.a[0].out",
        "variables",
        "variables.x",
        "variables.list[-1]",
        "variables.*",
        "execution.id",
        "execution",
        "item",
        "item.x",
        "index",
        "$$.item",
        "$.trigger.rows",
        "$$.nodes.a.out",
        "`trigger`.x",
        "missing",
    ]
)
STEPS = st.sampled_from(
    [
        "x",
        "n",
        "rows",
        "id",
        "out",
        "item",
        "nodes",
        "*",
        "**",
        "%",
        "$",
        "$$.index",
        "(n)",
        "(item.x)",
        "{'k': n}",
        "[n]",
    ]
)


def _combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    two = st.tuples(inner, inner)
    return st.one_of(
        st.tuples(inner, STEPS).map(".".join),
        two.map(lambda p: f"{p[0]}.({p[1]})"),
        two.map(lambda p: f"{p[0]}[{p[1]}]"),
        two.map(lambda p: f"{p[0]}[n > {p[1]}]"),
        two.map(lambda p: f"({p[0]}; {p[1]})"),
        two.map(lambda p: f"($v := {p[0]}; $v.({p[1]}))"),
        two.map(lambda p: f"[{p[0]}, {p[1]}]"),
        two.map(lambda p: f"{p[0]} = {p[1]}"),
        two.map(lambda p: f"$string({p[0]}) & $string({p[1]})"),
        two.map(lambda p: f"$exists({p[0]}) ? ({p[1]}) : {p[0]}"),
        two.map(lambda p: f"$map({p[0]}, function($v) {{[$v.x, {p[1]}]}})"),
        two.map(lambda p: f"({p[0]})^(>n, {p[1]})"),
        two.map(lambda p: f"({p[0]}){{$string(n): {p[1]}}}"),
        two.map(lambda p: f"{p[0]}@$f.({p[1]})"),
        two.map(lambda p: f"{p[0]}#$i.[$i, {p[1]}]"),
        two.map(lambda p: f"{p[0]} ~> |$|{{'z': {p[1]}}}|"),
        two.map(lambda p: f"$merge([{p[0]}, {p[1]}]) ~> $keys()"),
        inner.map(lambda p: f"{p}[]"),
        inner.map(lambda p: f"{{'k': {p}}}"),
        inner.map(lambda p: f"{p} ~> $string()"),
        inner.map(lambda p: f"$lookup({p}, 'x')"),
        inner.map(lambda p: f"(function($p) {{$p.x}})({p})"),
        inner.map(lambda p: f"({p}).$keys()"),
        st.sampled_from(["$string()", "$keys()", "$lookup('index')", "$", "$$", "*", "**", "%", "$$.*", "nodes.*.out"]),
    )


EXPRESSIONS = st.recursive(ROOTS, _combined, max_leaves=4)


def _restricted(names: frozenset[tuple[str, ...]]) -> dict[str, Any]:
    """The scope with those names in it and nothing else."""
    found: dict[str, Any] = {}
    for name in names:
        source, target = SCOPE, found
        for part in name[:-1]:
            if not isinstance(source.get(part), dict):
                break
            source, target = source[part], target.setdefault(part, {})
        else:
            if name[-1] in source:
                # What is already there is part of it: a longer name of the same root.
                target[name[-1]] = source[name[-1]]
    return found


def _outcome(expression: str, scope: dict[str, Any]) -> Any:
    try:
        return evaluate(expression, scope)
    except ExpressionFailed as error:
        return f"failed: {error}"


@settings(deadline=None)
@given(EXPRESSIONS)
@example("trigger.%")
@example("trigger@$f.(index)")
@example("nodes.a.out.%.`true`")
@example("trigger[%.index = 0]")
@example("$string()")
def test_what_is_found_is_all_that_is_read(expression: str) -> None:
    analysis = analyse(expression)
    assume(not analysis.problems)
    names = frozenset(n for n in analysis.names if not any(n[:i] in analysis.names for i in range(1, len(n))))
    assert _outcome(expression, _restricted(names)) == _outcome(expression, SCOPE)


def names(expression: str) -> set[str]:
    analysis = analyse(expression)
    assert analysis.problems == ()
    return {".".join(name) for name in analysis.names}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1 + 1", set()),
        ("trigger.body.name", {"trigger"}),
        ("nodes.a.out.x.y", {"nodes.a.out"}),
        ("nodes.a", {"nodes.a"}),
        ("nodes.a.`true`", {"nodes.a.true"}),
        ('nodes."a".`b c`', {"nodes.a.b c"}),
        ("nodes.a[0].out", {"nodes.a"}),
        ("nodes.a.*", {"nodes.a"}),
        ("variables.limit > trigger.n", {"variables.limit", "trigger"}),
        ("trigger.rows[n > nodes.a.out]", {"trigger"}),  # in a predicate names are those of the row
        ("trigger.rows[n > $$.nodes.a.out]", {"trigger", "nodes.a.out"}),
        ("$filter(trigger.rows, function($r) {$r.n > nodes.a.out})", {"trigger", "nodes.a.out"}),
        ("trigger.rows^(n)", {"trigger"}),
        ("(trigger.rows){id: n}", {"trigger"}),
        ("trigger.rows@$r.items@$i[$i.id = $r.id]", {"trigger"}),
        ("trigger.rows[%.limit > n]", {"trigger"}),
        ("trigger ~> $lookup('a')", {"trigger"}),
        ("trigger ~> |rows|{'a': b}|", {"trigger"}),
        ("trigger.name /* nodes.a.out */", {"trigger"}),
        ("'nodes.a.out'", set()),
        ("secrets.key & 'x'", {"secrets.key"}),
    ],
)
def test_names(expression: str, expected: set[str]):
    assert names(expression) == expected


@pytest.mark.parametrize(
    "expression",
    [
        *("$", "$$", "*", "**", "[$]", "$ ~> $keys()", "$map([1], function($v) {$$})", "($x := $$; $x.nodes)"),
        *("nodes", "nodes.*", "nodes.*.out", 'nodes["a"]', "nodes.(a)", "$keys(nodes)", "secrets", "secrets.*"),
        *("$string()", "$keys()", "$spread()", "$lookup('secrets')", "$each(function($v) {$v})", "$boolean()"),
        *("trigger.%", "item.%", "nodes.a.out.%", "nodes.a.%", "trigger[%.nodes]", "trigger.(x.%.%)", "$$.trigger.%"),
        *("trigger@$t.variables.x", "(trigger)@$t.variables.x", "nodes.a.out@$o.b"),
        *("$nothing(1)", "$clone(trigger)", "trigger.$x", "(", "", "nodes.a.true", "1 +", "a b"),
    ],
)
def test_problems(expression: str):
    assert analyse(expression).problems


def test_a_problem_says_what_to_do():
    assert analyse("nodes").problems == ("name a node: nodes.<id>.<port>",)
    assert analyse("$foo(1) + $foo(2) + $bar").problems == ("$bar is not defined", "$foo is not defined")
    (problem,) = analyse(r"$contains(trigger, /(a)\1/)").problems
    assert r"/(a)\1/" in problem


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("1 +", "does not parse: Unexpected end of expression"),
        ("1 /* why", "does not parse: Unclosed comment"),
        ("2(x)", "does not parse: Invalid syntax: T1006: Attempted to invoke a non-function"),
    ],
)
def test_what_does_not_parse_is_said_in_one_line(expression: str, message: str):
    assert analyse(expression).problems == (message,)


def test_too_deep_for_the_walk_is_a_problem_and_no_crash():
    assert analyse("1" + "+1" * 700).problems or names("1" + "+1" * 700) == set()
    assert analyse("1" + "+1" * 5_000).problems

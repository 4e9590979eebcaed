"""Evaluation: its budget, null and undefined, and what an expression cannot reach."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import pytest

from shared.expressions.jsonata import MAX_RESULT_BYTES, ExpressionFailed, evaluate, forget, syntax_problem
from shared.expressions.references import analyse

TEXT = {"text": "1 + 1"}


def fails(expression: str, scope: dict[str, Any] | None = None) -> str:
    with pytest.raises(ExpressionFailed) as caught:
        evaluate(expression, scope or {})
    return str(caught.value)


# Budget


@pytest.mark.parametrize(
    "endless",
    [
        "($again := function() {$again()}; $again())",
        "($up := function($n) {$up($n + 1)}; $up(0))",
        "[1..900000].[1..900000]",
        "$sort([1..900000], function($a, $b) {$a < $b})",
    ],
)
def test_one_second(endless: str):
    began = time.monotonic()
    assert "1000 milliseconds" in fails(endless)
    assert 0.9 < time.monotonic() - began < 30  # the guard looks between steps, on a busy machine late


def test_recursion_has_a_depth_and_a_tail_call_has_none():
    assert evaluate("($f := function($n) {$n = 0 ? 0 : 1 + $f($n - 1)}; $f(100))", {}) == 100
    assert "Stack overflow" in fails("($f := function($n) {$n = 0 ? 0 : 1 + $f($n - 1)}; $f(100000))")
    assert evaluate("($f := function($n, $s) {$n = 0 ? $s : $f($n - 1, $s + 1)}; $f(5000, 0))", {}) == 5000


@pytest.mark.parametrize(
    "nested",
    ["1" + " + 1" * 3000, "(" * 3000 + "1" + ")" * 3000, "[" * 3000 + "]" * 3000, "-" * 3000 + "1", "$abs(" * 3000],
)
def test_a_deep_text_is_refused_and_kills_nothing(nested: str):
    assert analyse(nested).problems
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.append(fails(nested)))  # with a thread's small stack
    thread.start()
    thread.join()
    assert "depth" in seen[0] or "Stack overflow" in seen[0] or "Unexpected end" in seen[0]


def test_a_sequence_has_a_length():
    assert evaluate("$count([1..1000000])", {}) == 1_000_000
    assert "1000000" in fails("$count([1..1000001])")


@pytest.mark.parametrize(
    "large",
    [
        f'$pad("", {MAX_RESULT_BYTES + 1}, "x")',
        f'[$pad("", {MAX_RESULT_BYTES // 2}, "x"), $pad("", {MAX_RESULT_BYTES // 2}, "y")]',
        f'{{"a": {{"b": $pad("", {MAX_RESULT_BYTES}, "x")}}}}',
        '[1..800000].("twelve bytes")',
        f'$pad("", {MAX_RESULT_BYTES // 2 + 1}, "é")',
    ],
)
def test_a_result_has_a_size(large: str):
    assert "bytes" in fails(large)


def test_a_result_of_just_that_size_is_kept():
    assert len(evaluate(f'$pad("", {MAX_RESULT_BYTES}, "x")', {})) == MAX_RESULT_BYTES


@pytest.mark.parametrize("number", ["1 / 0", "0 / 0", "5 % 0", "1e308 * 10", "[1 / 0]", '{"a": [[-1 / 0]]}'])
def test_what_is_no_number_in_json_is_no_result(number: str):
    assert "finite" in fails(number)


def test_a_result_nested_too_deeply():
    assert "too deeply" in fails("$reduce([1..100000], function($a, $b) {[[$a]]}, 1)")


def test_integers_of_any_size_can_be_read():
    scope = {"trigger": {"id": 10**30, "n": 1, "pair": [10**20, -(2**63)]}}
    assert evaluate("trigger.n + 1", scope) == 2
    assert evaluate("trigger.id", scope) == 1e30
    assert evaluate("trigger.pair", scope) == [1e20, -(2**63)]
    assert "out of range" in fails("trigger.id", {"trigger": {"id": 10**400}})


# null and undefined


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("missing", None),
        ("null", None),
        ("missing = null", False),
        ("$exists(missing)", False),
        ("$exists(null)", True),
        ("$exists(nothing)", True),
        ("$type(nothing)", "null"),
        ("$type(missing)", None),
        ("[missing]", []),
        ("[nothing]", [None]),
        ('{"a": missing, "b": nothing}', {"b": None}),
        ("$count(missing)", 0),
        ("missing + 1", None),
        ('"a" & missing', "a"),
        ('"a" & nothing', "anull"),
        ('missing ? "yes" : "no"', "no"),
        ("missing and true", False),
    ],
)
def test_null_is_a_value_and_undefined_is_none(expression: str, value: Any):
    assert evaluate(expression, {"nothing": None}) == value


@pytest.mark.parametrize(("expression", "text"), [("4 / 2", "2"), ("f * 1", "2"), ("$power(10, 15)", "10" + "0" * 14)])
def test_a_whole_number_has_no_point(expression: str, text: str):
    assert repr(evaluate(expression, {"f": 2.0})) == text


# What an expression cannot reach

EVALS = [
    '$eval("1 + 1")',
    "$eval(text)",
    "text ~> $eval",
    "text ~> $eval()",
    "text.$eval($)",
    "$eval(?)(text)",
    "($e := $eval; $e(text))",
    "($e := $eval(?); $e(text))",
    "($e := $string ~> $eval; $e(text))",
    "(text ~> ($string ~> $eval))",
    "[$eval][0](text)",
    '{"f": $eval}.f(text)',
    '$lookup({"f": $eval}, "f")(text)',
    "(function($f) {$f(text)})($eval)",
    "(true ? $eval : $sum)(text)",
    "$map([text], $eval)",
    "$filter([text], $eval)",
    "$single([text], $eval)",
    "$reduce([text, text], $eval)",
    "$each({'a': text}, $eval)",
    "$sift({'a': text}, $eval)",
    "$sort([text, text], $eval)",
    '$replace(text, "1", $eval)',
    "$$.text.$eval($)",
    "$/**/eval(text)",
    "$`eval`(text)",
    "($eval := $eval; $eval(text))",
    "(($eval := 1); $eval(text))",
]


@pytest.mark.parametrize("expression", EVALS)
def test_text_is_never_code(expression: str):
    """Refused when publishing or at least when run, and never evaluated."""
    try:
        assert evaluate(expression, TEXT) not in (2, [2], {"a": 2})
    except ExpressionFailed:
        return
    assert analyse(expression).problems, "it neither fails nor is refused"


@pytest.mark.parametrize("expression", EVALS[:-2])
def test_eval_is_refused_before_anything_runs(expression: str):
    assert analyse(expression).problems


@pytest.mark.parametrize("name", ["eval", "$eval", "$$eval"])
def test_eval_cannot_be_looked_up(name: str):
    for scope in ("text", "{}", "$sum", "[$sum]"):
        assert evaluate(f'$lookup({scope}, "{name}")', {"text": {"a": 1}}) is None


def test_a_function_of_ones_own_may_be_called_eval():
    assert evaluate("($eval := function($x) {$x & '!'}; $eval(text))", TEXT) == "1 + 1!"


@pytest.mark.parametrize("of", ["import", "require", "env", "process", "open", "fetch", "globals", "states", "exec"])
def test_there_is_no_way_to_the_host(of: str):
    assert analyse(f'${of}("os")').problems == (f"${of} is not defined",)
    assert "non-function" in fails(f'${of}("os")')


@pytest.mark.parametrize("name", ["__class__", "__init__.__globals__", "constructor", "__proto__", "format"])
def test_values_have_no_attributes(name: str):
    for base in ("text", "$sum", "list", '"{0.__class__}"', "(1)", "(null)"):
        assert evaluate(f"{base}.{name}", {"text": "a", "list": [1]}) is None
    assert evaluate(f'$lookup(obj, "{name}")', {"obj": {}}) is None


def test_a_scope_is_not_changed():
    scope = {"rows": [{"a": 1}]}
    assert evaluate('rows ~> |$|{"a": 2, "b": $sum([1, 2])}, "a"|', scope) is not None
    assert scope == {"rows": [{"a": 1}]}


def test_functions_are_no_values_of_a_run():
    for expression in ("$sum", "function($x) {$x}", "/a/"):
        assert evaluate(expression, {}) is None
        assert evaluate(f"[{expression}]", {}) == [None]


def test_the_clock_and_chance_may_be_used():
    assert abs(evaluate("$millis()", {}) / 1000 - time.time()) < 60
    assert evaluate("$now()", {}).endswith("Z")
    found = {evaluate("$random()", {}) for _ in range(20)}
    assert len(found) == 20
    assert all(0 <= each < 1 for each in found)
    assert len(set(evaluate("[1..20].$random()", {}))) == 20
    assert math.isfinite(evaluate("$sum([1..9].($random() * 2))", {}))
    assert sorted(evaluate("$shuffle([1, 2, 3])", {})) == [1, 2, 3]


# Failing


def test_a_failure_is_one_short_line():
    message = fails('$error("a\nb")')
    assert message
    assert "\n" not in message
    assert len(fails(f'$error("{"x" * 5000}")')) <= 300


def test_what_does_not_parse_is_said_once_and_fails_always():
    assert syntax_problem("1 +") is not None
    assert syntax_problem("1 + 1") is None
    fails("1 +")
    fails("1 +")


def test_what_is_forgotten_is_compiled_again():
    assert evaluate("1 + 1", {}) == 2
    forget()
    assert evaluate("1 + 1", {}) == 2

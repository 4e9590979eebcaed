"""`verify` finds each planted defect, only that, and nothing in what the compiler emits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from stepfunctions.compiler.compile import compile_document
from stepfunctions.compiler.diagnostics import Diagnostic
from stepfunctions.compiler.verify import verify
from tests.stepfunctions.compiler.machines import DROP, GOOD, changed, paths
from tests.stepfunctions.scenarios import SCENARIOS

GOLDEN = Path(__file__).parents[2] / "golden"


def messages(machine: Any) -> list[str]:
    return [d.message for d in verify(machine)]


def emitted() -> dict[str, dict[str, Any]]:
    """Every skeleton of the golden files, and of the scenarios in both granularities."""
    found = {}
    for file in sorted(GOLDEN.glob("*/compiled.json")):
        plan = json.loads(file.read_text()).get("plan")
        if plan is not None:
            found[f"golden {file.parent.name}"] = plan["skeleton"]
    for scenario in SCENARIOS:
        for granularity in ("segment", "node"):
            plan = compile_document(scenario.at("http://localhost", granularity)).plan
            assert plan is not None, scenario.name
            found[f"{scenario.name} {granularity}"] = json.loads(json.dumps(plan.skeleton))
    return found


def test_what_is_emitted_is_clean():
    assert {name: found for name, skeleton in emitted().items() if (found := messages(skeleton))} == {}


def test_the_good_machine_is_clean():
    assert messages(GOOD) == []


class Defect(NamedTuple):
    name: str
    path: str
    value: Any
    message: str


LONG = "s" * 81
OTHER = {"Type": "Succeed"}
PASS = {"Type": "Pass", "Next": "over"}
EACH, FAR, BOTH = "States/each/", "States/far/", "States/both/"
TURN = "States/turn/Choices/0/"
DEFECTS = (
    # fields
    Defect("JSONPath machine", "QueryLanguage", "JSONPath", "QueryLanguage must be JSONata"),
    Defect("no query language", "QueryLanguage", DROP, "needs QueryLanguage"),
    Defect("field of the machine", "Timeout", 5, "the machine has no field Timeout"),
    Defect("machine's time-out evaluated", "TimeoutSeconds", "{% 5 %}", "TimeoutSeconds must be a number"),
    Defect("state in JSONPath", "States/tick/QueryLanguage", "JSONPath", "QueryLanguage must be JSONata"),
    Defect("InputPath", "States/first/InputPath", "$.a", "a Task state has no field InputPath"),
    Defect("Parameters", BOTH + "Parameters", {}, "a Parallel state has no field Parameters"),
    Defect("ResultPath", "States/tick/ResultPath", None, "a Wait state has no field ResultPath"),
    Defect("ItemsPath", EACH + "ItemsPath", "$.a", "a Map state has no field ItemsPath"),
    Defect("Arguments of a Map", EACH + "Arguments", {}, "a Map state has no field Arguments"),
    Defect("Assign of a Succeed", "States/over/Assign", {"x": 1}, "a Succeed state has no field Assign"),
    Defect("Output of a Fail", "States/broken/Output", 1, "a Fail state has no field Output"),
    Defect("Catch of a Wait", "States/tick/Catch", [], "a Wait state has no field Catch"),
    Defect("Retry of a Choice", "States/turn/Retry", [], "a Choice state has no field Retry"),
    Defect("Assign beside Choices", "States/turn/Assign", {"x": 1}, "a Choice state has no field Assign"),
    Defect("field of a rule", TURN + "Variable", "$.a", "rule 0 has no field Variable"),
    Defect("unknown type", "States/tick/Type", "Sleep", "no type of state 'Sleep'"),
    Defect("type evaluated", "States/tick/Type", "{% 'Wait' %}", "no type of state"),
    Defect("resource evaluated", "States/first/Resource", "{% $states.input %}", "Resource must be a constant ARN"),
    Defect("no resource", "States/first/Resource", DROP, "first needs Resource"),
    Defect("no condition", TURN + "Condition", DROP, "rule 0 needs Condition"),
    Defect("condition as text", TURN + "Condition", "yes", "Condition must be an expression"),
    Defect("no default", "States/turn/Default", DROP, "turn needs Default"),
    Defect("Next on a Choice", "States/turn/Next", "over", "a Choice state has no field Next"),
    Defect("Next on a Succeed", "States/over/Next", "over", "a Succeed state has no field Next"),
    Defect("Next on a Fail", "States/broken/Next", "over", "a Fail state has no field Next"),
    Defect("Next and End", "States/tick/End", True, "either Next or End"),
    Defect("End is false", FAR + "ItemProcessor/States/told/End", False, "End must be true"),
    Defect("Seconds and Timestamp", "States/tick/Timestamp", "{% $until %}", "either Seconds or Timestamp"),
    Defect("moment is none", BOTH + "Branches/0/States/lefter/Timestamp", "noon", "Timestamp must be a moment"),
    Defect("Items is an object", EACH + "Items", {"a": 1}, "Items must be a list"),
    Defect("Items gives an object", EACH + "Items", "{% {'a': 1} %}", "a list, not an object"),
    Defect("Label on an inline Map", EACH + "Label", "each", "only a Distributed Map has Label"),
    Defect("41 items at once", EACH + "MaxConcurrency", 41, "at most 40 items at once"),
    Defect("no ExecutionType", FAR + "ItemProcessor/ProcessorConfig/ExecutionType", DROP, "with its ExecutionType"),
    Defect("percentage", FAR + "ToleratedFailurePercentage", 101, "ToleratedFailurePercentage must be"),
    Defect("reader evaluated", FAR + "ItemReader", {"Resource": "{% 'arn:x' %}"}, "Resource must be a constant ARN"),
    # names
    Defect("name taken", BOTH + "Branches/1/States/over", OTHER, "two states are named over"),
    Defect("long name of a state", "States/" + LONG, OTHER, "longer than 80 characters"),
    Defect("illegal name of a state", "States/a b", OTHER, "not a legal name of a state"),
    Defect("part of a variable", "States/first/Assign/x.y", 1, "'x.y' is not a legal name of a variable"),
    Defect("long name of a variable", "States/first/Assign/" + LONG, 1, "the variable name"),
    Defect("states assigned", "States/first/Assign/states", 1, "states cannot be assigned"),
    Defect("function assigned", "States/first/Assign/sum", 1, "sum is a function"),
    # errors
    Defect("ALL in company", "States/first/Retry/1/ErrorEquals", ["States.ALL", "X"], "alone and last in Retry"),
    Defect("ALL not last", "States/first/Retry/0/ErrorEquals", ["States.ALL"], "alone and last in Retry"),
    Defect("ALL in company, caught", BOTH + "Catch/0/ErrorEquals", ["X", "States.ALL"], "alone and last in Catch"),
    Defect("nothing matched", "States/first/Catch/0/ErrorEquals", [], "ErrorEquals must be a list"),
    Defect("retrier's field", "States/first/Retry/0/Next", "over", "a retrier has no field Next"),
    Defect("attempts", "States/first/Retry/0/MaxAttempts", -1, "MaxAttempts must be"),
    Defect("rate", "States/first/Retry/0/BackoffRate", 0.5, "BackoffRate must be"),
    Defect("longest delay", "States/first/Retry/1/MaxDelaySeconds", 31_622_401, "MaxDelaySeconds must be"),
    Defect("interval", "States/first/Retry/0/IntervalSeconds", 0, "IntervalSeconds must be"),
    Defect("delay below interval", "States/first/Retry/0/MaxDelaySeconds", 2, "more than IntervalSeconds"),
    Defect("jitter", "States/first/Retry/1/JitterStrategy", "SOME", "JitterStrategy must be"),
    Defect("catcher's field", "States/first/Catch/0/ResultPath", "$.e", "a catcher has no field ResultPath"),
    Defect("caught, and then", FAR + "Catch", [{"ErrorEquals": ["X"]}], "a catcher needs Next, as constant text"),
    Defect("catcher's Assign", "States/first/Catch/0/Assign", [], "a catcher's Assign must be an object"),
    # callbacks
    Defect("no time-out", "States/parked/TimeoutSeconds", DROP, "without a time-out"),
    Defect("heartbeat", "States/parked/TimeoutSeconds", 60, "HeartbeatSeconds must be less"),
    Defect("token not handed on", "States/parked/Arguments/Payload", {}, "do not hand on"),
    # flow
    Defect("start", BOTH + "Branches/1/StartAt", "over", "starts at over, which is not in its scope"),
    Defect("target", "States/tick/Next", "nowhere", "tick leads to nowhere"),
    Defect("target in another scope", BOTH + "Branches/0/States/left/Next", "right", "left leads to right"),
    Defect("unreached", "States/lonely", PASS, "the state lonely cannot be reached"),
    Defect("no end", "States/tick/Next", "tick", "no way leads from tick to an end"),
    # places
    Defect("does not parse", "States/tick/Seconds", "{% 1 + %}", "does not parse"),
    Defect("space before", "States/first/Output", " {% $items %}", "must start with {% and end with %}"),
    Defect("not closed", "States/first/Output", "{% $items", "must start with {% and end with %}"),
    Defect("key", "States/first/Output", {"{% $until %}": 1}, "would not be evaluated"),
    Defect("result in a Wait", "States/tick/Output", "{% $states.result %}", "$states.result is only in"),
    Defect("result in Arguments", "States/first/Arguments/x", "{% $states.result %}", "$states.result is only in"),
    Defect("result in a Catch", BOTH + "Catch/0/Output", "{% $states.result %}", "$states.result is only in"),
    Defect("error in Output", BOTH + "Output", "{% $states.errorOutput %}", "$states.errorOutput is only in"),
    Defect("token elsewhere", "States/first/Arguments/t", "{% $states.context.Task.Token %}", "waits for a task token"),
    Defect("item elsewhere", EACH + "Items", "{% [$states.context.Map.Item.Value] %}", "in the ItemSelector"),
    Defect("whole context", "States/first/Output", "{% $states.context %}", "name what you read of the context"),
    Defect("no such part", "States/first/Output", "{% $states.variables %}", "there is no $states.variables"),
    # variables
    Defect("never assigned", "States/tick/Seconds", "{% $nothing %}", "$nothing, which nothing assigns"),
    Defect("assigned on one way", "States/over/Output", "{% $pause %}", "$pause, which is not assigned on every way"),
    Defect("in the same Assign", "States/first/Assign/late", "{% $until %}", "first reads $until, which is not"),
    Defect("not yet when caught", "States/parked/Output", "{% $until %}", "parked reads $until, which is not"),
    Defect("by a sibling", BOTH + "Branches/1/States/right/Output", "{% $own %}", "$own, which nothing assigns"),
    Defect("from within", "States/turn/Output", "{% $own %}", "$own, which nothing assigns"),
    Defect("inner and outer", "States/first/Assign/own", 1, "own is assigned in an inner and an outer scope"),
    Defect("inner and catcher", BOTH + "Catch/0/Assign/own", 1, "own is assigned in an inner and an outer scope"),
    Defect("inner and rule", TURN + "Assign/done", 1, "done is assigned in an inner and an outer scope"),
    Defect("wall", FAR + "ItemProcessor/States/told/Output", "{% $until %}", "which a Distributed Map does not see"),
    Defect("in a list", EACH + "Items", ["{% $nothing %}"], "$nothing, which nothing assigns"),
    # sizes
    Defect("literal", "States/first/Arguments/Payload", "x" * 262_145, "the limit is 262,144"),
    Defect("machine", "Comment", "x" * 1_000_000, "split the workflow"),
)


def test_there_are_enough_defects():
    assert len({d.name for d in DEFECTS}) == len(DEFECTS) >= 30


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda d: d.name)
def test_planted(defect: Defect):
    found = [m for m in messages(changed(defect.path, defect.value)) if not follows(m, defect)]
    assert len(found) == 1
    assert defect.message in found[0]


def follows(message: str, defect: Defect) -> bool:
    """Whether a message is a consequence of the defect: a state put beside the others is not reached."""
    added = isinstance(defect.value, dict) and "Type" in defect.value and defect.name != "unreached"
    return added and message.endswith("cannot be reached")


def test_an_express_execution_waits_for_no_answer():
    machine = changed(FAR + "ItemProcessor/ProcessorConfig/ExecutionType", "EXPRESS")
    assert messages(machine) == []
    deed = machine["States"]["far"]["ItemProcessor"]["States"]["deed"]
    deed["Resource"] = "arn:aws:states:::states:startExecution.sync:2"
    assert messages(machine) == ["deed waits for an answer, which an Express execution cannot"]


def test_room_is_kept_for_the_functions_names():
    states = {f"t{i}": {**GOOD["States"]["first"], "Next": f"t{i + 1}", "Catch": []} for i in range(1_600)}
    states["t1600"] = OTHER
    machine = {"QueryLanguage": "JSONata", "StartAt": "t0", "States": states}
    assert len(json.dumps(machine)) < 1_000_000
    assert [d.code for d in verify(machine)] == ["machine_too_large"]


WRONG = {
    "$a ?? 1": "?? is not in JSONata 2.0.6",
    "$a ?: 1": "?: is not in JSONata 2.0.6",
    "$eval('1')": "no function $eval",
    "$map([1], $eval)": "no function $eval",
    "$shout('a')": "no function $shout",
    "$a ~> $shout": "no function $shout",
    "$": "no input document",
    "$$": "no input document",
    "$$.b": "no input document",
    "$a[b = $$.c]": "no input document",
    "b.c": "no input document",
    "$a + b": "no input document",
    "*": "no input document",
    "**": "no input document",
    "function($v) { b }": "no input document",
    "($states := 1)": "$states cannot be assigned",
    "$states": "$states as a whole",
    "$states['result']": "$states as a whole",
    "$lookup($states, 'result')": "$states as a whole",
    "$states.*": "$states as a whole",
    "($b; $b := 1)": "reads $b",
    "(($b := 1); $b)": "reads $b",
    "[function($v) { $v }, $v]": "reads $v",
    "$a.b[c]#$i + $i": "reads $i",
    "$a[": "does not parse",
    "": "does not parse",
    "(" * 5_000: "does not parse",
    "1" + " + 1" * 5_000: "does not parse",
}
RIGHT = (
    "$exists($a) ? $a : '?? ?:'",
    "$a[b = 1 and $.c].d",
    "$a.(b + c)",
    "$a.b.%.c",
    "$a.*.**",
    "$a^(>b, c)",
    "$a{b: $sum(c)}",
    "$a@$v#$i[$v.b = $i].{'v': $v, 'i': $i}",
    "$a.b[c]#$i[$i > 1]",
    "$a ~> |b|{'c': d}|",
    "$map($a, function($v, $i) { $v.b & $i })",
    "$map($a, $string)",
    "$a ~> $string ~> $split(?, ',')",
    "$replace($a, /a??b/, 'c')",
    "($f := function($n) { $n < 2 ? 1 : $n * $f($n - 1) }; $f(5))",
    "($b := $a; {'b': [1..$b], 'c d': -$b})['b']",
    "$partition($range(1, 9, 2), 2) ~> $append($uuid()) ~> $append($hash('a', 'MD5')) ~> $append($parse('1'))",
    "$states.context.Execution.Id & $states.context.State.Name & $states.input[0].a",
)


def _reading(expression: str) -> list[str]:
    machine = changed("States/first/Assign/a", 1)
    machine["States"]["over"]["Output"] = f"{{% {expression} %}}"
    return messages(machine)


@pytest.mark.parametrize(("expression", "message"), WRONG.items(), ids=lambda text: text[:30])
def test_wrong_expressions(expression: str, message: str):
    found = _reading(expression)
    assert len(found) == 1
    assert message in found[0]


@pytest.mark.parametrize("expression", RIGHT)
def test_right_expressions(expression: str):
    assert _reading(expression) == []


def test_never_raises():
    """Junk in every place of a machine is met with diagnostics at most."""
    junk = (None, True, -1, 1e400, "", "{%", "{% $x %}", [], {}, [None], {"": None})
    said = 0
    for path in paths():
        for value in junk:
            found = list(verify(changed(path, value)))
            assert all(isinstance(d, Diagnostic) for d in found)
            said += bool(found)
    assert said > len(paths()) * len(junk) / 2


@pytest.mark.parametrize("odd", ["nan", "set", "cycle", "depth"])
def test_what_is_not_json(odd: str):
    cycle: dict[str, Any] = {}
    cycle["again"] = cycle
    depth: Any = 1
    for _ in range(100_000):
        depth = [depth]
    machine = {"nan": float("nan"), "set": {1}, "cycle": cycle, "depth": depth}[odd]
    assert ["is not JSON" in m for m in messages({**GOOD, "Comment": machine})] == [True]


def test_a_machine_is_an_object():
    assert messages([GOOD]) == ["the state machine must be an object"]


def test_cfn_lint_agrees(tmp_path: Path):
    """E3601, the rule on state machines' structure, passes all golden skeletons, and looks.

    It does not know that a time-out may be an expression, as AWS has it ("Transforming data", fields of a Task).
    """
    machines = [s for name, s in emitted().items() if name.startswith("golden")]
    broken = {**machines[0], "StartAt": "nowhere"}
    found = _e3601(tmp_path, [*machines, GOOD, broken])
    unknown = [where for where, field, said in found if field == "TimeoutSeconds" and said.startswith("'{% ")]
    assert len(unknown) == json.dumps([*machines, GOOD]).count('"TimeoutSeconds": "{%') > 0
    assert [f for f in found if not (f[1] == "TimeoutSeconds" and f[2].startswith("'{% "))] == [
        (len(machines) + 1, "StartAt", "Missing 'Next' target 'nowhere' at /StartAt")
    ]


def _e3601(folder: Path, machines: list[dict[str, Any]]) -> list[tuple[int, str, str]]:
    """What cfn-lint finds wrong: in which machine, at which field, and what it says."""
    resources = {
        f"M{i}": {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {
                "RoleArn": "arn:aws:iam::123456789012:role/states",
                "Definition": machine,
                "DefinitionSubstitutions": {"runner": "r", "tasks": "t"},
            },
        }
        for i, machine in enumerate(machines)
    }
    file = folder / "template.json"
    file.write_text(json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}))
    lint = [Path(sys.executable).parent / "cfn-lint", "--regions", "us-east-1", "--format", "json", file]
    done = subprocess.run(lint, capture_output=True, text=True)
    found = [m for m in json.loads(done.stdout) if m["Rule"]["Id"].startswith("E")]
    assert {m["Rule"]["Id"] for m in found} <= {"E3601"}, done.stdout
    return [(int(m["Location"]["Path"][1][1:]), m["Location"]["Path"][-1], m["Message"]) for m in found]

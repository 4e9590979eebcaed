"""The small Step Functions of the tests walks as moto's interpreter does, which was validated against AWS."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infrastructure.local.interpreter import running
from shared.aws.clients import client
from stepfunctions.rehearsal.walker import NotUnderstood
from tests.stepfunctions.engine.virtual import World
from tests.stepfunctions.engine.walker import Walker
from tests.stepfunctions.engine.watch import wait_for

Definition = dict[str, Any]
IN, RESULT = "{% $states.input %}", "{% $states.result.Payload %}"


class Sour(Exception):
    pass


class Bitter(Exception):
    pass


def call(payload: Any, **fields: Any) -> Definition:
    """A state that calls the function."""
    arguments = {"FunctionName": "arn:aws:lambda:us-east-1:123456789012:function:sw-runner", "Payload": payload}
    return {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": arguments, **fields}


def chain(**states: Definition) -> Definition:
    """States, the first of which is where it starts."""
    return {"StartAt": next(iter(states)), "States": states}


def then(name: str) -> Definition:
    return {"Output": IN, "Next": name}


def caught(*errors: str, to: str) -> Definition:
    output = "{% {'was': $states.errorOutput.Error} %}"
    return {"Catch": [{"ErrorEquals": list(errors), "Output": output, "Next": to}]}


AGAIN = {"IntervalSeconds": 1, "BackoffRate": 1}
DONE = {"Type": "Succeed", "Output": IN}
FAILS = call({"raise": "Sour", "times": 9}, End=True, Output=RESULT)
FINE = call({"give": 1}, End=True, Output=RESULT)
PATH = "{% $states.input.n %}"
MACHINES: dict[str, Definition] = {
    "a result and a variable": chain(
        a=call({"give": [1, 2]}, Assign={"x": RESULT}, **then("b")),
        b={"Type": "Pass", "Output": {"x": "{% $x[1] %}", "in": IN}, "End": True},
    ),
    "tried again by name until it works": chain(
        a=call(
            {"raise": "Sour", "times": 2},
            Output=RESULT,
            End=True,
            Retry=[{"ErrorEquals": ["Bitter"], "MaxAttempts": 0}, {"ErrorEquals": ["Sour"], **AGAIN, "MaxAttempts": 2}],
        )
    ),
    "tried too often, and caught": chain(
        a=call(
            {"raise": "Sour", "times": 9},
            Retry=[{"ErrorEquals": ["States.ALL"], **AGAIN, "MaxAttempts": 1}],
            Output=RESULT,
            End=True,
            **caught("States.ALL", to="b"),
        ),
        b=DONE,
    ),
    "caught by the second rule": chain(
        a={
            **FAILS,
            "Catch": [
                {"ErrorEquals": ["Bitter"], "Output": {"by": "bitter"}, "Next": "b"},
                {"ErrorEquals": ["Sour"], "Output": {"by": "sour"}, "Next": "b"},
            ],
        },
        b=DONE,
    ),
    "not caught": chain(a={**FAILS, **caught("Bitter", to="b")}, b=DONE),
    "branches": chain(a={"Type": "Parallel", "Branches": [chain(b=FINE), chain(c=DONE)], "End": True}),
    "a branch that fails": chain(
        a={"Type": "Parallel", "Branches": [chain(b=FINE), chain(c=FAILS)], "End": True, **caught("Sour", to="d")},
        d=DONE,
    ),
    "branches see the variables around them": chain(
        a={"Type": "Pass", "Assign": {"x": 1}, **then("b")},
        b={
            "Type": "Parallel",
            "End": True,
            "Branches": [
                chain(
                    c={"Type": "Pass", "Assign": {"y": "{% $x + 1 %}"}, **then("d")},
                    d={"Type": "Pass", "Output": "{% $y %}", "End": True},
                )
            ],
        },
    ),
    "a map": chain(
        a={
            "Type": "Map",
            "Items": "{% [$states.input.list] %}",
            "MaxConcurrency": 2,
            "End": True,
            "ItemSelector": {"n": "{% $states.context.Map.Item.Value %}", "at": "{% $states.context.Map.Item.Index %}"},
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "INLINE"},
                **chain(b={"Type": "Pass", "Output": IN, "End": True}),
            },
        }
    ),
    "a map with an item that fails": chain(
        a={
            "Type": "Map",
            "Items": [1, 2],
            "End": True,
            **caught("Sour", to="d"),
            "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, **chain(b=FAILS)},
        },
        d=DONE,
    ),
    "a cycle with a choice": chain(
        a=call({"give": {"n": 0}}, Output="{% $merge([$states.input, $states.result.Payload]) %}", Next="b"),
        b={"Type": "Choice", "Choices": [{"Condition": "{% $states.input.n < 3 %}", "Next": "c"}], "Default": "d"},
        c={"Type": "Pass", "Output": "{% $merge([$states.input, {'n': $states.input.n + 1}]) %}", "Next": "b"},
        d=DONE,
    ),
    "a moment that is past": chain(a={"Type": "Wait", "Timestamp": "2001-01-01T00:00:00Z", **then("b")}, b=DONE),
    "an end that fails": chain(a={"Type": "Fail", "Error": "Mine", "Cause": "so"}),
    "an expression that gives nothing": chain(a={"Type": "Pass", "Output": PATH, "End": True}),
}


def function() -> Callable[..., Any]:
    """Gives what it is told to give, or raises so many times."""
    left: dict[str, int] = {}

    def work(event: Any, context: Any = None) -> Any:
        if "raise" in event:
            name = event["raise"]
            left[name] = left.get(name, event["times"]) - 1
            if left[name] >= 0:
                raise {"Sour": Sour, "Bitter": Bitter}[name]("not again")
        return event.get("give")

    return work


def by_moto(definition: Definition, given: Any) -> tuple[str, Any]:
    states = client("stepfunctions")
    with running() as functions:
        functions.handlers["runner"] = function()
        arn = states.create_state_machine(
            name="m", definition=json.dumps(definition), roleArn=f"arn:aws:iam::{'1' * 12}:role/r"
        )
        started = states.start_execution(stateMachineArn=arn["stateMachineArn"], input=json.dumps(given))
        found = wait_for(lambda: ended(states, started["executionArn"]), "the end")
    return found["status"], json.loads(found["output"]) if "output" in found else found.get("error")


def ended(states: Any, arn: str) -> Any:
    found = states.describe_execution(executionArn=arn)
    return None if found["status"] == "RUNNING" else found


def by_walker(definition: Definition, given: Any) -> tuple[str, Any]:
    world = World()
    try:
        return walked(world, Walker(world, {"runner": function()}), definition, given)
    finally:
        world.close()


def walked(world: World, walker: Walker, definition: Definition, given: Any) -> tuple[str, Any]:
    arn = walker.call("CreateStateMachine", {"name": "m", "definition": json.dumps(definition)})["stateMachineArn"]

    async def through() -> Any:
        walker.call("StartExecution", {"stateMachineArn": arn, "name": "x", "input": json.dumps(given)})
        return await walker.executions["x"].task

    output, execution = world.run(0, through()), walker.executions["x"]
    return execution.status, output if execution.status == "SUCCEEDED" else execution.error


@pytest.mark.parametrize("name", MACHINES)
def test_as_motos_interpreter_does(aws: dict[str, str], name: str) -> None:
    definition = {"QueryLanguage": "JSONata", **MACHINES[name]}
    given = {"list": [5, 6, 7]}
    assert by_walker(definition, given) == by_moto(definition, given)


@pytest.mark.parametrize("answered", [True, False])
def test_a_token_is_waited_for_until_the_time_is_over(answered: bool) -> None:
    waiting = call({"token": "{% $states.context.Task.Token %}"}, TimeoutSeconds=60, Output="answered", End=True)
    waiting["Resource"] += ".waitForTaskToken"
    definition = chain(a={**waiting, **caught("States.Timeout", to="b")}, b=DONE)
    world = World()

    def told(event: Any) -> None:
        use = {"taskToken": event["token"], "output": "{}"}
        if answered:
            world.main.call_later(30, walker.call, "SendTaskSuccess", use)

    walker = Walker(world, {"runner": told})
    expected = "answered" if answered else {"was": "States.Timeout"}
    assert walked(world, walker, definition, {}) == ("SUCCEEDED", expected)
    assert 0 < world.now - (30 if answered else 60) < 2
    with pytest.raises(ClientError, match="TaskTimedOut"):
        walker.call("SendTaskSuccess", {"taskToken": "token-1", "output": "{}"})
    world.close()


def test_a_field_that_is_not_known_is_refused() -> None:
    definition = chain(a={"Type": "Map", "ItemReader": {}, "End": True})
    with pytest.raises(NotUnderstood, match="ItemReader"):
        by_walker(definition, {})

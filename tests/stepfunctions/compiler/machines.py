"""A state machine with every type of state, in which nothing is wrong; and a way to put something wrong into it."""

from __future__ import annotations

import copy
from typing import Any, Final

_TOKEN: Final = "{% $states.context.Task.Token %}"
_INVOKE: Final = "arn:aws:states:::lambda:invoke"


def _task(payload: Any, **fields: Any) -> dict[str, Any]:
    arguments = {"FunctionName": "${runner}", "Payload": payload}
    return {"Type": "Task", "Resource": _INVOKE, "Arguments": arguments, "TimeoutSeconds": 960, **fields}


GOOD: Final[dict[str, Any]] = {
    "Comment": "every type of state",
    "QueryLanguage": "JSONata",
    "TimeoutSeconds": 3600,
    "StartAt": "first",
    "States": {
        "first": _task(
            {"run": "{% $states.input %}"},
            Retry=[
                {"ErrorEquals": ["Busy"], "IntervalSeconds": 2, "MaxAttempts": 10, "BackoffRate": 1.5},
                {"ErrorEquals": ["States.ALL"], "MaxDelaySeconds": 60, "JitterStrategy": "FULL"},
            ],
            Catch=[{"ErrorEquals": ["Paused"], "Output": "{% $states.input %}", "Next": "parked"}],
            Assign={"items": "{% $states.result.Payload.items %}", "until": "{% $states.result.Payload.until %}"},
            Output="{% $states.input %}",
            Next="each",
        ),
        "parked": _task(
            {"token": _TOKEN},
            Resource=_INVOKE + ".waitForTaskToken",
            TimeoutSeconds="{% $states.input.timeouts[0] %}",
            HeartbeatSeconds=60,
            Output="{% $states.input %}",
            Next="first",
        ),
        "each": {
            "Type": "Map",
            "Items": "{% $items %}",
            "ItemSelector": {"item": "{% $states.context.Map.Item.Value %}"},
            "MaxConcurrency": 40,
            "ItemProcessor": {"StartAt": "body", "States": {"body": _task("{% $until %}", End=True)}},
            "Assign": {"results": "{% $states.result %}"},
            "Output": "{% $states.input %}",
            "Next": "far",
        },
        "far": {
            "Type": "Map",
            "Items": "{% $items %}",
            "MaxConcurrency": 1000,
            "ToleratedFailureCount": 5,
            "Label": "far",
            "ItemBatcher": {"MaxItemsPerBatch": 100, "BatchInput": {"until": "{% $until %}"}},
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                "StartAt": "deed",
                "States": {
                    "deed": _task("{% $states.input %}", Assign={"done": "{% $states.result.Payload %}"}, Next="told"),
                    "told": {"Type": "Pass", "Output": "{% $done %}", "End": True},
                },
            },
            "Next": "both",
        },
        "both": {
            "Type": "Parallel",
            "Branches": [
                {
                    "StartAt": "left",
                    "States": {
                        "left": {"Type": "Pass", "Assign": {"own": "{% $until %}"}, "Next": "lefter"},
                        "lefter": {"Type": "Wait", "Timestamp": "{% $own %}", "End": True},
                    },
                },
                {"StartAt": "right", "States": {"right": {"Type": "Wait", "Seconds": 5, "End": True}}},
            ],
            "Catch": [
                {
                    "ErrorEquals": ["States.ALL"],
                    "Assign": {"problem": "{% $states.errorOutput.Error %}"},
                    "Next": "broken",
                }
            ],
            "Next": "turn",
        },
        "broken": {"Type": "Fail", "Error": "{% $problem %}", "Cause": "a branch failed"},
        "turn": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $count($results) > 3 %}", "Assign": {"pause": 5}, "Next": "tick"}],
            "Default": "over",
        },
        "tick": {"Type": "Wait", "Seconds": "{% $pause %}", "Next": "over"},
        "over": {"Type": "Succeed", "Output": "{% $results %}"},
    },
}


class _Drop:
    """Stands for: take the field away."""


DROP: Final = _Drop()


def changed(path: str, value: Any) -> Any:
    """`GOOD` with the value at a path (`States/turn/Choices/0/Next`) set, or taken away by `DROP`."""
    machine: Any = copy.deepcopy(GOOD)
    if not path:
        return value
    holder = machine
    *above, last = path.split("/")
    for step in above:
        holder = holder[int(step)] if isinstance(holder, list) else holder[step]
    if isinstance(holder, list):
        holder[int(last)] = value
    elif value is DROP:
        del holder[last]
    else:
        holder[last] = value
    return machine


def paths(value: Any = GOOD, at: str = "") -> list[str]:
    """The paths of everything in a machine, the machine itself included."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for key, each in below for path in paths(each, f"{at}/{key}".lstrip("/")))]

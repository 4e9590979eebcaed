"""The express skeleton: the same machine for an Express execution, which is cheap and short and cannot wait.

What it does not finish it hands over: it starts the Standard machine, under its own name and with its own input, and
ends. There the segment is called again, the journal skips what is recorded, and a paused run parks. So an Express
execution needs no parking states, and only a few tries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from stepfunctions.plan import canonical

LIFE_SECONDS: Final = 110  # over before the sweeper first looks at a run (shared.runs.store.FIRST_LOOK_MS)
_WORK_SECONDS: Final = 60  # after which no further node begins; by then a Standard execution would have been cheaper
_CALL_SECONDS: Final = 90  # a call that takes longer goes on; the leases of its nodes hold others off
_HAND_OVER: Final = "standard.start"  # node ids have no dot
_OVER: Final = "run.over"
_INVOKE: Final = "arn:aws:states:::lambda:invoke"
_PASS_ON: Final = "{% $states.input %}"
_ENDED: Final = ("NodeFailed", "Stopped", "Continued")  # here nothing is left to do: the run's record says more

_RETRY: Final = (
    # A call that died holds its node's lease for 15 s.
    {"ErrorEquals": ["Busy"], "IntervalSeconds": 2, "MaxAttempts": 10, "BackoffRate": 1},
    {"ErrorEquals": ["TimeSlice", "Paused", *_ENDED, "States.Timeout"], "MaxAttempts": 0},
    {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 2, "BackoffRate": 2},
)
_CATCH: Final = (
    {"ErrorEquals": list(_ENDED), "Output": _PASS_ON, "Next": _OVER},
    {"ErrorEquals": ["States.ALL"], "Output": _PASS_ON, "Next": _HAND_OVER},
)


def waiting(skeleton: Mapping[str, Any]) -> str | None:
    """The name of a state that an Express execution cannot have, or that may wait; None if there is none."""
    for name, state in _kept(skeleton):
        branches = state.get("Branches", ())
        fits = state["Type"] in ("Parallel", "Succeed") or (
            (state["Type"], state.get("Resource")) == ("Task", _INVOKE)
            and all(c["ErrorEquals"] == ["Paused"] for c in state.get("Catch", ()))
        )
        found = next(filter(None, map(waiting, branches)), None) if fits else name
        if found is not None:
            return found
    return None


def express(skeleton: Mapping[str, Any], machine: str) -> dict[str, Any]:
    """The express skeleton of a Standard one in which nothing is `waiting`; `machine` is that one's name.

    `${machines}` stands for what the ARN of every machine begins with; `publish` puts it in.
    """
    made = _scope(skeleton, top=True)
    made["States"][_HAND_OVER] = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution",
        "Arguments": {
            "StateMachineArn": f"${{machines}}{machine}",
            "Name": "{% $states.context.Execution.Name %}",
            "Input": _PASS_ON,
        },
        "TimeoutSeconds": 15,
        "Retry": [
            {"ErrorEquals": ["StepFunctions.ExecutionAlreadyExistsException"], "MaxAttempts": 0},
            {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 2, "BackoffRate": 2},
        ],
        "Output": _PASS_ON,
        "End": True,
    }
    made["States"][_OVER] = {"Type": "Fail", "Error": "RunEnded", "Cause": "The run has ended; its record says how"}
    return {
        "Comment": "A Statewright skeleton for Express: control only, no data",
        "QueryLanguage": skeleton["QueryLanguage"],
        "TimeoutSeconds": min(int(skeleton["TimeoutSeconds"]), LIFE_SECONDS),
        **made,
    }


def name_of(made: Mapping[str, Any]) -> str:
    """The name of an express skeleton's machine, without the prefix of all machines."""
    return "express-" + hashlib.sha256(canonical(made)).hexdigest()[:32]


def _scope(machine: Mapping[str, Any], *, top: bool) -> dict[str, Any]:
    """What fails in a branch fails the whole Parallel: only states of the machine itself hand over."""
    states: dict[str, Any] = {}
    for name, state in _kept(machine):
        made = {field: value for field, value in state.items() if field not in ("Retry", "Catch")}
        if state["Type"] == "Parallel":
            made["Branches"] = [_scope(branch, top=False) for branch in state["Branches"]]
        if state["Type"] == "Task":
            arguments = state["Arguments"]
            within = {"since": "{% $states.context.Execution.StartTime %}", "seconds": _WORK_SECONDS}
            made["Arguments"] = {**arguments, "Payload": {**arguments["Payload"], "within": within}}
            made["TimeoutSeconds"] = _CALL_SECONDS
            made["Retry"] = [dict(r) for r in _RETRY]
        if top and state["Type"] != "Succeed":
            made["Catch"] = [dict(c) for c in _CATCH]
        states[name] = made
    return {"StartAt": machine["StartAt"], "States": states}


def _kept(machine: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A scope's states in their order, without those that only a caught error leads to (where a run parks)."""
    name: str | None = machine["StartAt"]
    while name is not None:
        state = machine["States"][name]
        yield name, state
        name = state.get("Next")

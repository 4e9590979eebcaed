"""Step Functions, small and in virtual time: it walks the states of a skeleton as AWS does and calls the functions.

Amazon States Language as the compiler writes it, and a little more: Task (Lambda, with and without a task token),
Parallel, Map, Choice, Wait, Pass, Succeed, Fail; Retry, Catch, Assign, Output; expressions in JSONata. Names that a
state does not know are refused, not guessed. `test_walker.py` holds it against moto's interpreter.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jsonata

from shared import clock
from tests.stepfunctions.engine.memory import refused
from tests.stepfunctions.engine.virtual import World

_PATH = re.compile(r"\$(\w+)((?:\.\w+|\[\d+\])*)")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_COMMON = {"Type", "Comment", "Output", "Assign", "Next", "End"}
_KNOWN = {
    "Task": {"Resource", "Arguments", "TimeoutSeconds", "Retry", "Catch"},
    "Parallel": {"Branches", "Arguments", "Retry", "Catch"},
    "Map": {"Items", "ItemSelector", "ItemProcessor", "MaxConcurrency", "Retry", "Catch", "Label"},
    "Choice": {"Choices", "Default"},
    "Wait": {"Seconds", "Timestamp"},
    "Pass": set(),
    "Succeed": set(),
    "Fail": {"Error", "Cause"},
}
_CIRCLES = 2_000  # no run of a test is retried so often
_NOT_ALL = {"States.DataLimitExceeded", "States.Runtime"}  # States.ALL does not match these


class StateError(Exception):
    """An error with its name, on its way up to whatever catches it."""

    def __init__(self, name: str, cause: str = "") -> None:
        super().__init__(name)
        self.name = name
        self.cause = cause


@dataclass
class Execution:
    """One execution: `status` is what DescribeExecution says."""

    name: str
    task: asyncio.Task[Any]
    status: str = "RUNNING"
    error: str = ""


@dataclass(frozen=True)
class _Place:
    """Where a state stands: the variables of its scope, over those around it, and its Map's item."""

    variables: dict[str, Any]
    context: Mapping[str, Any]

    def inner(self, **context: Any) -> _Place:
        return _Place(dict(self.variables), {**self.context, **context})


@dataclass
class Walker:
    """Step Functions' API as `shared.aws.states` uses it. `functions` are ours, by name: event in, answer out."""

    world: World
    functions: Mapping[str, Callable[[Any], Any]]
    machines: dict[str, Any] = field(default_factory=dict)
    executions: dict[str, Execution] = field(default_factory=dict)
    _tokens: dict[str, asyncio.Future[Any]] = field(default_factory=dict)
    _minted: int = 0
    _retries: int = 0

    # --- the API --------------------------------------------------------------------------------------------------

    def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """An operation's answer. Raises ClientError."""
        match operation:
            case "DescribeStateMachine":
                if arguments["stateMachineArn"] not in self.machines:
                    raise refused("StateMachineDoesNotExist", operation)
                return {}
            case "CreateStateMachine":
                arn = f"arn:aws:states:us-east-1:123456789012:stateMachine:{arguments['name']}"
                self.machines[arn] = json.loads(arguments["definition"])
                return {"stateMachineArn": arn}
            case "StartExecution":
                return self._start(**arguments)
            case "SendTaskSuccess":
                waiting = self._tokens.pop(arguments["taskToken"], None)
                if waiting is None or waiting.done():
                    raise refused("TaskTimedOut", operation)
                waiting.set_result(json.loads(arguments["output"]))
                return {}
        raise AssertionError(operation)

    def _start(self, stateMachineArn: str, name: str, input: str) -> dict[str, Any]:
        if name in self.executions:
            raise refused("ExecutionAlreadyExists", "StartExecution")
        self._retries = 0
        walk = self._execute(name, self.machines[stateMachineArn], json.loads(input))
        self.executions[name] = Execution(name, self.world.main.create_task(walk))
        return {"executionArn": name}

    async def _execute(self, name: str, machine: Mapping[str, Any], given: Any) -> Any:
        place = _Place({}, {"Execution": {"Input": given, "Name": name}})
        try:
            async with asyncio.timeout(machine.get("TimeoutSeconds")):
                found = await self._chain(machine, given, place)
        except (StateError, TimeoutError) as error:
            self.executions[name].status = "FAILED" if isinstance(error, StateError) else "TIMED_OUT"
            self.executions[name].error = str(error)
            return None
        self.executions[name].status = "SUCCEEDED"
        return found

    # --- states ---------------------------------------------------------------------------------------------------

    async def _chain(self, machine: Mapping[str, Any], given: Any, place: _Place) -> Any:
        """From StartAt to an end; gives the output. Raises StateError."""
        name = machine["StartAt"]
        while True:
            state = machine["States"][name]
            unknown = state.keys() - _COMMON - _KNOWN[state["Type"]]
            assert not unknown, f"not understood: {unknown}"
            given, following = await self._state(state, given, place)
            if following is None:
                return given
            name = following

    async def _state(self, state: Mapping[str, Any], given: Any, place: _Place) -> tuple[Any, str | None]:
        """Its output, and the name of the next state."""
        await asyncio.sleep(self.world.latency())
        states: dict[str, Any] = {"input": given, "context": place.context}
        if state["Type"] == "Choice":
            for rule in state["Choices"]:
                if _value(rule["Condition"], states, place) is True:
                    return _leave(rule, states, place, given), rule["Next"]
            if "Default" not in state:
                raise StateError("States.NoChoiceMatched")
            return _leave(state, states, place, given), state["Default"]
        if state["Type"] == "Fail":
            raise StateError(*(_value(state.get(f, ""), states, place) for f in ("Error", "Cause")))
        if state["Type"] in ("Task", "Parallel", "Map"):
            try:
                states["result"] = await self._tried(state, states, place)
            except StateError as error:
                catcher = next((c for c in state.get("Catch", ()) if _matches(error, c["ErrorEquals"])), None)
                if catcher is None:
                    raise
                states["errorOutput"] = {"Error": error.name, "Cause": error.cause}
                return _leave(catcher, states, place, states["errorOutput"]), catcher["Next"]
        elif state["Type"] == "Wait":
            await self._wait(state, states, place)
        following = None if state["Type"] == "Succeed" or state.get("End") else state["Next"]
        return _leave(state, states, place, states.get("result", given)), following

    async def _wait(self, state: Mapping[str, Any], states: dict[str, Any], place: _Place) -> None:
        if "Seconds" in state:
            await asyncio.sleep(_value(state["Seconds"], states, place))
        else:
            until = clock.parse(_value(state["Timestamp"], states, place)) / 1000
            await asyncio.sleep(max(0, until - self.world.time_ns() / 1e9))

    async def _tried(self, state: Mapping[str, Any], states: dict[str, Any], place: _Place) -> Any:
        """The state's result, tried as often as its Retry says."""
        tried = [0] * len(state.get("Retry", ()))
        work = {"Task": self._task, "Parallel": self._parallel, "Map": self._map}[state["Type"]]
        while True:
            try:
                return await work(state, states, place)
            except StateError as error:
                pause = self._pause(error, state.get("Retry", ()), tried)
                if pause is None:
                    raise
            await asyncio.sleep(pause)

    def _pause(self, error: StateError, rules: Sequence[Mapping[str, Any]], tried: list[int]) -> float | None:
        """The seconds until the next attempt; None if there is none. Counts the attempts of each rule."""
        at = next((i for i, rule in enumerate(rules) if _matches(error, rule["ErrorEquals"])), None)
        if at is None or tried[at] >= rules[at].get("MaxAttempts", 3):
            return None
        self._retries += 1
        assert self._retries < _CIRCLES, f"in circles with {error.name}"
        tried[at] += 1
        pause = rules[at].get("IntervalSeconds", 1) * rules[at].get("BackoffRate", 2) ** (tried[at] - 1)
        return float(min(pause, rules[at].get("MaxDelaySeconds", pause)))

    async def _task(self, state: Mapping[str, Any], states: dict[str, Any], place: _Place) -> Any:
        if not state["Resource"].endswith(".waitForTaskToken"):
            return {"StatusCode": 200, "Payload": await self._invoke(_value(state["Arguments"], states, place))}
        self._minted += 1
        token = f"token-{self._minted}"
        states["context"] = {**place.context, "Task": {"Token": token}}
        seconds = _value(state.get("TimeoutSeconds"), states, place)
        waiting = self._tokens[token] = self.world.main.create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._invoke(_value(state["Arguments"], states, place))
                return await waiting
        except TimeoutError:
            raise StateError("States.Timeout") from None
        finally:
            self._tokens.pop(token, None)

    async def _invoke(self, arguments: Mapping[str, Any]) -> Any:
        function = self.functions[arguments["FunctionName"].rsplit("-", 1)[-1]]
        event = json.loads(json.dumps(arguments["Payload"]))
        try:
            return json.loads(json.dumps(await self.world.start(lambda: function(event))))
        except Exception as error:  # Lambda names an error by its class, whatever it is
            raise StateError(type(error).__name__, str(error)) from None
        except BaseException as error:  # a strike that kills the call is none of the function's own errors
            if isinstance(error, (asyncio.CancelledError, KeyboardInterrupt)):
                raise
            raise StateError("Runtime.ExitError") from None  # its process was killed

    async def _parallel(self, state: Mapping[str, Any], states: dict[str, Any], place: _Place) -> Any:
        given = _value(state["Arguments"], states, place) if "Arguments" in state else states["input"]
        return await _all([self._chain(b, given, place.inner()) for b in state["Branches"]])

    async def _map(self, state: Mapping[str, Any], states: dict[str, Any], place: _Place) -> Any:
        items = _value(state.get("Items", "{% $states.input %}"), states, place)
        if not isinstance(items, list):
            raise StateError("States.QueryEvaluationError", "Items must be an array")
        room = asyncio.Semaphore(_value(state.get("MaxConcurrency", 0), states, place) or max(1, len(items)))

        async def one(index: int, item: Any) -> Any:
            inner = place.inner(Map={"Item": {"Index": index, "Value": item}})
            async with room:
                given = item
                if "ItemSelector" in state:
                    given = _value(state["ItemSelector"], {"input": states["input"], "context": inner.context}, inner)
                return await self._chain(state["ItemProcessor"], given, inner)

        return await _all([one(i, item) for i, item in enumerate(items)])


async def _all(branches: Sequence[Any]) -> list[Any]:
    """What they give; the first that fails stops the others."""
    tasks = [asyncio.ensure_future(b) for b in branches]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _matches(error: StateError, names: Sequence[str]) -> bool:
    if error.name in names:
        return True
    if "States.TaskFailed" in names and error.name not in {"States.Timeout", *_NOT_ALL}:
        return True
    return "States.ALL" in names and error.name not in _NOT_ALL


# --- expressions --------------------------------------------------------------------------------------------------


def _leave(rule: Mapping[str, Any], states: dict[str, Any], place: _Place, otherwise: Any) -> Any:
    """The output that a state or a rule gives, and its variables assigned; both see what was before."""
    output = _value(rule["Output"], states, place) if "Output" in rule else otherwise
    assigned = _value(rule.get("Assign", {}), states, place)
    place.variables.update(assigned)
    return output


def _value(template: Any, states: Mapping[str, Any], place: _Place) -> Any:
    """A value with its `{% … %}` evaluated. Raises StateError States.QueryEvaluationError."""
    if isinstance(template, dict):
        return {k: _value(v, states, place) for k, v in template.items()}
    if isinstance(template, list):
        return [_value(v, states, place) for v in template]
    if not (isinstance(template, str) and template.startswith("{%")):
        return template
    text = template.removeprefix("{%").removesuffix("%}").strip()
    names = {**place.variables, "states": states}
    try:
        return _by_path(text, names)
    except LookupError:
        found = _by_engine(text, names)
    if found is None:
        raise StateError("States.QueryEvaluationError", f"{text} gives nothing")
    return found


def _by_path(text: str, names: Mapping[str, Any]) -> Any:
    """`$a.b[0]`, which most expressions are. Raises LookupError for anything else."""
    path = _PATH.fullmatch(text)
    if path is None:
        raise LookupError
    at = names[path[1]]
    for name, index in _STEP.findall(path[2]):
        if isinstance(at, list) is not bool(index):
            raise LookupError
        at = at[int(index) if index else name]
    return at


@cache
def _compiled(text: str) -> Any:
    return jsonata.Jsonata(text)


def _by_engine(text: str, names: Mapping[str, Any]) -> Any:
    expression = _compiled(text)
    frame = expression.create_frame()
    for name, value in names.items():
        frame.bind(name, value)
    try:
        return expression.evaluate(None, frame)
    except Exception as error:
        raise StateError("States.QueryEvaluationError", str(error)) from None

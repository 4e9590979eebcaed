"""Step Functions, small: walks the states of a skeleton as AWS does, on whatever event loop it is in.

Amazon States Language as the compiler writes it, and a little more: Task (Lambda, with and without a task token),
Parallel, Map, Choice, Wait, Pass, Succeed, Fail; Retry, Catch, Assign, Output; expressions in JSONata. Names that a
state does not know are refused, not guessed. The tests hold it against moto's interpreter.
"""

from __future__ import annotations

import asyncio
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import jsonata

from shared import clock

_PATH: Final = re.compile(r"\$(\w+)((?:\.\w+|\[\d+\])*)")
_STEP: Final = re.compile(r"\.(\w+)|\[(\d+)\]")
_COMMON: Final = {"Type", "Comment", "Output", "Assign", "Next", "End"}
_KNOWN: Final[Mapping[str, set[str]]] = {
    "Task": {"Resource", "Arguments", "TimeoutSeconds", "Retry", "Catch"},
    "Parallel": {"Branches", "Arguments", "Retry", "Catch"},
    "Map": {"Items", "ItemSelector", "ItemProcessor", "MaxConcurrency", "Retry", "Catch", "Label"},
    "Choice": {"Choices", "Default"},
    "Wait": {"Seconds", "Timestamp"},
    "Pass": set(),
    "Succeed": set(),
    "Fail": {"Error", "Cause"},
}
_CIRCLES: Final = 2_000  # no run is retried so often: what is would go on for ever
_NOT_ALL: Final = {"States.DataLimitExceeded", "States.Runtime"}  # States.ALL does not match these


class NotUnderstood(Exception):
    """A machine that the compiler did not write. A bug, never an input error."""


class StateError(Exception):
    """An error with its name, on its way up to whatever catches it."""

    def __init__(self, name: str, cause: str = "") -> None:
        super().__init__(name)
        self.name = name
        self.cause = cause


@dataclass(frozen=True)
class _Place:
    """Where a state stands: the variables of its scope, over those around it, and its Map's item."""

    variables: dict[str, Any]
    context: Mapping[str, Any]

    def inner(self, **context: Any) -> _Place:
        return _Place(dict(self.variables), {**self.context, **context})


class Walker(ABC):
    """One walker has any number of executions; each `walk` is one."""

    def __init__(self) -> None:
        self._tokens: dict[str, asyncio.Future[Any]] = {}
        self._minted = 0
        self._retries = 0

    @abstractmethod
    def invoke(self, function: str, event: Any) -> Awaitable[Any]:
        """A function's answer to an event; `function` is its ARN. What it raises is an error named by its class."""

    def pace(self) -> float:
        """The seconds that it takes to enter a state."""
        return 0.0

    async def walk(self, name: str, machine: Mapping[str, Any], given: Any) -> Any:
        """An execution's output. Raises StateError when it fails, TimeoutError when its time is over."""
        self._retries = 0
        place = _Place({}, {"Execution": {"Input": given, "Name": name}})
        async with asyncio.timeout(machine.get("TimeoutSeconds")):
            return await self._chain(machine, given, place)

    def succeed(self, token: str, output: Any) -> bool:
        """A state that waits with this token goes on; False if none does any more."""
        waiting = self._tokens.pop(token, None)
        if waiting is None or waiting.done():
            return False
        waiting.set_result(output)
        return True

    # --- states ---------------------------------------------------------------------------------------------------

    async def _chain(self, machine: Mapping[str, Any], given: Any, place: _Place) -> Any:
        """From StartAt to an end; gives the output. Raises StateError."""
        name = machine["StartAt"]
        while True:
            state = machine["States"][name]
            unknown = state.keys() - _COMMON - _KNOWN[state["Type"]]
            if unknown:
                raise NotUnderstood(", ".join(sorted(unknown)))
            given, following = await self._state(state, given, place)
            if following is None:
                return given
            name = following

    async def _state(self, state: Mapping[str, Any], given: Any, place: _Place) -> tuple[Any, str | None]:
        """Its output, and the name of the next state."""
        await asyncio.sleep(self.pace())
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
            await asyncio.sleep(max(0, until - clock.now_ms() / 1000))

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
        if self._retries >= _CIRCLES:
            raise NotUnderstood(f"in circles with {error.name}")
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
        waiting = self._tokens[token] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._invoke(_value(state["Arguments"], states, place))
                return await waiting
        except TimeoutError:
            raise StateError("States.Timeout") from None
        finally:
            self._tokens.pop(token, None)

    async def _invoke(self, arguments: Mapping[str, Any]) -> Any:
        event = json.loads(json.dumps(arguments["Payload"]))
        try:
            return json.loads(json.dumps(await self.invoke(arguments["FunctionName"], event)))
        except Exception as error:  # Lambda names an error by its class, whatever it is
            raise StateError(type(error).__name__, str(error)) from None

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
    except Exception as error:  # whatever the library raises is one error to Step Functions
        raise StateError("States.QueryEvaluationError", str(error)) from None

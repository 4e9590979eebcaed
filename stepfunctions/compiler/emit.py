"""The skeleton: steps as a state machine. The only module that writes Amazon States Language.

States carry control only. Every state passes its input on — `{tenant, execution, attempt, plan, timeouts}`, and in a
container's body `at`, the passes it is in — and names its segment, question or container by position, so that all
workflows of one shape share one machine. `${runner}`, `${documents}` (the runner with heavy libraries) and `${tasks}`
stand for the functions' ARNs; `publish` puts them in.

A container whose body rests somewhere becomes a cycle: a call decides whether there is another pass (`go`) or several
(`items`, for a Map), a Choice leads into the body or on, and the body leads back to the call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from stepfunctions.compiler.segments import Block
from stepfunctions.compiler.steps import Ask, Do, Rest, Steps, Together, Turns
from stepfunctions.plan import Segment, Turning

State: TypeAlias = dict[str, Any]

_PASS_ON: Final = "{% $states.input %}"
_DECIDED: Final = "{% $merge([$states.input, $states.result.Payload.turn]) %}"
_TOKEN: Final = "{% $states.context.Task.Token %}"
_BROKEN: Final = "{% $merge([$states.input, {'broken': true}]) %}"
_ITEM: Final = "{% $states.context.Map.Item.Value %}"
_ENVELOPE: Final = ("tenant", "execution", "attempt", "plan", "timeouts")
_CALL_SECONDS: Final = 960  # longer than a function can live (900): when it is over, nobody is running any more
_PARK_SECONDS: Final = 365 * 86_400
_NAME: Final = 60  # state names have 80 characters; some are kept for what is appended to them

# What a call of ours raises on purpose is matched by name; everything else is the machinery's and is tried again.
_RETRY: Final = (
    {"ErrorEquals": ["TimeSlice", "Busy"], "MaxAttempts": 10_000, "BackoffRate": 1},
    {"ErrorEquals": ["Paused", "NodeFailed", "BodyFailed", "Stopped", "Continued"], "MaxAttempts": 0},
    {"ErrorEquals": ["States.ALL"], "MaxAttempts": 6},  # after 1, 2, 4, … seconds
)
# A question's own time-out is an answer, not a fault.
_RETRY_QUESTION: Final = ({"ErrorEquals": ["States.Timeout"], "MaxAttempts": 0}, *_RETRY)


@dataclass(frozen=True, slots=True)
class Emitted:
    """A skeleton, its segments by number, its questions' blocks and its containers' turns by position."""

    skeleton: State
    segments: tuple[Segment, ...]
    questions: tuple[Block, ...]
    turns: tuple[Turning, ...]


@dataclass(frozen=True, slots=True)
class _Task:
    name: str
    number: int
    runner: str


@dataclass(frozen=True, slots=True)
class _Timer:
    name: str
    armed_by: int
    position: int  # among the timers that this segment arms


@dataclass(frozen=True, slots=True)
class _Question:
    name: str
    position: int


@dataclass(frozen=True, slots=True)
class _Together:
    name: str
    branches: tuple[tuple[_Step, ...], ...]


@dataclass(frozen=True, slots=True)
class _Cycle:
    name: str
    position: int
    turns: Turns
    lead: int | None
    body: tuple[_Step, ...]


_Step: TypeAlias = _Task | _Timer | _Question | _Together | _Cycle


def emit(steps: Steps, *, timeout_seconds: int, readable: bool = False) -> Emitted:
    """Write the state machine. `readable`: states are called after their nodes (granularity `node`)."""
    walk = _Walk(readable)
    named = walk.chain(steps, None, "")
    skeleton: State = {
        "Comment": "A Statewright skeleton: control only, no data",
        "QueryLanguage": "JSONata",
        "TimeoutSeconds": timeout_seconds,
        **_scope(named, walk.arms, None),
    }
    last = {chain[-1].number for chain in (named, *walk.bodies) if chain and isinstance(chain[-1], _Task)}
    segments = tuple(
        Segment(s.id, s.nodes, tuple(walk.arms.get(s.id, ())), s.id in last, s.scope) for s in walk.segments
    )
    return Emitted(skeleton, segments, tuple(walk.questions), tuple(walk.turns))


@dataclass
class _Walk:
    """First walk, along the steps: each gets its name and its number, in the order in which they run."""

    readable: bool
    segments: list[Segment] = field(default_factory=list)
    questions: list[Block] = field(default_factory=list)
    turns: list[Turning] = field(default_factory=list)
    bodies: list[tuple[_Step, ...]] = field(default_factory=list)
    arms: dict[int, list[str]] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)

    def chain(self, steps: Steps, armed_by: int | None, scope: str) -> tuple[_Step, ...]:
        """The steps of a chain; `armed_by` is the segment that has run just before it, if one has."""
        named: list[_Step] = []
        for step in steps:
            match step:
                case Do():
                    armed_by = self._segment(step.block, scope)
                    named.append(_Task(self._name("segment", step.block.breaker), armed_by, step.block.runner))
                    continue
                case Rest():
                    named.append(self._timer(step.block, armed_by))
                case Ask():
                    self.questions.append(step.block)
                    named.append(_Question(self._name("question", step.block.breaker), len(self.questions) - 1))
                case Together():
                    name = self._name("together", "")
                    named.append(_Together(name, tuple(self.chain(b, armed_by, scope) for b in step.branches)))
                case Turns():
                    named.append(self._cycle(step))
            armed_by = None
        return tuple(named)

    def _segment(self, block: Block, scope: str) -> int:
        self.segments.append(Segment(len(self.segments), block.nodes, scope=scope))
        return len(self.segments) - 1

    def _timer(self, block: Block, armed_by: int | None) -> _Timer:
        if armed_by is None:
            raise AssertionError("`layout` puts a segment before a timer")
        armed = self.arms.setdefault(armed_by, [])
        armed.append(block.breaker)
        return _Timer(self._name("timer", block.breaker), armed_by, len(armed) - 1)

    def _cycle(self, step: Turns) -> _Cycle:
        container, position = step.block.breaker, len(self.turns)
        name = self._name("turn", container)
        lead = None if step.lead is None else self._segment(step.lead, container)
        before = tuple(n for n in step.block.nodes if n != container)
        lots = step.apart and all(isinstance(inner, Do) for inner in step.body)
        self.turns.append(Turning(container, before, lead, step.lanes, step.apart, lots))
        body = self.chain(step.body, lead, container)
        self.bodies.append(body)
        return _Cycle(name, position, step, lead, body)

    def _name(self, what: str, node_id: str) -> str:
        if self.readable and node_id:
            short = f"{node_id[:_NAME]}.{hashlib.sha256(node_id.encode()).hexdigest()[:8]}"
            return node_id if len(node_id) <= _NAME else short
        number = self.counted[what] = self.counted.get(what, -1) + 1
        return f"{what}.{number}"  # node ids have no dot


def _scope(steps: Sequence[_Step], arms: dict[int, list[str]], failed: str | None) -> State:
    """A machine of its own, or a branch: `{StartAt, States}`."""
    return {"StartAt": steps[0].name, "States": _chain(steps, arms, None, failed)}


def _chain(
    steps: Sequence[_Step], arms: dict[int, list[str]], after: str | None, failed: str | None
) -> dict[str, State]:
    """Second walk: the states of a chain. `after` comes behind it; a body's failure is caught by the state `failed`."""
    states: dict[str, State] = {}
    caught = [] if failed is None else [_catch("BodyFailed", failed)]
    for i, step in enumerate(steps):
        following = steps[i + 1].name if i + 1 < len(steps) else after
        match step:
            case _Task():
                states |= _task(step.name, step.runner, {"segment": step.number}, caught, following)
                states[step.name] |= _assign(step.number, arms)
            case _Timer():
                # The moment of a dead path lies in the past: the state passes at once.
                moment = f"{{% $armed{step.armed_by}[{step.position}] %}}"
                states[step.name] = {"Type": "Wait", "Timestamp": moment, "Output": _PASS_ON, **_go(following)}
            case _Question():
                states |= _question(step, caught, following)
            case _Together():
                branches = [_scope(branch, arms, None) for branch in step.branches]
                state: State = {"Type": "Parallel", "Branches": branches, **({"Catch": caught} if caught else {})}
                states[step.name] = {**state, "Output": _PASS_ON, **_go(following)}
            case _Cycle():
                states |= _cycle(step, arms, caught, following)
    return states


def _task(name: str, runner: str, part: State, caught: Sequence[State], following: str | None) -> dict[str, State]:
    parked = f"{name}.parked"
    state: State = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": f"${{{runner}}}", "Payload": {"run": _PASS_ON, **part}},
        "TimeoutSeconds": _CALL_SECONDS,
        "Retry": [dict(r) for r in _RETRY],
        "Catch": [_catch("Paused", parked), *caught],
        "Output": _PASS_ON,
        **_go(following),
    }
    return {name: state, parked: _park(name)}


def _assign(number: int | None, arms: dict[int, list[str]]) -> State:
    """What keeps the moments that a segment has computed.

    Variables cannot be assigned in an inner and an outer scope, so each segment has one of its own.
    """
    return {"Assign": {f"armed{number}": "{% $states.result.Payload.until %}"}} if number in arms else {}


def _cycle(
    step: _Cycle, arms: dict[int, list[str]], caught: Sequence[State], following: str | None
) -> dict[str, State]:
    lead = step.turns.lead
    more, over, items = f"{step.name}.more", f"{step.name}.over", f"{step.name}.items"
    single = step.turns.lanes == 1 and not step.turns.apart
    body = _chain(step.body, arms, step.name, step.name) if single else {items: _items(step, arms)}
    states = _task(step.name, lead.runner if lead else "runner", {"turn": step.position}, caught, more)
    states[step.name] |= {"Output": _DECIDED, **_assign(step.lead, arms)}
    states[more] = {
        "Type": "Choice",
        "Choices": [{"Condition": "{% $states.input.go %}", "Next": step.body[0].name if single else items}],
        "Default": following or over,
    }
    if following is None:
        states[over] = {"Type": "Succeed", "Output": _PASS_ON}
    return states | body


def _items(step: _Cycle, arms: dict[int, list[str]]) -> State:
    """Passes side by side. What they give is in the journal, so nothing of it is kept here."""
    failed = f"{step.name}.failed" if step.turns.tolerant else None
    processor = _scope(step.body, arms, failed)
    if failed is not None:
        processor["States"][failed] = {"Type": "Succeed"}
    for state in processor["States"].values():
        if "End" in state or state["Type"] == "Succeed":
            state["Output"] = {}
    mode: State = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"} if step.turns.apart else {"Mode": "INLINE"}
    caught = [_catch("BodyFailed", step.name)]
    if step.turns.apart:  # what an execution of its own fails with is not told
        caught = [{**_catch("States.ExceedToleratedFailureThreshold", step.name), "Output": _BROKEN}]
    return {
        "Type": "Map",
        "Items": "{% [$states.input.items] %}",
        "ItemSelector": {name: f"{{% $states.input.{name} %}}" for name in _ENVELOPE} | {"at": _ITEM},
        "MaxConcurrency": step.turns.lanes,
        "ItemProcessor": {"ProcessorConfig": mode, **processor},
        "Catch": caught,
        "Output": _PASS_ON,
        "Next": step.name,
    }


def _question(step: _Question, caught: Sequence[State], following: str | None) -> dict[str, State]:
    parked, lapsed = f"{step.name}.parked", f"{step.name}.lapsed"
    states: dict[str, State] = {
        step.name: {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Arguments": {
                "FunctionName": "${tasks}",
                "Payload": {"run": _PASS_ON, "question": step.position, "token": _TOKEN},
            },
            "TimeoutSeconds": f"{{% $states.input.timeouts[{step.position}] %}}",
            "Retry": [dict(r) for r in _RETRY_QUESTION],
            # Whoever runs next finds the question unanswered after its time, and does what its node says.
            "Catch": [_catch("Paused", parked), *caught, _catch("States.Timeout", following or lapsed)],
            "Output": _PASS_ON,
            **_go(following),
        },
        parked: _park(step.name),
    }
    if following is None:
        states[lapsed] = {"Type": "Succeed", "Output": _PASS_ON}
    return states


def _park(back_to: str) -> State:
    """Where a paused run rests; going on leads back to the state that found the run paused."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Arguments": {"FunctionName": "${tasks}", "Payload": {"run": _PASS_ON, "park": back_to, "token": _TOKEN}},
        "TimeoutSeconds": _PARK_SECONDS,
        "Retry": [dict(_RETRY[-1])],
        "Output": _PASS_ON,
        "Next": back_to,
    }


def _catch(error: str, to: str) -> State:
    return {"ErrorEquals": [error], "Output": _PASS_ON, "Next": to}


def _go(following: str | None) -> State:
    return {"End": True} if following is None else {"Next": following}

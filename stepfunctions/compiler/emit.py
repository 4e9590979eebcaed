"""The skeleton: blocks and their region as a state machine. The only module that writes Amazon States Language.

States carry control only. Every state passes its input on unchanged — `{tenant, execution, plan, timeouts}` — and
names its segment or question by position, so that all workflows of one shape share one machine. `${runner}` and
`${tasks}` stand for the functions' ARNs; `publish` puts them in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from stepfunctions.compiler.regions import Leaf, Parallel, Region, Series, decompose
from stepfunctions.compiler.segments import Block, Blocks
from stepfunctions.plan import Segment

State: TypeAlias = dict[str, Any]

_PASS_ON: Final = "{% $states.input %}"
_TOKEN: Final = "{% $states.context.Task.Token %}"
_CALL_SECONDS: Final = 960  # longer than a function can live (900): when it is over, nobody is running any more
_PARK_SECONDS: Final = 365 * 86_400
_NAME: Final = 60  # state names have 80 characters; some are kept for what is appended to them

# What a call of ours raises on purpose is matched by name; everything else is the machinery's and is tried again.
_RETRY: Final = (
    {"ErrorEquals": ["TimeSlice"], "IntervalSeconds": 1, "MaxAttempts": 10_000, "BackoffRate": 1},
    {"ErrorEquals": ["Busy"], "IntervalSeconds": 2, "MaxAttempts": 1_000, "BackoffRate": 1},
    {"ErrorEquals": ["Paused", "NodeFailed", "Stopped"], "MaxAttempts": 0},
    {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 6, "BackoffRate": 2, "MaxDelaySeconds": 60},
)
# A question's own time-out is an answer, not a fault.
_RETRY_QUESTION: Final = ({"ErrorEquals": ["States.Timeout"], "MaxAttempts": 0}, *_RETRY)


@dataclass(frozen=True, slots=True)
class Emitted:
    """A skeleton, its segments by number and its questions' blocks by position."""

    skeleton: State
    segments: tuple[Segment, ...]
    questions: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class _Task:
    name: str
    number: int


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


_Step: TypeAlias = _Task | _Timer | _Question | _Together


def emit(blocks: Blocks, *, timeout_seconds: int, readable: bool = False) -> Emitted:
    """Write the state machine. `readable`: states are called after their nodes (granularity `node`)."""
    walk = _Walk(blocks.blocks, readable)
    steps = walk.chain(decompose(blocks.before), None)
    skeleton: State = {
        "Comment": "A Statewright skeleton: control only, no data",
        "QueryLanguage": "JSONata",
        "TimeoutSeconds": timeout_seconds,
        **_write(steps, walk.arms),
    }
    last = steps[-1]
    segments = tuple(
        Segment(s.id, s.nodes, tuple(walk.arms.get(s.id, ())), isinstance(last, _Task) and s.id == last.number)
        for s in walk.segments
    )
    return Emitted(skeleton, segments, tuple(walk.questions))


@dataclass
class _Walk:
    """First walk, along the region: every step gets its name and its number, in the order in which they run."""

    blocks: Sequence[Block]
    readable: bool
    segments: list[Segment] = field(default_factory=list)
    questions: list[Block] = field(default_factory=list)
    arms: dict[int, list[str]] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)

    def chain(self, region: Region, armed_by: int | None) -> tuple[_Step, ...]:
        """The steps of a region; `armed_by` is the segment that has run just before it, if one has."""
        steps: list[_Step] = []
        for part in region.parts if isinstance(region, Series) else (region,):
            if isinstance(part, Leaf) and self.blocks[part.element].kind == "segment":
                steps.append(self._task(self.blocks[part.element]))
                armed_by = len(self.segments) - 1
                continue
            if armed_by is None and self._starts_with_timer(part):
                # Nothing has run just before, so a call is needed that only computes the timer's moment.
                steps.append(self._task(Block("segment", "", ())))
                armed_by = len(self.segments) - 1
            steps.append(self._other(part, armed_by))
            armed_by = None
        return tuple(steps)

    def _starts_with_timer(self, region: Region) -> bool:
        match region:
            case Leaf():
                return self.blocks[region.element].kind == "timer"
            case Series():
                return self._starts_with_timer(region.parts[0])
            case Parallel():
                return any(self._starts_with_timer(p) for p in region.parts)

    def _task(self, block: Block) -> _Task:
        number = len(self.segments)
        self.segments.append(Segment(number, block.nodes))
        return _Task(self._name("segment", block.breaker), number)

    def _other(self, region: Region, armed_by: int | None) -> _Step:
        if not isinstance(region, Leaf):
            branches = tuple(self.chain(p, armed_by) for p in region.parts)
            return _Together(self._name("together", ""), branches)
        block = self.blocks[region.element]
        if block.kind == "question":
            self.questions.append(block)
            return _Question(self._name("question", block.breaker), len(self.questions) - 1)
        if armed_by is None:
            raise AssertionError("`chain` puts a segment before a timer")
        armed = self.arms.setdefault(armed_by, [])
        armed.append(block.breaker)
        return _Timer(self._name("timer", block.breaker), armed_by, len(armed) - 1)

    def _name(self, what: str, node_id: str) -> str:
        if self.readable and node_id:
            short = f"{node_id[:_NAME]}.{hashlib.sha256(node_id.encode()).hexdigest()[:8]}"
            return node_id if len(node_id) <= _NAME else short
        number = self.counted[what] = self.counted.get(what, -1) + 1
        return f"{what}.{number}"  # node ids have no dot


def _write(steps: Sequence[_Step], arms: dict[int, list[str]]) -> State:
    """Second walk: a scope's states, `{StartAt, States}`."""
    states: dict[str, State] = {}
    for i, step in enumerate(steps):
        following = steps[i + 1].name if i + 1 < len(steps) else None
        match step:
            case _Task():
                states |= _task(step, following, keeps=step.number in arms)
            case _Timer():
                # The moment of a dead path lies in the past: the state passes at once.
                moment = f"{{% $armed{step.armed_by}[{step.position}] %}}"
                states[step.name] = {"Type": "Wait", "Timestamp": moment, "Output": _PASS_ON, **_go(following)}
            case _Question():
                states |= _question(step, following)
            case _Together():
                branches = [_write(branch, arms) for branch in step.branches]
                states[step.name] = {"Type": "Parallel", "Branches": branches, "Output": _PASS_ON, **_go(following)}
    return {"StartAt": steps[0].name, "States": states}


def _task(step: _Task, following: str | None, *, keeps: bool) -> dict[str, State]:
    parked = f"{step.name}.parked"
    state: State = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": "${runner}", "Payload": {"run": _PASS_ON, "segment": step.number}},
        "TimeoutSeconds": _CALL_SECONDS,
        "Retry": [dict(r) for r in _RETRY],
        "Catch": [_catch("Paused", parked)],
        "Output": _PASS_ON,
        **_go(following),
    }
    if keeps:
        # Variables cannot be assigned in an inner and an outer scope, so each segment has one of its own.
        state["Assign"] = {f"armed{step.number}": "{% $states.result.Payload.until %}"}
    return {step.name: state, parked: _park(step.name)}


def _question(step: _Question, following: str | None) -> dict[str, State]:
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
            "Catch": [_catch("Paused", parked), _catch("States.Timeout", following or lapsed)],
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
        "Retry": [dict(r) for r in _RETRY],
        "Output": _PASS_ON,
        "Next": back_to,
    }


def _catch(error: str, to: str) -> State:
    return {"ErrorEquals": [error], "Output": _PASS_ON, "Next": to}


def _go(following: str | None) -> State:
    return {"End": True} if following is None else {"Next": following}

"""How many states a run enters, and the longest way through them, read off a skeleton.

A machine is read as a line: its states one after the other, as a run goes that completes and is never paused. What
leaves the line hangs on the state where it does: the branches of a Parallel, the processor of a Map, what a Choice
may do again (a cycle), and what may come in place of the rest (a question that was not answered in time).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypedDict

from stepfunctions.plan import BoundNode, Plan, Turning

ITEMS: Final = 10  # passes of a container whose number nothing tells

Passes: TypeAlias = tuple[int, int, float]
"""How often a container's body runs: at least, as expected, at most."""
_ANY: Final[Passes] = (0, ITEMS, math.inf)
_ARMED: Final = re.compile(r"\$armed(\d+)\[(\d+)\]")  # as `stepfunctions.compiler.emit` writes it
_States: TypeAlias = Mapping[str, Mapping[str, Any]]


class Transitions(TypedDict):
    """States entered: at least, as expected (questions are answered in time), at most; None where nothing limits it."""

    least: int
    expected: int
    most: int | None


@dataclass(frozen=True, slots=True)
class _Way:
    """A line that leaves another one, and where it comes back to it: the position of a state there."""

    line: _Line
    back: int


@dataclass(frozen=True, slots=True)
class _Stop:
    """A state on a line."""

    name: str
    state: Mapping[str, Any]
    together: tuple[_Line, ...]  # all of them, side by side
    each: _Line | None  # for each item
    again: tuple[_Way, ...]  # back to this state or one before it
    instead: tuple[_Way, ...]  # in place of what follows


_Line: TypeAlias = tuple[_Stop, ...]


def transitions(
    machine: Mapping[str, Any], passes: Sequence[Passes] = (), *, of: Callable[[Mapping[str, Any]], bool] = bool
) -> Transitions:
    """How many states a run enters, or how many of those that `of` says.

    `passes` is what is known of containers, by their position in the skeleton.
    """
    least, expected, most = _Counting(passes, of).line(_read(machine))
    return {"least": int(least), "expected": int(expected), "most": None if math.isinf(most) else int(most)}


def calls(machine: Mapping[str, Any], passes: Sequence[Passes] = ()) -> dict[str, int]:
    """How often a run calls the functions, as expected: `{runner, tasks}`."""
    tasks = transitions(machine, passes, of=lambda state: "question" in _payload(state))
    all_calls = transitions(machine, passes, of=lambda state: state["Type"] == "Task")
    return {"runner": all_calls["expected"] - tasks["expected"], "tasks": tasks["expected"]}


def passes_of(nodes: Mapping[str, BoundNode], turns: Sequence[Turning]) -> tuple[Passes, ...]:
    """What the configs of opened containers say of their passes, by their position in the skeleton."""
    return tuple(_of_container(nodes[turn.node].type, nodes[turn.node].config) for turn in turns)


def _of_container(kind: str, config: Mapping[str, Any]) -> Passes:
    match kind:
        case "while_loop":
            return 0, min(ITEMS, config["max_iterations"]), config["max_iterations"]
        case "agent":
            most = config.get("max_steps") or (100 if config.get("agent") else 10)
            return 1, min(ITEMS, most), most
        case "retry":
            return 1, 1, config["max_retries"] + 1
        case _:
            return _ANY


# --- reading ---------------------------------------------------------------------------------------------------------


def _read(machine: Mapping[str, Any]) -> _Line:
    return _line(machine["States"], machine["StartAt"], frozenset())[0]


def _line(states: _States, start: str, known: frozenset[str]) -> tuple[_Line, str | None]:
    """The line from a state to its end or to a state that is `known`, and the name of that one."""
    names: list[str] = []
    name: str | None = start
    while name is not None and name not in known and name not in names:
        names.append(name)
        name = _following(states[name])
    known |= set(names)
    at = {each: i for i, each in enumerate(names)}
    return tuple(_stop(states, each, at, known) for each in names), name


def _stop(states: _States, name: str, at: Mapping[str, int], known: frozenset[str]) -> _Stop:
    state = states[name]
    again: list[_Way] = []
    instead: list[_Way] = []
    for target in _others(state):
        line, end = _line(states, target, known)
        back = at.get(end or "", len(at))
        (again if back <= at[name] else instead).append(_Way(line, back))
    processor = state.get("ItemProcessor")
    return _Stop(
        name,
        state,
        tuple(_read(branch) for branch in state.get("Branches", ())),
        _read(processor) if processor else None,
        tuple(again),
        tuple(instead),
    )


def _following(state: Mapping[str, Any]) -> str | None:
    choices = state.get("Choices", ())
    found: str | None = state.get("Next") or state.get("Default") or (choices[0]["Next"] if choices else None)
    return found


def _others(state: Mapping[str, Any]) -> Iterator[str]:
    """Where else a run may go on that completes without a pause."""
    found = [choice["Next"] for choice in state.get("Choices", ())]
    found += [c["Next"] for c in state.get("Catch", ()) if "States.Timeout" in c["ErrorEquals"]]
    yield from (each for each in dict.fromkeys(found) if each != _following(state))


# --- counting --------------------------------------------------------------------------------------------------------

_Count: TypeAlias = tuple[float, float, float]
_NONE: Final[_Count] = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class _Counting:
    passes: Sequence[Passes]
    of: Callable[[Mapping[str, Any]], bool]

    def line(self, line: _Line) -> _Count:
        alone = [self._alone(stop) for stop in line]
        ahead = [_NONE] * (len(line) + 1)
        for i in reversed(range(len(line))):
            stop = line[i]
            rest = [ahead[i + 1], *(_sum(self.line(way.line), ahead[way.back]) for way in stop.instead)]
            ahead[i] = _sum(alone[i], _either(rest, stop))
            if stop.again:
                laps = [_sum(self.line(way.line), *alone[way.back : i + 1]) for way in stop.again]
                ahead[i] = _sum(ahead[i], _times(_either(laps, stop), _passes(line, stop, self.passes)))
        return ahead[0]

    def _alone(self, stop: _Stop) -> _Count:
        """Of a state and what is inside it."""
        one = int(self.of(stop.state))
        found = _sum((one, one, one), *map(self.line, stop.together))
        return _sum(found, _times(self.line(stop.each), _ANY)) if stop.each is not None else found


def _passes(line: _Line, stop: _Stop, known: Sequence[Passes]) -> Passes:
    """How often a cycle is gone through."""
    way = stop.again[0]
    if any(each.each is not None for each in way.line):
        return 0, 1, math.inf  # the Map in it has all the passes
    position = _payload(line[way.back].state).get("turn")
    return known[position] if isinstance(position, int) and position < len(known) else _ANY


def _payload(state: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = state.get("Arguments", {}).get("Payload", {})
    return found


def _sum(*counts: _Count) -> _Count:
    least, expected, most = zip(*counts, strict=True)
    return sum(least), sum(expected), sum(most)


def _times(count: _Count, passes: Passes) -> _Count:
    return count[0] * passes[0], count[1] * passes[1], count[2] and count[2] * passes[2]  # 0 times ∞ is none


def _either(counts: Sequence[_Count], stop: _Stop) -> _Count:
    """One of several. As expected: of a Choice the longest, otherwise the first."""
    least, expected, most = zip(*counts, strict=True)
    return min(least), max(expected) if "Choices" in stop.state else expected[0], max(most)


# --- the longest way -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Path:
    """A way through a machine, as expected: the states entered one after the other, and which of them are calls."""

    states: float = 0
    calls: float = 0
    nodes: tuple[str, ...] = ()

    def __add__(self, other: _Path) -> _Path:
        return _Path(self.states + other.states, self.calls + other.calls, (*self.nodes, *other.nodes))

    def times(self, passes: float) -> _Path:
        """Gone through that often; the nodes are named once."""
        return _Path(self.states * passes, self.calls * passes, self.nodes)


def longest_path(plan: Plan) -> dict[str, Any]:
    """What a run cannot be shorter than: `{states, calls, nodes}`.

    Of branches side by side the one with the most states counts; of a call's nodes the longest chain.
    """
    found = _longest(_read(plan.skeleton), plan, passes_of(plan.nodes, plan.turns))
    nodes = tuple(dict.fromkeys(found.nodes))
    return {"states": int(found.states), "calls": int(found.calls), "nodes": list(nodes)}


def _longest(line: _Line, plan: Plan, known: Sequence[Passes]) -> _Path:
    alone = [_through(stop, plan, known) for stop in line]
    found: list[_Path] = []
    for i, stop in enumerate(line):
        found.append(alone[i])
        if stop.again:
            laps = [sum(alone[way.back : i + 1], _longest(way.line, plan, known)) for way in stop.again]
            found.append(_more(laps).times(_passes(line, stop, known)[1]))
    return sum(found, _Path())


def _through(stop: _Stop, plan: Plan, known: Sequence[Passes]) -> _Path:
    found = _Path(1, stop.state["Type"] == "Task", _chain(nodes_of(stop.state, plan), plan))
    if stop.together:
        found += _more([_longest(branch, plan, known) for branch in stop.together])
    if stop.each is not None:
        at_once = stop.state.get("MaxConcurrency") or ITEMS
        found += _longest(stop.each, plan, known).times(math.ceil(ITEMS / at_once))
    return found


def _more(paths: Sequence[_Path]) -> _Path:
    return max(paths, key=lambda path: path.states)


def nodes_of(state: Mapping[str, Any], plan: Plan) -> tuple[str, ...]:
    """The nodes that a state of a plan's skeleton runs or waits for."""
    match _payload(state):
        case {"segment": int(number)}:
            return plan.segments[number].nodes
        case {"question": int(position)}:
            return plan.questions[position].nodes
        case {"turn": int(position)}:
            turn = plan.turns[position]
            lead = () if turn.lead is None else plan.segments[turn.lead].nodes
            return (*turn.nodes, turn.node, *lead)
    timer = _ARMED.search(state.get("Timestamp", ""))
    return () if timer is None else (plan.segments[int(timer[1])].arms[int(timer[2])],)


def _chain(nodes: Sequence[str], plan: Plan) -> tuple[str, ...]:
    """A longest chain of these nodes, each after those it depends on."""
    to: dict[str, tuple[str, ...]] = {}
    for node in nodes:
        before = (to[each] for each in plan.nodes[node].waits_for if each in to)
        to[node] = (*max(before, key=len, default=()), node)
    return max(to.values(), key=len, default=())

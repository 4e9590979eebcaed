"""Tests of a workflow, run: each case is played on the compiled plan and judged by what came of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final

from shared.cases.model import Assertion, Case
from shared.clock import now_ms, parse
from shared.errors import Invalid, Problem
from shared.runs.model import NodeRecord
from shared.tenancy import Tenant
from shared.workflows.difference import cut
from stepfunctions.plan import Plan
from stepfunctions.prefill import ports_of
from stepfunctions.published import chosen
from stepfunctions.rehearsal.compare import MAX_DIFFERENCES, Difference, differences, schema_problems_of
from stepfunctions.rehearsal.play import GivenUp, Played, play

_LONGEST: Final = 20_000  # characters of an output that is shown
_ASKED: Final = 100  # questions that are shown
# One thread that lives as long as the process: see `shared.expressions.jsonata` of threads that end.
_thread: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rehearsal")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a case. `status` is that of the run, None where it has not come to its end; `nodes` by id."""

    passed: bool
    problems: tuple[Problem, ...]
    differences: tuple[Difference, ...] = ()
    status: str | None = None
    output: Any = None
    error: Mapping[str, Any] | None = None
    nodes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    asked: tuple[Mapping[str, Any], ...] = ()
    virtual_seconds: float = 0
    milliseconds: int = 0


def rehearse(tenant: Tenant, plan: Plan, cases: Sequence[Case], seconds: float) -> list[Verdict]:
    """Play cases one after the other and judge them; together they take `seconds` at most.

    Each may take an equal share of what is left then.
    """
    until = time.monotonic() + seconds
    return _thread.submit(_all, tenant, plan, cases, until).result()


def _all(tenant: Tenant, plan: Plan, cases: Sequence[Case], until: float) -> list[Verdict]:
    verdicts = []
    for number, case in enumerate(cases):
        began = time.monotonic()
        share = max(0.0, until - began) / (len(cases) - number)
        verdicts.append(_one(tenant, plan, case, began, began + share))
    return verdicts


def _one(tenant: Tenant, plan: Plan, case: Case, began: float, until: float) -> Verdict:
    trigger, problems = _trigger(plan, case)
    problems += [*_misfits(plan, case), *schema_problems_of(case)]
    start_ms = now_ms()
    if case.now is not None:
        try:
            start_ms = parse(case.now)
        except (ValueError, OverflowError):
            problems.append(Problem("bad_time", "now must be an RFC 3339 time such as 2026-01-02T03:04:05Z", "now"))
    if problems:
        return Verdict(False, tuple(problems))
    try:
        played = play(tenant, plan, case, trigger, start_ms, until)
    except GivenUp as given_up:
        return Verdict(False, (Problem("GivenUp", str(given_up)),), milliseconds=_since(began))
    found: list[Difference] = []
    said = [*played.problems]
    for problem in _judged(plan, case, played, found):
        said.append(problem)
        if time.monotonic() > until:
            said.append(Problem("GivenUp", "the time that a test may take is over"))
            break
    return Verdict(
        passed=not said and not found,
        problems=tuple(said),
        differences=tuple(replace(d, expected=cut(d.expected), found=cut(d.found)) for d in found[:MAX_DIFFERENCES]),
        status=played.run.status,
        output=cut(played.output, _LONGEST),
        error=played.run.error,
        nodes={n: _told(_records(played, n)) for n in plan.nodes if "." not in n},
        asked=tuple({**a, "data": cut(a["data"])} for a in played.asked[:_ASKED]),
        virtual_seconds=played.seconds,
        milliseconds=_since(began),
    )


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


# --- what a case speaks of ---------------------------------------------------------------------------------------


def _trigger(plan: Plan, case: Case) -> tuple[str | None, list[Problem]]:
    """The node at which the run starts."""
    every = [n for n in plan.nodes.values() if n.kind == "trigger"]
    usable = [(n.id, n.type) for n in every if not n.disabled]
    try:
        return chosen(usable, [n.id for n in every if n.disabled], case.trigger_node), []
    except Invalid as error:
        return None, list(error.errors)


def _misfits(plan: Plan, case: Case) -> list[Problem]:
    """Where a case names nodes and ports that are not there."""
    found = []
    for name, places in (("mocks", case.mocks), ("answers", case.answers), ("assertions", case.assertions)):
        for place in places:
            node_id = place.rpartition("/")[2]
            if node_id not in plan.nodes:
                found.append(Problem("unknown_node", f"there is no node {node_id}", f"{name}.{place}", node_id))
    for node_id in case.answers:
        node = plan.nodes.get(node_id)
        if node is not None and node.type != "human_in_the_loop":
            found.append(Problem("no_question", f"{node_id} asks nobody", f"answers.{node_id}", node_id))
    for node_id, mocked in case.mocks.items():
        node = plan.nodes.get(node_id)
        if node is None:
            continue
        path = f"mocks.{node_id}"
        if node.kind == "trigger" or node.kind == "timer" or node.type == "human_in_the_loop":
            use = {"trigger": "trigger_data", "timer": "nothing: waits take no time"}.get(node.kind, "answers")
            found.append(Problem("not_mockable", f"{node_id} cannot be mocked; use {use}", path, node_id))
        known = ports_of(node)
        for mock in mocked if isinstance(mocked, list) else [mocked]:
            for port in mock.outputs or ():
                if port not in known:
                    message = f"{node_id} has no output port {port[:100]!r}; it has {', '.join(known) or 'none'}"
                    found.append(Problem("unknown_port", message, path, node_id))
    return found


# --- what came of it ---------------------------------------------------------------------------------------------


def _judged(plan: Plan, case: Case, played: Played, found: list[Difference]) -> Iterator[Problem]:
    """What is wrong with the run; differences of values go into `found`."""
    run, error = played.run, played.run.error or {}
    expected = case.expected_error
    fails = expected is not None or any(a.should_error and _ended_by(played, p) for p, a in case.assertions.items())
    wanted = case.expected_status or ("failed" if fails else "completed")
    if run.status != wanted:
        at = f" at {error['node_id']}" if error.get("node_id") else ""
        why = f"{at}: {error.get('error')}: {error.get('message')}" if run.status == "failed" else ""
        yield Problem("status", f"the run {run.status}{why}; it should be {wanted}", None, error.get("node_id"))
    if expected is not None and run.status == "failed":
        for name in ("error", "node_id"):
            should = getattr(expected, name)
            if should is not None and should != error.get(name):
                found.append(Difference(f"error.{name}", "changed", should, error.get(name)))
    if case.expected_output is not None:
        found += differences(case.expected_output, played.output, "output")
    for place, assertion in case.assertions.items():
        yield from _asserted(plan, place, assertion, played, found)


def _asserted(
    plan: Plan, place: str, assertion: Assertion, played: Played, found: list[Difference]
) -> Iterator[Problem]:
    records, (scope, _, node_id) = _records(played, place), place.rpartition("/")
    told, path = _told(records), f"assertions.{place}"

    def wrong(code: str, message: str) -> Problem:
        return Problem(code, f"{place}: {message}", f"{path}.{code}", node_id)

    if assertion.was_skipped is not None and assertion.was_skipped is not (told["runs"] == 0):
        yield wrong("was_skipped", f"it {'ran' if assertion.was_skipped else 'was skipped, or never reached'}")
    should, did = assertion.should_error, told["error"]
    if should is not None and (bool(should) is not (did is not None) or (isinstance(should, str) and should != did)):
        yield wrong("should_error", f"expected {_error(should)}, found {_error(did)}")
    for name in ("attempts", "runs"):
        wanted = getattr(assertion, name)
        if wanted is not None and wanted != told[name]:
            yield wrong(name, f"expected {wanted} {name}, found {told[name]}")
    ports = dict(assertion.outputs)
    if assertion.output is not None and plan.nodes[node_id].outputs:
        ports.setdefault(plan.nodes[node_id].outputs[0], assertion.output)
    if ports and plan.nodes[node_id].scope and not scope:
        yield wrong("output", f"it is in a loop: name a pass, such as {plan.nodes[node_id].scope}/0/{node_id}")
        return
    values = played.values.get((scope, node_id), {})
    for port, expected in ports.items():
        if port in values:
            found += differences(expected, values[port], f"{place}.{port}")
        else:
            found.append(
                Difference(f"{place}.{port}", "missing", expected.model_dump(by_alias=True, exclude_unset=True))
            )


def _ended_by(played: Played, place: str) -> bool:
    """Whether the run failed of this node: by itself, or through the containers that it is in."""
    error = played.run.error or {}
    for record in _records(played, place):
        at: NodeRecord | None = record
        while at is not None and not at.handled and (at.error or {}).get("error") == error.get("error"):
            if not at.scope:
                return bool(at.node == error.get("node_id"))
            scope, _, container = at.scope.rpartition("/")[0].rpartition("/")
            at = played.records.get((scope, container))
    return False


def _error(value: bool | str | None) -> str:
    return "no error" if not value else "an error" if value is True else value


def _records(played: Played, place: str) -> list[NodeRecord]:
    """What is recorded of a node: in this pass if one is named, else in all of them."""
    scope, _, node_id = place.rpartition("/")
    return [r for (at, node), r in played.records.items() if node == node_id and (not scope or at == scope)]


def _told(records: Sequence[NodeRecord]) -> dict[str, Any]:
    """All passes of a node as one: the worst status, the last error, how often it ran."""
    ran = [r for r in records if r.status != "skipped"]
    failed = [r for r in ran if r.status == "failed"]
    error = (failed[-1].error or {}).get("error") if failed else None
    going_on = next((r.status for r in ran if r.status != "completed"), None)
    status = "failed" if failed else going_on or ("completed" if ran else "skipped" if records else "not_reached")
    return {"status": status, "runs": len(ran), "attempts": sum(r.attempts for r in ran), "error": error}

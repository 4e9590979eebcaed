"""Runs: starting them, reading them back, and what people do to them."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from functions.api.deps import Made, Once, Paged, require
from functions.api.private_runs import OF_ITS_PERSON
from functions.api.schemas.base import TimeIn
from functions.api.schemas.executions import (
    BudgetIn,
    EventsOut,
    ExecuteIn,
    ExecuteNodeIn,
    ExecutionDetail,
    ExecutionOut,
    ExecutionSummary,
    NodeOut,
    ReplayIn,
    RetryIn,
)
from functions.api.schemas.pages import PageOf
from shared.ids import digest
from shared.runs.model import Run, RunStatus
from shared.tenancy import Principal
from shared.usage.model import in_nano
from stepfunctions import control, history, manual, newer, shown
from stepfunctions.replay import replay as replayed

router = APIRouter(prefix="/workflows", tags=["executions"], dependencies=[OF_ITS_PERSON])
Reader = Annotated[Principal, require("viewer", "executions:read")]
Operator = Annotated[Principal, require("operator", "executions:write")]
WholeBytes = Annotated[
    int, Query(ge=0, le=shown.MAX_TOTAL, description="up to how many bytes of JSON a value is shown whole")
]
Sequence = Annotated[str, Query(max_length=100, pattern=r"^[\x21-\x7e]*$")]
_NODE_BYTES: Final = 1_000_000
ENDED: Final[dict[int | str, dict[str, Any]]] = {200: {"model": ExecutionOut, "description": "The run has ended"}}


@router.post("/{workflow_id}/execute", status_code=202, response_model=ExecutionOut, responses=ENDED)
def execute(workflow_id: str, who: Operator, once: Once, body: ExecuteIn | None = None) -> Response:
    """Start a run. 200 if it ended within `wait_seconds`, else 202; Location is where to read it."""
    wanted = body or ExecuteIn()

    def make() -> Made:
        mark = digest("execute", who.id, once.url, once.key, wanted.model_dump_json()) if once.key else None
        run = manual.execute(
            who,
            workflow_id,
            trigger_data=wanted.trigger_data,
            trigger_node=wanted.trigger_node,
            version=wanted.version,
            wait_seconds=wanted.wait_seconds,
            mark=mark,
            pinned=wanted.pinned,
            budget=_nano(wanted.budget),
        )
        return _started(who, run)

    return once(who, wanted, make)


@router.post("/{workflow_id}/nodes/{node_id}/execute", status_code=202, response_model=ExecutionOut, responses=ENDED)
def execute_node(
    workflow_id: str, node_id: str, who: Operator, once: Once, body: ExecuteNodeIn | None = None
) -> Response:
    """Run one node by itself, a container with its body, as a run of its own: its final output is an object of the
    node's outputs by port. 200 if it ended within `wait_seconds`, else 202. 422 for a node that waits.
    """
    wanted = body or ExecuteNodeIn()

    def make() -> Made:
        mark = digest("execute_node", who.id, once.url, once.key, wanted.model_dump_json()) if once.key else None
        run = manual.execute_node(
            who,
            workflow_id,
            node_id,
            inputs=wanted.inputs,
            trigger_data=wanted.trigger_data,
            outputs_of=wanted.outputs_of,
            version=wanted.version,
            wait_seconds=wanted.wait_seconds,
            mark=mark,
        )
        return _started(who, run)

    return once(who, wanted, make)


@router.get("/{workflow_id}/executions")
def list_all(
    workflow_id: str,
    who: Reader,
    page: Paged,
    status: RunStatus | None = None,
    since: Annotated[TimeIn | None, Query(alias="from")] = None,
    before: Annotated[TimeIn | None, Query(alias="to")] = None,
) -> PageOf[ExecutionSummary]:
    """A workflow's runs, newest first: those created from `from` on and before `to`."""
    found = history.listing(who.tenant, workflow_id, page.cursor, page.limit, status, since, before)
    return PageOf[ExecutionSummary].model_validate(found)


@router.get("/executions/{execution_id}", response_model=ExecutionDetail)
def get(execution_id: str, who: Reader, max_value_bytes: WholeBytes = shown.WHOLE_BYTES) -> Response:
    """A run and what its nodes did."""
    return JSONResponse(history.execution_view(who.tenant, execution_id, max_value_bytes))


@router.get("/executions/{execution_id}/nodes/{node_id}", response_model=NodeOut)
def node(
    execution_id: str, node_id: str, who: Reader, page: Paged, max_value_bytes: WholeBytes = _NODE_BYTES
) -> Response:
    """Every run of a node — a node in a loop has one for each item — with its values."""
    view = history.node_view(who.tenant, execution_id, node_id, page.cursor, page.limit, max_value_bytes)
    return JSONResponse(view)


@router.get("/executions/{execution_id}/events")
def events(execution_id: str, who: Reader, page: Paged, after: Sequence = "") -> EventsOut:
    """What happened after the event `after`, in order."""
    start = page.cursor or after
    return EventsOut.model_validate(history.events(who.tenant, execution_id, start, page.limit))


@router.post("/executions/{execution_id}/cancel", status_code=202)
def cancel(execution_id: str, who: Operator) -> ExecutionOut:
    """End a run now. 409 if it has ended."""
    return _shown(who, control.cancel(who.tenant, execution_id))


@router.post("/executions/{execution_id}/pause", status_code=202)
def pause(execution_id: str, who: Operator) -> ExecutionOut:
    """Let a run rest at its next node boundary. 409 if it has ended."""
    return _shown(who, control.pause(who.tenant, execution_id))


@router.post("/executions/{execution_id}/resume", status_code=202)
def resume(execution_id: str, who: Operator) -> ExecutionOut:
    """Let a paused run go on. 409 if it has ended, or nobody asked it to pause."""
    return _shown(who, control.resume(who.tenant, execution_id))


@router.post("/executions/{execution_id}/retry", status_code=202, response_model=ExecutionOut)
def retry(execution_id: str, who: Operator, once: Once, body: RetryIn | None = None) -> Response:
    """Go on with a failed or cancelled run where it stopped. 409 if it is neither, or if what it has recorded does not
    fit the `version`: `errors` then has an entry for each node that does not.
    """
    wanted = body or RetryIn()
    budget = _nano(wanted.budget)

    def make() -> Made:
        if wanted.version is None:
            run = control.retry(who.tenant, execution_id, budget)
        else:
            run = newer.retry(who.tenant, execution_id, wanted.version, budget)
        return Made(202, _shown(who, run))

    return once(who, wanted, make)


@router.post("/executions/{execution_id}/replay", status_code=202, response_model=ExecutionOut, responses=ENDED)
def replay(execution_id: str, body: ReplayIn, who: Operator, once: Once) -> Response:
    """Start a new run that takes over what an ended one has recorded, except `from_node`, `edits` and what comes after
    them. 409 while the run goes on, or if what is taken over does not fit the `version`.
    """

    def make() -> Made:
        mark = digest("replay", who.id, once.url, once.key, body.model_dump_json()) if once.key else None
        run = replayed(who, execution_id, from_node=body.from_node, edits=body.edits, version=body.version, mark=mark)
        return _started(who, run)

    return once(who, body, make)


@router.delete("/executions/{execution_id}", status_code=204)
def remove(execution_id: str, who: Operator) -> None:
    """Remove a run and its history. 409 while it goes on."""
    history.forget(who.tenant, execution_id)


def _nano(budget: BudgetIn | None) -> dict[str, int] | None:
    return None if budget is None else in_nano(budget.tokens, budget.money_usd)


def _started(who: Principal, run: Run) -> Made:
    headers = {"Location": f"/api/v1/workflows/executions/{run.id}"}
    return Made(200 if run.ended else 202, history.run_view(who.tenant, run), headers)


def _shown(who: Principal, run: Run) -> ExecutionOut:
    view: dict[str, Any] = history.run_view(who.tenant, run)
    return ExecutionOut.model_validate(view)

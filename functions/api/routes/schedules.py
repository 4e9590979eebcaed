"""Schedules: when workflows' schedule nodes start runs. They come and go with publishing."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response

from functions.api.deps import IfMatch, Made, OfWorkflow, Once, Paged, etag_of, require
from functions.api.schemas.pages import PageOf
from functions.api.schemas.schedules import ScheduleOut, SchedulePatch, StartedRun
from shared.tenancy import Principal
from shared.triggers import service
from stepfunctions import fire

router = APIRouter(prefix="/schedules", tags=["schedules"])
Reader = Annotated[Principal, require("viewer", "schedules:read")]
Writer = Annotated[Principal, require("editor", "schedules:write")]
Operator = Annotated[Principal, require("operator", "schedules:write")]


@router.get("")
def list_all(who: Reader, page: Paged, workflow_id: OfWorkflow = None) -> PageOf[ScheduleOut]:
    """The schedules of one workflow, or of all."""
    return PageOf[ScheduleOut].model_validate(service.schedules(who, workflow_id, page.cursor, page.limit))


@router.get("/{schedule_id}")
def get(schedule_id: str, who: Reader, response: Response) -> ScheduleOut:
    """One schedule, with its next runs."""
    found = service.schedule(who, schedule_id)
    response.headers["ETag"] = etag_of(found.revision)
    return ScheduleOut.model_validate(found)


@router.patch("/{schedule_id}")
def change(schedule_id: str, body: SchedulePatch, who: Writer, known: IfMatch, response: Response) -> ScheduleOut:
    """Pause it, or let it go on. That outlasts new versions; instants that pass while it is paused are not made up."""
    changed = service.set_state(who, schedule_id, body.state, known)
    response.headers["ETag"] = etag_of(changed.revision)
    return ScheduleOut.model_validate(changed)


@router.post("/{schedule_id}/run", status_code=202, response_model=StartedRun)
def run(schedule_id: str, who: Operator, once: Once) -> Response:
    """Start a run of the published version now, as if the schedule were due; paused or not."""

    def make() -> Made:
        started = fire.run_now(who, schedule_id)
        return Made(
            202, StartedRun(execution_id=started.id), {"Location": f"/api/v1/workflows/executions/{started.id}"}
        )

    return once(who, None, make)

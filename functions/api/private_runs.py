"""Runs that hold what one person said: those of the platform's own questions, asked in a guided conversation.

Whoever may read runs does not thereby read other people's conversations. To others than the person and admins such a
run is not there, nor to a person who may not use the template any more. An end action is done once: doing it again by
its run, past the conversation, is for admins, and so is removing what says that it was done.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Depends, Request

from functions.api.deps import principal
from shared.errors import Forbidden, NotFound
from shared.guided import service
from shared.guided.store import InstanceStore
from shared.runs.model import Run
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tenancy import Principal
from shared.workflows.record import RESERVED_PREFIX

_PRIVATE: Final = RESERVED_PREFIX + "guided"
_AGAIN: Final = ("/retry", "/replay")


def _of_its_person(request: Request, who: Annotated[Principal, Depends(principal)]) -> None:
    execution_id = request.path_params.get("execution_id")
    if execution_id is None or service.has_role(who, "admin"):
        return
    try:
        run = RunStore(TenantTable(who.tenant)).get(execution_id)
    except NotFound:
        return  # which is for the route to say, once it knows that the caller may ask
    if not run.workflow_id.startswith(_PRIVATE):
        return
    if not _is_theirs(who, run):
        raise NotFound(f"there is no execution {execution_id}")
    if request.method == "DELETE" or request.url.path.endswith(_AGAIN):
        raise Forbidden("this is done in the conversation that the run belongs to", code="guided_run")


def _is_theirs(who: Principal, run: Run) -> bool:
    by = run.triggered_by
    if by.get("kind") != "guided" or by.get("user") != who.id:
        return False
    try:
        instance = InstanceStore(TenantTable(who.tenant)).get(str(by["id"]))
    except NotFound:
        return False
    return service.may_use(who, instance.template)


OF_ITS_PERSON: Final[Any] = Depends(_of_its_person)
"""A dependency of routers with `{execution_id}` in their paths."""

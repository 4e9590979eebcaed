"""Runs that hold what one person said: those of the platform's own questions, asked in a guided conversation.

Whoever may read runs does not thereby read other people's conversations. To others than the person and admins such a
run is not there.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Depends, Request

from functions.api.deps import principal
from shared.errors import NotFound
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tenancy import ROLES, Principal
from shared.workflows.service import RESERVED_PREFIX

_PRIVATE: Final = RESERVED_PREFIX + "guided"


def _of_its_person(request: Request, who: Annotated[Principal, Depends(principal)]) -> None:
    execution_id = request.path_params.get("execution_id")
    if execution_id is None or ROLES.index(who.role) >= ROLES.index("admin"):
        return
    try:
        run = RunStore(TenantTable(who.tenant)).get(execution_id)
    except NotFound:
        return  # which is for the route to say, once it knows that the caller may ask
    if run.workflow_id.startswith(_PRIVATE) and run.triggered_by.get("user") != who.id:
        raise NotFound(f"there is no execution {execution_id}")


OF_ITS_PERSON: Final[Any] = Depends(_of_its_person)
"""A dependency of routers with `{execution_id}` in their paths."""

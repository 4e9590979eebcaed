"""A document from elsewhere becomes a draft of the tenant's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.errors import Conflict
from shared.tenancy import Principal
from shared.workflows import service
from shared.workflows.model import Document
from shared.workflows.record import Workflow
from stepfunctions.compiler.diagnostics import Diagnostic


def take(
    who: Principal, document: Document, origin: Mapping[str, Any], *, keep_id: bool = False
) -> tuple[Workflow, dict[str, Any], list[Diagnostic]]:
    """A new workflow, its document, and what became of its id.

    An id that is taken or reserved is replaced by a fresh one, and those who name the workflow by it do not find it.
    With `keep_id` that is Conflict or Invalid instead.
    """
    if keep_id or document.id is None:
        return *service.create(who, document, origin), []
    if not service.reserved(document.id):
        try:
            return *service.create(who, document, origin), []
        except Conflict:
            pass
    made, stored = service.create(who, document.model_copy(update={"id": None}), origin)
    message = f"the id {document.id} is taken here; this workflow is {made.id}"
    return made, stored, [Diagnostic("other_id", message, None, "id", "warning")]

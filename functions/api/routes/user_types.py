"""Kinds of users."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response

from functions.api.deps import IfMatch, Made, Once, Paged, etag_of, require
from functions.api.schemas.guided import WorkflowTemplateSummary, summaries_of
from functions.api.schemas.pages import PageOf
from functions.api.schemas.users import UserTypeIn, UserTypeOut, UserTypePatch
from shared.guided import service as guided
from shared.members import service
from shared.tenancy import Principal

router = APIRouter(prefix="/user-types", tags=["user-types"])
Reader = Annotated[Principal, require("viewer", "users:read")]
Writer = Annotated[Principal, require("admin", "users:write")]


@router.get("")
def list_all(who: Reader, page: Paged) -> PageOf[UserTypeOut]:
    """The tenant's user types."""
    return PageOf[UserTypeOut].model_validate(service.user_types(who, page.cursor, page.limit))


@router.post("", status_code=201, response_model=UserTypeOut)
def create(body: UserTypeIn, who: Writer, once: Once) -> Response:
    """Make a user type."""

    def make() -> Made:
        made = service.create_user_type(who, body.name, body.description)
        return Made(201, UserTypeOut.model_validate(made), {"ETag": etag_of(made.version)})

    return once(who, body, make)


@router.get("/{user_type_id}")
def get(user_type_id: str, who: Reader, response: Response) -> UserTypeOut:
    """One user type."""
    found = service.user_type(who, user_type_id)
    response.headers["ETag"] = etag_of(found.version)
    return UserTypeOut.model_validate(found)


@router.patch("/{user_type_id}")
def change(user_type_id: str, body: UserTypePatch, who: Writer, known: IfMatch, response: Response) -> UserTypeOut:
    """Change a user type."""
    changed = service.change_user_type(who, user_type_id, body.name, body.description, known)
    response.headers["ETag"] = etag_of(changed.version)
    return UserTypeOut.model_validate(changed)


@router.delete("/{user_type_id}", status_code=204)
def remove(user_type_id: str, who: Writer, known: IfMatch) -> None:
    """Remove a user type."""
    service.remove_user_type(who, user_type_id, known)


@router.get("/{user_type_id}/workflow-templates")
def workflow_templates(user_type_id: str, who: Reader, page: Paged) -> PageOf[WorkflowTemplateSummary]:
    """The templates of guided workflows that users of this type may use."""
    return summaries_of(guided.templates_of(who, user_type_id, page.cursor, page.limit))

"""Permissions: which user types may use which template of a guided workflow."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from functions.api.deps import Made, Once, Paged, require
from functions.api.schemas.guided import PermissionIn, PermissionOut
from functions.api.schemas.pages import PageOf
from shared.guided import service
from shared.tenancy import Principal

router = APIRouter(prefix="/permissions", tags=["permissions"])
Reader = Annotated[Principal, require("admin", "permissions:read")]
Writer = Annotated[Principal, require("admin", "permissions:write")]
Filter = Annotated[str | None, Query(min_length=1, max_length=100)]


@router.get("")
def list_all(who: Reader, page: Paged, user_type_id: Filter = None, template: Filter = None) -> PageOf[PermissionOut]:
    """The permissions, by user type."""
    found = service.permissions(who, user_type_id, template, page.cursor, page.limit)
    return PageOf[PermissionOut].model_validate(found)


@router.post("", status_code=201, response_model=PermissionOut)
def create(body: PermissionIn, who: Writer, once: Once) -> Response:
    """Let a user type use a template; 409 `permission_exists` if it may already."""

    def make() -> Made:
        granted = PermissionOut.model_validate(service.grant(who, body.user_type_id, body.template))
        return Made(201, granted, {"Location": f"/api/v1/permissions/{granted.id}"})

    return once(who, body, make)


@router.get("/{permission_id}")
def get(permission_id: str, who: Reader) -> PermissionOut:
    """One permission."""
    return PermissionOut.model_validate(service.permission(who, permission_id))


@router.delete("/{permission_id}", status_code=204)
def remove(permission_id: str, who: Writer) -> None:
    """Take a permission back. It holds at once, also for conversations that have begun."""
    service.revoke(who, permission_id)

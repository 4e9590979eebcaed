"""The tenant's users and their roles."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response

from functions.api.deps import IfMatch, Made, Once, Paged, etag_of, require
from functions.api.schemas.pages import PageOf
from functions.api.schemas.users import InvitedUser, UserIn, UserOut, UserPatch
from shared.members import service
from shared.tenancy import Principal

router = APIRouter(prefix="/users", tags=["users"])
Reader = Annotated[Principal, require("viewer", "users:read")]
Writer = Annotated[Principal, require("admin", "users:write")]


@router.get("")
def list_all(who: Reader, page: Paged) -> PageOf[UserOut]:
    """The tenant's users."""
    return PageOf[UserOut].model_validate(service.users(who, page.cursor, page.limit))


@router.post("", status_code=201, response_model=InvitedUser)
def invite(body: UserIn, who: Writer, once: Once) -> Response:
    """Make a user. The answer shows their temporary password, this once; nothing is sent to them."""

    def make() -> Made:
        member, password = service.invite(who, body.email, body.role, tuple(body.user_types))
        shown = InvitedUser(**UserOut.model_validate(member).model_dump(), temporary_password=password)
        return Made(201, shown, {"ETag": etag_of(member.version)})

    return once(who, body, make, secret=True)


@router.get("/{user_id}")
def get(user_id: str, who: Reader, response: Response) -> UserOut:
    """One user."""
    found = service.user(who, user_id)
    response.headers["ETag"] = etag_of(found.version)
    return UserOut.model_validate(found)


@router.patch("/{user_id}")
def change(user_id: str, body: UserPatch, who: Writer, known: IfMatch, response: Response) -> UserOut:
    """Change a user's role or types. The last owner stays an owner."""
    types = None if body.user_types is None else tuple(body.user_types)
    changed = service.change_user(who, user_id, body.role, types, known)
    response.headers["ETag"] = etag_of(changed.version)
    return UserOut.model_validate(changed)


@router.delete("/{user_id}", status_code=204)
def remove(user_id: str, who: Writer, known: IfMatch) -> None:
    """Remove a user. They are out at once, and so are the API keys they made."""
    service.remove_user(who, user_id, known)

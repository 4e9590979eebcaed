"""Signing up, and the caller's own tenant."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response

from functions.api.deps import IfMatch, etag_of, require, source_address
from functions.api.schemas.api_keys import ApiKeyOut, NewApiKey
from functions.api.schemas.tenants import SignedUpOut, SignUpIn, TenantOut, TenantPatch
from functions.api.schemas.users import UserOut
from shared import limits
from shared.members import service
from shared.tenancy import Principal

router = APIRouter(prefix="/tenants", tags=["tenants"])
Reader = Annotated[Principal, require("viewer", "tenants:read")]
Writer = Annotated[Principal, require("admin", "tenants:write")]


@router.post("", status_code=201)
def sign_up(body: SignUpIn, request: Request) -> SignedUpOut:
    """Make a tenant, its owner and the owner's first API key. Public, and limited by address.

    There is no tenant yet to keep an Idempotency-Key under; a repeat gets 409, because the e-mail address is taken.
    """
    limits.count_sign_up(source_address(request))
    made = service.sign_up(body.name, body.owner.email, body.owner.password)
    return SignedUpOut(
        tenant=TenantOut.model_validate(made.tenant),
        user=UserOut.model_validate(made.user),
        api_key=NewApiKey(**ApiKeyOut.model_validate(made.key).model_dump(), key=made.key_text),
    )


@router.get("/current")
def get_current(who: Reader, response: Response) -> TenantOut:
    """The caller's tenant."""
    found = service.tenant(who)
    response.headers["ETag"] = etag_of(found.version)
    return TenantOut.model_validate(found)


@router.patch("/current")
def change(body: TenantPatch, who: Writer, known: IfMatch, response: Response) -> TenantOut:
    """Change the tenant's name, or the model that guided workflows and the generator ask."""
    changed = service.change_tenant(who, body.model_dump(exclude_unset=True), known)
    response.headers["ETag"] = etag_of(changed.version)
    return TenantOut.model_validate(changed)

"""API keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response

from functions.api.deps import Made, Once, Paged, require
from functions.api.schemas.api_keys import ApiKeyIn, ApiKeyOut, NewApiKey
from functions.api.schemas.pages import PageOf
from shared.members import api_keys
from shared.tenancy import Principal

router = APIRouter(prefix="/api-keys", tags=["api-keys"])
Reader = Annotated[Principal, require("admin", "api_keys:read")]
Writer = Annotated[Principal, require("admin", "api_keys:write")]


@router.get("")
def list_all(who: Reader, page: Paged) -> PageOf[ApiKeyOut]:
    """The tenant's keys, without their secrets."""
    return PageOf[ApiKeyOut].model_validate(api_keys.listing(who, page.cursor, page.limit))


@router.post("", status_code=201, response_model=NewApiKey)
def create(body: ApiKeyIn, who: Writer, once: Once) -> Response:
    """Make a key. The answer shows it, this once. It reaches no further than its maker."""

    def make() -> Made:
        scopes = None if body.scopes is None else tuple(body.scopes)
        key, text = api_keys.create(who, body.name, body.role, scopes, body.expires_at)
        return Made(201, NewApiKey(**ApiKeyOut.model_validate(key).model_dump(), key=text))

    return once(who, body, make, secret=True)


@router.get("/{api_key_id}")
def get(api_key_id: str, who: Reader) -> ApiKeyOut:
    """One key, without its secret."""
    return ApiKeyOut.model_validate(api_keys.get(who, api_key_id))


@router.delete("/{api_key_id}", status_code=204)
def revoke(api_key_id: str, who: Writer) -> None:
    """End a key. Processes that have just seen it may take it for a few seconds more."""
    api_keys.revoke(who, api_key_id)

"""Credentials: what workflows sign in with."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from fastapi import APIRouter, Body, Response

from functions.api.deps import IfMatch, Made, Once, Paged, etag_of, require
from functions.api.schemas.credentials import (
    CredentialIn,
    CredentialOut,
    CredentialPatch,
    KindOut,
    KindsOut,
    TestIn,
    TestOut,
)
from functions.api.schemas.pages import PageOf
from shared.credentials import service
from shared.credentials.checks import TRIED_AT
from shared.credentials.kinds import KINDS
from shared.tenancy import Principal

router = APIRouter(prefix="/credentials", tags=["credentials"])
Reader = Annotated[Principal, require("viewer", "credentials:read")]
Writer = Annotated[Principal, require("editor", "credentials:write")]


@router.get("")
def list_all(who: Reader, page: Paged) -> PageOf[CredentialOut]:
    """The tenant's credentials, by name, without their values."""
    return PageOf[CredentialOut].model_validate(service.credentials(who, page.cursor, page.limit))


@router.get("/kinds")
def kinds(who: Reader) -> KindsOut:
    """The kinds there are, with the JSON Schema of their values."""
    del who
    items = [
        KindOut(kind=kind, title=schema["title"], values_schema=dict(schema), test_url=kind in TRIED_AT)
        for kind, schema in KINDS.items()
    ]
    return KindsOut(items=items)


@router.post("", status_code=201, response_model=CredentialOut)
def create(body: CredentialIn, who: Writer, once: Once) -> Response:
    """Make a credential."""

    def make() -> Made:
        made = service.create(who, body.name, body.kind, body.values, body.description)
        return Made(201, CredentialOut.model_validate(made), {"ETag": etag_of(made.version)})

    sent = body.model_dump() | {"values": _mark(who, body.values) if once.key else None}
    return once(who, sent, make)


@router.get("/{credential_name}")
def get(credential_name: str, who: Reader, response: Response) -> CredentialOut:
    """One credential, without its values."""
    found = service.credential(who, credential_name)
    response.headers["ETag"] = etag_of(found.version)
    return CredentialOut.model_validate(found)


@router.patch("/{credential_name}")
def change(
    credential_name: str, body: CredentialPatch, who: Writer, known: IfMatch, response: Response
) -> CredentialOut:
    """Rotate some values of a credential, or describe it otherwise."""
    changed = service.change(who, credential_name, body.values, body.description, known)
    response.headers["ETag"] = etag_of(changed.version)
    return CredentialOut.model_validate(changed)


@router.delete("/{credential_name}", status_code=204)
def remove(credential_name: str, who: Writer, known: IfMatch) -> None:
    """Remove a credential. Runs that need it fail with CredentialNotFound from then on."""
    service.remove(who, credential_name, known)


@router.post("/{credential_name}/test")
def try_out(credential_name: str, who: Writer, body: Annotated[TestIn | None, Body()] = None) -> TestOut:
    """Sign in with a credential, for real."""
    return TestOut.model_validate(service.try_out(who, credential_name, body.url if body else None))


def _mark(who: Principal, values: dict[str, Any]) -> str:
    """What stands for values where a request is remembered: slow to compute, so that it helps nobody guess them."""
    text = json.dumps(values, sort_keys=True).encode()
    return hashlib.scrypt(text, salt=who.tenant.id.encode(), n=2**14, r=8, p=1).hex()

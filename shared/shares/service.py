"""Links to workflows: make, list, revoke, open."""

from __future__ import annotations

import re
import secrets
from contextlib import suppress
from typing import Final

from shared.clock import now_ms
from shared.errors import Invalid, NotFound, Problem, TooLarge
from shared.ids import new_id
from shared.shares.model import DEFAULT_MS, MAX_LINKS, MOST_MS, Rights, Share
from shared.shares.store import ShareStore, found, mark_of
from shared.store.pages import Listing
from shared.store.table import TenantTable
from shared.tenancy import Principal, Tenant
from shared.workflows.record import Workflow
from shared.workflows.store import Json, WorkflowStore
from shared.workflows.typed_secrets import in_document

_TOKEN_BYTES: Final = 32
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")


def make(
    who: Principal, workflow_id: str, rights: Rights, version: int | None, expires_at: int | None
) -> tuple[Share, str]:
    """A new link and its token, shown this once. Raises NotFound (also: no such version), TooLarge, Invalid: a moment
    that is none, or a document in which somebody has typed a secret.
    """
    now = now_ms()
    until = now + DEFAULT_MS if expires_at is None else expires_at
    if not now < until <= now + MOST_MS:
        message = "a link expires after now, and within a year"
        raise Invalid(message, errors=[Problem("bad_expiry", message, "expires_at")])
    workflows = WorkflowStore(TenantTable(who.tenant))
    workflow = workflows.get(workflow_id)
    if version:
        workflows.version(workflow, version)
    typed = in_document(_of(workflows, workflow, version)[1])
    if typed:
        problems = [
            Problem("typed_secret", f"{path}: this looks like a secret; name a credential", path) for path in typed
        ]
        raise Invalid("what is shared holds no secrets", errors=problems)
    store = _store(who)
    if sum(link.expires_at > now for link in store.every(workflow_id)) >= MAX_LINKS:
        raise TooLarge(f"a workflow has at most {MAX_LINKS} links", code="too_many")
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    made = Share(
        id=new_id("sh"),
        workflow_id=workflow_id,
        workflow_made=workflow.created_at,
        rights=rights,
        version=version,
        mark=mark_of(token),
        created_at=now,
        created_by=who.id,
        expires_at=until,
    )
    store.create(made)
    return made, token


def listing(who: Principal, workflow_id: str, cursor: str | None, limit: int) -> Listing[Share]:
    """A workflow's links that have not expired. Raises NotFound."""
    WorkflowStore(TenantTable(who.tenant)).get(workflow_id)
    return _store(who).page(workflow_id, cursor, limit, now_ms())


def revoke(who: Principal, workflow_id: str, share_id: str | None) -> None:
    """Revoke one link of a workflow, or all of them. Raises NotFound."""
    store = _store(who)
    if share_id is None:
        WorkflowStore(TenantTable(who.tenant)).get(workflow_id)
        for link in store.every(workflow_id):
            with suppress(NotFound):  # somebody else has just revoked it
                store.remove(link)
    else:
        store.remove(store.get(workflow_id, share_id))


def opened(token: str) -> tuple[Share, int, Json]:
    """Where a token leads: the link, the number (0: the draft), the document. Raises NotFound, whatever is gone."""
    try:
        if not _TOKEN.fullmatch(token):
            raise NotFound("malformed")
        tenant, link = found(token)
        if link.expires_at <= now_ms():
            raise NotFound("expired")
        number, document = _shown(tenant, link)
    except NotFound:
        raise NotFound("there is no such link, or no longer") from None
    return link, number, document


def _shown(tenant: Tenant, link: Share) -> tuple[int, Json]:
    store = WorkflowStore(TenantTable(tenant))
    workflow, draft = store.get_with_document(link.workflow_id)
    if workflow.created_at != link.workflow_made:
        raise NotFound("another workflow of that id")
    number, document = _of(store, workflow, link.version, draft)
    if in_document(document):  # typed in after the link was made
        raise NotFound("holds a secret")
    return number, document


def _of(store: WorkflowStore, workflow: Workflow, version: int | None, draft: Json | None = None) -> tuple[int, Json]:
    """The number (0: the draft) and the document that a link to this version (None: the published one) shows."""
    number = workflow.published_version if version is None else version
    if number:
        return number, store.version(workflow, number)[1]
    return 0, store.get_with_document(workflow.id)[1] if draft is None else draft


def _store(who: Principal) -> ShareStore:
    return ShareStore(TenantTable(who.tenant))

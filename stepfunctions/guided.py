"""Guided conversations as people have them: beginning one, talking, correcting, agreeing, cancelling, trying again.

A person's turn is a question to a model, whose answer is held against our rules (`shared.guided.rules`); how it goes on
from the message is `stepfunctions.guided_progress`. Every way in comes through here, and so by the permissions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from shared.clock import iso, now_ms
from shared.errors import Conflict, Forbidden, Invalid, NotFound, PreconditionFailed, Problem, Unavailable
from shared.guided import rules, service, turns
from shared.guided.documents import Template
from shared.guided.model import MAX_MESSAGES, Document, Instance, Refused, Said
from shared.guided.store import Changed, ConversationBusy, InstanceStore
from shared.ids import new_id
from shared.store.pages import Listing
from shared.store.table import TenantTable
from shared.tenancy import Principal, Tenant
from stepfunctions import guided_actions, inner
from stepfunctions.guided_progress import Guide, brought_on, guide_of, towards_end

_TRIES: Final = 10


class TurnBusy(Conflict):
    """409: the message before this one has no answer yet."""

    code = "turn_busy"
    retry_after = 1


@dataclass(frozen=True, slots=True)
class Turn:
    """A person's message and, once it is there, the answer to it."""

    asked: Said
    answer: Said | None


# --- who may -------------------------------------------------------------------------------------------------------


def readable(who: Principal, instance_id: str) -> Instance:
    """A conversation that the caller may see: their own, while they may use its template; admins see all.

    Raises NotFound.
    """
    found = InstanceStore(TenantTable(who.tenant)).get(instance_id)
    if not service.has_role(who, "admin") and not (found.user_id == who.id and service.may_use(who, found.template)):
        raise NotFound(f"there is no workflow instance {instance_id}")
    return found


def _own(who: Principal, instance_id: str) -> Instance:
    """A conversation that the caller speaks in. Raises NotFound; Forbidden for an admin in somebody else's."""
    found = readable(who, instance_id)
    if found.user_id != who.id:
        raise Forbidden("only the person whose conversation it is speaks in it", code="not_yours")
    return found


def listing(
    who: Principal,
    cursor: str | None,
    limit: int,
    *,
    status: str | None,
    conversation_id: str | None,
    user_id: str | None,
    template: str | None,
) -> Listing[Instance]:
    """Conversations that the caller may see, newest first."""
    usable = service.usable_by(who)
    owner = user_id if service.has_role(who, "admin") else who.id

    def keep(found: Instance) -> bool:
        return (
            (usable is None or found.template in usable)
            and status in (None, found.status)
            and conversation_id in (None, found.conversation_id)
            and user_id in (None, found.user_id)
            and template in (None, found.template)
        )

    filters = f"{status} {conversation_id} {user_id} {template}"
    store = InstanceStore(TenantTable(who.tenant))
    if conversation_id is not None and status == "active" and not cursor:
        active = store.active_in(conversation_id)  # one at most
        found = [] if active is None else [store.get(active)]
        return Listing([f for f in found if keep(f) and owner in (None, f.user_id)], None)
    return store.page(owner, filters, cursor, limit, keep)


# --- beginning and talking -----------------------------------------------------------------------------------------


def begin(
    who: Principal, name: str, conversation_id: str | None, state: Mapping[str, Any], mark: str | None
) -> Instance:
    """A new conversation by the newest version of a template. One `mark` (a digest of the request): one conversation.

    Raises NotFound; Conflict: the template is not active (`not_active`), there is no model (`no_assistant`), or
    ConversationBusy; Invalid for a state that does not fit.
    """
    found = service.template(who, name)
    if not service.may_use(who, name):
        raise Forbidden("this needs a permission of one of your user types for the template", code="permission")
    template = Template.model_validate(dict(found.document))
    store = InstanceStore(TenantTable(who.tenant))
    conversation = conversation_id or (f"cv_{mark}" if mark else new_id("cv"))
    before = _made_by(store, conversation, mark)
    if before is not None:
        return before
    if not template.is_active:
        raise Conflict("this workflow template is not active", code="not_active")
    if template.model is None:
        inner.assistant_of(who.tenant)
    now = now_ms()
    outcome = rules.put(template, rules.Filled({}, {}), state, (), who.id, iso(now))
    _refuse(outcome.refused)
    made = Instance(
        id=new_id("gi"),
        template=name,
        template_version=found.version,
        conversation_id=conversation,
        user_id=who.id,
        created_at=now,
        updated_at=now,
        expires_at=now,
        mark=mark,
    )
    guide = Guide(template, guided_actions.published_for(who.tenant, template))
    step = towards_end(who.tenant, guide, turns.begun(template, made, outcome.filled, now), now)
    try:
        kept = {"template": found.document, "published": guide.published}
        store.create(step.instance, kept, step.counts)
    except ConversationBusy as busy:
        before = _made_by(store, conversation, mark)
        if before is None:
            raise busy from None
        return before
    return brought_on(who.tenant, step.instance.id, time.monotonic(), asks=True)


def _made_by(store: InstanceStore, conversation: str, mark: str | None) -> Instance | None:
    """The conversation that the same request has made before."""
    active = store.active_in(conversation) if mark is not None else None
    found = store.get(active) if active is not None else None
    return found if found is not None and found.mark == mark else None


def say(
    who: Principal,
    instance_id: str,
    content: str,
    documents: tuple[Document, ...],
    wait_seconds: float,
    mark: str | None,
) -> tuple[Instance, Turn]:
    """A person's message, and the answer if it comes within `wait_seconds`. One `mark`: one message.

    The same text again, while the first has no answer, is the same message. Raises NotFound; Forbidden; Conflict:
    TurnBusy, the conversation is over (`not_active`) or too long (`too_long`).
    """
    until = time.monotonic() + wait_seconds
    store = InstanceStore(TenantTable(who.tenant))
    _own(who, instance_id)
    for _ in range(_TRIES):
        number = store.repeated(instance_id, mark) if mark is not None else None
        if number is not None:
            break
        before = brought_on(who.tenant, instance_id, time.monotonic(), asks=True)
        _still_open(before)
        if before.pending is not None:
            waiting = store.message(instance_id, before.pending.number)
            if waiting is None or (waiting.content, waiting.documents) != (content, documents):
                raise TurnBusy("the message before this one has no answer yet; ask again for it")
            number = waiting.number
            break
        if before.messages + 2 > MAX_MESSAGES:
            raise Conflict("the conversation is too long; cancel it and begin another", code="too_long")
        said = Said(before.messages, "user", content, who.id, now_ms(), documents)
        step = turns.heard(guide_of(who.tenant, before).template, before, said)
        try:
            store.save(before, step.instance, step.said, step.counts, mark)
        except Changed:
            continue
        number = said.number
        break
    else:
        raise Unavailable("others are changing this at the same time; try again")
    after = brought_on(who.tenant, instance_id, until, asks=True)
    return after, turn(who.tenant, instance_id, number)


def turn(tenant: Tenant, instance_id: str, number: int) -> Turn:
    """A person's message with its answer. Raises NotFound."""
    store = InstanceStore(TenantTable(tenant))
    asked = store.message(instance_id, number)
    if asked is None:
        raise NotFound("there is no such message")
    return Turn(asked, store.message(instance_id, number + 1))


def read(who: Principal, instance_id: str, wait_seconds: float) -> Instance:
    """A conversation; what is at work in it is brought on, and waited for. Raises NotFound."""
    readable(who, instance_id)
    return brought_on(who.tenant, instance_id, time.monotonic() + wait_seconds, asks=True)


def messages(who: Principal, instance_id: str, cursor: str | None, limit: int, *, newest_first: bool) -> Listing[Said]:
    """What was said. Raises NotFound."""
    readable(who, instance_id)
    store = InstanceStore(TenantTable(who.tenant))
    return store.messages(instance_id, cursor, limit, newest_first=newest_first)


# --- what people do beside talking ---------------------------------------------------------------------------------


def change_state(
    who: Principal, instance_id: str, values: Mapping[str, Any], remove: tuple[str, ...], known: int | None
) -> Instance:
    """Correct a state directly. Raises NotFound, Conflict, Invalid (nothing is changed), PreconditionFailed."""

    def changed(before: Instance, template: Template, now: int) -> turns.Step:
        _still_collecting(before)
        unknown = [name for name in remove if name not in before.state]
        _refuse(tuple(Refused(name, "there is no value to remove") for name in unknown))
        outcome = rules.put(template, turns.filled_of(before), values, remove, who.id, iso(now))
        _refuse(outcome.refused)
        return turns.progressed(template, before, outcome.filled, now)

    return _acted(who, instance_id, known, changed)


def confirm(who: Principal, instance_id: str, known: int | None, wait_seconds: float) -> Instance:
    """The person agrees to the summary without saying it. Raises NotFound, Forbidden, Conflict, PreconditionFailed."""
    _own(who, instance_id)

    def agreed(before: Instance, template: Template, now: int) -> turns.Step:
        _still_collecting(before)
        step = turns.progressed(template, before, turns.filled_of(before), now, agreed=True)
        if not step.ready:
            raise Conflict("there is no summary to agree to; something is missing yet", code="not_complete")
        return step

    return _acted(who, instance_id, known, agreed, wait_seconds)


def cancel(who: Principal, instance_id: str, known: int | None) -> Instance:
    """End a conversation; its end action is not done. Cancelling it twice is no error.

    Raises NotFound; Conflict: it is over, or its end action has begun (`ending`); PreconditionFailed.
    """
    found = readable(who, instance_id)
    if found.status == "cancelled":
        return found

    def cancelled(before: Instance, template: Template, now: int) -> turns.Step:
        _still_open(before)
        return turns.cancelled(template, before, now, "cancelled")

    return _acted(who, instance_id, known, cancelled)


def retry(who: Principal, instance_id: str, known: int | None, wait_seconds: float) -> Instance:
    """Do the end action again, as a run of its own, after it has failed.

    Raises NotFound; Conflict: it has not failed (`not_failed`), or ConversationBusy; PreconditionFailed.
    """

    def again(before: Instance, template: Template, now: int) -> turns.Step:
        if before.status != "failed":
            raise Conflict(f"its end action has not failed; the instance is {before.status}", code="not_failed")
        renewed = replace(before, status="active", error=None, ended_at=None, action=None, version=before.version + 1)
        renewed = replace(renewed, expires_at=now + template.expires_in_seconds * 1000, updated_at=now)
        return turns.Step(renewed, (), {"active": 1, "failed": -1}, ready=True)

    return _acted(who, instance_id, known, again, wait_seconds)


def _acted(
    who: Principal,
    instance_id: str,
    known: int | None,
    act: Callable[[Instance, Template, int], turns.Step],
    wait_seconds: float = 0,
) -> Instance:
    until = time.monotonic() + wait_seconds
    readable(who, instance_id)
    store = InstanceStore(TenantTable(who.tenant))
    for _ in range(_TRIES):
        before = store.get(instance_id)
        if known is not None and known != before.version:
            raise PreconditionFailed(f"the instance is at version {before.version} by now; read it again")
        guide, now = guide_of(who.tenant, before), now_ms()
        step = towards_end(who.tenant, guide, act(before, guide.template, now), now)
        try:
            store.save(before, step.instance, step.said, step.counts)
        except Changed:
            continue
        return brought_on(who.tenant, instance_id, until, asks=True)
    raise Unavailable("others are changing this at the same time; try again")


def _still_open(instance: Instance) -> None:
    if instance.status != "active":
        raise Conflict(f"this instance is {instance.status}", code="not_active")
    if instance.phase == "ending":
        raise Conflict("its end action has begun", code="ending")


def _still_collecting(instance: Instance) -> None:
    _still_open(instance)
    if instance.pending is not None:
        raise TurnBusy("a message has no answer yet; ask again for it")


def _refuse(refused: tuple[Refused, ...]) -> None:
    if refused:
        problems = [Problem("bad_state", r.reason, f"state.{r.field}"[:200]) for r in refused]
        raise Invalid("; ".join(f"{r.field}: {r.reason}" for r in refused)[:1_000], errors=problems)

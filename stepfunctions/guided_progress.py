"""Bringing a guided conversation on, as far as it can come.

A person's message is written first (`stepfunctions.guided`), then the model is asked as a run (`inner.ask`, one for
each message and try), and what its answer comes to is written in one go, on the condition that nobody has done so
before. So whoever looks at a conversation can bring it on: the caller who waits, the next reader, the stream when a run
has ended, the sweeper when nobody else did.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from shared.clock import iso, now_ms
from shared.errors import AppError, Conflict, Forbidden, Invalid, NotFound, RateLimited, Unavailable
from shared.guided import asking, rules, turns
from shared.guided.documents import Template
from shared.guided.model import Instance, Pending, Said
from shared.guided.store import Changed, InstanceStore
from shared.ids import digest
from shared.runs.model import Run
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from stepfunctions import fire, guided_actions, inner
from stepfunctions.guided_actions import KIND
from stepfunctions.manual import awaited

PURPOSE: Final = "guided"
_ROUNDS: Final = 10
_LOOK_AGAIN_MS: Final = 120_000


@dataclass(frozen=True, slots=True)
class Guide:
    """What a conversation follows: its template as it was, and what starts an end action of one node."""

    template: Template
    published: Mapping[str, Any] | None


def guide_of(tenant: Tenant, instance: Instance) -> Guide:
    """What a conversation follows."""
    kept = InstanceStore(TenantTable(tenant)).guide(instance.id)
    return Guide(Template.model_validate(dict(kept["template"])), kept["published"])


def ended(tenant: Tenant, execution_id: str) -> None:
    """The stream says that a run has ended, perhaps a conversation's."""
    try:
        run = inner.find(tenant, execution_id)
        if run.triggered_by.get("kind") == KIND:
            brought_on(tenant, str(run.triggered_by["id"]), time.monotonic(), asks=False, starts=False)
    except NotFound:
        return


def look_at(tenant: Tenant, instance_id: str) -> str:
    """The sweeper looks at a conversation: it brings it on, or ends it when it has expired. Gives what was done."""
    store = InstanceStore(TenantTable(tenant))
    store.look_again(instance_id, now_ms() + _LOOK_AGAIN_MS)  # first: what cannot be brought on holds up nothing else
    try:
        found = brought_on(tenant, instance_id, time.monotonic(), asks=False)
    except NotFound:
        return "gone"
    now = now_ms()
    if found.status != "active":
        return "closed_already"
    if found.phase != "ending" and found.expires_at <= now:
        step = turns.cancelled(guide_of(tenant, found).template, found, now, "expired")
        try:
            store.save(found, step.instance, step.said, step.counts)
        except Changed:
            return "goes_on"
        return "expired"
    if rests(found):
        store.look_again(instance_id, found.expires_at, found.version)
    return "goes_on"


def rests(instance: Instance) -> bool:
    """Whether a conversation waits for its person, and for nothing else."""
    return instance.pending is None and instance.phase != "ending"


def brought_on(tenant: Tenant, instance_id: str, until: float, *, asks: bool, starts: bool = True) -> Instance:
    """A conversation, as far as it can come by `until`.

    `asks`: a model may be asked here; `starts`: the run of an end action may be started here.
    """
    store = InstanceStore(TenantTable(tenant))
    for _ in range(_ROUNDS):
        before = store.get(instance_id)
        if before.status != "active" or rests(before):
            return before
        if before.pending is not None:
            guide = guide_of(tenant, before)
            step = _after_question(tenant, store, guide, before, before.pending, until, asks=asks)
        else:
            step = _after_action(tenant, before, until, asks=asks, starts=starts)
        if step is None:
            return before
        try:
            store.save(before, step.instance, step.said, step.counts)
        except Changed:
            continue
    return store.get(instance_id)


def _after_question(
    tenant: Tenant,
    store: InstanceStore,
    guide: Guide,
    before: Instance,
    pending: Pending,
    until: float,
    *,
    asks: bool,
) -> turns.Step | None:
    """What the answer to the pending message comes to; None while there is none."""
    template = guide.template
    said = store.messages(before.id, None, asking.HEARD, newest_first=True).items[::-1]
    said = [s for s in said if s.number <= pending.number]
    occasion = digest("guided", before.id, str(pending.number), str(pending.tries))
    try:
        run = _found(tenant, occasion)
        if run is not None and run.status != "pending":
            run = awaited(RunStore(TenantTable(tenant)), run, until if until > time.monotonic() else None)
        elif asks:
            run = _asked(tenant, template, before, pending, said, occasion, until)
        ended_run = None if run is None else inner.answer(tenant, run)
    except (Invalid, Conflict, RateLimited) as refused:  # the model's parameters, there is none any more, or a quota
        return _failed(template, before, refused.code, refused.detail)
    if ended_run is None:
        return None
    now = now_ms()
    if ended_run.status != "completed" or not isinstance(ended_run.output, Mapping):
        error = ended_run.error or {}
        return _failed(template, before, str(error.get("error", "Cancelled")), str(error.get("message", "cancelled")))
    step = turns.answered(template, before, ended_run.output, said, now)
    return towards_end(tenant, guide, step, now)


def _failed(template: Template, before: Instance, error: str, message: str) -> turns.Step:
    told = {"error": error[:100], "message": message[:1_000]}
    return turns.unanswered(before, told, now_ms(), template)


def _asked(
    tenant: Tenant,
    template: Template,
    before: Instance,
    pending: Pending,
    said: list[Said],
    occasion: str,
    until: float,
) -> Run:
    standing = turns.standing_of(template, before, pending.at)
    return inner.ask(
        tenant,
        PURPOSE,
        template.model or inner.assistant_of(tenant),
        system=asking.system_text(template, before, standing, pending.refused, iso(pending.at)),
        messages=asking.conversation(said),
        schema=asking.ANSWER,
        triggered_by={"kind": KIND, "id": before.id, "user": before.user_id},
        occasion=occasion,
        wait_seconds=max(0.0, until - time.monotonic()),
    )


def _found(tenant: Tenant, occasion: str) -> Run | None:
    try:
        return inner.find(tenant, fire.id_for(tenant, occasion))
    except NotFound:
        return None


def towards_end(tenant: Tenant, guide: Guide, step: turns.Step, now: int) -> turns.Step:
    """Where a conversation is ready to end: what its end action will be is written down with it. With none, it ends."""
    if not step.ready:
        return step
    instance, template = step.instance, guide.template
    state = rules.final_state(template, instance.state, iso(now))
    if template.end_action_type == "none":
        return _closed(step, turns.ended(instance, "completed", now))
    try:
        action = guided_actions.prepared(tenant, template, guide.published, state)
    except AppError as refused:
        if isinstance(refused, Unavailable):
            raise
        error = {"error": refused.code, "message": refused.detail[:1_000]}
        return _closed(step, turns.ended(replace(instance, phase="ending"), "failed", now, "ending", error=error))
    ending = replace(instance, phase="ending", action=action, attempt=instance.attempt + 1)
    return replace(step, instance=ending, ready=False)


def _closed(step: turns.Step, end: turns.Step) -> turns.Step:
    """What a step and the end that follows at once come to: one change."""
    counts = {n: step.counts.get(n, 0) + end.counts.get(n, 0) for n in {*step.counts, *end.counts}}
    return turns.Step(replace(end.instance, version=step.instance.version), step.said, counts)


def _after_action(tenant: Tenant, before: Instance, until: float, *, asks: bool, starts: bool) -> turns.Step | None:
    """How a conversation ends by its end action; None while that goes on."""
    action = before.action
    if action is None:
        return None
    try:
        if starts:
            left = max(0.0, until - time.monotonic())
            run: Run | None = guided_actions.run_of(tenant, before, action, left, short=asks)
        else:
            run = guided_actions.find(tenant, action)
    except Invalid as refused:
        return _not_done(before, refused.code, refused.detail)
    except (Conflict, Forbidden, RateLimited, Unavailable) as refused:  # over a quota, or nobody is at home: later
        # Where a store could not be reached, the run may be there: to call it failed would let it be done twice.
        late = before.expires_at <= now_ms() and not isinstance(refused, Unavailable)
        return _not_done(before, refused.code, refused.detail) if late else None
    if run is None:
        return None
    run = awaited(RunStore(TenantTable(tenant)), run, until if until > time.monotonic() else None)
    if not run.ended:
        return None
    if run.status == "completed":
        return turns.ended(before, "completed", now_ms(), result=guided_actions.result_of(tenant, run))
    told = run.error or {"error": "Cancelled", "message": "the run was cancelled"}
    return _not_done(before, str(told.get("error")), str(told.get("message")))


def _not_done(before: Instance, error: str, message: str) -> turns.Step:
    """The end action has failed."""
    return turns.ended(before, "failed", now_ms(), "ending", error={"error": error, "message": message[:1_000]})

"""Guided conversations as the API shows them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from functions.api.schemas.guided import (
    EndActionOut,
    EvidenceOut,
    InstanceOut,
    InstanceSummary,
    PendingOut,
    RefusedOut,
    StepOut,
    SummaryLine,
    TurnOut,
)
from shared.clock import iso
from shared.guided import asking, turns
from shared.guided.model import Instance
from shared.tenancy import Tenant
from stepfunctions.guided import Turn
from stepfunctions.guided_progress import guide_of


def instance_of(tenant: Tenant, instance: Instance) -> InstanceOut:
    """A conversation with where it stands."""
    template = guide_of(tenant, instance).template
    standing = turns.standing_of(template, instance, instance.updated_at)
    names = {step.id: step.name for step in template.steps}
    now = iso(instance.updated_at)
    lines = None
    if instance.status == "active" and instance.phase == "confirming":
        lines = [SummaryLine(**line) for line in asking.summary(template, turns.filled_of(instance), now)]
    action = instance.action
    known: dict[str, Any] = InstanceSummary.model_validate(instance).model_dump()
    return InstanceOut(
        **known,
        state=dict(instance.state),
        evidence={name: EvidenceOut(**each) for name, each in instance.evidence.items()},
        current_step=standing.current,
        missing=list(standing.missing),
        problems=list(standing.problems),
        steps=[StepOut(id=step, name=names[step], status=status) for step, status in standing.steps.items()],
        pending=None
        if instance.pending is None
        else PendingOut.model_validate({"number": instance.pending.number, "since": instance.pending.at}),
        summary=lines,
        end_action=None
        if action is None
        else EndActionOut(
            type=template.end_action_type,
            execution_id=action.execution_id,
            attempt=instance.attempt,
            result=instance.result,
        ),
        error=None if instance.error is None else dict(instance.error),
    )


def turn_of(turn: Turn) -> TurnOut:
    """What came of a message."""
    answer = turn.answer
    if answer is None:
        return TurnOut(number=turn.asked.number, status="pending", reply=None, taken=[], refused=[], error=None)
    failed = answer.error is not None
    return TurnOut(
        number=turn.asked.number,
        status="failed" if failed else "answered",
        reply=None if failed else answer.content,
        taken=list(answer.taken),
        refused=[RefusedOut(**asdict(r)) for r in answer.refused],
        error=None if answer.error is None else dict(answer.error),
    )

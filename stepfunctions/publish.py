"""Publishing: a document becomes a plan in S3 and, if its shape is new, a state machine or two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.aws import states
from shared.errors import Invalid, Problem
from shared.nodes.base import Trigger
from shared.nodes.registry import find
from shared.tenancy import Tenant
from shared.workflows.model import Document
from stepfunctions import plans
from stepfunctions.compiler.compile import compile_document
from stepfunctions.plan import Plan
from stepfunctions.published import Published
from stepfunctions.tier import express_machine


def publish(tenant: Tenant, document: Document, version: int) -> Published:
    """Make a document runnable (version 0: a draft). Raises Invalid with all its problems."""
    compiled = compile_document(document, version=version)
    if compiled.plan is None:
        raise Invalid(
            "the workflow has problems",
            code="invalid_workflow",
            errors=[
                Problem(d.code, d.message, d.path, d.node_id) for d in compiled.diagnostics if d.severity == "error"
            ],
        )
    plan = compiled.plan
    plans.store(tenant, plan)
    _ensure(plan.machine, plan.skeleton)
    first = express_machine(plan)
    if first is not None:
        _ensure(*first, express=True)
    return published_of(plan, document, None if first is None else first[0])


def published_of(plan: Plan, document: Document, express: str | None = None) -> Published:
    """What starting a plan takes, whose machine is there; `express`: the machine with which its runs begin."""
    triggers = [n for n in document.nodes if isinstance(find(n.type), Trigger)]
    return Published(
        workflow_id=plan.workflow_id,
        version=plan.version,
        plan=plan.digest,
        machine=plan.machine,
        timeouts=tuple(q.timeout_seconds for q in plan.questions),
        timeout_seconds=plan.timeout_seconds,
        triggers=tuple((n.id, n.type) for n in triggers if not n.disabled),
        disabled=tuple(n.id for n in triggers if n.disabled),
        webhooks={n.id: dict(n.config) for n in document.nodes if n.type == "http_webhook" and not n.disabled},
        express=express,
        max_concurrency=plan.max_concurrency,
    )


_known: set[str] = set()  # machines that this process has made or seen: they are never removed


def _ensure(machine: str, skeleton: Mapping[str, Any], *, express: bool = False) -> None:
    """Make the machine; one that this process has made or seen is not asked for again."""
    if machine not in _known:
        states.ensure_machine(machine, skeleton, express=express)
        _known.add(machine)

"""A webhook's request from its arrival to its answer.

`answer` does it. Where the version to run comes from is its caller's choice: `live`, or `stepfunctions.drafts.draft`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any, Final

from shared import limits
from shared.answers import MAX_ANSWER, size_of
from shared.clock import now_ms
from shared.errors import AppError, NotFound, Unauthorized
from shared.ids import digest, new_id
from shared.log import logger
from shared.runs.model import Run
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from shared.triggers import outgoing, sealing
from shared.triggers.incoming import Incoming
from shared.triggers.model import Webhook
from shared.triggers.outgoing import Reply
from shared.triggers.signatures import Proof
from shared.triggers.store import TriggerStore, webhook_owner
from stepfunctions import fire
from stepfunctions.engine.boundary import described
from stepfunctions.engine.payloads import Value
from stepfunctions.published import Published
from stepfunctions.responses import responded
from stepfunctions.start import payload_objects

_LONGEST_WAIT_MS: Final = 25_000
_TO_ANSWER_MS: Final = 2_000  # what is kept of the function's time for the answer itself
_FIRST_LOOK_S: Final = 0.03
_LAST_LOOK_S: Final = 0.5

_log = logger("webhook")


class MethodNotAllowed(AppError):
    """405. `headers` say what is."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, methods: list[str]) -> None:
        super().__init__("this webhook does not take this method")
        self.headers = {"Allow": ", ".join(methods)}


class Unproven(Unauthorized):
    """401, without a word about what was wrong."""

    def __init__(self, challenge: str) -> None:
        super().__init__("the request is not authenticated")
        self.headers = {"WWW-Authenticate": challenge}


@dataclass(frozen=True, slots=True)
class Target:
    """What a request would start: the node's config, and how to get the version (which may take compiling it)."""

    config: Mapping[str, Any]
    version: Callable[[], Published]


Resolve = Callable[[Tenant, Webhook], Target | None]


def live(tenant: Tenant, webhook: Webhook) -> Target | None:
    """The published version, if there is one and it has the webhook's node."""
    version = fire.published(tenant, webhook.workflow_id)
    config = None if version is None else version.webhooks.get(webhook.node_id)
    return None if version is None or config is None else Target(config, lambda: version)


def answer(event: Mapping[str, Any], remaining_ms: int, resolve: Resolve = live) -> Reply:
    """The reply to an HTTP API's event. It never raises; `remaining_ms` is the time that the function has left."""
    started, request_id = perf_counter_ns(), new_id("req")
    # The webhook's id stays out of the log: whoever knows it may call.
    seen: dict[str, Any] = {"request_id": request_id}
    try:
        made = _receive(Incoming.of(event), resolve, remaining_ms, seen)
    except AppError as error:
        made = outgoing.of_error(request_id, error)
    except Exception as crash:
        _log.error("crash", request_id=request_id, **described(crash))  # without its message: it may hold anything
        detail = "something went wrong on our side; the request id finds it in our log"
        made = outgoing.problem(request_id, 500, "internal", detail)
    made["headers"]["X-Request-Id"] = request_id
    ms = (perf_counter_ns() - started) // 1_000_000
    _log.info("webhook", status=made["statusCode"], ms=ms, **seen)
    return made


def _receive(request: Incoming, resolve: Resolve, remaining_ms: int, seen: dict[str, Any]) -> Reply:
    tenant, webhook, target = _find(request, resolve)
    seen |= {"tenant_id": tenant.id, "workflow_id": webhook.workflow_id, "node_id": webhook.node_id}
    seen["draft"] = request.draft
    config = target.config
    methods = config.get("methods", ["POST"])
    if request.method not in methods:
        raise MethodNotAllowed(methods)
    body, proof, now = request.body(), Proof.of(config), now_ms()
    secrets = [] if proof.auth == "none" else sealing.good_secrets(tenant, webhook, now)
    if not proof.holds(webhook.id, secrets, request.headers, body, now // 1000):
        raise Unproven(proof.challenge)
    limits.count_request(tenant)
    parsed = request.parsed(body)
    if proof.preset == "slack" and isinstance(parsed, dict) and parsed.get("type") == "url_verification":
        return outgoing.reply(200, {"challenge": parsed.get("challenge")})
    delivery = proof.delivery_id(request.headers, parsed)
    mode = config.get("response_mode", "accepted")
    until = now + min(_LONGEST_WAIT_MS, remaining_ms - _TO_ANSWER_MS)
    run = fire.fire(
        tenant,
        target.version(),
        webhook.node_id,
        {
            "body": parsed,
            "headers": proof.public(request.headers),
            "query": dict(request.query),
            "method": request.method,
            "path": request.path,
        },
        {"kind": "webhook", "id": webhook.id, "user": None},
        occasion=delivery and digest("webhook", webhook.id, "draft" if request.draft else "live", delivery),
        # An answer of a node does not wait for the end of the run, so an Express execution is not waited for either.
        wait_seconds=(until - now_ms()) / 1000 if mode == "last" else 0,
    )
    seen["execution_id"] = run.id
    if mode == "node":
        return _nodes_answer(tenant, run.id, until, seen["request_id"])
    if mode == "last":
        return _outcome(tenant, _settled(tenant, run.id, until), seen["request_id"])
    return outgoing.reply(202, {"execution_id": run.id})


def _find(request: Incoming, resolve: Resolve) -> tuple[Tenant, Webhook, Target]:
    """Whose webhook it is and what it starts. Whatever is missing, the answer looks the same."""
    tenant = webhook_owner(request.webhook_id)
    if tenant is not None:
        try:
            webhook = TriggerStore(TenantTable(tenant)).webhook(request.webhook_id)
            target = resolve(tenant, webhook)
        except NotFound:
            target = None
        if target is not None:
            return tenant, webhook, target
    raise NotFound("there is no such webhook")


def _settled(tenant: Tenant, execution_id: str, until_ms: int) -> Run:
    """The run when it has ended or rests (on a person, or on request), or as it is when the time is over."""
    runs, pause = RunStore(TenantTable(tenant)), _FIRST_LOOK_S
    while True:
        run = runs.get(execution_id)
        if run.ended or run.status == "paused" or now_ms() + pause * 1000 > until_ms:
            return run
        time.sleep(pause)
        pause = min(pause * 1.5, _LAST_LOOK_S)


def _nodes_answer(tenant: Tenant, execution_id: str, until_ms: int, request_id: str) -> Reply:
    """What a node of the run has answered, as soon as it has; a problem if run or time are over and it has not."""
    runs, pause = RunStore(TenantTable(tenant)), _FIRST_LOOK_S
    while True:
        run = runs.get(execution_id)  # first: what a run has answered before it ended is there when it has
        answer = responded(tenant, execution_id)
        if answer is not None:
            return outgoing.of_node(answer)
        if run.ended:
            detail = f"the run {run.status} without an answer"
            return outgoing.problem(request_id, 502, "no_response", detail, execution_id=run.id)
        if run.status == "paused" or now_ms() + pause * 1000 > until_ms:
            detail = "the run has not answered in time; it goes on"
            return outgoing.problem(request_id, 504, "response_timeout", detail, execution_id=run.id)
        time.sleep(pause)
        pause = min(pause * 1.5, _LAST_LOOK_S)


def _outcome(tenant: Tenant, run: Run, request_id: str) -> Reply:
    if run.status == "completed":
        output = run.final_output
        made = outgoing.reply(
            200, None if output is None else Value(encoded=output, objects=payload_objects(tenant)).get()
        )
        if size_of(made["body"].encode()) <= MAX_ANSWER:
            return made
        return outgoing.problem(
            request_id, 502, "answer_too_large", "the run's output is too large to answer", execution_id=run.id
        )
    if run.ended:
        return outgoing.problem(request_id, 502, f"run_{run.status}", f"the run {run.status}", execution_id=run.id)
    return outgoing.reply(202, {"execution_id": run.id, "status": run.status})

"""One run of one node: its inputs and config made ready, its attempts, its failure handled as `on_error` says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from shared.clock import now_ms
from shared.expressions.template import render
from shared.ids import digest
from shared.nodes.base import AFTER, Call, Effect, NodeError, NodeType, Outputs, Pure, Timer, Trigger
from shared.nodes.registry import get
from shared.runs.model import NodeRecord
from stepfunctions.engine.errors import Failure
from stepfunctions.engine.frame import Frame, Outcome, ScopedExpressions
from stepfunctions.engine.payloads import NotJson, Objects, Value, ValueTooLarge
from stepfunctions.engine.secrets import NONE as NO_SECRETS
from stepfunctions.engine.secrets import Secrets, opened, reads_secrets
from stepfunctions.engine.world import NodeWorld
from stepfunctions.plan import BoundNode

NewWorld = Callable[[], NodeWorld]


class Skipped(Exception):
    """The node is on a dead path, or a required input has no value."""


def prepare(frame: Frame, node: BoundNode, record: NodeRecord, world: NodeWorld, secrets: Secrets = NO_SECRETS) -> Call:
    """The node's call: inputs delivered or typed in, config with its templates evaluated.

    Raises Skipped when the node is not to run, NodeError when an expression fails or gives what cannot be stored.
    """
    record.logs = world.lines  # one list: what the node logs is in its record
    delivered = _what_comes_in(frame, node)
    inputs: dict[str, Any] = {}
    for port, values in delivered.items():
        if port == AFTER:
            continue
        inputs[port] = [v.get() for v in values] if port in node.multiple else values[0].get()
    scope = frame.names_for(node)
    if secrets.values:
        scope["secrets"] = secrets.values
    expressions = ScopedExpressions(scope)
    if not node.disabled:
        for port, value in node.inputs.items():
            if port not in inputs:
                inputs[port] = render(value, expressions.evaluate)
                record.inputs[port] = store(Value(secrets.shown(value, inputs[port])), frame.objects)
    config = dict(node.config)
    if any(name[0] == "inputs" for name in node.names):
        scope["inputs"] = inputs
    if not node.disabled:
        for name in node.templates:
            config[name] = render(config[name], expressions.evaluate)
    return Call(
        inputs=inputs,
        config=config,
        expressions=expressions,
        world=world,
        node_id=node.id,
        execution_id=frame.run.id,
        attempt=1,
        idempotency_key=digest(frame.run.id, frame.path, node.id),
        timeout_seconds=node.timeout_seconds,
        usage=record.usage,
    )


def _what_comes_in(frame: Frame, node: BoundNode) -> dict[str, list[Value]]:
    """The values delivered to each port. Raises Skipped, before any expression or secret is looked at."""
    connected, delivered = frame.delivered(node)
    if node.kind == "trigger" and node.id != frame.run.trigger_node:
        raise Skipped
    if connected and not delivered:
        raise Skipped
    if not node.disabled and any(port not in delivered and port not in node.inputs for port in node.required):
        raise Skipped
    return delivered


def compute(frame: Frame, node: BoundNode, new_world: NewWorld) -> Outcome:
    """Run a trigger or a pure node, here and now. Raises Failure when it fails and nothing handles that."""
    record = NodeRecord(node.id, frame.path, "running", started_at=now_ms(), attempts=1)
    world = new_world()
    return settle(frame, node, record, lambda call: _computed(frame, node, call, world), world)


def settle(
    frame: Frame, node: BoundNode, record: NodeRecord, work: Callable[[Call], Outputs], world: NodeWorld
) -> Outcome:
    """Turn what `work` gives for the node's call into its outcome. Raises Failure."""
    try:
        outputs = work(prepare(frame, node, record, world))
    except Skipped:
        return skip(frame, record)
    except NodeError as error:
        return fail(frame, node, record, error)
    return complete(frame, node, record, outputs)


def _computed(frame: Frame, node: BoundNode, call: Call, world: NodeWorld) -> Outputs:
    if node.disabled:
        return _passed_on(frame, node)
    instead = world.instead(node.id, call)
    if instead is not None:
        return instead
    node_type = get(node.type)
    if isinstance(node_type, Trigger):
        return node_type.deliver(frame.trigger.get(), call.config)
    if not isinstance(node_type, Pure):
        raise TypeError(f"{node.type} is not pure")
    return node_type.evaluate(call)


def _passed_on(frame: Frame, node: BoundNode) -> Outputs:
    """A disabled node: its first delivered input on its first output port; without one, what only comes before it."""
    _, delivered = frame.delivered(node)
    before = delivered.pop(AFTER, [])
    values = [*(values[0] for values in delivered.values()), *before]
    return {node.outputs[0]: values[0].get() if values else None} if node.outputs else {}


async def attempt(frame: Frame, node: BoundNode, record: NodeRecord, world: NodeWorld, rest: Rest) -> Outcome:
    """Run a node that touches the world, as often as its retry policy says. Raises Failure, and what `rest` raises:
    the record then says how many attempts are left, and from when.
    """
    secrets, call = NO_SECRETS, None
    try:
        if reads_secrets(node):
            _what_comes_in(frame, node)  # a node that is to be skipped opens none
        else:
            call = prepare(frame, node, record, world)
    except Skipped:
        return skip(frame, record)
    except NodeError as error:
        return fail(frame, node, record, error)
    policy = node.retry or {}
    tries = int(policy.get("max_attempts", 0)) if record.tries_left is None else record.tries_left
    while True:
        if record.until is not None:
            await rest(record.until)
            record.until = record.tries_left = None
        record.attempts += 1
        try:
            if call is None:  # secrets may be out of reach for a while: that is a failed attempt like any other
                secrets = await opened(node, world)
                call = prepare(frame, node, record, world, secrets)
            instead = world.instead(node.id, call)
            outputs = await _once(get(node.type), call, node) if instead is None else instead
            return complete(frame, node, record, secrets.hide(outputs))
        except Skipped:
            return skip(frame, record)
        except NodeError as error:
            # Without a call nothing was asked for yet.
            perhaps_done = error.unsure and call is not None and not node.idempotent
            if tries <= 0 or not error.retryable or perhaps_done:
                return fail(frame, node, record, secrets.hide_error(error))
            tries -= 1
            failures = int(policy["max_attempts"]) - tries
            record.until = now_ms() + round(_pause(policy, failures, error.retry_after) * 1000)
            record.tries_left = tries
        finally:
            record.logs[:] = secrets.hide(record.logs, cut=True)
            record.usage.update(secrets.hide(record.usage))


Rest = Callable[[int], Awaitable[None]]  # until a moment (milliseconds since the epoch)
_LONGEST_PAUSE: Final = 3_600.0  # seconds; the policy's own limit holds for what the other side asks for, too


def _pause(policy: Mapping[str, float], failures: int, asked: float | None) -> float:
    """Seconds until the next attempt: interval * backoff^(n-1), at most the maximum, at least what was asked for."""
    wait = min(policy["interval_seconds"] * policy["backoff_rate"] ** (failures - 1), policy["max_interval_seconds"])
    return max(wait, min(asked or 0, _LONGEST_PAUSE))


async def _once(node_type: NodeType, call: Call, node: BoundNode) -> Outputs:
    try:
        async with asyncio.timeout(node.timeout_seconds):
            if isinstance(node_type, Effect):
                return await node_type.execute(call)
            if isinstance(node_type, Timer):
                return await _short_rest(node_type, call)
            if isinstance(node_type, Pure):  # one that would come to something else, so that its result is recorded
                return node_type.evaluate(call)
    except NodeError:
        raise
    except TimeoutError:
        raise NodeError("Timeout", f"no result within {node.timeout_seconds:g} seconds") from None
    except Exception as error:  # a node type's own bug must not take the run's other nodes with it
        raise NodeError("Internal", f"{type(error).__name__} in the node type {node.type}", retryable=False) from error
    raise TypeError(f"{node.type} cannot be executed")


async def _short_rest(timer: Timer, call: Call) -> Outputs:
    began = now_ms()
    await asyncio.sleep(max(0, timer.until_ms(call, began) - began) / 1000)
    return timer.elapsed(call, now_ms() - began)


def complete(frame: Frame, node: BoundNode, record: NodeRecord, outputs: Outputs) -> Outcome:
    """The node's outputs, stored. Raises Failure if they cannot be."""
    values = {port: value if isinstance(value, Value) else Value(value) for port, value in outputs.items()}
    try:
        record.outputs = {port: store(value, frame.objects) for port, value in values.items()}
    except NodeError as error:
        return fail(frame, node, record, error)
    record.status = "completed"
    return _done(frame, record, values)


def store(value: Value, objects: Objects) -> Mapping[str, Any]:
    """The value as it is stored. Raises NodeError."""
    try:
        return value.store(objects)
    except ValueTooLarge as error:
        raise NodeError("ValueTooLarge", str(error), retryable=False) from None
    except NotJson as error:
        raise NodeError("InvalidOutput", f"the result is not JSON: {error}", retryable=False) from None


def skip(frame: Frame, record: NodeRecord) -> Outcome:
    """The node is not run; all its connections are dead."""
    record.status = "skipped"
    record.started_at = None
    record.attempts = 0
    return _done(frame, record, {})


def fail(frame: Frame, node: BoundNode, record: NodeRecord, error: NodeError) -> Outcome:
    """The node failed for good: `continue` and `branch` give it outputs all the same, `fail` raises Failure."""
    failure = Failure(node.id, error.error, error.message, record.attempts)
    record.status = "failed"
    record.error = failure.as_dict()
    values: dict[str, Value] = {}
    if node.on_error == "continue":
        values = {port: Value(None) for port in node.outputs}
    elif node.on_error == "branch":
        values = {"error": Value(failure.as_dict())}
    record.handled = node.on_error != "fail"
    record.outputs = {port: value.store(frame.objects) for port, value in values.items()}
    outcome = _done(frame, record, values)
    if not record.handled:
        raise failure from error
    return outcome


def _done(frame: Frame, record: NodeRecord, values: dict[str, Value]) -> Outcome:
    record.completed_at = now_ms()
    outcome = frame.outcomes[record.node] = Outcome(record, values)
    return outcome

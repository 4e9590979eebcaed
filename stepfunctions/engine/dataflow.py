"""The nodes of one scope, run as a dataflow graph: each as soon as what it waits for is settled."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Final

from shared.clock import now_ms
from shared.nodes.base import AFTER, NodeError
from shared.runs.model import NodeRecord
from stepfunctions.engine import containers
from stepfunctions.engine.control import Control, Halt
from stepfunctions.engine.errors import HALTS, Busy, Failure
from stepfunctions.engine.execute import NewWorld, attempt, compute, fail, skip
from stepfunctions.engine.frame import Frame, raise_unhandled
from stepfunctions.engine.journal import RENEW_SECONDS, Claim, Journal
from stepfunctions.plan import BoundNode

_AT_ONCE: Final = 100  # nodes in flight in one call
_LOOK_SECONDS: Final = 1.0  # how often a node that rests between two attempts asks whether the call goes on


@dataclass(frozen=True, slots=True)
class Dataflow:
    """What the nodes of one call share. `run` is called for the workflow and again for each iteration of a body."""

    journal: Journal
    control: Control
    new_world: NewWorld

    async def run(self, frame: Frame, node_ids: Iterable[str]) -> None:
        """Settle these nodes. Raises Failure (unhandled), Busy, or what the control says once nothing runs any more."""
        nodes = [frame.plan.nodes[n] for n in node_ids if not _settled(frame, n)]
        waiting = {n.id: {w for w in n.waits_for if not _settled(frame, w)} for n in nodes}
        dependents: dict[str, list[BoundNode]] = {}
        for node in nodes:
            for before in waiting[node.id]:
                dependents.setdefault(before, []).append(node)
        ready = deque(n for n in nodes if not waiting[n.id])
        running: dict[asyncio.Task[None], str] = {}
        halt: Halt | Busy | None = None

        def settled(node_id: str) -> None:
            for dependent in dependents.get(node_id, ()):
                waiting[dependent.id].discard(node_id)
                if not waiting[dependent.id]:
                    ready.append(dependent)

        try:
            while ready or running:
                while ready and len(running) < _AT_ONCE:
                    node = ready.popleft()
                    if self._is_dead(frame, node):
                        self.journal.note(skip(frame, NodeRecord(node.id, frame.path, "skipped")).record)
                        settled(node.id)
                    elif node.pure and node.kind != "container":
                        await load(frame, node)
                        self._compute(frame, node)
                        settled(node.id)
                    elif halt := halt or await self._halt(node):
                        break
                    else:
                        running[asyncio.create_task(self._start(frame, node))] = node.id
                if not running:
                    break
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    node_id = running.pop(task)
                    try:
                        task.result()
                    except HALTS as reason:
                        halt = halt or reason
                    else:
                        settled(node_id)
                if halt:
                    ready.clear()
        except BaseException:
            await _cancel(running)
            raise
        if halt:
            raise halt
        left = [n.id for n in nodes if not _settled(frame, n.id)]
        if left:
            raise RuntimeError(f"{len(left)} nodes wait for what this call does not run")

    async def _halt(self, node: BoundNode) -> Halt | None:
        # To have begun a container is nothing that a next call finds done; its passes count for themselves.
        return await self.control.halt(node, _seconds(node), counts=node.kind != "container")

    @staticmethod
    def _is_dead(frame: Frame, node: BoundNode) -> bool:
        connected, delivered = frame.delivered(node)
        return connected and not delivered

    def _compute(self, frame: Frame, node: BoundNode) -> None:
        try:
            compute(frame, node, self.new_world)
        finally:
            if node.id in frame.outcomes:
                self.journal.note(frame.outcomes[node.id].record)

    async def _start(self, frame: Frame, node: BoundNode) -> None:
        await load(frame, node)
        if node.pure:
            record = NodeRecord(node.id, frame.path, "running", started_at=now_ms())
            try:
                await containers.run(self, frame, node, record, resuming=node.id in frame.begun)
            except HALTS:
                record.status = "pending"  # the next call goes on with what is recorded of its passes
                self.journal.note(record)
                raise
            finally:
                if node.id in frame.outcomes:
                    self.journal.note(frame.outcomes[node.id].record)
        else:
            await self._claimed(frame, node)

    async def _claimed(self, frame: Frame, node: BoundNode) -> None:
        """Run a node that touches the world under its lease; its result is recorded when this returns."""
        record = NodeRecord(node.id, frame.path, "running", started_at=now_ms())
        claim = await self._claim(record)
        if isinstance(claim, NodeRecord):
            frame.adopt(claim)
            raise_unhandled(claim)
            return
        failure: Failure | None = None
        try:
            async with self._lease(record):
                try:
                    if node.kind == "container":
                        await containers.run(self, frame, node, record, resuming=claim is not Claim.NEW)
                    elif claim is Claim.BROKEN and not node.idempotent:
                        message = "the run was interrupted while this node was in flight, and it must not run twice"
                        fail(frame, node, record, NodeError("Interrupted", message))
                    else:
                        await attempt(frame, node, record, self.new_world(), lambda until: self.rest(node, until))
                except Failure as raised:
                    failure = raised
        except HALTS:
            await self._settle(node, record)
            await asyncio.to_thread(self.journal.put_down, record)
            raise
        except asyncio.CancelledError:
            record.status = "cancelled"
            record.completed_at = now_ms()
            # Shielded: what stops this node is not to stop the note that it was stopped.
            await asyncio.shield(asyncio.to_thread(self.journal.finish, record))
            raise
        except Exception:
            # A store is down, say. Nothing is in flight here any more, so nobody has to wait for the lease to run out.
            if node.kind == "container" or node.idempotent:
                with contextlib.suppress(Exception):
                    await asyncio.to_thread(self.journal.put_down, record)
            raise
        await self._settle(node, record)  # first: what stands in the journal is not settled again
        if node.kind == "container":  # nobody looks into its passes again once it is finished
            await asyncio.to_thread(self.journal.flush, f"{frame.path}/{node.id}" if frame.path else node.id)
        await asyncio.to_thread(self.journal.finish, frame.outcomes[node.id].record)
        if failure is not None:
            raise failure

    async def _settle(self, node: BoundNode, record: NodeRecord) -> None:
        if node.kind != "container":  # what its passes have used, their own nodes have settled
            await self.control.meter.settle(record.usage)

    async def rest(self, node: BoundNode, until_ms: int) -> None:
        """Rest between two attempts. Raises what stops the call: this is a boundary, and it may be a long one."""
        while (left := until_ms - now_ms()) > 0:
            reason = await self.control.halt(node, _seconds(node))
            if reason is not None:
                raise reason
            await asyncio.sleep(min(left / 1000, _LOOK_SECONDS))

    async def _claim(self, record: NodeRecord) -> Claim | NodeRecord:
        """Claim a node. Who is stopped meanwhile gives it back: a lease that nobody uses would hold others up."""
        claiming = asyncio.ensure_future(asyncio.to_thread(self.journal.claim, record))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                claim = await claiming
                if isinstance(claim, Claim):
                    await asyncio.to_thread(self.journal.put_down, record, broken=claim is Claim.BROKEN)
            raise

    @contextlib.asynccontextmanager
    async def _lease(self, record: NodeRecord) -> AsyncIterator[None]:
        """Renew the lease as long as the node runs."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(RENEW_SECONDS)
                # Where the table is busy, it is tried again: the lease outlives two renewals that fail.
                with contextlib.suppress(Exception):
                    if not await asyncio.to_thread(self.journal.renew, record):
                        return  # it is lost; `finish` will say so

        async with contextlib.AsyncExitStack() as stack:
            keeper = asyncio.create_task(renew())
            stack.push_async_callback(_cancel, {keeper: record.node})
            yield


async def load(frame: Frame, node: BoundNode) -> None:
    """Read what the node needs and what lies in S3, off the event loop."""
    _, delivered = frame.delivered(node)
    wanted = [v for port, values in delivered.items() for v in values if port != AFTER or node.disabled]
    far = [v for v in wanted if v.is_far] + frame.far_values(node)
    if far:
        await asyncio.gather(*(asyncio.to_thread(v.get) for v in far))


def _seconds(node: BoundNode) -> float:
    """What a node may take at once. A container looks at the time before each iteration."""
    return 0 if node.kind == "container" else node.timeout_seconds


def _settled(frame: Frame, node_id: str) -> bool:
    outcome = frame.outcomes.get(node_id)
    return outcome is not None and outcome.settled


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

"""What a rehearsed run sees of the outside: mocks and answers as its case has them, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from shared.cases.model import Case, HumanAnswer, Mock
from shared.clock import iso, now_ms
from shared.errors import Problem
from shared.nodes.base import Asked, Call, Effect, Ended, NodeError, Outputs, Wanted
from shared.nodes.json_schemas import faults
from shared.nodes.registry import get
from shared.nodes.world import Credential
from shared.runs.model import NodeRecord
from shared.tasks.model import DECISIONS
from stepfunctions.engine.payloads import Value
from stepfunctions.engine.world import NodeLog
from stepfunctions.plan import Plan

NOT_MOCKED: Final = "NotMocked"
_SOMEBODY: Final = "us_test"


class MemoryObjects:
    """Large values, in memory."""

    def __init__(self) -> None:
        self._held: dict[str, bytes] = {}

    def put(self, name: str, body: bytes) -> None:
        """Keep an object."""
        self._held[name] = body

    def get(self, name: str) -> bytes | None:
        """One, or None."""
        return self._held.get(name)


class Stage:
    """The stand-ins of one case, for one run of it; `problems` is what they noticed.

    `proceed` tells the state that waits with a token to go on.
    """

    def __init__(self, plan: Plan, case: Case, objects: MemoryObjects, proceed: Callable[[str], object]) -> None:
        self.problems: list[Problem] = []
        self.asked: list[dict[str, Any]] = []
        self._plan = plan
        self._case = case
        self._objects = objects
        self._proceed = proceed
        self._calls: dict[str, int] = {}
        self._questions: dict[str, int] = {}
        self._given: dict[str, Mapping[str, Any]] = {}
        self._children: dict[str, Ended] = {}

    # --- nodes -----------------------------------------------------------------------------------------------------

    def instead(self, node_id: str) -> Outputs | None:
        """What the case's mock gives; None where the node is really run. Raises NodeError."""
        node = self._plan.nodes[node_id]
        mocked = self._case.mocks.get(node_id)
        if mocked is None:
            if isinstance(get(node.type), Effect):
                self._refuse(node_id)
            return None
        mock = mocked
        if isinstance(mocked, list):
            number = self._calls[node_id] = self._calls.get(node_id, 0) + 1
            if number > len(mocked):
                self._refuse(node_id, f"it has {len(mocked)} mocks, and this is call {number}")
            mock = mocked[number - 1]
        if not isinstance(mock, Mock):
            raise TypeError("a list of mocks has mocks")
        if mock.error is not None:
            raise NodeError(mock.error, mock.message)
        return dict(mock.outputs or {})

    def _refuse(self, node_id: str, why: str = "it touches the world, and a test does not: give it a mock") -> NoReturn:
        shown = node_id.partition(".")[0]  # a part of an agent stands in no document: the agent is mocked
        if not any(p.node_id == shown and p.code == NOT_MOCKED for p in self.problems):
            self.problems.append(Problem(NOT_MOCKED, f"{shown}: {why}", f"mocks.{shown}", shown))
        raise NodeError(NOT_MOCKED, why, retryable=False)

    # --- questions and children (see `stepfunctions.engine.waits.TaskDesk`) ---------------------------------------

    def open(self, task_id: str, node_id: str, asked: Asked, token: str) -> bool:
        """A person is asked: the case says what they answer, and when."""
        answer = self._answer(node_id)
        self.asked.append({"node_id": node_id, "title": asked.title, "data": asked.data})
        if answer is None or answer.timeout:
            return True
        decision = DECISIONS.get((answer.decision or "").casefold())
        path = f"answers.{node_id}"
        if decision is None:
            known = ", ".join(DECISIONS)
            self.problems.append(Problem("BadAnswer", f"{node_id}: the decision is one of {known}", path, node_id))
            return True
        found = faults({} if answer.data is None else answer.data, asked.form) if asked.form is not None else []
        if found:
            said = f"{node_id}: the form refuses the answer: {'; '.join(found[:5])}"
            self.problems.append(Problem("BadAnswer", said, path, node_id))
            return True
        if answer.after_seconds < asked.timeout_seconds:
            asyncio.get_running_loop().call_later(
                answer.after_seconds, self._answered, task_id, token, decision, answer
            )
        return True

    def _answer(self, node_id: str) -> HumanAnswer | None:
        given = self._case.answers.get(node_id)
        if isinstance(given, HumanAnswer):
            return given
        number = self._questions[node_id] = self._questions.get(node_id, 0) + 1
        if given is not None and number <= len(given):
            return given[number - 1]
        if not any(p.node_id == node_id and p.code == "NotAnswered" for p in self.problems):
            said = "no answer is given" if given is None else f"{len(given)} answers are given, and this is one more"
            self.problems.append(Problem("NotAnswered", f"{node_id}: {said}", f"answers.{node_id}", node_id))
        return None

    def _answered(self, task_id: str, token: str, decision: str, answer: HumanAnswer) -> None:
        self._given[task_id] = {
            "decision": decision,
            "data": answer.data,
            "comment": answer.comment,
            "completed_by": _SOMEBODY,
            "completed_at": iso(now_ms()),
        }
        self._proceed(token)

    def settle(self, task_id: str) -> Mapping[str, Any] | None:
        """What was answered, or None."""
        return self._given.get(task_id)

    def begin(self, record: NodeRecord, wanted: Wanted, token: str) -> bool:
        """A node wants a run of another workflow: its mock has its end. Raises NodeError."""
        del wanted, token
        given = self.instead(record.node)
        if given is None:
            self._refuse(record.node, "it runs another workflow, and a test does not: give it a mock")
        child = record.child or ""
        output = Value(given.get("output")).store(self._objects)
        self._children[child] = Ended(child, "completed", output)
        return False

    def ended(self, child_id: str) -> Ended | None:
        """How that has ended."""
        return self._children.get(child_id)


class StageWorld(NodeLog):
    """The world of one node run. Whatever else a node asks of the world is refused."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage

    def instead(self, node_id: str, call: Call) -> Outputs | None:
        """What the case's mock gives. Raises NodeError."""
        del call
        return self._stage.instead(node_id)

    @property
    def credentials(self) -> StageCredentials:
        """Credentials that open nothing."""
        return StageCredentials()

    def __getattr__(self, name: str) -> NoReturn:
        raise NodeError(NOT_MOCKED, f"a test does not touch the world ({name})", retryable=False)


class StageCredentials:
    """A mocked node's templates may read secrets: they get words that are none."""

    def open(self, name: str) -> Credential:
        """A secret that opens nothing."""
        return Credential(name, "secret", {"value": f"(the secret {name})"})

    async def access_token(self, name: str, stale: str | None = None) -> str:
        """A token that opens nothing."""
        del stale
        return f"(the token {name})"

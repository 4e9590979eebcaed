"""The generated client as stories use it: operations and bodies by their names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from infrastructure.local.stack import Stack
from tests.client.built import body, operation, statewright
from tests.e2e.caller import Caller, Json, until


class Client:
    """`client("agents.get", …)` is the operation `agents_get`; a POST's fields are given as `sent`, with their type."""

    def __init__(self, sw: Any) -> None:
        self.sw = sw

    def __call__(self, name: str, *path: str, sent: tuple[str, Json] | None = None, **arguments: Any) -> Any:
        if sent is not None:
            arguments["body"] = body(*sent)
        return self.sw.call(_named(name), *path, **arguments)

    def pages(self, name: str, *path: str, **arguments: Any) -> list[Any]:
        """Everything in a list."""
        return list(self.sw.pages(_named(name), *path, **arguments))

    def refused(self, status: int, name: str, *path: str, **arguments: Any) -> Any:
        """The problem with which a call is refused."""
        with pytest.raises(statewright().Problem) as caught:
            self(name, *path, **arguments)
        assert caught.value.status == status, caught.value
        return caught.value

    def started(self, workflow_id: str, trigger: Any) -> str:
        run = self("executions.execute", workflow_id, sent=("ExecuteIn", {"trigger_data": trigger}))
        return str(run.id)

    def until(self, run_id: str, status: str) -> Any:
        return until(lambda: self("executions.get", run_id), lambda run: run.status == status, every=0.2)


def _named(name: str) -> Any:
    noun, _, function = name.partition(".")
    return operation(f"{noun}.{noun}_{function}")


@contextmanager
def connected(local: Stack, caller: Caller) -> Iterator[Client]:
    """A client with this tenant's key."""
    with statewright().Statewright(local.api_url, api_key=caller.key) as sw:
        yield Client(sw)

"""EventBridge and S3's notices in tests on moto: what was put on the bus, and what S3 would tell, handed to the
dispatcher as EventBridge does."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from functions.dispatcher.handler import handler
from infrastructure.local.interpreter import Context
from shared.aws.clients import client
from shared.tenancy import Tenant

_numbers = itertools.count(0x1000)


class Bus:
    """What was put on the bus since the last delivery, in order."""

    def __init__(self) -> None:
        self.waiting: list[dict[str, Any]] = []

    def deliver(self) -> list[str]:
        """Hand everything to the dispatcher, once; gives the ids of the runs."""
        taken, self.waiting = self.waiting, []
        return [run for entry in taken for run in hand_over(entry)]


@contextmanager
def bus() -> Iterator[Bus]:
    """The bus, as long as the block lasts."""
    found = Bus()

    def note(params: dict[str, Any], **_: Any) -> None:
        for entry in params["Entries"]:
            assert entry["EventBusName"] == "sw-test"
            assert entry["Source"] == "statewright"
            found.waiting.append(
                {
                    "version": "0",
                    "source": entry["Source"],
                    "detail-type": entry["DetailType"],
                    "detail": json.loads(entry["Detail"]),
                }
            )

    hooks = client("events").meta.events
    hooks.register("provide-client-params.eventbridge.PutEvents", note, unique_id="bus")
    try:
        yield found
    finally:
        hooks.unregister("provide-client-params.eventbridge.PutEvents", unique_id="bus")


def hand_over(event: dict[str, Any]) -> list[str]:
    """One event of EventBridge to the dispatcher; the ids of the runs."""
    started: list[str] = handler(json.loads(json.dumps(event)), Context())["execution_ids"]
    return started


def sequencer() -> str:
    """The next of S3's sequencers."""
    return f"{next(_numbers):018X}"


def notice(tenant: Tenant, path: str, *, deleted: bool = False, order: str | None = None, size: int = 3) -> Any:
    """What S3 tells of a file, by EventBridge."""
    told = {"key": f"{tenant.id}/{path}", "sequencer": order or sequencer()}
    if not deleted:
        told |= {"size": size, "etag": "d41d8cd98f00b204e9800998ecf8427e"}  # type: ignore[dict-item]
    return {
        "version": "0",
        "source": "aws.s3",
        "detail-type": "Object Deleted" if deleted else "Object Created",
        "detail": {"bucket": {"name": "sw-test-files"}, "object": told, "reason": "PutObject"},
    }

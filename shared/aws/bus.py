"""The stack's event bus. What is put there says which tenant it is of; only our own functions may put anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.aws.clients import client
from shared.aws.reach import reaching
from shared.errors import Unavailable
from shared.settings import settings

SOURCE: Final = "statewright"
_AT_ONCE: Final = 10


def put(kind: str, details: Sequence[Mapping[str, Any]]) -> None:
    """Put events on the bus, each a small JSON object. Raises Unavailable if not all of them were taken."""
    for first in range(0, len(details), _AT_ONCE):
        entries = [
            {"EventBusName": settings().bus, "Source": SOURCE, "DetailType": kind, "Detail": json.dumps(detail)}
            for detail in details[first : first + _AT_ONCE]
        ]
        with reaching("the event bus"):
            answer = client("events").put_events(Entries=entries)
        if answer.get("FailedEntryCount"):
            raise Unavailable("the event bus has not taken all events; try again")

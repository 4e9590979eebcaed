"""What others do between two steps of ours: while a call of ours is on its way to AWS, or has just arrived."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shared.aws import clients
from shared.errors import Unavailable


class Died(Exception):
    """Our function, there and then."""


def die() -> None:
    """The end of whoever makes the call."""
    raise Died


def busy() -> None:
    """A service that cannot do it just now."""
    raise Unavailable("busy; try again")


def meanwhile(moment: str, act: Callable[[], Any], times: int = 1) -> None:
    """Do `act` at a moment of the next call, or the next few, such as `before-call.scheduler.UpdateSchedule`."""
    events, left = clients.client(moment.split(".")[1]).meta.events, [times]

    def come(**_: Any) -> None:
        left[0] -= 1
        if not left[0]:
            events.unregister(moment, come)
        act()

    events.register(moment, come)

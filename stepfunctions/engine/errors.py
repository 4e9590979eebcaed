"""What a call raises on purpose. The class names are the `Error` that a state's Retry and Catch match."""

from __future__ import annotations

from typing import Any, Final


class TimeSlice(Exception):
    """The call's time is nearly over; the state calls again, and what is recorded is skipped."""


class Busy(Exception):
    """Another call holds the lease on a node that is in flight; the state tries again later."""


class Paused(Exception):
    """The run is to rest; the state goes to its parking state."""


class Stopped(Exception):
    """The run has ended already, or is to end: there is nothing left to do."""


class OverBudget(Exception):
    """Models may not be asked any more: the run's budget is used up, or the tenant's quota. The run fails with this."""

    def __init__(self, node_id: str, error: str, message: str) -> None:
        super().__init__(error)
        self.node_id = node_id
        self.error = error
        self.message = message

    def as_dict(self) -> dict[str, Any]:
        """What the run has failed of: at the node that would have run next."""
        return {"node_id": self.node_id, "error": self.error, "message": self.message}


HALTS: Final = (
    TimeSlice,
    Busy,
    Paused,
    Stopped,
    OverBudget,
)  # no node's fault: what is in flight finishes, nothing new starts
_LONGEST: Final = 4_000  # characters of a message
_END: Final = 1_000


class NodeFailed(Exception):
    """A node failed and its `on_error` is `fail`. The text names no data: it ends up in the execution's history."""


class BodyFailed(Exception):
    """A node failed in a pass of a container that the state machine runs; the container decides what becomes of it."""


class Continued(Exception):
    """The run goes on in a new execution: this one's history is nearly full."""


class Failure(Exception):
    """A node's failure on its way up to whoever handles it: the container it is in, or the run.

    Of a long message (over 4,000 characters) the beginning and the end are kept: a record has to fit into an item of
    DynamoDB, and the last line of a traceback says most.
    """

    def __init__(self, node_id: str, error: str, message: str, attempts: int) -> None:
        super().__init__(f"{node_id}: {error}")
        self.node_id = node_id
        self.error = error
        self.message = message if len(message) <= _LONGEST else f"{message[: _LONGEST - _END - 3]} … {message[-_END:]}"
        self.attempts = attempts

    def as_dict(self) -> dict[str, Any]:
        """What the port `error` delivers."""
        return {"node_id": self.node_id, "error": self.error, "message": self.message, "attempts": self.attempts}

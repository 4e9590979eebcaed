"""What nodes see of the outside, built for one call."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from shared.clock import iso, now_ms
from shared.nodes.base import Call, Outputs
from shared.nodes.world import World

_MAX_LINE: Final = 4_000
_MAX_LINES: Final = 200
_MORE: Final = " … (more lines were left out)"
_MAX_TOTAL: Final = 40_000  # characters: a record has to fit into an item of DynamoDB, with all else that it holds


@dataclass
class NodeLog:
    """What a node logs; its lines end up in the node's record."""

    lines: list[dict[str, Any]] = field(default_factory=list)

    def log(self, level: str, message: Any, *, node_id: str | None = None) -> None:
        """Keep a line (at most 200 of 4,000 characters, and 40,000 characters in all); what is cut says so."""
        text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False, default=str)
        text = text.encode(errors="replace").decode()  # half a surrogate pair cannot be stored
        left = _MAX_TOTAL - len(_MORE) - sum(len(line["message"]) for line in self.lines)
        if len(self.lines) < _MAX_LINES and left > 0:
            self.lines.append({"level": level, "message": _cut(text, min(_MAX_LINE, left)), "at": iso(now_ms())})
        elif not self.lines[-1]["message"].endswith(_MORE):
            self.lines[-1]["message"] = _cut(self.lines[-1]["message"], _MAX_LINE - len(_MORE)) + _MORE
        if node_id is not None:
            self.announce(node_id, level, len(text))

    def announce(self, node_id: str, level: str, characters: int) -> None:
        """Say elsewhere that there is such a line; `level`: debug, info, warning or error. In a test, nowhere."""


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


class NodeWorld(World, Protocol):
    """The world of one node run."""

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines of its log."""
        ...

    def instead(self, node_id: str, call: Call) -> Outputs | None:
        """What the node gives without being run, in a rehearsal; None: it is run. Raises NodeError."""
        ...

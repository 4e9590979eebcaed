"""What nodes see of the outside, built for one call."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from shared.clock import iso, now_ms

_MAX_LINE: Final = 4_000
_MAX_LINES: Final = 200


@dataclass(slots=True)
class NodeWorld:
    """The world of one node run. Its log lines end up in the node's record."""

    openai_base_url: str = ""
    openai_api_key: str = field(default="", repr=False)
    allowed_hosts: frozenset[str] = frozenset()
    lines: list[dict[str, Any]] = field(default_factory=list)

    def log(self, level: str, message: Any) -> None:
        """Keep a line (at most 200 of 4,000 characters)."""
        text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False, default=str)
        if len(self.lines) < _MAX_LINES:
            self.lines.append({"level": level, "message": text[:_MAX_LINE], "at": iso(now_ms())})

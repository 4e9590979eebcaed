"""What nodes see of the outside, built for one call."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from shared.clock import iso, now_ms
from shared.nodes.base import Cache, Files

_MAX_LINE: Final = 4_000
_MAX_LINES: Final = 200
_MAX_TOTAL: Final = 40_000  # characters: a record has to fit into an item of DynamoDB, with all else that it holds


@dataclass(slots=True)
class NodeWorld:
    """The world of one node run. Its log lines end up in the node's record.

    The cache and the files are opened when a node asks for them: most do not.
    """

    open_cache: Callable[[], Cache]
    open_files: Callable[[], Files]
    openai_base_url: str = ""
    openai_api_key: str = field(default="", repr=False)
    allowed_hosts: frozenset[str] = frozenset()
    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def cache(self) -> Cache:
        """The tenant's cache."""
        return self.open_cache()

    @property
    def files(self) -> Files:
        """The tenant's files."""
        return self.open_files()

    def log(self, level: str, message: Any) -> None:
        """Keep a line (at most 200 of 4,000 characters, and 40,000 characters in all)."""
        text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False, default=str)
        left = _MAX_TOTAL - sum(len(line["message"]) for line in self.lines)
        if len(self.lines) < _MAX_LINES and left > 0:
            self.lines.append({"level": level, "message": text[: min(_MAX_LINE, left)], "at": iso(now_ms())})

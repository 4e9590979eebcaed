"""MCP servers that are commands. An operator allows them whole, with all arguments; a tenant names one and no more."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence


def commands(setting: str) -> Mapping[str, Sequence[str]]:
    """`time=mcp-server-time --local-timezone UTC; files=…` by name. Raises ValueError where it says something else."""
    found: dict[str, Sequence[str]] = {}
    for entry in filter(None, (e.strip() for e in setting.split(";"))):
        name, _, line = entry.partition("=")
        words = shlex.split(line)
        if not name.strip() or not words:
            raise ValueError("SW_MCP_STDIO is `name=command line`, separated by semicolons")
        found[name.strip()] = tuple(words)
    return found

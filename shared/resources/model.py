"""A tenant's named things: tools, MCP servers, agents, prompts, templates of guided workflows and their steps.

The name is the key; what the thing is, is a JSON document.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal["tools", "mcp_servers", "agents", "prompts", "workflow_templates", "workflow_steps"]

NAME: Final = r"^[a-z][a-z0-9_]{0,63}$"
MAX_DOCUMENT: Final = 100_000  # bytes of its JSON


@dataclass(frozen=True, slots=True)
class ResourceSummary:
    """A named thing without its document. Times are milliseconds since the epoch.

    `version` counts the changes and is the ETag; every version is kept. `shown` are the fields of the document that
    lists show.
    """

    kind: Kind
    name: str
    shown: Mapping[str, Any]
    version: int
    created_at: int
    updated_at: int
    updated_by: str


@dataclass(frozen=True, slots=True)
class Resource(ResourceSummary):
    """A named thing."""

    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ResourceVersion:
    """What a thing was from one change to the next."""

    version: int
    updated_at: int
    updated_by: str
    document: Mapping[str, Any]

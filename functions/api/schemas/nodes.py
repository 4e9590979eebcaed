"""Node types."""

from __future__ import annotations

from typing import Any, Literal

from functions.api.schemas.base import Answer


class PortOut(Answer):
    """A place where values come in or go out."""

    type: Literal["string", "number", "boolean", "object", "array", "any"]
    required: bool
    multiple: bool
    description: str


class NodeTypeOut(Answer):
    """A node type: enough to draw its card and its form."""

    type: str
    category: str
    kind: Literal["trigger", "expr", "run", "box", "state", "container"]
    display_name: str
    description: str
    inputs: dict[str, PortOut]
    outputs: dict[str, PortOut]
    dynamic_outputs: bool
    inner_outputs: dict[str, PortOut]
    scope_names: list[str]
    config_schema: dict[str, Any]
    errors: list[str]
    timeout_seconds: float
    example: dict[str, Any]

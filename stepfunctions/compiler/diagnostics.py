"""What the compiler has to say about a document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem: what (`code` is stable, `message` is for people) and where (`path` is dotted, from the document)."""

    code: str
    message: str
    node_id: str | None = None
    path: str | None = None
    severity: Severity = "error"

    def as_dict(self) -> dict[str, Any]:
        """The diagnostic as JSON."""
        return {
            "code": self.code,
            "message": self.message,
            "node_id": self.node_id,
            "path": self.path,
            "severity": self.severity,
        }


def node_error(code: str, node_id: str, message: str, path: str = "") -> Diagnostic:
    """An error at a node; `path` is relative to the node (`config.url`)."""
    return Diagnostic(code, message, node_id, f"nodes.{node_id}.{path}" if path else f"nodes.{node_id}")

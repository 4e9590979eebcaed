"""Workflows with what must come of them: run on moto's interpreter and, by the end-to-end tests, on the local AWS.

`HTTP` in a document stands for the base address of `tests.echo_server`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from shared.workflows.model import Document
from tests.stepfunctions.compiler.documents import node


@dataclass(frozen=True)
class Scenario:
    """`answers` are given to the questions by node id; `statuses` are those of the nodes that matter."""

    name: str
    document: Document
    output: Any = None
    status: str = "completed"
    trigger: Any = None
    answers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    statuses: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None

    def at(self, base: str, granularity: str = "segment") -> Document:
        """The document with `HTTP` replaced, in a granularity."""
        text = self.document.model_dump_json().replace("HTTP/", base + "/")
        made = Document.model_validate(json.loads(text))
        settings = made.settings.model_copy(update={"granularity": granularity})
        return made.model_copy(update={"settings": settings})


APPROVE: Final = {"decision": "approve", "data": {}, "comment": "fine"}
REJECT: Final = {"decision": "reject", "data": {}, "comment": "no"}


def get(node_id: str, path: str = "echo", **fields: Any) -> dict[str, Any]:
    return node(node_id, "http_request", inputs={"url": f"HTTP/{path}"}, **fields)

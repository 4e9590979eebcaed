"""Starts a run when one of the tenant's files is created, changed or deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.nodes.base import NodeError, Outputs, Port, Trigger

_EVENTS = ("created", "changed", "deleted")


class FileWatch(Trigger):
    """S3 tells the dispatcher of every file; how created and changed are told apart: docs/triggers.md."""

    display_name = "File watch"
    description = "Starts the workflow when a file among the tenant's files is created, changed or deleted."
    outputs = {
        "filepath": Port("string", description="The file's path."),
        "event": Port("string", description="`created`, `changed` or `deleted`."),
        "size": Port("number", description="Its bytes; 0 for one that was deleted."),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "prefix": {
                "type": "string",
                "maxLength": 512,
                "title": "Prefix",
                "description": "What the file's path begins with, such as `invoices/`.",
                "default": "",
            },
            "glob": {
                "type": "string",
                "minLength": 1,
                "maxLength": 256,
                "title": "Glob",
                "description": "What the rest of the path looks like, such as `*.pdf` or `**/*.csv`: `*` and `?` stay "
                "within a folder, `**` goes over folders.",
                "default": "**",
            },
            "events": {
                "type": "array",
                "items": {"enum": list(_EVENTS)},
                "minItems": 1,
                "uniqueItems": True,
                "title": "Events",
                "description": "What has to happen to the file.",
                "default": ["created", "changed"],
            },
        },
        "additionalProperties": False,
    }
    errors = ("InvalidInput",)
    example = {
        "config": {"prefix": "invoices/", "glob": "*.pdf", "events": ["created"]},
        "inputs": {},
        "data": {"filepath": "invoices/july.pdf", "event": "created", "size": 48213},
        "outputs": {"filepath": "invoices/july.pdf", "event": "created", "size": 48213},
    }

    def deliver(self, data: Any, config: Mapping[str, Any]) -> Outputs:
        """The three ports. Whoever starts a run by hand gives them too, or the path. Raises NodeError InvalidInput."""
        del config
        told = {"filepath": data} if isinstance(data, str) else data
        if not isinstance(told, Mapping) or not isinstance(told.get("filepath"), str) or not told["filepath"]:
            raise NodeError("InvalidInput", "give {filepath, event, size}, or a path", retryable=False)
        event, size = told.get("event", "created"), told.get("size", 0)
        if event not in _EVENTS or isinstance(size, bool) or not isinstance(size, (int, float)):
            message = "event is created, changed or deleted, and size a number"
            raise NodeError("InvalidInput", message, retryable=False)
        return {"filepath": told["filepath"], "event": event, "size": size}

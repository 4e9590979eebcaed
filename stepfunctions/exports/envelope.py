"""A workflow as it travels: its document, what that needs, and the number of the format.

    {"format": "statewright/workflow", "format_version": 1, "version": 3, "document": {…}, "requires": {…}}

It holds no secret, since a document holds none: credentials are named in it. A state machine carries the envelope of
the workflow that it was made of in its Comment, so that it can be read back.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from typing import Any, Final

from shared import strict_json
from shared.errors import AppError, Invalid, Problem
from shared.workflows.model import Document
from shared.workflows.service import document_of
from stepfunctions.exports.requires import requires
from stepfunctions.plan import Plan

FORMAT: Final = "statewright/workflow"
FORMAT_VERSION: Final = 1
# What answers of the API add to a document: one that was read there may be sent as it is.
_ADDED: Final = frozenset(
    {
        "created_at",
        "created_by",
        "is_active",
        "latest_version",
        "origin",
        "problems",
        "published_version",
        "revision",
        "updated_at",
    }
)
_MARK: Final = "statewright/workflow:"
_MAX_UNPACKED: Final = 10_000_000


def envelope(document: Mapping[str, Any], version: int) -> dict[str, Any]:
    """The envelope of a document; `version` is the workflow's (0: its draft)."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "version": version,
        "document": dict(document),
        "requires": requires(document_of(dict(document))),
    }


def opened(value: Any) -> Document:
    """The document in an envelope, in a state machine that was exported here, or the value itself. Raises Invalid."""
    if not isinstance(value, Mapping):
        raise _refused("no_workflow", "a workflow is an object")
    if "States" in value and "StartAt" in value:
        return opened(_in_comment(value.get("Comment")))
    if "document" not in value:
        if "nodes" not in value:
            raise _refused("no_workflow", "this is neither a workflow nor an export of one: it has no `document`")
        return document_of({name: each for name, each in value.items() if name not in _ADDED})
    if value.get("format", FORMAT) != FORMAT:
        raise _refused("unknown_format", f"the format is none that is known here; that is {FORMAT}", "format")
    number = value.get("format_version", FORMAT_VERSION)
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise _refused("unknown_format", "format_version is a number from 1 on", "format_version")
    if number > FORMAT_VERSION:
        message = (
            f"a newer Statewright wrote this: its format_version is {number}, and up to {FORMAT_VERSION} is known here"
        )
        raise _refused("newer_format", message, "format_version")
    odd = sorted(set(value) - {"format", "format_version", "version", "document", "requires"})
    if odd:
        raise _refused("unknown_field", f"an export has no field {odd[0][:100]}", odd[0][:100])
    if not isinstance(value["document"], Mapping):
        raise _refused("no_workflow", "the document is an object", "document")
    return document_of({name: each for name, each in value["document"].items() if name not in _ADDED})


def state_machine(plan: Plan, document: Mapping[str, Any]) -> dict[str, Any]:
    """The compiled state machine with the workflow's envelope in its Comment.

    `${runner}`, `${documents}`, `${tasks}` and `${machines}` stand for what a stack has, as in a SAM project.
    """
    packed = zlib.compress(json.dumps(envelope(document, plan.version), ensure_ascii=False).encode(), 9)
    return {**plan.skeleton, "Comment": _MARK + base64.b64encode(packed).decode()}


def _in_comment(comment: Any) -> Any:
    if not isinstance(comment, str) or not comment.startswith(_MARK):
        message = "this state machine was not exported from Statewright: it carries no workflow in its Comment"
        raise _refused("foreign_state_machine", message, "Comment")
    try:
        unpacking = zlib.decompressobj()
        body = unpacking.decompress(base64.b64decode(comment.removeprefix(_MARK), validate=True), _MAX_UNPACKED)
        if not unpacking.eof:
            raise ValueError("cut off, or too large")
        value = strict_json.loads(body)
        if not isinstance(value, Mapping) or "document" not in value:
            raise ValueError("no export")
    except (binascii.Error, zlib.error, ValueError, AppError):
        message = "the workflow in the Comment of the state machine is damaged"
        raise _refused("damaged_state_machine", message, "Comment") from None
    return value


def _refused(code: str, message: str, path: str | None = None) -> Invalid:
    return Invalid(message, code=code, errors=[Problem(code, message, path)])

"""RFC 9457 problem documents, for whoever answers HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from shared.errors import Problem

MEDIA_TYPE: Final = "application/problem+json"


def document(status: int, code: str, detail: str, errors: Sequence[Problem], request_id: str) -> dict[str, Any]:
    """A problem document as JSON."""
    return {
        "type": f"urn:statewright:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "errors": [e.as_dict() for e in errors],
        "request_id": request_id,
    }

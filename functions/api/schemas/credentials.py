"""Credentials. Values go in and never come out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from functions.api.schemas.base import Answer, Body, Text, TimeOut
from shared.credentials.model import NAME

CredentialName = Annotated[str, StringConstraints(pattern=NAME)]


class CredentialIn(Body):
    """A new credential. What `values` must hold is said by its kind: `GET /credentials/kinds`."""

    name: CredentialName
    kind: Annotated[str, StringConstraints(max_length=50)]
    values: Annotated[dict[str, Any], Field(repr=False)]
    description: Text = ""


class CredentialPatch(Body):
    """What may change of a credential; what is left out stays. In `values`, null removes a field."""

    values: Annotated[dict[str, Any] | None, Field(repr=False)] = None
    description: Text | None = None


class CredentialOut(Answer):
    """A credential. `fields` are those that are set; `test_error` says why its last test failed."""

    name: str
    kind: str
    description: str
    fields: list[str]
    created_at: TimeOut
    updated_at: TimeOut
    rotated_at: TimeOut
    tested_at: TimeOut | None
    test_error: str | None


class KindOut(Answer):
    """A kind of credentials: the JSON Schema of its values, and whether a test wants an address to try it at."""

    kind: str
    title: str
    values_schema: dict[str, Any]
    test_url: bool


class KindsOut(Answer):
    """All kinds, in one page."""

    items: list[KindOut]
    next_cursor: None = None


class TestIn(Body):
    """Where to try credentials of the kinds basic, bearer and api_key: an address that refuses other callers."""

    url: Annotated[str | None, StringConstraints(max_length=2000, pattern=r"^https?://[^\s\x00-\x1f\x7f]+$")] = None


class TestOut(Answer):
    """How a test ended; `not_tried` when nothing can be told without doing something for real."""

    outcome: Literal["ok", "failed", "not_tried"]
    message: str
    tested_at: TimeOut | None

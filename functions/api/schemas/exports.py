"""Workflows that leave: exports and shared links."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from functions.api.schemas.base import Answer, Body, TimeIn, TimeOut


class ExportOut(Answer):
    """A workflow as it travels. `requires` names what it needs; credentials by name and kind, never with values."""

    format: str
    format_version: int
    version: int
    document: dict[str, Any]
    requires: dict[str, Any]


class ShareIn(Body):
    """What a link allows and until when: a week unless said otherwise, a year at most.

    `version`: a published one's number, or `draft`; without, what is published when it is opened, or else the draft.
    """

    rights: Literal["view", "copy"] = "view"
    version: Annotated[int, Field(ge=1, le=999_999)] | Literal["draft"] | None = None
    expires_at: TimeIn | None = None


class ShareOut(Answer):
    """A link, without its token."""

    id: str
    rights: Literal["view", "copy"]
    version: int | Literal["draft"] | None
    created_at: TimeOut
    created_by: str
    expires_at: TimeOut

    @field_validator("version", mode="before")
    @classmethod
    def _draft(cls, value: Any) -> Any:
        return "draft" if value == 0 else value


class ShareMade(ShareOut):
    """A new link. The token is shown this once; whoever has the address can open it."""

    token: str
    path: str


class SharedOut(ExportOut):
    """What a link leads to, and what it allows."""

    rights: Literal["view", "copy"]
    expires_at: TimeOut

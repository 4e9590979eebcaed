"""Threads and their messages."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from functions.api.schemas.base import Answer, Body, TimeOut
from shared.metadata import Metadata
from shared.threads.model import THREAD_ID, Role

ThreadId = Annotated[str, StringConstraints(pattern=THREAD_ID)]
Title = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class ThreadIn(Body):
    """A thread to make. Without an `id` it gets one."""

    id: ThreadId | None = None
    title: Title = ""
    metadata: Metadata = Field(default_factory=dict)


class ThreadPatch(Body):
    """What may change of a thread; a field that is left out stays as it is."""

    title: Title | None = None
    metadata: Metadata | None = None


class ThreadOut(Answer):
    """A thread. `messages` counts those it has; `version` counts the changes of title and metadata, and is the ETag."""

    id: str
    title: str
    metadata: dict[str, str]
    messages: int
    version: int
    created_at: TimeOut
    updated_at: TimeOut


class MessageIn(Body):
    """Something to say: text, or a list of parts as models take them."""

    role: Role = "user"
    content: (
        Annotated[str, StringConstraints(max_length=200_000)] | Annotated[list[dict[str, Any]], Field(max_length=100)]
    )


class MessageOut(Answer):
    """What was said. `source` is who wrote it: a user, a key, or a run."""

    number: int
    role: Role
    content: Any
    source: str
    created_at: TimeOut

"""Chats with workflows."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from functions.api.schemas.base import Answer, Body
from shared.runs.model import RunStatus
from shared.threads.model import THREAD_ID


class ChatIn(Body):
    """A message. Without `thread_id` a new thread begins; an id of your own makes one if there is none."""

    message: Annotated[str, StringConstraints(min_length=1, max_length=100_000)]
    thread_id: Annotated[str, StringConstraints(pattern=THREAD_ID)] | None = None
    wait_seconds: Annotated[float, Field(ge=0, le=25)] = 25


class ChatOut(Answer):
    """What became of a message. `answer` is the final output of a run that has completed, `error` the name of what let
    one fail. While it goes on, ask again for the execution, or for the thread's messages.
    """

    thread_id: str
    execution_id: str
    status: RunStatus
    answer: Any = None
    error: str | None = None

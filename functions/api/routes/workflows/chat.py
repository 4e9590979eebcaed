"""Chats: each message is a run of the published workflow."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response

from functions.api.deps import Made, Once, require
from functions.api.schemas.chat import ChatIn, ChatOut
from shared.ids import digest
from shared.tenancy import Principal
from stepfunctions.chat import chat, shown

router = APIRouter(prefix="/workflows", tags=["chat"])
Operator = Annotated[Principal, require("operator", "executions:write")]


@router.post(
    "/{workflow_id}/chat",
    status_code=200,
    response_model=ChatOut,
    responses={202: {"model": ChatOut, "description": "The run goes on"}},
)
def send_message(workflow_id: str, body: ChatIn, who: Operator, once: Once) -> Response:
    """Say something to a published workflow with a chat trigger. 200 if its run ended within `wait_seconds`, else 202:
    the answer is appended to the thread all the same. 409 `thread_busy` while the message before is at work.
    """

    def make() -> Made:
        mark = digest("chat", who.id, once.url, once.key, body.model_dump_json()) if once.key else None
        reply = chat(who, workflow_id, body.message, body.thread_id, body.wait_seconds, mark)
        run = reply.run
        error = None if run.error is None else str(run.error.get("error"))
        answer = ChatOut(
            thread_id=reply.thread_id,
            execution_id=run.id,
            status=run.status,
            answer=shown(reply.answer),
            error=error,
        )
        return Made(200 if run.ended else 202, answer, {"Location": f"/api/v1/workflows/executions/{run.id}"})

    return once(who, body, make)

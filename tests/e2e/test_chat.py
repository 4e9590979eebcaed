"""A chat with a published workflow on the local AWS."""

from __future__ import annotations

import pytest

from tests.e2e.caller import Caller, Json, until
from tests.functions.api.workflows_over_http import node, workflow

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]


def answering() -> Json:
    made = workflow(
        [node("chat", "chat_trigger"), node("think", "llm_chat", {"model": "scripted"}), node("out", "output")],
        "think.response -> out.value",
    )
    asked = "$append(trigger.history, {'role': 'user', 'content': trigger.message})"
    made["nodes"][1]["inputs"] = {"messages": f"{{{{ {asked} }}}}"}
    return made


def said(caller: Caller, thread: str) -> list[tuple[str, str]]:
    return [(m["role"], m["content"]) for m in caller.get(f"/threads/{thread}/messages")["items"]]


def test_a_chat_keeps_its_thread(mine: Caller, theirs: Caller) -> None:
    chat = mine.published(answering())
    first = mine.post(f"/workflows/{chat}/chat", {"message": "Hello there"}, 200)
    assert (first["status"], bool(first["answer"])) == ("completed", True)
    thread = first["thread_id"]
    second = mine.post(f"/workflows/{chat}/chat", {"message": "And now?", "thread_id": thread}, 200)
    assert mine.run(second["execution_id"])["trigger_data"]["history"] == [
        {"role": "user", "content": "Hello there"},
        {"role": "assistant", "content": first["answer"]},
    ]
    assert said(mine, thread) == [
        ("user", "Hello there"),
        ("assistant", first["answer"]),
        ("user", "And now?"),
        ("assistant", second["answer"]),
    ]
    assert theirs.send("GET", f"/threads/{thread}").status_code == 404
    assert theirs.send("POST", f"/workflows/{chat}/chat", {"message": "Hello"}).status_code == 404


def test_the_answer_comes_although_nobody_waits_for_it(mine: Caller) -> None:
    chat = mine.published(answering())
    gone = mine.post(f"/workflows/{chat}/chat", {"message": "Hello", "thread_id": "e2e-gone", "wait_seconds": 0}, 202)
    assert (gone["thread_id"], gone["answer"]) == ("e2e-gone", None)
    found = until(lambda: said(mine, "e2e-gone"), lambda messages: len(messages) == 2)
    assert [role for role, _ in found] == ["user", "assistant"]

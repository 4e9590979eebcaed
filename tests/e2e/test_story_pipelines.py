"""The five pipelines that a builder begins with are there as templates, and run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.caller import Caller, Json, until
from tests.e2e.test_file_watch import put
from tests.stepfunctions.agents import Model

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
RULES = b"Nobody smokes in the building.\n\nBicycles belong into the yard.\n"


def made(mine: Caller, template: str, **parameters: Any) -> str:
    """A workflow of this template that lacks nothing."""
    found = mine.post(f"/workflows/templates/{template}/instantiate", {"parameters": parameters}, 201)
    assert found["problems"] == []
    return str(found["id"])


def ended(mine: Caller, workflow_id: str, trigger: Any, **more: Any) -> Any:
    """What a run of it gives."""
    run = mine.until(mine.execute(workflow_id, trigger, **more))
    assert run["status"] == "completed", run["error"]
    return run["final_output"]


def read(mine: Caller, workflow_id: str, path: str) -> Any:
    """What the run gives that begins because this file is put there."""
    mine.publish(workflow_id)
    put(mine, path, RULES, "text/markdown")

    def look() -> list[Json]:
        return list(mine.get(f"/workflows/{workflow_id}/executions")["items"])

    run = mine.until(until(look)[0]["id"])
    assert (run["status"], run["triggered_by"]["kind"]) == ("completed", "file"), run["error"]
    return run["final_output"]


def test_questions_are_answered_from_files(mine: Caller) -> None:
    model = {"model": "scripted", "shortened": True}
    mine.post("/collections", {"name": "board-rules", "dimension": 256, "model": model}, 201)
    rag = made(mine, "rag-qa", collection="board-rules", folder="board-rules/", model="scripted")
    assert read(mine, rag, "board-rules/house.md") == 1
    told = ended(mine, rag, {"question": "Who smokes in the building?"}, trigger_node="ask")
    assert ("Nobody smokes" in told["answer"], told["sources"]) == (True, ["board-rules/house.md"])


def test_documents_that_arrive_are_kept_and_somebody_is_told(mine: Caller) -> None:
    mine.post("/collections", {"name": "board-inbox", "dimension": 64}, 201)
    keys = ",".join(k["id"] for k in mine.get("/api-keys")["items"])  # who asks here is one of them
    chosen = {"collection": "board-inbox", "folder": "board-inbox/", "embedding_model": "scripted", "notify": keys}
    pipeline = made(mine, "document-pipeline", **chosen)
    assert read(mine, pipeline, "board-inbox/house.md") == {"file": "board-inbox/house.md", "passages": 1}
    assert mine.get("/collections/board-inbox")["count"] == 1
    notes = mine.get("/notifications?limit=200")["items"]
    assert "board-inbox/house.md: 1 passages kept" in [n["message"] for n in notes]


def test_a_small_model_decides_which_one_answers(mine: Caller, told: Model) -> None:
    told.scripts["board-small"] = [json.dumps({"model": "large", "reason": "it is hard"})]
    told.scripts["board-large"] = ["Proved."]
    router = made(mine, "model-router", small_model="board-small", large_model="board-large", credential="told")
    found = ended(mine, router, {"prompt": "Prove it."})
    assert (found["model"], found["answer"], "it is hard" in found["reason"]) == ("large", "Proved.", True)


def test_a_model_works_with_tools_until_it_is_done(mine: Caller, told: Model) -> None:
    told.scripts["board-agent"] = [[("calculate", {"expression": "6 * 7"})], "It is 42."]
    found = ended(mine, made(mine, "agentic-loop", model="board-agent", credential="told"), {"task": "6 times 7?"})
    assert (found["answer"], [c["name"] for c in found["calls"]]) == ("It is 42.", ["calculate"])


def test_a_gateway_checks_and_answers_requests(mine: Caller, told: Model) -> None:
    said = {"summary": "Short.", "language": "English"}
    told.scripts["board-gate"] = [json.dumps(said)]
    gate = mine.publish(made(mine, "api-gateway", auth="none", model="board-gate", credential="told"))["call"]
    answer = mine.http.post(gate["url"], json={"text": "A long text."})
    assert (answer.status_code, answer.json()) == (200, said)
    refused = mine.http.post(gate["url"], json={"text": 7})
    assert (refused.status_code, "characters" in refused.json()["error"]) == (400, True)

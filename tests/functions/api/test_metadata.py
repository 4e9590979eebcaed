"""`metadata` of workflows, nodes and guided templates: kept everywhere, and without any effect on what is compiled."""

from __future__ import annotations

import pytest

from shared.workflows.model import Document
from stepfunctions.compiler.compile import compile_document
from tests.functions.api.workflows_over_http import Json, adder, created, made, problem
from tests.stepfunctions.guided_talk import template

OWNER = {"owner": "team-billing", "${user_input}": "{{ trigger }}"}
NODE = {"ticket": "OPS-7"}


def labelled() -> Json:
    body = adder(metadata=OWNER)
    body["nodes"][1]["metadata"] = NODE
    return body


def kept(document: Json) -> tuple[Json, Json]:
    return document["metadata"], next(n for n in document["nodes"] if n["id"] == "add")["metadata"]


def test_it_is_kept_in_documents_steps_the_canvas_copies_and_exports(api_client, other_client):
    workflow_id = created(api_client, labelled())
    url = f"/workflows/{workflow_id}"
    assert kept(made(api_client.get(url))) == (OWNER, NODE)
    steps = made(api_client.get(f"{url}?notation=steps"))
    assert steps["metadata"] == OWNER
    assert next(s for s in steps["steps"] if s["id"] == "add")["metadata"] == NODE
    sent = {n: steps[n] for n in ("name", "steps", "entry_step", "output", "connection_ids", "metadata")}
    again = created(api_client, {**sent, **({"connections": steps["connections"]} if steps["connections"] else {})})
    assert kept(made(api_client.get(f"/workflows/{again}"))) == (OWNER, NODE)
    canvas = made(api_client.get(f"{url}/canvas"))
    assert next(n for n in canvas["nodes"] if n["id"] == "add")["data"]["metadata"] == NODE
    made(api_client.put(f"{url}/canvas", json={n: canvas[n] for n in ("nodes", "edges")}))
    assert kept(made(api_client.get(url))) == (OWNER, NODE)
    for form in ("json", "yaml", "asl"):
        left = api_client.get(f"{url}/export", params={"format": form})
        assert left.status_code == 200, left.text
        headers = {"Content-Type": left.headers["content-type"]}
        arrived = made(other_client.post("/workflows/import", content=left.content, headers=headers))
        assert kept(arrived) == (OWNER, NODE), form


def test_a_template_of_the_workflow_has_it(api_client):
    workflow_id = created(api_client, labelled())
    made_of = made(api_client.post(f"/workflows/{workflow_id}/template", json={"name": "T"}))
    assert kept(made_of["document"]) == (OWNER, NODE)
    again = made(api_client.post(f"/workflows/templates/{made_of['id']}/instantiate"))
    assert kept(again) == (OWNER, NODE)


def test_it_changes_nothing_that_a_run_sees():
    plain, other = Document.model_validate(adder()), Document.model_validate(labelled())
    plans = [compile_document(d.model_copy(update={"id": "wf_x"})).plan for d in (plain, other)]
    assert plans[0] is not None
    assert plans[1] is not None
    assert plans[0].digest == plans[1].digest
    assert plans[0].machine == plans[1].machine


def test_a_change_is_cosmetic(api_client):
    url = f"/workflows/{created(api_client, adder())}"
    made(api_client.post(f"{url}/publish"))
    made(api_client.put(url, json=labelled()))
    found = made(api_client.get(f"{url}/versions/1/diff"))["difference"]
    assert (found["same"], found["changed"]) == (True, [])
    assert [(c["id"], [x["path"] for x in c["changes"]]) for c in found["cosmetic"]] == [("add", ["metadata.ticket"])]
    assert {c["path"] for c in found["about"]} == {f"metadata.{name}" for name in OWNER}


@pytest.mark.parametrize(
    "wrong", [{"n": 1}, {"": "x"}, {"n": "x" * 501}, {"x" * 101: "y"}, {str(n): "" for n in range(21)}, [], {"n": "\0"}]
)
def test_it_has_the_limits_of_threads(api_client, wrong):
    body = labelled()
    assert api_client.post("/workflows", json={**body, "metadata": wrong}).status_code == 422
    body["nodes"][1]["metadata"] = wrong
    assert api_client.post("/workflows", json=body).status_code == 422
    assert api_client.post("/threads", json={"metadata": wrong}).status_code == 422
    problem(api_client.post("/workflow-templates", json=template(metadata=wrong)), 422)


def test_a_guided_template_has_it(api_client):
    assert made(api_client.post("/workflow-templates", json=template(metadata=NODE)))["metadata"] == NODE
    found = made(api_client.get("/workflow-templates/claim"))
    assert (found["metadata"], found["version"]) == (NODE, 1)
    changed = made(api_client.put("/workflow-templates/claim", json={**found, "metadata": OWNER}))
    assert (changed["metadata"], changed["version"]) == (OWNER, 2)

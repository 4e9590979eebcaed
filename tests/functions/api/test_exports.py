"""What leaves as an export comes back as a workflow, here and at another tenant's."""

from __future__ import annotations

import base64
import io
import json
import zipfile
import zlib

import pytest

from tests import http_api
from tests.functions.api.workflows_over_http import adder, created, made, node, workflow
from tests.stepfunctions.agents import keep

YAML = {"content-type": "application/yaml"}
JSON = {"content-type": "application/json"}


def needing(**fields):
    """Names one of everything that a tenant may have."""
    return workflow(
        [
            node("start", "manual_trigger"),
            node("call", "http_request", {"credential": "shop"}, inputs={"url": "https://x.example/{{ secrets.key }}"}),
            node("find", "retriever", {"collection": "laws"}, inputs={"query": "x"}),
            node("graph", "graph_query", {"graph": "people"}, inputs={"query": "MATCH (n) RETURN n"}),
            node("work", "agent", {"agent": "clerk", "tools": ["calculate", "look"], "mcp_servers": ["files"]}),
            node("tool", "mcp_tool", {"server": "shop", "tool": "t"}),
            node("other", "sub_workflow", {"workflow_id": "wf_other"}),
            node("fun", "function_call", inputs={"name": "send"}),
            node("chat", "llm_chat", {"model": "m", "prompt": "greeting"}, inputs={"messages": []}),
            node("off", "retriever", {"collection": "unused"}, inputs={"query": "x"}, disabled=True),
            node("out", "output"),
        ],
        settings={"error_workflow": "wf_watch"},
        **fields,
    )


def exported(client, workflow_id, form, **query):
    answer = client.get(f"/workflows/{workflow_id}/export", params={"format": form, **query})
    assert answer.status_code == 200, answer.text
    return answer


def imported(client, answer):
    media = answer.headers["content-type"]
    return made(client.post("/workflows/import", content=answer.content, headers={"content-type": media}))


def test_an_export_says_what_it_needs(api_client):
    found = exported(api_client, created(api_client, needing(id="lots")), "json").json()
    assert (found["format"], found["format_version"], found["version"]) == ("statewright/workflow", 1, 0)
    needs = found["requires"]
    assert needs.pop("node_types") == sorted({n["type"] for n in needing()["nodes"]})
    [key, shop] = needs.pop("credentials")
    assert key == {"name": "key", "kinds": ["secret"]}
    assert shop["name"] == "shop"
    assert "bearer" in shop["kinds"]
    assert needs == {
        "agents": ["clerk"],
        "collections": ["laws"],
        "graphs": ["people"],
        "mcp_servers": ["files", "shop"],
        "prompts": ["greeting"],
        "tools": ["look", "send"],
        "workflows": ["wf_other", "wf_watch"],
    }


def test_an_export_holds_nothing_but_the_document(api_client):
    made(api_client.post("/credentials", json={"name": "shop", "kind": "bearer", "values": {"token": "Wilhelmina"}}))
    workflow_id = created(api_client, needing())
    document = made(api_client.get(f"/workflows/{workflow_id}"))
    for form in ("json", "yaml"):
        text = exported(api_client, workflow_id, form).text
        assert "Wilhelmina" not in text
        assert document["created_by"] not in text
    kept = exported(api_client, workflow_id, "json").json()["document"]
    assert kept == {name: document[name] for name in kept}


@pytest.mark.parametrize("form", ["json", "yaml", "asl"])
def test_what_leaves_comes_back(api_client, other_client, form):
    """As it was, at another tenant's under its own id, here under another one."""
    workflow_id = created(api_client, adder(id="adder", variables={"n": [1, "yes", None, 1.5, "é\n"]}, tags=["x"]))
    answer = exported(api_client, workflow_id, form)
    assert answer.headers["content-disposition"].startswith('attachment; filename="adder.')
    theirs = imported(other_client, answer)
    before = made(api_client.get(f"/workflows/{workflow_id}"))
    same = ("id", "name", "nodes", "connections", "variables", "settings", "tags")
    assert {n: theirs[n] for n in same} == {n: before[n] for n in same}
    assert theirs["origin"] == {"kind": "import"}
    assert theirs["problems"] == []
    mine = imported(api_client, answer)
    assert mine["id"] != "adder"
    assert [(p["code"], p["severity"]) for p in mine["problems"]] == [("other_id", "warning")]


def test_a_version_is_exported(api_client):
    workflow_id = created(api_client, adder(name="One"))
    made(api_client.post(f"/workflows/{workflow_id}/publish"))
    made(api_client.patch(f"/workflows/{workflow_id}", json={"name": "Two"}))
    names = {v: exported(api_client, workflow_id, "json", **({"version": v} if v else {})) for v in ("", "1", "draft")}
    assert {v: (e.json()["version"], e.json()["document"]["name"]) for v, e in names.items()} == {
        "": (1, "One"),
        "1": (1, "One"),
        "draft": (0, "Two"),
    }
    assert api_client.get(f"/workflows/{workflow_id}/export", params={"version": "2"}).status_code == 404


@pytest.mark.parametrize("query", [{"format": "xml"}, {"version": "0"}, {"version": "x"}])
def test_odd_exports_are_refused(api_client, query):
    assert api_client.get(f"/workflows/{created(api_client, adder())}/export", params=query).status_code == 422


@pytest.mark.parametrize("form", ["asl", "sam"])
def test_a_draft_with_problems_is_not_compiled(api_client, form):
    broken = workflow([node("a", "nobody_knows_it")])
    answer = api_client.get(f"/workflows/{created(api_client, broken)}/export", params={"format": form})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_workflow")
    assert exported(api_client, created(api_client, broken), "yaml").text


def test_what_an_importer_lacks_is_named(other_client):
    found = made(other_client.post("/workflows/import", json={"document": needing()}))["problems"]
    assert {(p["code"], p["path"]) for p in found if p["code"].startswith("unknown_")} == {
        ("unknown_agent", "nodes.work.config.agent"),
        ("unknown_collection", "nodes.find.config.collection"),
        ("unknown_credential", "nodes.call.config.credential"),
        ("unknown_credential", "nodes.call.inputs.url"),
        ("unknown_mcp_server", "nodes.work.config.mcp_servers.0"),
        ("unknown_mcp_server", "nodes.tool.config.server"),
        ("unknown_prompt", "nodes.chat.config.prompt"),
        ("unknown_tool", "nodes.work.config.tools.1"),
        ("unknown_tool", "nodes.fun.inputs.name"),
        ("unknown_workflow", "nodes.other.config.workflow_id"),
        ("unknown_workflow", "settings.error_workflow"),
    }
    assert {p["severity"] for p in found if p["code"].startswith("unknown_")} == {"warning"}


def greeting(version=None):
    """A workflow that asks a stored prompt, of this version."""
    chosen = {"prompt_version": version} if version else {}
    chat = node("chat", "llm_chat", {"model": "m", "prompt": "greeting", **chosen}, inputs={"messages": []})
    return workflow(
        [node("start", "manual_trigger"), chat, node("out", "output")],
        "start.trigger -> chat.after; chat.response -> out.value",
    )


def unknown(draft):
    """What a new draft lacks: code, message and path of each."""
    return [(p["code"], p["message"], p["path"]) for p in draft["problems"] if p["code"].startswith("unknown_")]


def test_a_prompt_of_anothers_is_lacked_wherever_a_draft_is_made(api_client, other_client):
    made(api_client.post("/prompts", json={"name": "greeting", "text": "Greet."}))
    workflow_id = created(api_client, greeting())
    lacks = [("unknown_prompt", "there is no prompt greeting", "nodes.chat.config.prompt")]
    token = made(api_client.post(f"/workflows/{workflow_id}/share", json={"rights": "copy"}))["token"]
    assert made(other_client.get(f"/shared/{token}"))["requires"]["prompts"] == ["greeting"]
    template = made(api_client.post(f"/workflows/{workflow_id}/template", json={"name": "Greet", "parameters": []}))
    loading = f"/workflows/templates/{template['id']}/instantiate"
    assert unknown(imported(other_client, exported(api_client, workflow_id, "json"))) == lacks
    assert unknown(made(other_client.post(f"/shared/{token}/copy"))) == lacks
    assert unknown(made(api_client.post(loading, json={"parameters": {}}))) == []
    assert api_client.delete("/prompts/greeting").status_code == 204
    assert unknown(made(api_client.post(loading, json={"parameters": {}}))) == lacks


def test_a_version_of_a_prompt_that_is_not_there_is_lacked(other_client):
    made(other_client.post("/prompts", json={"name": "greeting", "text": "Greet."}))
    for version in (None, 1):
        assert unknown(made(other_client.post("/workflows/import", json=greeting(version)))) == []
    lacks = [("unknown_prompt", "there is no prompt greeting with a version 2", "nodes.chat.config.prompt")]
    assert unknown(made(other_client.post("/workflows/import", json=greeting(2)))) == lacks


def test_a_plain_document_and_an_answer_of_the_api_are_taken(api_client):
    first = made(api_client.post("/workflows/import", json=adder()))
    again = made(api_client.post("/workflows/import", json=made(api_client.get(f"/workflows/{first['id']}"))))
    assert again["nodes"] == first["nodes"]
    assert again["created_at"] >= first["created_at"]


def test_an_id_is_kept_or_refused(api_client):
    body = {"document": adder(id="mine")}
    keep = {"params": {"keep_id": "true"}}
    assert made(api_client.post("/workflows/import", json=body, **keep))["id"] == "mine"
    taken = api_client.post("/workflows/import", json=body, **keep)
    assert (taken.status_code, taken.json()["code"]) == (409, "id_taken")
    reserved = {"document": adder(id="templates")}
    assert made(api_client.post("/workflows/import", json=reserved))["id"] != "templates"
    assert api_client.post("/workflows/import", json=reserved, **keep).status_code == 422


def test_an_import_is_done_once(api_client):
    once = {"headers": {"Idempotency-Key": "k"}}
    first = made(api_client.post("/workflows/import", json=adder(), **once))
    assert made(api_client.post("/workflows/import", json=adder(), **once)) == first
    other = api_client.post("/workflows/import", json=adder(name="Other"), **once)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


def comment(text):
    return {"StartAt": "A", "States": {}, "Comment": text}


def packed(value):
    return "statewright/workflow:" + base64.b64encode(zlib.compress(value)).decode()


BAD = [
    ("a text", "no_workflow"),
    (7, "no_workflow"),
    ([], "no_workflow"),
    ({}, "no_workflow"),
    ({"name": "x"}, "no_workflow"),
    ({"document": None}, "no_workflow"),
    ({"document": []}, "no_workflow"),
    ({"document": {}}, "invalid"),
    ({"document": {"name": "x", "nodes": [{}]}}, "invalid"),
    ({"document": {"name": "x", "steps": []}}, "invalid"),
    ({"document": adder(), "format": "other"}, "unknown_format"),
    ({"document": adder(), "format_version": 2}, "newer_format"),
    ({"document": adder(), "format_version": 0}, "unknown_format"),
    ({"document": adder(), "format_version": "1"}, "unknown_format"),
    ({"document": adder(), "format_version": True}, "unknown_format"),
    ({"document": adder(), "more": 1}, "unknown_field"),
    (comment(None), "foreign_state_machine"),
    (comment("made by hand"), "foreign_state_machine"),
    (comment("statewright/workflow:no base64"), "damaged_state_machine"),
    (comment("statewright/workflow:aGVsbG8="), "damaged_state_machine"),
    (comment(packed(b"{")), "damaged_state_machine"),
    (comment(packed(b"[]")), "damaged_state_machine"),
    (comment(packed(json.dumps(comment("x")).encode())), "damaged_state_machine"),
    (comment(packed(b" " * 11_000_000)), "damaged_state_machine"),
    (comment(packed(json.dumps({"document": adder(), "format_version": 9}).encode())), "newer_format"),
]


@pytest.mark.parametrize(("body", "code"), BAD)
def test_what_cannot_be_imported_says_why(api_client, body, code):
    answer = api_client.post("/workflows/import", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert made(api_client.get("/workflows"))["items"] == []


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", JSON, 400),
        (b"", JSON, 400),
        (b"a: &a [1]\nb: *a", YAML, 400),
        (b"a: b: c", YAML, 400),
        (b"", YAML, 422),
        (b"x" * 2_000_001, YAML, 413),
        (b"name: x\nnodes: []", {"content-type": "text/plain"}, 415),
        (b"<x/>", {"content-type": "application/xml"}, 415),
        (b"{}", {"content-type": "application/zip"}, 415),
    ],
)
def test_bodies_that_cannot_be_read(api_client, content, headers, status):
    assert api_client.post("/workflows/import", content=content, headers=headers).status_code == status


def test_yaml_written_by_hand_is_taken(api_client):
    text = (
        "name: By hand\nnodes:\n  - {id: start, type: manual_trigger}\n  - id: out\n    type: output\nconnections: []\n"
    )
    draft = made(api_client.post("/workflows/import", content=text.encode(), headers=YAML))
    assert (draft["name"], [n["id"] for n in draft["nodes"]]) == ("By hand", ["start", "out"])


def test_a_project_is_a_zip(api_client):
    answer = exported(api_client, created(api_client, adder(id="adder")), "sam")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        names = set(archive.namelist())
        kept = json.loads(archive.read("workflow.json"))
    assert {"README.md", "template.yaml", "statemachine.asl.json", "src/project.json", "src/requirements.txt"} <= names
    assert made(api_client.post("/workflows/import", json=kept))["nodes"][1]["type"] == "transform"


def test_a_project_holds_only_what_its_reader_may_read(api_client, tenant):
    keep(tenant, "agents", "clerk", model={"model": "m"}, instructions="Between us.", tools=["look"])
    keep(tenant, "tools", "look", kind="http")
    keep(tenant, "prompts", "greeting", text="Between us.")
    nodes = [*greeting()["nodes"], node("work", "agent", {"agent": "clerk"})]
    wires = "start.trigger -> chat.after; chat.response -> work.input; work.output -> out.value"
    asking = created(api_client, workflow(nodes, wires))
    for scopes, status in (
        (["workflows:read"], 403),
        (["workflows:read", "agents:read"], 403),
        (["workflows:read", "agents:read", "tools:*"], 403),
        (["workflows:read", "agents:read", "tools:*", "prompts:read"], 200),
    ):
        key = made(api_client.post("/api-keys", json={"name": "k", "role": "viewer", "scopes": scopes}))["key"]
        with http_api.connect(key) as client:
            assert client.get(f"/workflows/{asking}/export?format=sam").status_code == status, scopes
            assert client.get(f"/workflows/{asking}/export?format=json").status_code == 200

from __future__ import annotations

import pytest

from shared.templates.library import templates
from shared.templates.service import for_prompt
from shared.tenancy import Principal
from tests.functions.api.workflows_over_http import adder, created, made, node, workflow


def greeter(**fields):
    return workflow(
        [
            node("start", "manual_trigger"),
            node("ask", "llm_chat", {"model": "m", "temperature": 0.5}, inputs={"messages": "{{ trigger.x }}"}),
            node("say", "transform", {"expression": "variables.greeting & trigger.x"}),
            node("out", "output"),
        ],
        "say.output -> out.value",
        variables={"greeting": "Hello "},
        category="greetings",
        **fields,
    )


def own(client, parameters=(), **fields):
    body = {"parameters": list(parameters), **fields}
    return made(client.post(f"/workflows/{created(client, greeter())}/template", json=body))


def codes(answer):
    assert answer.status_code == 422, answer.text
    return [e["code"] for e in answer.json()["errors"]]


def test_the_library_is_listed_before_the_tenants(api_client):
    mine = [own(api_client, name=f"Mine {n}")["id"] for n in range(3)]
    found, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        query = {"limit": 4, **({"cursor": cursor} if cursor else {})}
        page = made(api_client.get("/workflows/templates", params=query))
        assert all("document" not in item for item in page["items"])
        found += page["items"]
        cursor, pages = page["next_cursor"], pages + 1
    assert [t["id"] for t in found] == [*templates(), *reversed(mine)]
    assert {t["source"] for t in found[: len(templates())]} == {"library"}
    assert found[-1]["parameters"] == {"type": "object", "properties": {}, "required": []}


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({"source": "library", "category": "rag"}, ["rag-qa"]),
        ({"q": "RACE"}, ["race-and-combine"]),
        ({"q": "no such words"}, []),
        ({"category": "greetings"}, ["mine"]),
        ({"source": "tenant"}, ["mine"]),
        ({"source": "tenant", "q": "HELLO there"}, ["mine"]),
    ],
)
def test_lists_are_filtered(api_client, query, ids):
    mine = own(api_client, description="Hello there", tags=["x"])["id"]
    found = made(api_client.get("/workflows/templates", params=query))
    assert [t["id"] for t in found["items"]] == [mine if i == "mine" else i for i in ids]
    assert found["next_cursor"] is None


@pytest.mark.parametrize("limit", [1, len(templates()), len(templates()) + 1, 200])
def test_the_library_alone_pages_to_its_end(api_client, limit):
    found, query = [], {"source": "library", "limit": limit}
    while True:
        page = made(api_client.get("/workflows/templates", params=query))
        found += [t["id"] for t in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert found == list(templates())


@pytest.mark.parametrize("query", [{"source": "mine"}, {"limit": 0}, {"cursor": "x"}, {"q": "x" * 201}])
def test_odd_lists_are_refused(api_client, query):
    assert api_client.get("/workflows/templates", params=query).status_code in (400, 422)


def test_a_template_becomes_a_draft_that_says_where_it_comes_from(api_client):
    given = {"name": "Ask the handbook", "parameters": {"collection": "laws", "model": "gpt-x"}}
    answer = api_client.post("/workflows/templates/rag-qa/instantiate", json=given)
    draft = made(answer)
    assert answer.headers["location"] == f"/api/v1/workflows/{draft['id']}"
    assert (draft["name"], draft["category"], draft["is_active"]) == ("Ask the handbook", "rag", False)
    assert draft["origin"] == {"kind": "template", "id": "rag-qa", "source": "library", "version": 1}
    assert {(p["code"], p["severity"]) for p in draft["problems"]} == {("unknown_collection", "warning")}
    stored = made(api_client.get(f"/workflows/{draft['id']}"))
    assert stored["origin"] == draft["origin"]
    by_id = {n["id"]: n for n in stored["nodes"]}
    assert by_id["find"]["config"]["collection"] == "laws"
    assert "credential" not in by_id["answer"]["config"]
    saved = api_client.put(f"/workflows/{draft['id']}", json=stored)  # what was read can be sent back
    assert made(saved)["origin"] == draft["origin"]


def test_what_a_tenant_lacks_is_named(api_client):
    given = {"parameters": {"credential": "my_models", "tools": ["calculate", "nobody_has_it"]}}
    draft = made(api_client.post("/workflows/templates/agentic-loop/instantiate", json=given))
    assert {(p["code"], p["path"]) for p in draft["problems"]} == {
        ("unknown_credential", "nodes.work.config.credential"),
        ("unknown_tool", "nodes.work.config.tools.1"),
    }


def test_an_instantiation_is_done_once(api_client):
    answers = [
        api_client.post("/workflows/templates/approval/instantiate", headers={"Idempotency-Key": "k"}) for _ in range(2)
    ]
    assert made(answers[0]) == made(answers[1])
    assert len(made(api_client.get("/workflows"))["items"]) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"parameters": {"cron": "0 7 * * *"}}, 422),  # the address is required
        ({"parameters": {"url": "ftp://x"}}, 422),
        ({"parameters": {"url": "https://x.example", "nothing": 1}}, 422),
        ({"parameters": {"url": "https://x.example", "folder": "{{ secrets.x }}/"}}, 422),
        ({"parameters": []}, 422),
        ({"name": ""}, 422),
        ({"name": "x" * 201}, 422),
        ({"more": 1}, 422),
    ],
)
def test_parameters_that_do_not_fit_make_nothing(api_client, body, status):
    assert api_client.post("/workflows/templates/scheduled-report/instantiate", json=body).status_code == status
    assert made(api_client.get("/workflows"))["items"] == []


def test_a_persons_text_does_not_become_an_expression(api_client):
    given = {"parameters": {"question": "{{ secrets.key }}"}}
    draft = made(api_client.post("/workflows/templates/approval/instantiate", json=given))
    assert draft["problems"] == []  # a secret would be one: questions may not read any
    title = next(n for n in draft["nodes"] if n["id"] == "ask")["config"]["title"]
    assert title == '{{ "{{ secrets.key }}" }} {{ trigger.what }}'


def test_a_workflow_becomes_a_template_and_that_a_workflow(api_client):
    chosen = [
        {
            "name": "model",
            "path": "nodes.ask.config.model",
            "title": "Model",
            "schema": {"type": "string", "minLength": 1},
        },
        {"name": "warmth", "path": "nodes.ask.config.temperature"},
        {"name": "greeting", "path": "variables.greeting", "required": True},
    ]
    template = own(api_client, chosen, name="Greet", tags=["hello"])
    assert template["source"] == "tenant"
    assert template["parameters"] == {
        "type": "object",
        "properties": {
            "model": {"type": "string", "minLength": 1, "title": "Model", "default": "m"},
            "warmth": {"type": "number", "title": "warmth", "default": 0.5},
            "greeting": {"type": "string", "title": "greeting"},
        },
        "required": ["greeting"],
    }
    url = f"/workflows/templates/{template['id']}"
    assert made(api_client.get(url)) == template
    assert codes(api_client.post(f"{url}/instantiate")) == ["bad_parameter"]
    given = {"greeting": "{{ 1 }}", "warmth": 1}
    draft = made(api_client.post(f"{url}/instantiate", json={"parameters": given}))
    assert (draft["name"], draft["category"], draft["tags"]) == ("Greet", "greetings", ["hello"])
    assert draft["variables"] == {"greeting": "{{ 1 }}"}
    assert draft["nodes"][1]["config"] == {"model": "m", "temperature": 1}
    assert draft["origin"] == {"kind": "template", "id": template["id"], "source": "tenant", "version": 1}


@pytest.mark.parametrize(
    ("chosen", "code"),
    [
        ([{"name": "a", "path": "nodes.ask.config.nothing"}], "bad_path"),
        ([{"name": "a", "path": "nodes.nobody.config.model"}], "bad_path"),
        ([{"name": "a", "path": "nodes.ask.id"}], "bad_path"),
        ([{"name": "a", "path": "nodes.ask"}], "bad_path"),
        ([{"name": "a", "path": "nodes"}], "bad_path"),
        ([{"name": "a", "path": "settings.timeout_seconds"}], "bad_path"),
        ([{"name": "a", "path": "nodes.ask.inputs.messages"}], "bad_path"),  # an expression stands there
        ([{"name": "a", "path": "nodes.say.config.expression"}], "bad_path"),
        (
            [{"name": "a", "path": "variables.greeting"}, {"name": "a", "path": "nodes.ask.config.model"}],
            "duplicate_name",
        ),
        ([{"name": "a", "path": "variables.greeting"}, {"name": "b", "path": "variables.greeting"}], "bad_path"),
        ([{"name": "a", "path": "nodes.ask.config"}, {"name": "b", "path": "nodes.ask.config.model"}], "bad_path"),
        ([{"name": "a", "path": "variables.greeting", "schema": {"type": "number"}}], "bad_default"),
        ([{"name": "a", "path": "variables.greeting", "schema": {"type": "?"}}], "invalid_schema"),
    ],
)
def test_what_cannot_be_a_parameter_is_refused(api_client, chosen, code):
    answer = api_client.post(f"/workflows/{created(api_client, greeter())}/template", json={"parameters": chosen})
    assert code in codes(answer)


def test_a_document_with_placeholders_of_its_own_makes_no_template(api_client):
    odd = adder(variables={"x": [{"$param": "y"}]})
    answer = api_client.post(f"/workflows/{created(api_client, odd)}/template")
    assert codes(answer) == ["placeholder"]


def test_a_template_is_changed_by_those_who_know_it(api_client):
    template = own(api_client)
    url = f"/workflows/templates/{template['id']}"
    etag = api_client.get(url).headers["etag"]
    changed = api_client.patch(url, json={"name": "New", "category": ""}, headers={"If-Match": etag})
    assert (made(changed)["name"], made(changed)["category"], made(changed)["version"]) == ("New", None, 2)
    assert api_client.patch(url, json={"name": "Late"}, headers={"If-Match": etag}).status_code == 412
    assert api_client.delete(url, headers={"If-Match": etag}).status_code == 412
    assert made(api_client.patch(url, json={"tags": ["a"]}))["version"] == 3
    assert api_client.delete(url).status_code == 204
    assert api_client.get(url).status_code == 404


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"document": {"nodes": [], "variables": {"a": {"$param": "a"}}}}, "unknown_parameter"),
        ({"document": {"nodes": [], "id": "mine"}}, "unknown_field"),
        ({"parameters": {"type": "array"}}, "invalid_schema"),
        ({"name": ""}, "string_too_short"),
        ({"version": 7}, "unknown_field"),
    ],
)
def test_changes_that_make_no_template_are_refused(api_client, body, code):
    template = own(api_client)
    answer = api_client.patch(f"/workflows/templates/{template['id']}", json=body)
    assert code in codes(answer)
    assert made(api_client.get(f"/workflows/templates/{template['id']}")) == template


def test_a_document_that_is_no_workflow_says_so_when_it_is_made_one(api_client):
    template = own(api_client)
    url = f"/workflows/templates/{template['id']}"
    made(api_client.patch(url, json={"document": {"nodes": [{"id": "a"}]}}))
    assert api_client.post(f"{url}/instantiate").status_code == 422


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_the_library_does_not_change(api_client, method):
    body = {"name": "x"} if method == "PATCH" else None
    answer = api_client.request(method, "/workflows/templates/rag-qa", json=body)
    assert (answer.status_code, answer.json()["code"]) == (403, "library_template")


def test_another_tenants_templates_are_not_there(api_client, other_client):
    mine = own(api_client)["id"]
    assert mine not in [t["id"] for t in made(other_client.get("/workflows/templates", params={"limit": 200}))["items"]]
    assert other_client.post(f"/workflows/templates/{mine}/instantiate").status_code == 404
    assert other_client.patch(f"/workflows/templates/{mine}", json={"name": "x"}).status_code == 404


def test_a_model_that_chooses_sees_the_tenants_templates_and_no_others(tenant, other_tenant, api_client):
    mine = own(api_client, name="Mine")
    seen = for_prompt(Principal(tenant, "user", "us_1", "owner"))
    assert [t["id"] for t in seen] == [*templates(), mine["id"]]
    assert all(set(t) == {"id", "name", "description", "parameters"} for t in seen)
    assert [t["id"] for t in for_prompt(Principal(other_tenant, "user", "us_1", "owner"))] == list(templates())

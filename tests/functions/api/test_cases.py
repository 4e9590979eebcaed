"""Tests of workflows over HTTP: kept, run, and asked before something is published."""

from __future__ import annotations

from typing import Any

import pytest

from shared.cases import store
from tests.functions.api.workflows_over_http import adder, asker, created, made, node, problem, workflow

TWO = {"name": "Two", "trigger_data": {"a": 1}, "expected_output": {"equals": 2}}
WRONG = {"name": "Wrong", "trigger_data": {"a": 1}, "expected_output": {"equals": 3}}


def kept(client: Any, url: str, **case: Any) -> str:
    return str(made(client.post(f"{url}/tests", json=case))["id"])


def test_a_test_is_kept_changed_and_removed(api_client):
    url = f"/workflows/{created(api_client, adder())}"
    answer = api_client.post(f"{url}/tests", json={**TWO, "mocks": {"add": [{"outputs": {"output": None}}]}})
    first = made(answer)
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/v1{url}/tests/{first['id']}"
    assert first["expected_output"] == {"equals": 2}
    assert first["mocks"] == {"add": [{"outputs": {"output": None}}]}
    assert made(api_client.get(f"{url}/tests/{first['id']}")) == first
    for number in range(4):
        kept(api_client, url, name=f"More {number}")
    page = made(api_client.get(f"{url}/tests?limit=3"))
    rest = made(api_client.get(f"{url}/tests", params={"cursor": page["next_cursor"]}))
    assert [c["name"] for c in page["items"] + rest["items"]] == ["Two", *(f"More {n}" for n in range(4))]
    one = f"{url}/tests/{first['id']}"
    problem(api_client.put(one, json=WRONG, headers={"If-Match": '"2"'}), 412, "stale")
    changed = api_client.put(one, json={**first, **WRONG}, headers={"If-Match": '"1"'})  # what was answered may be sent
    assert (made(changed)["name"], changed.headers["etag"], changed.json()["revision"]) == ("Wrong", '"2"', 2)
    problem(api_client.delete(one, headers={"If-Match": '"1"'}), 412, "stale")
    assert api_client.delete(one, headers={"If-Match": '"2"'}).status_code == 204
    for method in ("GET", "PUT", "DELETE"):
        problem(api_client.request(method, one, json=WRONG if method == "PUT" else None), 404, "no_test")
    problem(api_client.get(f"{url}/tests/run"), 405)


def test_a_repeat_keeps_one(api_client):
    url = f"/workflows/{created(api_client, adder())}"
    first, again = (api_client.post(f"{url}/tests", json=TWO, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json() == again.json()
    assert len(made(api_client.get(f"{url}/tests"))["items"]) == 1


def test_another_tenant_has_none_of_it(api_client, other_client):
    url = f"/workflows/{created(api_client, adder())}"
    test_id = kept(api_client, url, **TWO)
    problem(other_client.get(f"{url}/tests"), 404)
    problem(other_client.post(f"{url}/tests", json=TWO), 404)
    problem(other_client.get(f"{url}/tests/{test_id}"), 404)
    problem(other_client.put(f"{url}/tests/{test_id}", json=TWO), 404)
    problem(other_client.delete(f"{url}/tests/{test_id}"), 404)
    problem(other_client.post(f"{url}/tests/run"), 404)
    theirs = f"/workflows/{created(other_client, adder())}"
    problem(other_client.post(f"{theirs}/tests/run", json={"cases": [test_id]}), 404, "no_test")


def test_tests_are_run_on_the_draft_or_a_version(api_client):
    workflow_id = created(api_client, adder())
    url = f"/workflows/{workflow_id}"
    good, bad = kept(api_client, url, **TWO), kept(api_client, url, **WRONG)
    found = made(api_client.post(f"{url}/tests/run"))
    assert (found["workflow_id"], found["version"], found["passed"]) == (workflow_id, 0, False)
    assert found["counts"] == {"passed": 1, "failed": 1}
    first, second = found["cases"]
    assert (first["id"], first["passed"], first["status"], first["output"]) == (good, True, "completed", 2)
    assert first["nodes"]["add"] == {"status": "completed", "runs": 1, "attempts": 1, "error": None}
    assert (second["id"], second["problems"]) == (bad, [])
    assert second["differences"] == [{"path": "output", "kind": "changed", "expected": 3, "found": 2}]
    assert made(api_client.post(f"{url}/tests/run", json={"cases": [good]}))["passed"] is True
    problem(api_client.post(f"{url}/tests/run", json={"version": 1}), 404)
    made(api_client.post(f"{url}/publish"))
    made(api_client.put(url, json=workflow([node("start", "manual_trigger"), node("add", "output")])))
    assert made(api_client.post(f"{url}/tests/run", json={"cases": [good], "version": 1}))["passed"] is True
    assert made(api_client.post(f"{url}/tests/run", json={"cases": [good]}))["passed"] is False
    unsaved = made(api_client.post(f"{url}/tests/run", json={"unsaved": [TWO], "version": 1}))
    assert [(c["id"], c["passed"]) for c in unsaved["cases"]] == [(None, True)]
    assert made(api_client.get(f"{url}/executions"))["items"] == []  # a test is no run
    made(api_client.put(url, json=workflow([node("x", "http_request")])))
    problem(api_client.post(f"{url}/tests/run"), 422, "invalid_workflow")


def test_a_person_in_a_test_is_nobody(api_client):
    url = f"/workflows/{created(api_client, asker())}"
    case = {"name": "Yes", "answers": {"ask": {"decision": "approve"}}}
    (found,) = made(api_client.post(f"{url}/tests/run", json={"unsaved": [case]}))["cases"]
    assert found["passed"]
    assert found["asked"] == [{"node_id": "ask", "title": "May I?", "data": None}]
    assert made(api_client.get("/tasks"))["items"] == []


def test_publishing_asks_for_tests_where_the_settings_say_so(api_client):
    url = f"/workflows/{created(api_client, adder(settings={'require_tests': True}))}"
    problem(api_client.post(f"{url}/publish"), 422, "no_tests")
    kept(api_client, url, **TWO)
    bad = kept(api_client, url, **WRONG)
    told = problem(api_client.post(f"{url}/publish"), 422, "tests_failed")
    assert [(e["code"], e["path"]) for e in told["errors"]] == [("test_failed", f"tests.{bad}")]
    assert "Wrong: output is not as expected" in told["errors"][0]["message"]
    assert made(api_client.get(url))["published_version"] is None
    made(api_client.put(f"{url}/tests/{bad}", json={**WRONG, "expected_output": {"equals": 2}}))
    assert made(api_client.post(f"{url}/publish"))["version"] == 1


def test_without_the_setting_a_failing_test_is_nobodys_business(api_client):
    url = f"/workflows/{created(api_client, adder())}"
    kept(api_client, url, **WRONG)
    assert made(api_client.post(f"{url}/publish"))["version"] == 1


def test_a_workflow_that_is_deleted_leaves_no_tests(api_client):
    document = adder(id="mine")
    url = f"/workflows/{created(api_client, document)}"
    kept(api_client, url, **TWO)
    assert api_client.delete(url).status_code == 204
    problem(api_client.get(f"{url}/tests"), 404)
    problem(api_client.post(f"{url}/tests", json=TWO), 404)
    created(api_client, document)
    assert made(api_client.get(f"{url}/tests"))["items"] == []


def test_there_is_a_limit(api_client, monkeypatch):
    monkeypatch.setattr(store, "MAX_CASES", 2)
    url = f"/workflows/{created(api_client, adder())}"
    for _ in range(2):
        kept(api_client, url, **TWO)
    problem(api_client.post(f"{url}/tests", json=TWO), 409, "too_many_tests")


BAD = [
    {},
    {**TWO, "name": ""},
    {**TWO, "other": 1},
    {**TWO, "mocks": {"add": {}}},
    {**TWO, "mocks": {"add": {"outputs": {}, "error": "A"}}},
    {**TWO, "answers": {"ask": {}}},
    {**TWO, "expected_output": 2},
    {**TWO, "expected_output": {"equals": 1, "contains": 1}},
    {**TWO, "expected_output": {"schema": {"type": 5}}},
    {**TWO, "expected_output": {"schema": {"$ref": "https://x.example"}}},
    {**TWO, "assertions": {"add": {"output": {"schema": {"pattern": "("}}}}},
    {**TWO, "assertions": {"add": {"no": 1}}},
    [],
    None,
]


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_what_is_no_test(api_client, bad):
    url = f"/workflows/{created(api_client, adder())}"
    test_id = kept(api_client, url, **TWO)
    problem(api_client.post(f"{url}/tests", json=bad), 422)
    problem(api_client.put(f"{url}/tests/{test_id}", json=bad), 422)


@pytest.mark.parametrize(
    "bad", [{"cases": ["a b"]}, {"cases": "x"}, {"version": 0}, {"unsaved": [{}]}, {"other": 1}, {"cases": ["x"] * 201}]
)
def test_what_cannot_be_run(api_client, bad):
    url = f"/workflows/{created(api_client, adder())}"
    problem(api_client.post(f"{url}/tests/run", json=bad), 422)


def test_a_test_that_is_too_large(api_client, monkeypatch):
    monkeypatch.setattr(store, "MAX_BYTES", 100)
    url = f"/workflows/{created(api_client, adder())}"
    problem(api_client.post(f"{url}/tests", json={**TWO, "trigger_data": [str(n) for n in range(500)]}), 413)


def test_a_test_that_could_not_be_read_back(api_client):
    url = f"/workflows/{created(api_client, adder())}"
    answer = api_client.post(f"{url}/tests", json={**TWO, "description": "x", "trigger_data": "x" * 5_100_000})
    assert problem(answer, 413, "test_too_large")["errors"][0]["path"] == "trigger_data"
    test_id = kept(api_client, url, **TWO)
    mocks = {"add": {"outputs": {"output": '"' * 2_600_000}}}  # Lambda escapes each of them again
    answer = api_client.put(f"{url}/tests/{test_id}", json={**TWO, "mocks": mocks})
    assert problem(answer, 413, "test_too_large")["errors"][0]["path"] == "mocks"
    assert made(api_client.get(f"{url}/tests/{test_id}"))["revision"] == 1


def test_large_tests_make_short_pages(api_client):
    url = f"/workflows/{created(api_client, adder())}/tests"
    ids = [kept(api_client, url.removesuffix("/tests"), name="Large", trigger_data="x" * 900_000) for _ in range(8)]
    first = made(api_client.get(url))
    rest = made(api_client.get(url, params={"cursor": first["next_cursor"]}))
    assert [len(first["items"]), len(rest["items"]), rest["next_cursor"]] == [5, 3, None]
    assert [c["id"] for c in (*first["items"], *rest["items"])] == ids

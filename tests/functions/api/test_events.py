from __future__ import annotations

import json

import pytest

from tests import http_api
from tests.arriving import bus
from tests.functions.api.samples import made

EVENT = {"type": "order.placed", "source": "shop", "data": {"n": 1}}


@pytest.fixture
def sent(aws):
    with bus() as found:
        yield found


def test_an_event_is_put_on_the_bus_with_its_tenant(api_client, sent, tenant):
    answer = api_client.post("/events", json={**EVENT, "id": "o-1"})
    assert answer.status_code == 202
    assert {k: answer.json()[k] for k in ("id", "source", "type")} == {
        "id": "o-1",
        "source": "shop",
        "type": "order.placed",
    }
    (entry,) = sent.waiting
    assert (entry["detail"]["tenant"], entry["detail"]["chain"]) == (tenant.id, 0)
    assert entry["detail"]["event"]["v"]["detail"] == {"n": 1}


def test_a_large_event_does_not_go_over_the_bus(api_client, sent):
    assert api_client.post("/events", json={**EVENT, "data": {"x": "y" * 200_000}}).status_code == 202
    (entry,) = sent.waiting
    assert set(entry["detail"]["event"]) == {"r"}


def test_a_repeat_with_the_same_key_is_one_event(api_client, sent):
    answers = [api_client.post("/events", json=EVENT, headers={"Idempotency-Key": "k1"}) for _ in range(2)]
    assert len({a.json()["id"] for a in answers}) == 1
    assert len(sent.waiting) == 1


BAD = {
    "no body": None,
    "no type": {"source": "shop"},
    "an empty type": {**EVENT, "type": ""},
    "a long type": {**EVENT, "type": "x" * 129},
    "a type with a line break": {**EVENT, "type": "a\nb"},
    "a number for a type": {**EVENT, "type": 5},
    "our source": {**EVENT, "source": "statewright"},
    "our source in capitals": {**EVENT, "source": "Statewright.runs"},
    "AWS's source": {**EVENT, "source": "aws.s3"},
    "an empty source": {**EVENT, "source": ""},
    "data that is a list": {**EVENT, "data": []},
    "data that is null": {**EVENT, "data": None},
    "an empty id": {**EVENT, "id": ""},
    "a long id": {**EVENT, "id": "x" * 201},
    "an unknown field": {**EVENT, "detail": {}},
    "half a character": {**EVENT, "data": {"x": "\ud800"}},
    "half a character in the type": {**EVENT, "type": "\ud800"},
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_what_is_no_event(api_client, sent, body):
    answer = api_client.post("/events", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert sent.waiting == []


def test_too_much_data(api_client, sent):
    answer = api_client.post("/events", json={**EVENT, "data": {"x": "y" * 262_140}})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert "262,144" in answer.json()["detail"]
    assert sent.waiting == []


def test_who_may_send(api_client, sent):
    for role, scopes, expected in (
        ("viewer", None, 403),
        ("operator", ["executions:write"], 403),
        ("operator", ["events:write"], 202),
        ("operator", None, 202),
    ):
        body = {"name": "k", "role": role} | ({"scopes": scopes} if scopes else {})
        key = made(api_client.post("/api-keys", json=body))["key"]
        with http_api.connect(key) as client:
            assert client.post("/events", json=EVENT).status_code == expected


def test_a_bus_that_is_not_there_is_said_so(api_client, monkeypatch):
    from botocore.exceptions import EndpointConnectionError

    from shared.aws import bus as aws_bus

    def fail(*_a, **_k):
        raise EndpointConnectionError(endpoint_url="x")

    monkeypatch.setattr(aws_bus, "client", lambda _: type("C", (), {"put_events": staticmethod(fail)}))
    assert api_client.post("/events", json=EVENT).status_code == 503

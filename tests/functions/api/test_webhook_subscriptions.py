from __future__ import annotations

import pytest

from shared.webhooks_out.model import MAX_SUBSCRIPTIONS
from tests import http_api
from tests.functions.api.test_webhooks import key_with
from tests.functions.api.workflows_over_http import made, problem
from tests.shared.webhooks_out.receiving import empty_queue, verified

URL = "/webhook-subscriptions"


def subscribed(client, url: str = "https://example.com/hook", **more):
    answer = client.post(URL, json={"url": url, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_subscription_is_made_read_changed_and_removed(api_client):
    answer = api_client.post(URL, json={"url": "https://example.com/hook?k=1"})
    made_of_it = answer.json()
    secret = made_of_it.pop("secret")
    assert secret.startswith("whsec_")
    assert answer.headers["location"] == f"/api/v1{URL}/{made_of_it['id']}"
    found = api_client.get(f"{URL}/{made_of_it['id']}")
    assert found.json() == made_of_it
    assert found.headers["etag"] == answer.headers["etag"] == '"1"'
    assert {
        k: made_of_it[k] for k in ("url", "events", "workflow_ids", "description", "active", "disabled_reason")
    } == {
        "url": "https://example.com/hook?k=1",
        "events": ["*"],
        "workflow_ids": None,
        "description": "",
        "active": True,
        "disabled_reason": None,
    }
    place = f"{URL}/{made_of_it['id']}"
    change = {"events": ["task_created", "execution_failed", "task_created"], "workflow_ids": ["wf_1"], "active": False}
    changed = made(api_client.patch(place, json=change, headers={"If-Match": '"1"'}))
    assert (changed["events"], changed["workflow_ids"]) == (["task_created", "execution_failed"], ["wf_1"])
    problem(api_client.patch(place, json={"active": True}, headers={"If-Match": '"1"'}), 412)
    assert made(api_client.patch(place, json={"description": "Orders"}))["workflow_ids"] == ["wf_1"]
    assert made(api_client.patch(place, json={"workflow_ids": None}))["workflow_ids"] is None
    assert [s["id"] for s in made(api_client.get(URL))["items"]] == [made_of_it["id"]]
    problem(api_client.delete(place, headers={"If-Match": '"1"'}), 412)
    assert api_client.delete(place).status_code == 204
    problem(api_client.get(place), 404)
    assert made(api_client.get(URL))["items"] == []


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "example.com"}, "url"),
        ({"url": "https://user:secret@example.com/"}, "url"),
        ({"url": "https://example.com/#x"}, "url"),
        ({"url": "https://example.com:99999/"}, "url"),
        ({"url": "https://exa mple.com/"}, "url"),
        ({"url": "https:///x"}, "url"),
        ({"url": "https://[::1/x"}, "url"),
        ({"url": "https://example.com/\u00e9"}, "url"),
        ({"url": "https://example.com", "events": ["node_failed"]}, "events"),
        ({"url": "https://example.com", "events": ["*", "task_created"]}, "events"),
        ({"url": "https://example.com", "events": []}, "events"),
        ({"url": "https://example.com", "workflow_ids": []}, "workflow_ids"),
        ({"url": "https://example.com", "secret": "mine"}, "secret"),
    ],
)
def test_what_does_not_fit_is_refused(api_client, body, path):
    found = problem(api_client.post(URL, json=body), 422)
    assert found["errors"][0]["path"] == path


def test_there_is_a_limit(api_client):
    for _ in range(MAX_SUBSCRIPTIONS):
        subscribed(api_client)
    problem(api_client.post(URL, json={"url": "https://example.com"}), 413, "too_many")


def test_a_test_is_delivered_listed_and_replayed(api_client, http):
    one = subscribed(api_client, f"{http.base}/echo")
    place = f"{URL}/{one['id']}"
    sent = made(api_client.post(f"{place}/test", headers={"Idempotency-Key": "t"}))
    assert made(api_client.post(f"{place}/test", headers={"Idempotency-Key": "t"})) == sent
    assert (sent["type"], sent["status"], sent["attempts"]) == ("webhook_test", "pending", 0)
    empty_queue()
    (body,) = verified(http, one["secret"])
    assert body["data"] == {"subscription_id": one["id"], "message": "This is a test."}
    (listed,) = made(api_client.get(f"{place}/deliveries?status=delivered"))["items"]
    assert listed == made(api_client.get(f"{place}/deliveries/{sent['id']}"))
    assert (listed["status"], listed["response_status"], listed["next_attempt_at"]) == ("delivered", 200, None)
    assert made(api_client.get(f"{place}/deliveries?status=dead"))["items"] == []
    assert made(api_client.post(f"{place}/deliveries/{sent['id']}/replay"))["status"] == "pending"
    empty_queue()
    assert len(verified(http, one["secret"])) == 2
    made(api_client.patch(place, json={"active": False}))
    problem(api_client.post(f"{place}/test"), 409, "inactive")
    problem(api_client.post(f"{place}/deliveries/{sent['id']}/replay"), 409, "inactive")
    problem(api_client.get(f"{place}/deliveries/dl_0"), 404)
    problem(api_client.get(f"{place}/deliveries?status=lost"), 422)


def test_a_new_secret_is_shown_once(api_client, http):
    one = subscribed(api_client, f"{http.base}/echo")
    place = f"{URL}/{one['id']}"
    new = made(api_client.post(f"{place}/rotate"))["secret"]
    assert new != one["secret"]
    made(api_client.post(f"{place}/test"))
    empty_queue()
    assert verified(http, new) == verified(http, one["secret"])
    for answer in (api_client.get(place), api_client.get(URL), api_client.get(f"{place}/deliveries")):
        assert new not in answer.text
        assert one["secret"] not in answer.text


def test_who_may(api_client, other_client):
    one = subscribed(api_client)
    for role, scopes, reads, writes in (
        ("operator", None, 403, 403),
        ("editor", None, 200, 200),
        ("editor", ("webhook_subscriptions:read",), 200, 403),
        ("editor", ("webhooks:*",), 403, 403),
    ):
        with http_api.connect(key_with(api_client, role, scopes)) as client:
            assert client.get(f"{URL}/{one['id']}").status_code == reads
            assert client.patch(f"{URL}/{one['id']}", json={}).status_code == writes
    problem(other_client.get(f"{URL}/{one['id']}"), 404)
    assert made(other_client.get(URL))["items"] == []

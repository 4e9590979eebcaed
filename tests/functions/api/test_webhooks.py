import hashlib
import hmac

import pytest

from shared.triggers import sealing
from tests import http_api, triggered

BODY = b'{"n": 1}'


@pytest.fixture
def outside():
    with triggered.outside() as client:
        yield client


def deliver(outside, webhook_id: str, secret: str, kind: str = "hooks") -> int:
    headers = {"X-Signature": hmac.new(secret.encode(), BODY, hashlib.sha256).hexdigest()}
    return outside.post(f"/{kind}/{webhook_id}", content=BODY, headers=headers).status_code


def published(client, **config):
    return triggered.published(client, triggered.webhook(**config))["hook"]


def rotated(client, webhook_id: str, **body):
    answer = client.post(f"/webhooks/{webhook_id}/rotate", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["secret"]


def key_with(client, role: str, scopes: tuple[str, ...] | None = None) -> str:
    body = {"name": "Limited", "role": role, "scopes": scopes and list(scopes)}
    return str(client.post("/api-keys", json=body).json()["key"])


def test_a_webhook_says_everything_but_its_secret(api_client, aws):
    hook = published(api_client, auth="hmac", preset="github", methods=["POST", "PUT"], response_mode="last")
    answer = api_client.get(f"/webhooks/{hook['id']}")
    assert answer.status_code == 200
    assert hook["secret"] not in answer.text
    found = answer.json()
    assert found.pop("created_at").endswith("Z")
    assert found.pop("workflow_id").startswith("wf_")
    assert found == {
        "id": hook["id"],
        "node_id": "hook",
        "url": f"{aws['SW_API_URL']}/hooks/{hook['id']}",
        "test_url": f"{aws['SW_API_URL']}/hooks-test/{hook['id']}",
        "is_live": True,
        "auth": "hmac",
        "preset": "github",
        "methods": ["POST", "PUT"],
        "response_mode": "last",
        "has_secret": True,
        "previous_secret_until": None,
    }
    assert answer.headers["etag"] == '"2"'


def test_the_defaults_of_a_node_are_shown(api_client):
    found = api_client.get(f"/webhooks/{published(api_client)['id']}").json()
    shown = {k: found[k] for k in ("auth", "preset", "methods", "response_mode", "has_secret")}
    assert shown == {
        "auth": "none",
        "preset": None,
        "methods": ["POST"],
        "response_mode": "accepted",
        "has_secret": False,
    }


def test_lists(api_client, other_client):
    one = triggered.create(api_client, triggered.document(*(triggered.webhook(f"h{n}") for n in range(3))))
    triggered.publish(api_client, one)
    two = published(api_client)
    assert len(api_client.get("/webhooks").json()["items"]) == 4
    first = api_client.get("/webhooks", params={"workflow_id": one, "limit": 2}).json()
    rest = api_client.get("/webhooks", params={"workflow_id": one, "limit": 2, "cursor": first["next_cursor"]}).json()
    assert {h["node_id"] for h in first["items"] + rest["items"]} == {"h0", "h1", "h2"}
    assert two["id"] not in {h["id"] for h in first["items"] + rest["items"]}
    assert other_client.get("/webhooks").json() == {"items": [], "next_cursor": None}
    assert other_client.get("/webhooks", params={"workflow_id": one}).json()["items"] == []
    assert api_client.get("/webhooks", params={"workflow_id": "wf_none"}).json()["items"] == []
    assert api_client.get("/webhooks", params={"workflow_id": "a#b"}).status_code == 422


def test_rotating_ends_the_old_secret_at_once(api_client, outside):
    hook = published(api_client, auth="hmac")
    assert deliver(outside, hook["id"], hook["secret"]) == 202
    fresh = rotated(api_client, hook["id"])
    assert fresh != hook["secret"]
    assert deliver(outside, hook["id"], hook["secret"]) == 401
    assert deliver(outside, hook["id"], fresh) == 202


def test_rotating_with_grace_keeps_the_old_secret_for_a_while(api_client, outside, monkeypatch):
    hook = published(api_client, auth="hmac")
    fresh = rotated(api_client, hook["id"], grace_seconds=60)
    assert deliver(outside, hook["id"], hook["secret"]) == 202
    assert deliver(outside, hook["id"], fresh) == 202
    until = api_client.get(f"/webhooks/{hook['id']}").json()["previous_secret_until"]
    assert until is not None
    with monkeypatch.context() as later:
        from stepfunctions import webhooks

        now = webhooks.now_ms()
        later.setattr(webhooks, "now_ms", lambda: now + 61_000)
        assert deliver(outside, hook["id"], hook["secret"]) == 401
        assert deliver(outside, hook["id"], fresh) == 202
    # A second rotation without grace ends both.
    last = rotated(api_client, hook["id"])
    assert [deliver(outside, hook["id"], s) for s in (hook["secret"], fresh, last)] == [401, 401, 202]


def test_a_secret_that_the_sender_made(api_client, outside):
    hook = published(api_client, auth="hmac")
    given = "whsec_made-by-stripe-1234"
    assert rotated(api_client, hook["id"], secret=given) == given
    assert deliver(outside, hook["id"], given) == 202


def test_rotating_once_for_an_idempotency_key(api_client, outside):
    hook = published(api_client, auth="hmac")
    answers = [api_client.post(f"/webhooks/{hook['id']}/rotate", headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["idempotent-replay"] == "true"
    assert deliver(outside, hook["id"], answers[0].json()["secret"]) == 202


def test_rotating_from_a_stale_state_is_refused(api_client):
    hook = published(api_client, auth="hmac")
    etag = api_client.get(f"/webhooks/{hook['id']}").headers["etag"]
    answer = api_client.post(f"/webhooks/{hook['id']}/rotate", headers={"If-Match": etag})
    assert answer.status_code == 200
    assert answer.headers["etag"] != etag
    stale = api_client.post(f"/webhooks/{hook['id']}/rotate", headers={"If-Match": etag})
    assert stale.status_code == 412


@pytest.mark.parametrize(
    "body",
    [
        {"grace_seconds": -1},
        {"grace_seconds": 7 * 86_400 + 1},
        {"grace_seconds": "60"},
        {"grace_seconds": 1.5},
        {"secret": "short"},
        {"secret": "x" * 257},
        {"secret": "with a space in it"},
        {"secret": "line\nbreak-line-break"},
        {"secret": "ümlaut-ümlaut-ümlaut"},
        {"grace": 5},
        [],
    ],
)
def test_bad_rotations(api_client, outside, body):
    hook = published(api_client, auth="hmac")
    assert api_client.post(f"/webhooks/{hook['id']}/rotate", json=body).status_code == 422
    assert deliver(outside, hook["id"], hook["secret"]) == 202


def test_an_address_for_a_draft(api_client, other_client, outside):
    workflow = triggered.create(api_client, triggered.document(triggered.webhook(auth="hmac")))
    body = {"workflow_id": workflow, "node_id": "hook"}
    answer = api_client.post("/webhooks", json=body)
    assert answer.status_code == 201
    made = answer.json()
    assert made["is_live"] is False
    assert made["auth"] is None
    assert answer.headers["location"] == f"/api/v1/webhooks/{made['id']}"
    assert deliver(outside, made["id"], made["secret"], "hooks-test") == 202
    again = api_client.post("/webhooks", json=body).json()
    assert (again["id"], again["secret"]) == (made["id"], None)
    assert other_client.post("/webhooks", json=body).status_code == 404
    unknown = api_client.post("/webhooks", json={"workflow_id": workflow, "node_id": "out"})
    assert (unknown.status_code, unknown.json()["code"]) == (409, "no_webhook_node")
    assert api_client.post("/webhooks", json={"workflow_id": "wf_none", "node_id": "hook"}).status_code == 404
    assert api_client.post("/webhooks", json={"workflow_id": workflow}).status_code == 422


def test_another_tenant_cannot_rotate(api_client, other_client, outside):
    hook = published(api_client, auth="hmac")
    assert other_client.post(f"/webhooks/{hook['id']}/rotate").status_code == 404
    assert other_client.get(f"/webhooks/{hook['id']}").status_code == 404
    assert deliver(outside, hook["id"], hook["secret"]) == 202


def test_a_secret_opens_only_in_its_tenants_and_webhooks_name(tenant, other_tenant):
    from shared.aws import kms

    sealed = sealing.seal(tenant, "wh_1", "secret")
    assert kms.decrypt(tenant, sealed, webhook="wh_1") == b"secret"
    for who, webhook_id in ((other_tenant, "wh_1"), (tenant, "wh_2")):
        with pytest.raises(kms.Undecryptable):
            kms.decrypt(who, sealed, webhook=webhook_id)


@pytest.mark.parametrize(
    ("role", "scopes", "read", "write"),
    [
        ("viewer", None, 200, 403),
        ("operator", None, 200, 403),
        ("editor", None, 200, 200),
        ("owner", ("webhooks:read",), 200, 403),
        ("owner", ("webhooks:write",), 403, 200),
        ("owner", ("schedules:*",), 403, 403),
    ],
)
def test_roles_and_scopes(api_client, role, scopes, read, write):
    hook = published(api_client, auth="hmac")
    with http_api.connect(key_with(api_client, role, scopes)) as limited:
        assert limited.get("/webhooks").status_code == read
        assert limited.get(f"/webhooks/{hook['id']}").status_code == read
        assert limited.post(f"/webhooks/{hook['id']}/rotate").status_code == write


def test_unpublishing_silences_the_address_and_deleting_ends_it(api_client, outside):
    workflow = triggered.create(api_client, triggered.document(triggered.webhook()))
    hook = triggered.publish(api_client, workflow)["hook"]
    assert outside.post(f"/hooks/{hook['id']}").status_code == 202
    assert api_client.post(f"/workflows/{workflow}/unpublish").status_code == 200
    assert outside.post(f"/hooks/{hook['id']}").status_code == 404
    assert api_client.get(f"/webhooks/{hook['id']}").json()["is_live"] is False
    assert triggered.publish(api_client, workflow)["hook"]["id"] == hook["id"]
    assert outside.post(f"/hooks/{hook['id']}").status_code == 202
    assert api_client.post(f"/workflows/{workflow}/unpublish").status_code == 200
    for run in api_client.get(f"/workflows/{workflow}/executions").json()["items"]:
        api_client.post(f"/workflows/executions/{run['id']}/cancel")
    assert api_client.delete(f"/workflows/{workflow}").status_code == 204
    assert outside.post(f"/hooks/{hook['id']}").status_code == 404
    assert api_client.get(f"/webhooks/{hook['id']}").status_code == 404

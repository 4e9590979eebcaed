"""Invitations: made, looked at, accepted once, withdrawn, and never more than the inviter has."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.aws import cognito
from shared.clock import now_ms
from shared.invitations import service
from shared.members.store import MemberStore
from shared.store.keys import Key
from shared.store.table import Change, TenantTable
from tests import http_api
from tests.conftest import PASSWORD
from tests.functions.api.samples import made

ADA = "ada@first.example"


def invited(client, email: str = ADA, **more) -> tuple[dict, str]:
    """A new invitation and its link, below the API."""
    body = made(client.post("/invitations", json={"email": email, **more}))
    assert body["url"].startswith("http://api.test/api/v1/invitation-links/inv_")
    return body, body["url"].removeprefix("http://api.test/api/v1")


def test_from_the_invitation_to_signing_in(api_client, public_client):
    kind = made(api_client.post("/user-types", json={"name": "Customer"}))["id"]
    invitation, url = invited(api_client, role="editor", user_types=[kind])
    assert (invitation["status"], invitation["mailed"], invitation["mail_error"]) == ("open", False, None)
    shown = public_client.get(url)
    assert shown.json() == {
        "tenant_name": "First",
        "email": ADA,
        "role": "editor",
        "expires_at": invitation["expires_at"],
    }
    weak = public_client.post(url, json={"password": "weakweak"})
    assert (weak.status_code, weak.json()["code"]) == (422, "weak_password")
    user = made(public_client.post(url, json={"password": PASSWORD}))
    assert (user["email"], user["role"], user["user_types"]) == (ADA, "editor", [kind])
    assert public_client.post("/auth/token", json={"email": ADA, "password": PASSWORD}).status_code == 200
    assert api_client.get(f"/users/{user['id']}").json()["email"] == ADA
    for again in (public_client.get(url), public_client.post(url, json={"password": PASSWORD})):
        assert (again.status_code, again.json()["code"]) == (409, "invitation_accepted")
    after = api_client.get(f"/invitations/{invitation['id']}").json()
    assert (after["status"], after["user_id"]) == ("accepted", user["id"])
    assert "url" not in after
    entry = api_client.get("/audit-log?action=invitation_links_accept").json()["items"][0]
    assert entry["actor"] == {"kind": "invitation", "id": invitation["id"], "user": user["id"]}
    assert entry["resource"] == {"type": "users", "id": user["id"]}
    assert "_".join(url.split("_")[-1:]) not in str(entry)


def test_of_ten_who_accept_at_once_one_does(api_client, public_client, tenant):
    _, url = invited(api_client)
    token = url.rsplit("/", 1)[1]

    def accept(_n: int) -> str:
        try:
            service.accept(token, PASSWORD)
        except Exception as error:
            return getattr(error, "code", repr(error))
        return "accepted"

    with ThreadPoolExecutor(10) as pool:
        came = list(pool.map(accept, range(10)))
    assert came.count("accepted") == 1
    assert set(came) <= {"accepted", "email_taken", "invitation_accepted"}
    emails = [u["email"] for u in api_client.get("/users").json()["items"]]
    assert emails.count(ADA) == 1
    assert public_client.post("/auth/token", json={"email": ADA, "password": PASSWORD}).status_code == 200


def test_withdrawn_and_expired(api_client, public_client, tenant):
    withdrawn, first = invited(api_client)
    late, second = invited(api_client, "bob@first.example", expires_in=60)
    for _ in range(2):
        assert api_client.delete(f"/invitations/{withdrawn['id']}").status_code == 204
    table = TenantTable(tenant)
    table.update(Key(table.keys.invitations(), late["id"]), Change(set={"expires_at": now_ms()}))
    for url, code in ((first, "invitation_revoked"), (second, "invitation_expired")):
        for answer in (public_client.get(url), public_client.post(url, json={"password": PASSWORD})):
            assert (answer.status_code, answer.json()["code"]) == (409, code)
    statuses = {i["id"]: i["status"] for i in api_client.get("/invitations").json()["items"]}
    assert statuses == {withdrawn["id"]: "revoked", late["id"]: "expired"}
    assert len(api_client.get("/users").json()["items"]) == 1


def test_nobody_gives_more_than_they_have(api_client, public_client, tenant):
    made(api_client.post("/invitations", json={"email": "x@first.example", "role": "owner"}))
    key = made(api_client.post("/api-keys", json={"name": "k", "role": "admin"}))
    with http_api.connect(key["key"]) as admin:
        refused = admin.post("/invitations", json={"email": ADA, "role": "owner"})
        assert (refused.status_code, refused.json()["code"]) == (403, "role")
    key = made(api_client.post("/api-keys", json={"name": "k", "role": "editor"}))
    with http_api.connect(key["key"]) as editor:
        assert editor.post("/invitations", json={"email": ADA}).status_code == 403
        assert editor.get("/invitations").status_code == 403


def test_an_invitation_ends_with_the_role_of_whoever_gave_it(api_client, public_client, tenant, owner):
    _, url = invited(api_client, role="admin")
    table = TenantTable(tenant)
    table.update(Key(table.keys.members(), owner.user.id), Change(set={"role": "editor"}))
    refused = public_client.post(url, json={"password": PASSWORD})
    assert (refused.status_code, refused.json()["code"]) == (409, "invitation_revoked")
    table.delete(Key(table.keys.members(), owner.user.id))
    assert public_client.get(url).json()["code"] == "invitation_revoked"


def test_an_address_that_is_taken(api_client, other_client, public_client):
    for email in ("owner@first.example", "owner@second.example", "OWNER@second.example"):
        refused = api_client.post("/invitations", json={"email": email})
        assert (refused.status_code, refused.json()["code"]) == (409, "email_taken")
    _, url = invited(api_client)
    made(other_client.post("/users", json={"email": ADA}))
    refused = public_client.post(url, json={"password": PASSWORD})
    assert (refused.status_code, refused.json()["code"]) == (409, "email_taken")


def test_nothing_is_left_behind_when_a_step_fails(api_client, public_client, tenant, monkeypatch):
    _, url = invited(api_client)

    def dies(*_):
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(MemberStore, "add_member", dies)
        assert public_client.post(url, json={"password": PASSWORD}).status_code == 500
    assert cognito.find_user(ADA) is None
    made(public_client.post(url, json={"password": PASSWORD}))


def test_another_tenants_invitations_are_not_there(api_client, other_client, public_client):
    invitation, url = invited(api_client)
    assert other_client.get("/invitations").json()["items"] == []
    for method in ("GET", "DELETE"):
        assert other_client.request(method, f"/invitations/{invitation['id']}").status_code == 404
    prefix, _, own, secret = url.rsplit("/", 1)[1].split("_")
    stranger = other_client.get("/tenants/current").json()["id"]
    for bad in (f"{prefix}_{stranger}_{own}_{secret}", f"{url.rsplit('/', 1)[1][:-1]}x", "x", f"lk_{own}"):
        assert public_client.get(f"/invitation-links/{bad}").status_code == 404
        assert public_client.post(f"/invitation-links/{bad}", json={"password": PASSWORD}).status_code == 404


BAD = [
    {},
    {"email": "x"},
    {"email": ADA, "role": "god"},
    {"email": ADA, "expires_in": 1},
    {"email": ADA, "expires_in": 10**9},
    {"email": ADA, "user_types": ["ut_x"]},
    {"email": ADA, "user_types": ["ut_01ARZ3NDEKTSV4RRFFQ69G5FAV"]},
    {"email": ADA, "credential": "No Name"},
    {"email": ADA, "other": 1},
]


@pytest.mark.parametrize("body", BAD, ids=str)
def test_bad_invitations(api_client, body):
    assert api_client.post("/invitations", json=body).status_code == 422


@pytest.mark.parametrize("body", [{}, {"password": "short"}, {"password": 5}, {"password": PASSWORD, "role": "owner"}])
def test_bad_passwords(api_client, public_client, body):
    _, url = invited(api_client)
    assert public_client.post(url, json=body).status_code == 422


def test_a_mail_that_cannot_be_sent_is_said_and_the_invitation_is_there(api_client):
    body, _ = invited(api_client, credential="mail")
    assert (body["mailed"], body["mail_error"]) == (False, "unknown_credential")


def test_the_link_is_mailed_over_the_tenants_server(api_client, mail_server):
    body, _ = invited(api_client, credential="mail")
    assert (body["mailed"], body["mail_error"]) == (True, None)
    ((recipients, mail),) = mail_server.mails
    assert recipients == [ADA]
    assert body["url"] in mail.get_content()
    body, _ = invited(api_client, "gone@first.example", credential="mail")
    assert (body["mailed"], body["mail_error"]) == (False, "mail_rejected")

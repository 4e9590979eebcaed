from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.errors import Invalid
from shared.notifications import service
from shared.tenancy import Principal
from tests import http_api
from tests.functions.api.samples import made


@pytest.fixture
def people(api_client, owner):
    """Ids by name: the owner, two more users, one of them of the user type Support, and the owner's key."""
    support = made(api_client.post("/user-types", json={"name": "Support"}))["id"]
    ada = made(api_client.post("/users", json={"email": "ada@first.example", "user_types": [support]}))["id"]
    bob = made(api_client.post("/users", json={"email": "bob@first.example"}))["id"]
    key = api_client.get("/api-keys").json()["items"][0]["id"]
    return {"owner": owner.user.id, "ada": ada, "bob": bob, "key": key, "support": support}


def inbox(tenant, user_id, **more):
    who = Principal(tenant, "user", user_id, "viewer", user_id=user_id)
    return service.listing(who, None, 50, unread=more.get("unread", False)).items


def tell(tenant, *to, key="k1", title="Order A-17", message="Refused."):
    return service.tell(tenant, to, title, message, key=key, execution_id="ex_1")


@pytest.mark.parametrize(
    ("to", "told"),
    [
        ((), ["owner", "ada", "bob"]),
        (("ADA@first.example",), ["ada"]),
        (("Support",), ["ada"]),
        (("support", "bob@first.example", "ada@first.example"), ["ada", "bob"]),
    ],
)
def test_who_is_meant(tenant, people, to, told):
    assert tell(tenant, *to) == len(told)
    for name in ("owner", "ada", "bob"):
        assert len(inbox(tenant, people[name])) == (name in told)
    assert inbox(tenant, people["key"]) == []


def test_ids_mean_users_types_and_keys(tenant, people):
    assert tell(tenant, people["bob"], people["support"], people["key"]) == 3
    assert [len(inbox(tenant, people[n])) for n in ("owner", "ada", "bob", "key")] == [0, 1, 1, 1]


def test_a_type_that_nobody_is_of_tells_nobody(api_client, tenant):
    made(api_client.post("/user-types", json={"name": "Empty"}))
    assert tell(tenant, "empty") == 0


def test_a_name_that_is_nobodys(tenant, people, other_tenant):
    for name in ("nobody@first.example", "us_none", "key_none", "owner@second.example"):
        with pytest.raises(Invalid) as caught:
            tell(tenant, "Support", name)
        assert caught.value.code == "unknown_user"
    assert inbox(tenant, people["ada"]) == []


def test_the_same_key_tells_nobody_twice(tenant, people):
    together = threading.Barrier(4)

    def one(_n):
        together.wait()
        return tell(tenant, key="same")

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(one, range(4))) == {3}
    assert len(inbox(tenant, people["ada"])) == 1
    tell(tenant, key="other")
    assert len(inbox(tenant, people["ada"])) == 2


def test_an_attempt_that_died_half_way_is_made_up_for(tenant, people, monkeypatch):
    real, count = service.NotificationStore.add, []

    def dies(store, owner_id, notification):
        count.append(owner_id)
        if len(count) == 2:
            raise RuntimeError
        real(store, owner_id, notification)

    with monkeypatch.context() as patch:
        patch.setattr(service.NotificationStore, "add", dies)
        with pytest.raises(RuntimeError):
            tell(tenant)
    assert tell(tenant) == 3
    assert [len(inbox(tenant, people[n])) for n in ("owner", "ada", "bob")] == [1, 1, 1]


def test_over_the_api(api_client, other_client, tenant, people):
    for n in range(3):
        tell(tenant, people["key"], key=str(n), message=f"m{n}")
    found = api_client.get("/notifications").json()["items"]
    assert [n["message"] for n in found] == ["m2", "m1", "m0"]
    assert found[0]["read_at"] is None
    assert found[0]["execution_id"] == "ex_1"
    read = api_client.post(f"/notifications/{found[1]['id']}/read").json()
    assert read["read_at"]
    assert api_client.post(f"/notifications/{found[1]['id']}/read").json() == read  # the first time counts
    unread = api_client.get("/notifications?unread=true").json()["items"]
    assert [n["message"] for n in unread] == ["m2", "m0"]
    first = api_client.get("/notifications?limit=2").json()
    second = api_client.get(f"/notifications?limit=2&cursor={first['next_cursor']}").json()
    assert [n["message"] for n in first["items"] + second["items"]] == ["m2", "m1", "m0"]
    assert other_client.get("/notifications").json()["items"] == []
    assert other_client.post(f"/notifications/{found[0]['id']}/read").status_code == 404
    assert api_client.post("/notifications/nt_none/read").status_code == 404


def test_another_key_of_the_tenant_sees_its_own(api_client, tenant, people):
    tell(tenant, people["key"])
    key = made(api_client.post("/api-keys", json={"name": "k", "role": "viewer"}))["key"]
    with http_api.connect(key) as client:
        assert client.get("/notifications").json()["items"] == []

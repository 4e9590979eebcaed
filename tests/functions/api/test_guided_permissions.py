"""Who may use a guided workflow: the same on every way in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from shared.guided import service
from shared.members.store import MemberStore
from shared.store.table import TenantTable
from shared.tenancy import Principal
from stepfunctions import guided
from tests import http_api
from tests.jwks_server import claims_of, signed
from tests.shared.tasks.asking import a_run
from tests.stepfunctions.guided_talk import body, template

Json = dict[str, Any]


@pytest.fixture
def person(api_client, tenant, claim) -> Callable[..., Principal]:
    """Users by role, of the types given."""

    def made(role: str, *types: str, email: str = "") -> Principal:
        sent = {"email": email or f"{role}{len(types)}@first.example", "role": role, "user_types": list(types)}
        user = body(api_client.post("/users", json=sent), 201)
        user = user.get("user", user)
        return Principal(tenant, "user", user["id"], role, user_id=user["id"], user_types=tuple(types))  # type: ignore[arg-type]

    return made


def user_type(client: httpx.Client, name: str = "customer") -> str:
    return str(body(client.post("/user-types", json={"name": name}), 201)["id"])


def grant(client: httpx.Client, type_id: str, name: str = "claim") -> str:
    return str(body(client.post("/permissions", json={"user_type_id": type_id, "template": name}), 201)["id"])


def test_permissions_are_unique_and_name_what_is_there(api_client, claim):
    type_id = user_type(api_client)
    made = grant(api_client, type_id)
    assert made == f"{type_id}:claim"
    again = api_client.post("/permissions", json={"user_type_id": type_id, "template": "claim"})
    assert (again.status_code, again.json()["code"]) == (409, "permission_exists")
    odd = api_client.post("/permissions", json={"user_type_id": "ut_nothing", "template": "nothing"})
    assert {e["path"] for e in odd.json()["errors"]} == {"user_type_id", "template"}
    assert api_client.get(f"/permissions/{made}").json()["template"] == "claim"
    listed = api_client.get(f"/permissions?template=claim&user_type_id={type_id}").json()["items"]
    assert [p["id"] for p in listed] == [made]
    assert api_client.get("/permissions?template=other").json()["items"] == []
    offered = api_client.get(f"/user-types/{type_id}/workflow-templates").json()["items"]
    assert [t["name"] for t in offered] == ["claim"]
    assert api_client.delete(f"/permissions/{made}").status_code == 204
    assert api_client.delete(f"/permissions/{made}").status_code == 404
    assert api_client.get(f"/user-types/{type_id}/workflow-templates").json()["items"] == []


def every_way_in(instance_id: str) -> dict[str, Callable[[Principal], Any]]:
    """What may be done with an instance that is there."""
    return {
        "get": lambda who: guided.read(who, instance_id, 0),
        "messages": lambda who: guided.messages(who, instance_id, None, 10, newest_first=False),
        "say": lambda who: guided.say(who, instance_id, "Hello", (), 0, None),
        "state": lambda who: guided.change_state(who, instance_id, {"amount": 7}, (), None),
        "confirm": lambda who: guided.confirm(who, instance_id, None, 0),
        "cancel": lambda who: guided.cancel(who, instance_id, None),
        "retry": lambda who: guided.retry(who, instance_id, None, 0),
    }


def outcome(act: Callable[[Principal], Any], who: Principal) -> str:
    try:
        act(who)
    except Exception as error:
        return str(getattr(error, "code", type(error).__name__))
    return "done"


@pytest.mark.parametrize("role", ["viewer", "operator", "editor", "admin", "owner"])
def test_without_a_permission_only_admins_use_a_template(api_client, person, role):
    who, admin = person(role, user_type(api_client)), role in ("admin", "owner")
    began = outcome(lambda w: guided.begin(w, "claim", None, {}, None), who)
    assert began == ("done" if admin else "permission" if role == "editor" else "not_found")
    listed = [t.name for t in service.templates(who, None, None, None, 10).items]
    assert listed == (["claim"] if role in ("editor", "admin", "owner") else [])


def test_a_permission_holds_on_every_way_in(api_client, person):
    """It is taken away in the middle of a conversation: by its row, by the user's type, by the type itself."""
    type_id = user_type(api_client)
    who = person("operator", type_id)
    permission = grant(api_client, type_id)
    assert [t.name for t in service.templates(who, None, None, None, 10).items] == ["claim"]
    instance = guided.begin(who, "claim", None, {"name": "Ada"}, None).id

    def listed(asking: Principal) -> list[str]:
        filters: Any = dict.fromkeys(("status", "conversation_id", "user_id", "template"))
        return [i.id for i in guided.listing(asking, None, 10, **filters).items]

    assert listed(who) == [instance]
    ways = every_way_in(instance)
    assert outcome(ways["get"], who) == outcome(ways["state"], who) == "done"

    def nothing_reaches(asking: Principal) -> None:
        assert {name: outcome(way, asking) for name, way in ways.items()} == dict.fromkeys(ways, "not_found")
        assert listed(asking) == []
        assert outcome(lambda w: guided.begin(w, "claim", None, {}, None), asking) == "not_found"
        assert service.templates(asking, None, None, None, 10).items == []

    without = Principal(who.tenant, "user", who.id, "operator", user_id=who.id)
    nothing_reaches(without)
    key = Principal(who.tenant, "api_key", "key_1", "operator", made_by=who.id)  # a key has no user types
    nothing_reaches(key)
    assert api_client.delete(f"/permissions/{permission}").status_code == 204
    nothing_reaches(who)
    grant(api_client, type_id)
    assert listed(who) == [instance]
    MemberStore(TenantTable(who.tenant)).remove_user_type(type_id, None)  # users keep its id
    nothing_reaches(who)


def test_another_users_instance_is_not_found_but_for_admins(api_client, person):
    type_id = user_type(api_client)
    grant(api_client, type_id)
    ada, bob = person("operator", type_id, email="ada@a.example"), person("editor", type_id, email="bob@a.example")
    admin = person("admin", email="root@a.example")
    instance = guided.begin(ada, "claim", None, {}, None).id
    ways = every_way_in(instance)
    assert {name: outcome(way, bob) for name, way in ways.items()} == dict.fromkeys(ways, "not_found")
    assert {name: outcome(ways[name], admin) for name in ("get", "messages", "state")} == dict.fromkeys(
        ("get", "messages", "state"), "done"
    )
    assert {outcome(ways[name], admin) for name in ("say", "confirm")} == {"not_yours"}
    assert outcome(ways["cancel"], admin) == "done"
    filters: Any = dict.fromkeys(("status", "conversation_id", "template"))
    assert [i.id for i in guided.listing(admin, None, 10, user_id=ada.id, **filters).items] == [instance]
    assert guided.listing(bob, None, 10, user_id=ada.id, **filters).items == []
    assert guided.listing(admin, None, 10, user_id=bob.id, **filters).items == []


def test_what_is_left_of_a_removed_templates_permissions_means_nothing(api_client, claim, tenant, person):
    type_id = user_type(api_client)
    who = person("operator", type_id)
    grant(api_client, type_id)
    assert api_client.delete("/workflow-templates/claim").status_code == 204
    assert api_client.get("/permissions").json()["items"] == []
    body(api_client.post("/workflow-templates", json=template()), 201)
    assert not service.may_use(who, "claim")


def test_the_runs_of_a_conversation_are_no_way_past_it(aws, api_client, public_client, key_server, claim, tenant):
    """A person reads the runs of their conversations while they may use the template; done again they are by admins."""
    type_id = user_type(api_client)
    sent = {"email": "ada@a.example", "role": "editor", "user_types": [type_id]}
    ada = body(api_client.post("/users", json=sent), 201)
    subject = MemberStore(TenantTable(tenant)).member(ada["id"]).subject
    headers = {"Authorization": "Bearer " + signed(claims_of(aws, subject))}
    permission = grant(api_client, type_id)
    mine = body(public_client.post("/workflow-instances", json={"template": "claim"}, headers=headers), 201)["id"]
    done = {"status": "failed", "workflow_id": "inner-guided-action"}
    run = a_run(tenant, triggered_by={"kind": "guided", "id": mine, "user": ada["id"]}, **done).id
    replayed = a_run(tenant, triggered_by={"kind": "replay", "id": run, "user": ada["id"]}, **done).id

    def asked(method: str, what: str = "", of: str = run, **more: Any) -> int:
        path = f"/workflows/executions/{of}{what}"
        return public_client.request(method, path, headers=headers, **more).status_code

    assert asked("GET", "/events") == 200
    assert asked("POST", "/retry") == 403
    assert asked("POST", "/replay", json={"from_node": "do"}) == 403
    assert asked("DELETE") == 403
    assert asked("GET", "/events", of=replayed) == 404
    assert api_client.get(f"/workflows/executions/{replayed}/events").status_code == 200
    assert api_client.delete(f"/permissions/{permission}").status_code == 204
    assert {asked("GET", "/events"), asked("POST", "/cancel"), asked("POST", "/retry")} == {404}
    assert api_client.delete(f"/workflows/executions/{run}").status_code == 204


ROLES = {
    ("GET", "/workflow-templates"): "viewer",
    ("POST", "/workflow-templates"): "editor",
    ("GET", "/workflow-steps"): "editor",
    ("GET", "/permissions"): "admin",
    ("POST", "/permissions"): "admin",
    ("GET", "/workflow-instances"): "viewer",
    ("POST", "/workflow-instances"): "operator",
    ("GET", "/workflow-instances/analytics"): "editor",
}


@pytest.mark.parametrize("role", ["viewer", "operator", "editor", "admin"])
def test_roles_of_keys(api_client, claim, role):
    order = ["viewer", "operator", "editor", "admin"]
    key = body(api_client.post("/api-keys", json={"name": "k", "role": role}), 201)["key"]
    with http_api.connect(key) as client:
        for (method, path), needs in ROLES.items():
            answer = client.request(method, path, json={} if method == "POST" else None)
            allowed = order.index(role) >= order.index(needs)
            assert (answer.status_code == 403) is not allowed, (method, path, answer.text)

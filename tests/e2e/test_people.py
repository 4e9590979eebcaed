"""People around one run: invited, asked, voting, escalated to, answering without an account; all of it on record."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from infrastructure.local.stack import Stack
from tests.e2e.caller import Caller, Json, until
from tests.smtp_server import SmtpServer
from tests.stepfunctions.compiler.documents import document, node

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
PASSWORD = "Correct-horse-people-7"
GUEST = "guest@outside.example"


@pytest.fixture(scope="module")
def public(local: Stack) -> Iterator[httpx.Client]:
    """Somebody without an account."""
    with httpx.Client(base_url=f"{local.api_url}/api/v1", timeout=60, trust_env=False) as client:
        yield client


class Person:
    """A user who came by an invitation and has signed in."""

    def __init__(self, mine: Caller, public: httpx.Client, email: str, role: str) -> None:
        invited = mine.post("/invitations", {"email": email, "role": role}, 201)
        path = "/invitation-links/" + invited["url"].rsplit("/", 1)[1]
        mine.secrets |= {path.rsplit("_", 1)[1], PASSWORD}
        assert public.get(path).json()["email"] == email
        made = public.post(path, json={"password": PASSWORD})
        assert made.status_code == 201, made.text
        assert public.post(path, json={"password": PASSWORD}).json()["code"] == "invitation_accepted"
        self.id = made.json()["id"]
        tokens = public.post("/auth/token", json={"email": email, "password": PASSWORD}).json()
        self._client, self._headers = public, {"Authorization": f"Bearer {tokens['access_token']}"}

    def send(self, method: str, path: str, body: Json | None = None) -> httpx.Response:
        return self._client.request(method, path, json=body, headers=self._headers)


@pytest.fixture(scope="module")
def ada(mine: Caller, public: httpx.Client) -> Person:
    return Person(mine, public, "ada@people.example", "admin")


@pytest.fixture(scope="module")
def bob(mine: Caller, public: httpx.Client) -> Person:
    return Person(mine, public, "bob@people.example", "operator")


def asking(**config: object) -> Json:
    nodes = [node("start", "manual_trigger"), node("ask", "human_in_the_loop", config), node("out", "output")]
    made = document(nodes, "start.trigger -> ask.input; ask.approved -> out.value", name="Four eyes")
    body: Json = made.model_dump(mode="json", exclude_none=True, exclude={"id"})
    return body


def test_two_of_three_and_not_whoever_started_it(mine: Caller, public: httpx.Client, ada: Person, bob: Person) -> None:
    assignees = [ada.id, bob.id, GUEST]
    run_id = mine.start(asking(title="Pay?", quorum=2, no_self_approval=True, assignees=assignees), {"amount": 250})
    task_id = mine.task(run_id, "ask")
    approve = {"decision": "approve", "comment": "fine"}
    assert mine.refused("POST", f"/tasks/{task_id}/complete", 403, approve)["code"] == "self_approval"
    assert bob.send("POST", f"/tasks/{task_id}/complete", approve).json()["status"] == "open"
    assert bob.send("POST", f"/tasks/{task_id}/complete", approve).json()["code"] == "already_voted"
    assert [n["kind"] for n in ada.send("GET", "/notifications").json()["items"]] == ["task_assigned"]

    # Ada votes by a link of her own; for others she makes none, or she could vote for them.
    assert ada.send("POST", f"/tasks/{task_id}/links", {"assignee": GUEST}).json()["errors"][0]["code"] == "quorum_link"
    made = ada.send("POST", f"/tasks/{task_id}/links", {"assignee": ada.id})
    assert made.status_code == 201, made.text
    path = "/task-links/" + made.json()["url"].rsplit("/", 1)[1]
    mine.secrets.add(path.rsplit("_", 1)[1])
    page = public.get(path, headers={"accept": "text/html"})
    assert ("Pay?" in page.text, "250" in page.text) == (True, True)
    assert mine.run(run_id)["status"] != "completed"
    done = public.post(path, data={"decision": "approve", "comment": "by link"})
    assert (done.status_code, "recorded" in done.text) == (200, True)
    assert public.post(path, json={"decision": "reject"}).json()["code"] == "link_used"

    ended = mine.until(run_id)
    votes = ended["final_output"]["votes"]
    assert [(v["comment"], v["decision"]) for v in votes] == [("fine", "approved"), ("by link", "approved")]
    assert (votes[0]["by"], votes[1]["by"]) == (bob.id, f"link:{ada.id}")


def test_nobody_answers_so_it_goes_to_bob_by_mail(
    mine: Caller, public: httpx.Client, ada: Person, bob: Person, smtp: SmtpServer
) -> None:
    values = {"host": "127.0.0.1", "port": smtp.port, "from": "Tasks <tasks@first.example>", "tls": "off"}
    mine.post("/credentials", {"name": "people_mail", "kind": "smtp", "values": values}, 201)
    steps = [{"after_seconds": 1, "assignees": [bob.id], "replace": True}]
    telling = {"notify": "email", "credential": "people_mail"}
    run_id = mine.start(asking(title="Urgent", assignees=[ada.id], escalation=steps, **telling))
    task_id = mine.task(run_id, "ask")

    def mail_to(address: str) -> str | None:
        found = [m.get_content() for to, m in smtp.mails if to == [address]]
        return found[-1] if found else None

    assert until(lambda: mail_to("ada@people.example"))
    text = until(lambda: mail_to("bob@people.example"), seconds=150, every=0.5)
    assert text is not None
    found = re.search(r"/task-links/\S+", text)
    assert found is not None
    mine.secrets.add(found[0].rsplit("_", 1)[1])
    task = mine.get(f"/tasks/{task_id}")
    assert (task["escalated"], task["assignees"]) == (1, [bob.id])
    done = public.post(found[0], json={"decision": "approve"})
    assert done.status_code == 200, done.text
    assert mine.until(run_id)["final_output"]["completed_by"] == f"link:{bob.id}"


def test_all_of_it_is_on_record_and_nobody_has_changed_it(mine: Caller, theirs: Caller, ada: Person) -> None:
    entries = mine.get("/audit-log?limit=200")["items"]
    actions = {e["action"] for e in entries}
    assert {"invitations_create", "invitation_links_accept", "tasks_create_link", "task_links_answer"} <= actions
    assert {"tasks_complete", "credentials_create", "workflows_publish"} <= actions
    assert all(PASSWORD not in str(e) and "people.example" not in str(e) for e in entries)
    mine_alone = {e["action"] for e in entries if e["actor"]["user"] == ada.id}
    assert ("tasks_create_link" in mine_alone, "tasks_complete" in mine_alone) == (True, False)

    checked, after = 0, 0
    while after is not None:
        part = mine.get(f"/audit-log/verify?after={after}&limit=10")
        assert part["ok"], part
        checked, after = checked + part["checked"], part["next_after"]
    assert checked == part["head"]["n"] >= len(entries)
    assert all(e["actor"]["user"] != ada.id for e in theirs.get("/audit-log?limit=200")["items"])

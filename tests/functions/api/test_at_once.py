"""Several people at once: one of them wins, the others are told, and nothing is lost."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from shared.tenancy import Tenant
from tests import http_api
from tests.functions.api.workflows_over_http import adder, created
from tests.shared.tasks.asking import a_task


def together(count: int, one: Callable[[int], Any]) -> list[Any]:
    """What each of `count` gets who all begin at the same moment."""
    ready = threading.Barrier(count)

    def begin(number: int) -> Any:
        ready.wait()
        return one(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


def somebody(client: httpx.Client, name: str) -> httpx.Client:
    return http_api.connect(client.post("/api-keys", json={"name": name, "role": "admin"}).json()["key"])


def test_of_two_who_save_one_is_told_that_the_other_did(api_client):
    workflow = created(api_client, adder())
    read = api_client.get(f"/workflows/{workflow}")
    people = [somebody(api_client, f"p{n}") for n in range(2)]

    def save(number: int) -> httpx.Response:
        changes = {"description": f"by {number}"}
        return people[number].patch(f"/workflows/{workflow}", json=changes, headers={"If-Match": read.headers["etag"]})

    answers = together(2, save)
    assert sorted(a.status_code for a in answers) == [200, 412]
    [winner] = [n for n, a in enumerate(answers) if a.status_code == 200]
    assert api_client.get(f"/workflows/{workflow}").json()["description"] == f"by {winner}"


def test_without_saying_what_they_know_nobodys_change_is_lost(api_client):
    workflow = created(api_client, adder())

    def save(number: int) -> int:
        return api_client.patch(f"/workflows/{workflow}", json={"variables": {f"v{number}": number}}).status_code

    assert together(4, save) == [200] * 4
    assert api_client.get(f"/workflows/{workflow}").json()["variables"] == {f"v{n}": n for n in range(4)}


def test_of_two_who_claim_one_has_it(api_client, tenant):
    task = a_task(Tenant(tenant.id))
    people = [somebody(api_client, f"p{n}") for n in range(2)]
    answers = together(2, lambda n: people[n].post(f"/tasks/{task}/claim"))
    assert sorted(a.status_code for a in answers) == [200, 409]
    [winner] = [a.json() for a in answers if a.status_code == 200]
    assert api_client.get(f"/tasks/{task}").json()["claimed_by"] == winner["claimed_by"]


def test_of_twenty_who_answer_one_does(api_client, tenant):
    task = a_task(Tenant(tenant.id))

    def answer(number: int) -> httpx.Response:
        return api_client.post(f"/tasks/{task}/complete", json={"decision": "approve", "comment": f"c{number}"})

    answers = together(20, answer)
    assert Counter(a.status_code for a in answers) == {200: 1, 409: 19}
    [winner] = [n for n, a in enumerate(answers) if a.status_code == 200]
    assert api_client.get(f"/tasks/{task}").json()["response"]["comment"] == f"c{winner}"

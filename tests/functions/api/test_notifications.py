"""What somebody wants to be told of, over HTTP."""

from __future__ import annotations


def test_preferences_that_were_changed_elsewhere_are_not_overwritten(api_client, other_client):
    url = "/notifications/preferences"
    first = api_client.get(url)
    assert (first.json(), first.headers["etag"]) == ({"muted": []}, '"0"')
    kinds = ["task_overdue", "task_assigned", "task_overdue"]
    changed = api_client.put(url, json={"muted": kinds}, headers={"If-Match": '"0"'})
    assert (changed.json()["muted"], changed.headers["etag"]) == (["task_overdue", "task_assigned"], '"1"')
    stale = api_client.put(url, json={"muted": []}, headers={"If-Match": '"0"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "stale")
    assert api_client.put(url, json={"muted": []}).headers["etag"] == '"2"'
    assert api_client.put(url, json={"muted": kinds}, headers={"If-Match": '"2"'}).status_code == 200
    assert other_client.get(url).headers["etag"] == '"0"'

"""The tenant's cache and files on the local AWS, whose policies judge every call."""

from __future__ import annotations

import httpx
import pytest

from tests.e2e.caller import Caller
from tests.stepfunctions.compiler.documents import document, node

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
KEEPING = document(
    [
        node("start", "manual_trigger"),
        node("before", "cache_get", inputs={"key": "e2e"}),
        node("put", "cache_set", inputs={"key": "{{ nodes.before ? 'e2e' }}"}),
        node("file", "file_write", {"format": "csv"}, inputs={"path": "e2e/rows é.csv", "content": "{{ [trigger] }}"}),
        node("out", "output", inputs={"value": "{{ [nodes.before, nodes.put, nodes.file] }}"}),
    ],
    "start.trigger -> put.value",
)
WRITTEN = {"written": True, "path": "e2e/rows é.csv", "size": 9}


def fetched(caller: Caller, path: str) -> bytes:
    found = caller.send("GET", "/files/download", params={"path": path}).json()
    answer = httpx.get(found["url"], trust_env=False, timeout=60)
    assert answer.status_code == 200, answer.text
    assert len(answer.content) == found["size"]
    return answer.content


def test_two_tenants_runs_keep_their_own(mine: Caller, theirs: Caller) -> None:
    for caller, name in ((mine, "mine"), (theirs, "ours")):
        for before in ({"value": None, "hit": False}, {"value": {"n": name}, "hit": True}):
            ended = caller.until(caller.start(KEEPING, {"n": name}))
            assert ended["status"] == "completed", ended["error"]
            assert ended["final_output"] == [before, {"success": True}, WRITTEN]
    assert fetched(mine, "e2e/rows é.csv") == b"n\r\nmine\r\n"
    assert fetched(theirs, "e2e/rows é.csv") == b"n\r\nours\r\n"


def test_a_file_is_sent_and_found_and_removed(mine: Caller, theirs: Caller) -> None:
    asked = {"path": "sent/a b+ü.txt", "size": 5, "content_type": "text/plain"}
    found = mine.post("/files/upload", asked, 200)
    for body, headers in ((b"hello!", {}), (b"hello", {"Content-Type": "text/html"})):
        refused = httpx.put(found["url"], content=body, headers=headers, trust_env=False, timeout=60)
        assert refused.status_code == 403, refused.text
    sent = httpx.put(found["url"], content=b"hello", headers=found["headers"], trust_env=False, timeout=60)
    assert sent.status_code == 200, sent.text
    assert [f["path"] for f in mine.get("/files?prefix=sent/")["items"]] == ["sent/a b+ü.txt"]
    assert theirs.get("/files?prefix=sent/")["items"] == []
    assert fetched(mine, "sent/a b+ü.txt") == b"hello"
    where = {"path": "sent/a b+ü.txt"}
    assert theirs.send("DELETE", "/files", params=where).status_code == 404
    assert mine.send("DELETE", "/files", params=where).status_code == 204
    assert mine.send("GET", "/files/download", params=where).status_code == 404

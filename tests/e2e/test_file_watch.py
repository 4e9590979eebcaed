"""Files that start runs on the local AWS: S3 tells EventBridge, whoever has put the file."""

from __future__ import annotations

import httpx
import pytest

from tests.e2e.caller import Caller, Json, until
from tests.functions.api.workflows_over_http import node, workflow
from tests.smtp_server import SmtpServer

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
ALL = ["created", "changed", "deleted"]


def put(caller: Caller, path: str, body: bytes, kind: str = "text/plain") -> None:
    """A file by a presigned address, as a browser sends it."""
    asked = {"path": path, "size": len(body), "content_type": kind}
    found = caller.post("/files/upload", asked, 200)
    sent = httpx.put(found["url"], content=body, headers=found["headers"], trust_env=False, timeout=60)
    assert sent.status_code == 200, sent.text


def started(caller: Caller, workflow_id: str) -> list[Json]:
    """What the runs of a workflow that files have started were told, oldest first."""
    found = caller.get(f"/workflows/{workflow_id}/executions")["items"]
    ids = [r["id"] for r in reversed(found) if r["triggered_by"]["kind"] == "file"]
    return [caller.run(i)["trigger_data"] for i in ids]


def watching(**config: object) -> Json:
    return workflow([node("on", "file_watch", config), node("out", "output")], "on.filepath -> out.value")


def test_a_file_put_through_the_api_starts_the_run(mine: Caller, theirs: Caller) -> None:
    watch = mine.published(watching(prefix="inbox/", glob="*.txt", events=ALL))
    foreign = theirs.published(watching(prefix="inbox/", glob="*.txt", events=ALL))
    put(mine, "inbox/not this.csv", b"a,b")
    put(mine, "inbox/a b+ü.txt", b"hello")
    told = until(lambda: started(mine, watch))
    assert told == [{"filepath": "inbox/a b+ü.txt", "event": "created", "size": 5}]
    put(mine, "inbox/a b+ü.txt", b"hello again")
    until(lambda: started(mine, watch), lambda found: len(found) == 2)
    assert mine.send("DELETE", "/files", params={"path": "inbox/a b+ü.txt"}).status_code == 204
    told = until(lambda: started(mine, watch), lambda found: len(found) == 3)
    assert [(t["event"], t["size"]) for t in told] == [("created", 5), ("changed", 11), ("deleted", 0)]
    assert started(theirs, foreign) == []


def test_a_file_that_a_workflow_writes_starts_one_and_itself_not_for_ever(mine: Caller) -> None:
    """It writes the file that it watches."""
    copying = workflow(
        [
            node("on", "file_watch", {"prefix": "loop/"}),
            node("write", "file_write", inputs={"path": "{{ trigger.filepath }}"}),
        ],
        "on.event -> write.content",
    )
    watch = mine.published(copying)
    put(mine, "loop/x", b"1")

    def runs() -> list[Json]:
        found: list[Json] = mine.get(f"/workflows/{watch}/executions")["items"]
        return found

    found = until(runs, lambda all_: [r for r in all_ if r["status"] == "failed"])
    assert [r["status"] for r in reversed(found)] == ["completed"] * 6 + ["failed"]
    assert mine.run(found[0]["id"])["error"]["error"] == "ChainTooLong"
    mine.post(f"/workflows/{watch}/unpublish", {}, 200)


def test_a_document_is_taken_up_and_somebody_is_told(mine: Caller, smtp: SmtpServer) -> None:
    """From the file to the collection to a mail."""
    mine.post("/collections", {"name": "handbook_e2e", "dimension": 2}, 201)
    values = {"host": "127.0.0.1", "port": smtp.port, "from": "Bot <bot@first.example>", "tls": "off"}
    mine.post("/credentials", {"name": "post_office", "kind": "smtp", "values": values}, 201)
    pipeline = workflow(
        [
            node("on", "file_watch", {"prefix": "handbook/", "glob": "**/*.md", "events": ["created"]}),
            node("load", "document_loader"),
            node("cut", "chunker", {"size": 40, "overlap": 0}),
            node("number", "mapper", {"expression": "$merge([item, {'vector': [$length(item.content), 1]}])"}),
            node("store", "vector_store", {"collection": "handbook_e2e"}),
            node("tell", "notification", {"channel": "email", "credential": "post_office", "to": "boss@first.example"}),
            node("out", "output"),
        ],
        """on.filepath -> load.source; load.documents -> cut.documents; cut.chunks -> number.items;
        number.results -> store.data; tell.sent -> out.value""",
    )
    pipeline["nodes"][5]["inputs"] = {
        "title": "Read {{ trigger.filepath }}",
        "message": "{{ $string(nodes.store.count) }} parts of {{ trigger.filepath }}",
    }
    taking = mine.published(pipeline)
    put(mine, "handbook/rules/holidays.md", b"# Holidays\n\n" + b"There are thirty days of holidays a year. " * 5)
    (run,) = until(lambda: mine.get(f"/workflows/{taking}/executions")["items"])
    ended = mine.until(run["id"])
    assert (ended["status"], ended["final_output"]) == ("completed", True), ended["error"]
    ((recipients, mail),) = smtp.mails
    assert recipients == ["boss@first.example"]
    assert mail["Subject"] == "Read handbook/rules/holidays.md"
    assert "parts of handbook/rules/holidays.md" in mail.get_content()

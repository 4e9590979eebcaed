"""Values larger than any service between the nodes takes, unharmed."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from infrastructure.local.stack import Stack
from shared.workflows.model import Document
from tests.e2e.behind import execution_of, history
from tests.e2e.caller import Caller, Json
from tests.echo_server import EchoServer
from tests.stepfunctions.compiler.documents import document, node

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
COUNT = 50_000


def big(base: str, **settings: Any) -> Document:
    return document(
        [
            node("start", "manual_trigger"),
            node("get", "http_request", {"response_type": "text"}, inputs={"url": f"{base}/big?n={COUNT}"}),
            node("parse", "json_parse"),
            node("most", "filter", {"condition": "item.id % 25 != 0"}),
            node("short", "mapper", {"expression": "{'n': item.id, 'text': item.text, 'place': index}"}),
            node("out", "output"),
        ],
        """start.trigger -> get.body; get.response -> parse.input; parse.output -> most.items
        most.results -> short.items; short.results -> out.value""",
        settings=settings,
    )


def whole(caller: Caller, run_id: str, node_id: str, port: str) -> Any:
    """A node's output, read back whole: from the answer or, if it is too large for one, from where that points."""
    found: Json = caller.get(f"/workflows/executions/{run_id}/nodes/{node_id}?max_value_bytes=4000000")
    value = found["items"][0]["outputs"][port]
    if not (isinstance(value, dict) and "$truncated" in value):
        return value
    answer = httpx.get(value["url"], trust_env=False, timeout=60)
    assert answer.status_code == 200, answer.text
    assert len(answer.content) == value["size"]
    return json.loads(answer.content)


@pytest.mark.parametrize("granularity", ["segment", "node"])
def test_five_megabytes_pass_through(mine: Caller, echo: EchoServer, local: Stack, granularity: str) -> None:
    run_id = mine.start(big(echo.base, granularity=granularity))
    ended = mine.until(run_id)
    assert ended["status"] == "completed", ended["error"]

    sent = [{"id": i, "text": "x" * 90} for i in range(COUNT)]
    text = json.dumps(sent)
    assert len(text) > 5_000_000
    assert whole(mine, run_id, "get", "response") == text
    assert whole(mine, run_id, "parse", "output") == sent
    kept = [item for item in sent if item["id"] % 25 != 0]
    assert whole(mine, run_id, "most", "results") == kept
    expected = [{"n": item["id"], "text": item["text"], "place": place} for place, item in enumerate(kept)]
    assert whole(mine, run_id, "short", "results") == expected
    assert ended["final_output"]["$truncated"]
    assert ended["final_output"]["size"] == len(json.dumps(expected, separators=(",", ":")))

    # Nothing of it went through the state machine, which takes 256 KiB.
    events = history(local, execution_of(local, run_id))
    assert len(json.dumps(events, default=str)) < 100_000

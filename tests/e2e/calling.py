"""Documents whose nodes call the echo server, and what it saw of them."""

from __future__ import annotations

from typing import Any

from shared.workflows.model import Document
from tests.echo_server import EchoServer
from tests.stepfunctions.compiler.documents import document, node


def calls(echo: EchoServer, mark: str) -> list[tuple[str, str]]:
    """(step, Idempotency-Key) of each call that carries the mark, in order of arrival."""
    found = []
    for _, path, headers, _ in list(echo.seen):
        if f"mark={mark}&" in path:
            key = {name.lower(): value for name, value in headers.items()}["idempotency-key"]
            found.append((path.partition("step=")[2], key))
    return found


def steps(echo: EchoServer, mark: str) -> list[str]:
    """The steps called, in order of arrival."""
    return [step for step, _ in calls(echo, mark)]


def post(echo: EchoServer, node_id: str, mark: str, path: str = "/echo?", **fields: Any) -> dict[str, Any]:
    """A node that calls the server; the step is its id."""
    url = f"{echo.base}{path}mark={mark}&step={node_id}"
    return node(node_id, "http_request", {"method": "POST"}, inputs={"url": url}, **fields)


def in_a_row(echo: EchoServer, mark: str, path: str = "/held?", **of_the_middle: Any) -> Document:
    """before → middle → after, in one segment; the middle one is held until the mark is released."""
    return document(
        [
            node("start", "manual_trigger"),
            post(echo, "before", mark),
            post(echo, "middle", mark, path, **of_the_middle),
            post(echo, "after", mark),
            node("out", "output"),
        ],
        """start.trigger -> before.body; before.status -> middle.body; middle.status -> after.body
        after.status -> out.value""",
    )


def in_a_loop(echo: EchoServer, mark: str, at_once: int = 1) -> Document:
    """A call for each item, which is a path such as `echo?`; the step is its index."""
    url = f"{echo.base}/{{{{ item }}}}mark={mark}&step={{{{ index }}}}"
    return document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"max_concurrency": at_once, "result": "nodes.call.status"}),
            node("call", "http_request", {"method": "POST"}, parent="each", inputs={"url": url}),
            node("out", "output"),
        ],
        "start.trigger -> each.items; each.results -> out.value",
    )


def asking(echo: EchoServer, mark: str, **settings: Any) -> Document:
    """before → a question → after."""
    return document(
        [
            node("start", "manual_trigger"),
            post(echo, "before", mark),
            node("ask", "human_in_the_loop", {"title": "Go on?"}),
            post(echo, "after", mark),
            node("out", "output"),
        ],
        """start.trigger -> before.body; before.status -> ask.input; ask.approved -> after.body
        after.status -> out.value""",
        settings=settings,
    )

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from shared.nodes.base import NodeError
from shared.nodes.registry import get
from tests.servers.mcp import own
from tests.servers.mcp.own import Own
from tests.servers.mcp.scripted import document, scripted
from tests.shared.mcp.calls import world
from tests.shared.nodes.calls import execute, fits


@pytest.fixture(scope="module")
def server() -> Iterator[Own]:
    with own.serving() as running:
        yield running


def written(there: Any, prompt: Any, args: Any = None, server: str = "own") -> Any:
    return execute("mcp_prompt", {"server": server}, {"prompt": prompt, "args": args}, world=there)["messages"]


def failure(*args: Any, **more: Any) -> NodeError:
    with pytest.raises(NodeError) as caught:
        written(*args, **more)
    assert caught.value.error in get("mcp_prompt").errors
    return caught.value


def test_messages_for_a_model(server: Own) -> None:
    found = written(world(server.document()), "summarise", {"text": "War and Peace", "tone": 3})
    assert found == [{"role": "user", "content": "Summarise in a 3 tone: War and Peace"}]


def test_what_is_no_text_stays_as_it_is() -> None:
    picture = {"type": "image", "data": "aGk=", "mimeType": "image/png"}
    with scripted({"prompts/get": {"messages": [{"role": "user", "content": picture}]}}) as there:
        assert written(world(document(there)), "p", None, "scripted") == [{"role": "user", "content": picture}]


@pytest.mark.parametrize(
    ("prompt", "args", "error"),
    [
        (None, None, "InvalidInput"),
        ("", None, "InvalidInput"),
        ({"a": 1}, None, "InvalidInput"),
        ("summarise", "text", "InvalidInput"),
        ("nothing", None, "ServerError"),
        ("summarise", {}, "ServerError"),
    ],
)
def test_bad_input(server: Own, prompt: Any, args: Any, error: str) -> None:
    assert failure(world(server.document()), prompt, args).error == error


def test_faults() -> None:
    with scripted({"prompts/get": {"messages": 7}}) as there:
        assert failure(world(document(there)), "p", None, "scripted").error == "InvalidResponse"
    with scripted({}) as there:
        assert failure(world(document(there)), "p", None, "scripted").error == "NotSupported"
    assert failure(world(), "p", None, "nobody").error == "ServerNotFound"


def test_configs_that_do_not_fit() -> None:
    assert not fits(get("mcp_prompt"), {"server": "Not a name"})

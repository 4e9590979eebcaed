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


def read(there: Any, address: Any, server: str = "own") -> Any:
    return execute("mcp_resource", {"server": server}, {"resource": address}, world=there)["content"]


def failure(*args: Any, **more: Any) -> NodeError:
    with pytest.raises(NodeError) as caught:
        read(*args, **more)
    assert caught.value.error in get("mcp_resource").errors
    return caught.value


@pytest.mark.parametrize(
    ("address", "content"),
    [
        ("notes://today", "Feed the cat."),
        ("notes://tomorrow", "Nothing on tomorrow."),
        ("notes://cat.png", {"base64": "bWVvdw==", "mime_type": "image/png"}),
    ],
)
def test_what_it_says(server: Own, address: str, content: Any) -> None:
    assert read(world(server.document()), address) == content


def test_several_parts() -> None:
    parts = [{"uri": "x://1", "text": "one"}, {"uri": "x://2", "blob": "aGk=", "mimeType": "a/b"}]
    with scripted({"resources/read": {"contents": parts}}) as there:
        found = read(world(document(there)), "x://", "scripted")
    assert found == ["one", {"base64": "aGk=", "mime_type": "a/b"}]


@pytest.mark.parametrize(
    ("address", "error"),
    [(None, "InvalidInput"), ("", "InvalidInput"), (7, "InvalidInput"), ("other://x", "InvalidArguments")],
)
def test_bad_input(server: Own, address: Any, error: str) -> None:
    assert failure(world(server.document()), address).error == error


def test_faults() -> None:
    with scripted({"resources/read": {"contents": "x"}}) as there:
        assert failure(world(document(there)), "x://", "scripted").error == "InvalidResponse"
    with scripted({}) as there:
        assert failure(world(document(there)), "x://", "scripted").error == "NotSupported"
    assert failure(world(), "x://", "nobody").error == "ServerNotFound"


def test_configs_that_do_not_fit() -> None:
    assert not fits(get("mcp_resource"), {"server": 7})
    assert not fits(get("mcp_resource"), {"resource": "x://"})

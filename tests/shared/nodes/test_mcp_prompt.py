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
from tests.shared.nodes.http_server import serving
from tests.shared.nodes.models import anthropic_says, openai_says, outside


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


URL = "data:image/png;base64,aGk="
PICTURE = {"type": "image_url", "image_url": {"url": URL}}
PARTS = [
    PICTURE,
    {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
    {"type": "text", "text": "[left out: audio (audio/ogg)]"},
    {"type": "text", "text": "Feed the cat."},
    PICTURE,
    {"type": "file", "file": {"filename": "resource.pdf", "file_data": "data:application/pdf;base64,aGk="}},
    {"type": "text", "text": "[left out: resource notes://all.zip (application/zip)]"},
    {"type": "text", "text": "[left out: a link to the resource notes://today]"},
]


def test_what_is_no_text_is_given_as_models_take_it(server: Own) -> None:
    found = written(world(server.document()), "everything")
    assert found == [{"role": "user", "content": [part]} for part in PARTS]
    with serving([openai_says("A cat.")]) as there:
        execute("llm_chat", {"model": "m", "credential": "openai"}, {"messages": found}, world=outside(there))
    assert there.asked[0].json["messages"] == found
    without_sound = [each for each in found if each["content"][0]["type"] != "input_audio"]
    with serving([anthropic_says("A cat.")]) as there:
        config = {"model": "m", "credential": "anthropic"}
        with pytest.raises(NodeError, match="takes no sound"):
            execute("anthropic_chat", config, {"messages": found}, world=outside(there))
        execute("anthropic_chat", config, {"messages": without_sound}, world=outside(there))
    [sent] = there.asked[0].json["messages"]
    source = {"type": "base64", "media_type": "image/png", "data": "aGk="}
    assert sent["content"][0] == {"type": "image", "source": source}
    assert [part["type"] for part in sent["content"] if part["type"] != "text"] == [
        "image",
        "image",
        "document",
    ]


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

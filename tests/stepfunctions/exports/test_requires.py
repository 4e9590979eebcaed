"""What a document needs: every place that names something is known."""

from __future__ import annotations

import pytest

from shared.nodes.ai._fields import PROMPT
from shared.nodes.registry import get, names
from stepfunctions.exports.requires import needs, requires
from tests.stepfunctions.compiler.documents import document, node

ASKING = [n for n in names() if get(n).config_schema.get("properties", {}).get("prompt") == PROMPT["prompt"]]


def test_some_types_ask_stored_prompts() -> None:
    assert "llm_chat" in ASKING


@pytest.mark.parametrize("kind", ASKING)
def test_a_stored_prompt_is_a_need_of_whatever_asks_it(kind: str) -> None:
    chat = node("chat", kind, {"model": "m", "prompt": "greet", "prompt_version": 3}, inputs={"messages": []})
    found = document([chat, {**chat, "id": "off", "disabled": True, "config": {"prompt": "unused"}}])
    assert requires(found)["prompts"] == ["greet"]
    assert [(n.node_id, n.path, n.version) for n in needs(found)] == [("chat", "nodes.chat.config.prompt", 3)]


def test_what_is_no_version_is_the_compilers_to_tell() -> None:
    chat = node("chat", "llm_chat", {"model": "m", "prompt": "greet", "prompt_version": "newest"})
    assert [(n.name, n.version) for n in needs(document([chat]))] == [("greet", None)]


def test_an_error_workflow_is_a_need_of_the_settings() -> None:
    found = document([node("start", "manual_trigger")], settings={"error_workflow": "wf_watch"})
    assert requires(found)["workflows"] == ["wf_watch"]
    assert [(n.node_id, n.path) for n in needs(found)] == [(None, "settings.error_workflow")]

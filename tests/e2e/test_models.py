"""A router over three providers and a race that a model combines, on the local AWS, with credentials."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.caller import Caller
from tests.model_server import MODEL_KEY
from tests.shared.nodes.http_server import Server
from tests.stepfunctions.compiler.documents import document, node

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]


@pytest.fixture(scope="module")
def keyed(mine: Caller, models: Server) -> Caller:
    """The first tenant, with credentials for each provider."""
    url, secret = models.url, {"api_key": MODEL_KEY}
    mine.secrets.add(MODEL_KEY)
    keys = {"access_key_id": "AKIAMODELS", "secret_access_key": MODEL_KEY, "region": "eu-central-1"}
    for name, kind, values in (
        ("models_openai", "openai", {**secret, "base_url": f"{url}/v1"}),
        ("models_anthropic", "anthropic", {**secret, "base_url": url}),
        ("models_aws", "aws", {**keys, "endpoint_url": url}),
        ("models_wrong", "openai", {"api_key": "not-the-key", "base_url": f"{url}/v1"}),
    ):
        mine.post("/credentials", {"name": name, "kind": kind, "values": values})
    return mine


def entry(name: str, provider: str = "openai", credential: str | None = None, **more: Any) -> dict[str, Any]:
    known = {"openai": "models_openai", "anthropic": "models_anthropic", "bedrock": "models_aws"}
    return {"name": name, "model": name, "provider": provider, "credential": credential or known[provider], **more}


def test_a_router_chooses_and_falls_over_from_provider_to_provider(keyed: Caller) -> None:
    table = [
        entry("down"),
        entry("locked", credential="models_wrong"),
        entry("claude", "anthropic", description="quick"),
        entry("careful", "bedrock", description="knows the law"),
        entry("chooser"),
    ]
    rules = [{"when": "criteria.kind = 'easy'", "model": "down", "because": "it is easy"}]
    by_rule = {"models": table, "rules": rules, "max_retries": 0}
    chosen = {"models": table, "strategy": "classifier", "classifier": "chooser", "max_retries": 0}
    whole = document(
        [
            node("start", "manual_trigger"),
            node("easy", "model_router", by_rule, inputs={"criteria": {"kind": "easy"}}),
            node("hard", "model_router", chosen, inputs={"prompt": "Is it lawful? {{ nodes.easy.response }}"}),
            node("none", "model_router", {"models": table[:2], "max_retries": 0}),
            node("failed", "transform", {"expression": "inputs.input"}),
            node("out", "output", inputs={"value": "{{ [nodes.easy, nodes.hard, nodes.failed.output] }}"}),
        ],
        "start.trigger -> easy.prompt; start.trigger -> none.prompt; none.error -> failed.input",
    )
    ended = keyed.until(keyed.start(whole, "Hello"))
    assert ended["status"] == "completed", ended["error"]
    easy, hard, failed = ended["final_output"]
    assert (easy["model"], easy["response"]) == ("claude", "anthropic answers")
    assert easy["reason"] == (
        "rule 1 holds: it is easy; down failed (ModelError); locked failed (AuthenticationFailed); claude is next"
    )
    assert (hard["model"], hard["response"]) == ("careful", "bedrock answers")
    assert hard["reason"] == "chooser chose it: it is about law"
    assert hard["usage"]["total_tokens"] == 30
    assert failed["error"] == "AllModelsFailed"
    assert "not-the-key" not in str(ended)


def test_models_race_and_are_combined(keyed: Caller) -> None:
    table = [entry("slow"), entry("claude", "anthropic"), entry("titan", "bedrock"), entry("down")]
    whole = document(
        [
            node("start", "manual_trigger"),
            node(
                "race",
                "race_combine",
                {"models": table, "mode": "combined", "combiner": "titan"},
            ),
            node(
                "first",
                "race_combine",
                {"models": [table[3], table[1]], "max_retries": 0},
                inputs={"messages": "{{ nodes.race.combined }}"},
            ),
            node("out", "output", inputs={"value": "{{ [nodes.race, nodes.first] }}"}),
        ],
        "start.trigger -> race.messages",
    )
    ended = keyed.until(keyed.start(whole, "Hello"))
    assert ended["status"] == "completed", ended["error"]
    race, first = ended["final_output"]
    assert race["combined"] == "all agree"
    assert [r["response"] for r in race["responses"]] == ["slow answers", "anthropic answers", "bedrock answers", None]
    assert race["responses"][3]["error"]["error"] == "ModelError"
    assert race["usage"]["models"]["titan"]["total_tokens"] == 30  # its answer, and the combining
    assert race["usage"]["total_tokens"] == 60
    assert first["combined"] == "anthropic answers"
    assert ended["node_executions"]["race"]["usage"]["total_tokens"] == 60

"""The types that no other story here uses: providers' own, what is found in answers, others' stores, picked tools."""

from __future__ import annotations

import pytest

from tests.e2e.caller import Caller
from tests.model_server import MODEL_KEY
from tests.servers.databases import Database
from tests.servers.qdrant import KEY as QDRANT_KEY
from tests.shared.nodes.http_server import Server
from tests.stepfunctions.agents import Model
from tests.stepfunctions.compiler.documents import document, node

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]


def keep(mine: Caller, name: str, kind: str, **values: object) -> None:
    mine.post("/credentials", {"name": name, "kind": kind, "values": values}, 201)


def test_three_providers_side_by_side_and_what_their_answers_hold(mine: Caller, models: Server) -> None:
    url = models.url
    mine.secrets.add(MODEL_KEY)
    keep(mine, "own_openai", "openai", api_key=MODEL_KEY, base_url=f"{url}/v1")
    keep(mine, "own_anthropic", "anthropic", api_key=MODEL_KEY, base_url=url)
    keys = {"access_key_id": "AKIAMODELS", "secret_access_key": MODEL_KEY, "region": "eu-central-1"}
    keep(mine, "own_aws", "aws", endpoint_url=url, **keys)
    whole = document(
        [
            node("start", "manual_trigger"),
            node("all", "parallel"),
            node("gpt", "openai_chat", {"model": "gpt", "credential": "own_openai"}),
            node("claude", "anthropic_chat", {"model": "claude", "credential": "own_anthropic"}),
            node("titan", "bedrock_chat", {"model": "titan", "credential": "own_aws"}),
            node("rest", "llm_completion", {"model": "rest", "credential": "own_openai"}),
            node("answers", "merge"),
            node("text", "json_stringify"),
            node(
                "said",
                "regex_extract",
                {"pattern": r"(?P<who>\w+) answers"},
                inputs={"text": "{{ nodes.text.output }}"},
            ),
            node("again", "extract_json", inputs={"text": "They said {{ nodes.text.output }}, and no more."}),
            node("count", "while_loop", {"condition": "state < 3"}, inputs={"initial": 0}),
            node("more", "transform", {"expression": "inputs.input + 1"}, parent="count"),
            node(
                "out",
                "output",
                inputs={
                    "value": "{{ {'json': nodes.again.json, 'who': nodes.said.matches.named.who, "
                    "'state': nodes.count.state} }}"
                },
            ),
        ],
        """start.trigger -> all.inputs; all.outputs -> gpt.messages; all.outputs -> claude.messages
        all.outputs -> titan.messages; all.outputs -> rest.prompt; gpt.response -> answers.inputs
        claude.response -> answers.inputs; titan.response -> answers.inputs; rest.completion -> answers.inputs
        answers.output -> text.input; count.state -> more.input""",
    )
    ended = mine.until(mine.start(whole, "Hello"))
    assert ended["status"] == "completed", ended["error"]
    who = ["gpt", "anthropic", "bedrock", "rest"]
    assert ended["final_output"] == {"json": [f"{name} answers" for name in who], "who": who, "state": 3}


def test_others_stores_and_a_tool_that_a_model_picks(
    mine: Caller, redis_server: Database, qdrant_server: str, mind: tuple[Model, Server]
) -> None:
    model, server = mind
    model.scripts["picker"] = [[("calculate", {"expression": "6 * 7"})]]
    mine.secrets |= {QDRANT_KEY, "picker-hush-key"}
    keep(mine, "own_redis", "redis", **redis_server.values)
    keep(mine, "own_qdrant", "qdrant", url=qdrant_server, api_key=QDRANT_KEY)
    keep(mine, "own_mind", "openai", api_key="picker-hush-key", base_url=f"{server.url}/v1")
    redis = {"credential": "own_redis", "read_only": False}
    picking = {"model": "picker", "credential": "own_mind", "tools": ["calculate"]}
    whole = document(
        [
            node("start", "manual_trigger"),
            node("set", "nosql_query", redis, inputs={"query": {"command": "SET", "args": ["e2e", "{{ trigger.n }}"]}}),
            node(
                "got",
                "nosql_query",
                redis,
                inputs={"query": {"command": "GET", "args": ["{{ nodes.set ? 'e2e' }}"]}},
            ),
            node("vector", "embedding", {"model": "scripted"}, inputs={"text": ["a lamp", "a sofa"]}),
            node(
                "near",
                "qdrant_search",
                {"credential": "own_qdrant", "collection": "products", "limit": 2},
                inputs={"query": [1, 0, 0]},
            ),
            node("pick", "tool_router", picking, inputs={"query": "What is six times seven?"}),
            node(
                "out",
                "output",
                inputs={
                    "value": "{{ {'got': nodes.got.results, 'vectors': $count(nodes.vector.embedding), "
                    "'near': nodes.near.points.payload.name, 'pick': nodes.pick} }}"
                },
            ),
        ],
    )
    ended = mine.until(mine.start(whole, {"n": "17"}))
    assert ended["status"] == "completed", ended["error"]
    assert ended["final_output"] == {
        "got": ["17"],
        "vectors": 2,
        "near": ["lamp", "bulb"],
        "pick": {"tool": "calculate", "args": {"expression": "6 * 7"}, "result": {"result": 42}},
    }

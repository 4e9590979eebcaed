"""Documents and steps by chance, for hypothesis: any that are well-formed, however odd."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from shared.workflows.model import Document

IDS = ("a", "b", "c", "d-e", "F_1", "output", "step", "steps")
TYPES = (
    "llm_chat",
    "agent",
    "function_call",
    "mcp_tool",
    "merge",
    "condition",
    "loop",
    "while_loop",
    "retry",
    "switch",
    "human_in_the_loop",
    "output",
    "log",
    "transform",
    "template",
    "http_request",
    "delay",
    "manual_trigger",
    "schedule",
    "parallel",
    "prompt",
    "tool",
    "conditional",
    "node:tool",
    "no_such_type",
)
PORTS = ("output", "response", "json", "true", "false", "input", "inputs", "after", "error", "item", "value", "odd one")
TEXTS = (
    "",
    "{{ trigger }}",
    "{{trigger.a.b}}",
    "{{ nodes.a.output }}",
    "{{ nodes.a.json.x[0].`y-z` }}",
    "{{ nodes.a.response }}",
    "a \\{{ b",
    "{{ open",
    "${user_input}",
    "\\${user_input}",
    "${{ 1 }}",
    "${steps.a.output}",
    "{",
    "\\",
    "$",
    "{{{ x }}}",
    "{{ }}",
    "{{ variables.k }}",
    "{{ variables.`a-b`.c }}",
    '{{ "}}" }}',
    "{{ execution.id & '-a' }}",
    "a:b",
    "trigger",
    "nodes.a.output > 1 and trigger.x = 'trigger.y'",
    "nodes.`d-e`.`true`",
    "item",
    "/* nodes.a.x */ 1",
    "${HOME}",
    "}}",
    "nodes.gone.x",
    "`nodes`.a",
    "$x.nodes.a.b",
    '$contains(trigger, /["]nodes.a.output/)',
    "${steps.gone.output}",
    "{{ $split(trigger, /['}]/)[0] / nodes.a.output }}",
    "$split(trigger, /['}]/)[0] / nodes.a.output",
)
KEYS = (
    "config",
    "messages",
    "thread_id",
    "name",
    "args",
    "items",
    "expression",
    "condition",
    "template",
    "engine",
    "cases",
    "response_schema",
    "prompt",
    "server",
    "tool",
    "$raw",
    "title",
    "initial",
    "input",
    "system",
    "model",
    "mode",
    "a",
)

texts = st.one_of(
    st.sampled_from(TEXTS),
    st.lists(st.sampled_from([*TEXTS, " ", "x", "\\{{", "${", "{{"]), max_size=4).map("".join),
    st.text("${}\\ ab.'\"`[]0", max_size=12),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.just(1.0), texts),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)
fields = st.dictionaries(st.sampled_from(KEYS), values, max_size=4)


@st.composite
def any_documents(draw: Any) -> dict[str, Any]:
    """Any well-formed document: whole, as it is stored."""
    ids = draw(st.lists(st.sampled_from(IDS), max_size=6, unique=draw(st.booleans())))
    nodes = []
    for node_id in ids:
        node: dict[str, Any] = {"id": node_id, "type": draw(st.sampled_from(TYPES))}
        node |= {"config": draw(fields), "inputs": draw(fields)}
        if draw(st.booleans()):
            node["parent"] = draw(st.sampled_from([None, *ids]))
        if draw(st.integers(0, 4)) == 4:
            node |= {"position": {"x": 1, "y": 2.5}, "notes": "${user_input}", "name": "N", "on_error": "continue"}
            node["metadata"] = {"${user_input}": "{{ trigger }}", "ticket": "7"}
            node |= {"retry": {"max_attempts": 2}, "timeout_seconds": 3, "idempotent": False, "disabled": True}
        nodes.append(node)
    connections = []
    for number in range(draw(st.integers(0, 6)) if ids else 0):
        ends = [draw(st.sampled_from([*ids, "gone"])) for _ in "12"]
        ports = [draw(st.sampled_from(PORTS)) for _ in "12"]
        connections.append(
            {
                "id": draw(st.sampled_from([f"c{number}", "same"])),
                "source_node": ends[0],
                "source_port": ports[0],
                "target_node": ends[1],
                "target_port": ports[1],
            }
        )
    document = {"name": "Any", "nodes": nodes, "connections": connections, "variables": draw(fields)}
    document["metadata"] = draw(st.dictionaries(st.sampled_from(["owner", "$raw"]), st.just("${context.k}")))
    return Document.model_validate(document).model_dump(mode="json")


@st.composite
def listed_steps(draw: Any, depth: int = 0, inside: bool = False) -> list[dict[str, Any]]:
    """Steps one after the other, with branches and bodies, without ids."""
    steps = []
    for _ in range(draw(st.integers(0 if depth else 1, 3))):
        kinds = ["prompt", "agent", "tool", "human_in_the_loop", "transform", "delay"]
        if depth < 2:
            kinds += ["conditional", "parallel", "loop", "while", "routed"]
        steps.append(_step(draw, draw(st.sampled_from(kinds)), depth))
    return steps


def _step(draw: Any, kind: str, depth: int) -> dict[str, Any]:
    below = listed_steps(depth + 1)
    text = draw(texts)
    match kind:
        case "prompt":
            schema = {"output_schema": {"type": "object"}} if draw(st.booleans()) else {}
            return {"type": "prompt", "prompt": {"$raw": text}, **schema}
        case "agent":
            return {
                "type": "agent",
                "agent": "helper",
                **draw(st.sampled_from([{}, {"input": "x"}, {"thread_id": None}])),
            }
        case "tool":
            return {
                "type": "tool",
                "tool": draw(st.sampled_from(["calculate", "crm:find"])),
                "args": {"q": {"$raw": text}},
            }
        case "conditional":
            return {"type": "conditional", "condition": "${user_input} > 1", "then": draw(below), "else": draw(below)}
        case "parallel":
            branches = [b for b in draw(st.lists(below, min_size=1, max_size=3)) if b]
            return {"type": "parallel", "branches": branches or [[{"type": "delay", "config": {"ms": 1}}]]}
        case "loop":
            return {"type": "loop", "over": "${user_input}", "steps": draw(below)}
        case "while":
            return {"type": "loop", "while": "state < 3", "initial": 0, "steps": draw(below)}
        case "routed":
            return {"type": "human_in_the_loop", "branches": {"approved": draw(below), "rejected": draw(below)}}
        case "human_in_the_loop":
            return {"type": kind, "title": {"$raw": text}}
        case "delay":
            return {"type": kind, "config": {"ms": 1}}
    return {"type": kind, "config": {"expression": {"$raw": text}}}

"""What holds for every node type there is and will be."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator

from shared.nodes import catalogue
from shared.nodes.base import Category, Container, Effect, NodeType, Port, PortType, Pure, Trigger, Wait
from shared.nodes.registry import get, names
from tests.shared.nodes.calls import deliver, evaluate

ROOT = Path(__file__).parents[3]
HEAVY = {"httpx", "httpx2", "openai", "jsonschema", "pydantic", "jsonata", "boto3", "botocore", "fastapi"}
HEAVY |= {"jinja2", "pystache", "re2", "anthropic", "apprise", "bashkit", "bm25s", "bs4", "cryptography", "docx"}
HEAVY |= {
    "lxml",
    "mcp",
    "neo4j",
    "numpy",
    "openapi_spec_validator",
    "psycopg",
    "pymongo",
    "pymysql",
    "pypdf",
    "qdrant_client",
}
HEAVY |= {"redis", "requests", "websockets", "yaml"}
HEAVY |= {"numpy", "bm25s", "lxml", "bs4", "markdownify", "docx", "pypdf", "qdrant_client", "semantic_text_splitter"}
PORT_NAME = re.compile(r"[a-z][a-z0-9_]{0,49}")
every_type = pytest.mark.parametrize("node_type", [get(name) for name in names()], ids=list(names()))


def properties(schema: Mapping[str, Any], path: str = "config") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", field
        if "title" in field:  # drawn as a form of its own; without one it is a shape inside a list
            yield from properties(field, f"{path}.{name}")


@every_type
def test_the_declaration_is_complete(node_type: NodeType) -> None:
    assert isinstance(node_type, (Trigger, Pure, Effect, Wait, Container))
    assert node_type.category in get_args(Category)
    assert node_type.display_name
    assert node_type.description.endswith(".")
    for error in node_type.errors:
        assert re.fullmatch(r"([A-Z][a-z]*)+", error)
    assert len(set(node_type.errors)) == len(node_type.errors)


@every_type
def test_the_config_schema_is_closed_and_described(node_type: NodeType) -> None:
    schema = node_type.config_schema
    Draft202012Validator.check_schema(schema)
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    for path, field in properties(schema):
        assert field.get("title"), f"{path} has no title"
        assert field.get("description"), f"{path} has no description"
        if "default" in field:
            assert Draft202012Validator(field).is_valid(field["default"]), f"the default of {path} does not fit"
        if field.get("x-expression"):
            assert field["type"] == "string"
        if field.get("type") == "object" and "properties" in field:
            assert field["additionalProperties"] is False


@every_type
def test_ports_are_legal(node_type: NodeType) -> None:
    outputs = node_type.output_ports(node_type.example["config"])
    inner = getattr(node_type, "inner", {})
    assert node_type.outputs.keys() <= outputs.keys()
    for name, port in [*node_type.inputs.items(), *outputs.items(), *inner.items()]:
        assert isinstance(port, Port)
        assert PORT_NAME.fullmatch(name)
        assert name != "error", "the engine adds that port"
        assert port.type in get_args(PortType)
        assert port.description
    assert not any(port.required or port.multiple for port in outputs.values())


@every_type
def test_the_example_works(node_type: NodeType) -> None:
    example = node_type.example
    assert Draft202012Validator(node_type.config_schema).is_valid(example["config"])
    assert not list(node_type.check_config(example["config"]))
    assert example["inputs"].keys() <= node_type.inputs.keys()
    assert {n for n, p in node_type.inputs.items() if p.required} <= example["inputs"].keys()
    if isinstance(node_type, Pure):
        assert evaluate(node_type.type, example["config"], example["inputs"]) == example["outputs"]
    if isinstance(node_type, Trigger):
        assert deliver(node_type.type, example["data"], example["config"]) == example["outputs"]


@every_type
def test_the_file_is_small(node_type: NodeType) -> None:
    assert inspect.getsource(sys.modules[names()[node_type.type]]).count("\n") < 200


def test_declarations_load_nothing_heavy() -> None:
    modules = list(names().values())
    program = (
        f"import sys, importlib\nfor m in {modules!r}:\n    importlib.import_module(m)\n"
        f"    assert not {HEAVY!r} & sys.modules.keys(), (m, {HEAVY!r} & sys.modules.keys())\n"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert answer.returncode == 0, answer.stderr


def test_the_reference_pages_are_current() -> None:
    folder = ROOT / "docs" / "nodes"
    written = {f.name: f.read_text(encoding="utf-8") for f in folder.glob("*.md")}
    assert written == catalogue.pages(), "run: make catalogue"


def test_the_registry_knows_nothing_else() -> None:
    with pytest.raises(KeyError):
        get("no_such_type")
    for name in ("_chat", "__init__", "../base", ""):
        with pytest.raises(KeyError):
            get(name)

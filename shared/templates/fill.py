"""Parameters are put into a template's document; a person's text never becomes an expression by it.

`{"$param": "name"}` as a whole value is replaced by the parameter's value; a field of an object, or an item of a list,
whose parameter has none is left out. `{"$text": ["Dear ", {"$param": "who"}]}` is a text put together of its parts,
for places that take templates. There is nothing else: no conditions, no loops.

What becomes of a text depends on its place. Where `{{ … }}` would be evaluated, a text with braces is put in as an
expression that gives just this text; in a field that is an expression, any value is put in as a literal; everywhere
else (`variables` among them, which are never evaluated) it stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from shared.errors import Invalid, Problem
from shared.expressions.template import is_template
from shared.nodes.json_schemas import faults, schema_problems
from shared.nodes.registry import find
from shared.templates.model import MAX_PARAMETERS

PARAM: Final = "$param"
TEXT: Final = "$text"
_OPEN: Final[Mapping[str, Any]] = {}

Place = Literal["plain", "template", "expression"]


class _Absent:
    """A parameter without a value."""


_ABSENT: Final = _Absent()


def filled(document: Mapping[str, Any], schema: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The document with its parameters put in. Raises Invalid for parameters that do not fit the schema."""
    values = {
        **{
            n: each["default"]
            for n, each in _properties(schema).items()
            if isinstance(each, dict) and "default" in each
        },
        **given,
    }
    wrong = faults(values, {"additionalProperties": False, **schema})
    if wrong:
        raise Invalid("the parameters do not fit", errors=[_fault(each) for each in wrong])
    made: dict[str, Any] = {}
    for name, value in document.items():
        new = [_node(n, values) for n in value] if name == "nodes" else _put(value, values, "plain", _OPEN)
        if new is not _ABSENT:
            made[name] = new
    return made


def template_problems(document: Any, schema: Any) -> Iterator[Problem]:
    """Why these are no template: a schema that is none, placeholders that are malformed or name no parameter."""
    if not isinstance(schema, Mapping) or schema.get("type") != "object":
        yield Problem("invalid_schema", "the parameters are the JSON Schema of an object", "parameters.type")
        return
    found = list(schema_problems(schema, "parameters"))
    yield from found
    if found:
        return
    if len(_properties(schema)) > MAX_PARAMETERS:
        yield Problem("too_many", f"a template has at most {MAX_PARAMETERS} parameters", "parameters.properties")
    for name, each in _properties(schema).items():
        if isinstance(each, Mapping) and "default" in each and faults(each["default"], each):
            where = f"parameters.properties.{name}.default"
            yield Problem("bad_default", f"the default of {name} does not fit its schema", where)
    yield from _misplaced(document, set(_properties(schema)), "document")
    yield from _in_others_texts(document)


def placeholders(value: Any) -> Iterator[Any]:
    """Every object in a value that is a placeholder, or would be taken for one."""
    if isinstance(value, Mapping):
        if PARAM in value or TEXT in value:
            yield value
        for each in value.values():
            yield from placeholders(each)
    elif isinstance(value, list):
        for each in value:
            yield from placeholders(each)


def _misplaced(value: Any, known: set[str], path: str) -> Iterator[Problem]:
    if isinstance(value, list):
        for at, each in enumerate(value):
            yield from _misplaced(each, known, f"{path}.{at}")
    elif isinstance(value, Mapping):
        if PARAM in value:
            if len(value) != 1 or not isinstance(value[PARAM], str):
                yield Problem("bad_placeholder", 'a placeholder is {"$param": "name"} and nothing else', path)
            elif value[PARAM] not in known:
                name = str(value[PARAM])[:100]
                yield Problem("unknown_parameter", f"there is no parameter {name}", path)
        elif TEXT in value:
            parts = value[TEXT]
            if len(value) != 1 or not isinstance(parts, list) or not all(_is_part(p) for p in parts):
                yield Problem("bad_placeholder", '{"$text": […]} has texts and {"$param": "name"} as its parts', path)
            elif any(isinstance(p, str) and p.endswith(("{", "\\")) for p in parts[:-1]):
                # Before an expression that is put in, they would become a part of its braces.
                yield Problem("bad_placeholder", "a part of a $text ends in no { and no backslash", path)
            else:
                yield from _misplaced([p for p in parts if isinstance(p, Mapping)], known, path)
        else:
            for name, each in value.items():
                yield from _misplaced(each, known, f"{path}.{name}")


def _in_others_texts(document: Any) -> Iterator[Problem]:
    """A text of Jinja2 or Mustache is theirs to evaluate: what is put into it could not be told from its author's."""
    nodes = document.get("nodes") if isinstance(document, Mapping) else None
    for node in nodes if isinstance(nodes, list) else ():
        config = node.get("config") if isinstance(node, Mapping) and node.get("type") == "template" else None
        others = isinstance(config, Mapping) and config.get("engine", "expression") != "expression"
        if config is not None and others and any(True for _ in placeholders(config.get("template"))):
            path = f"nodes.{node.get('id')}.config.template"
            yield Problem("bad_placeholder", "a text of Jinja2 or Mustache gets its values by `vars`", path)


def _is_part(part: Any) -> bool:
    return isinstance(part, str) or (isinstance(part, Mapping) and PARAM in part)


def _node(node: Any, values: Mapping[str, Any]) -> Any:
    if not isinstance(node, Mapping):
        return node
    made: dict[str, Any] = {}
    for name, value in node.items():
        if name == "inputs":
            new = _put(value, values, "template", _OPEN)
        elif name == "config":
            node_type = find(str(_put(node.get("type"), values, "plain", _OPEN)))  # which may be a parameter itself
            # Which fields are templates may depend on others, so these are filled in first.
            marks = node_type.schema_for(_put(value, values, "plain", _OPEN)) if node_type else _OPEN
            new = _put(value, values, "plain", marks)
        else:
            new = _put(value, values, "plain", _OPEN)
        if new is not _ABSENT:
            made[name] = new
    return made


def _put(value: Any, values: Mapping[str, Any], place: Place, schema: Any) -> Any:
    place = _place(place, schema)
    if isinstance(value, list):
        below = schema.get("items") if isinstance(schema, Mapping) else None
        made = [_put(each, values, place, below or _OPEN) for each in value]
        return [each for each in made if each is not _ABSENT]
    if not isinstance(value, Mapping):
        return value
    if PARAM in value:
        given = values.get(value[PARAM], _ABSENT)
        return given if given is _ABSENT or given is None else _safe(given, place, schema)
    if TEXT in value:
        text = "".join(p if isinstance(p, str) else _inserted(values.get(p[PARAM]), place) for p in value[TEXT])
        return _literal(text) if place == "expression" else text
    filled_in = {name: _put(each, values, place, _below(schema, name)) for name, each in value.items()}
    return {name: each for name, each in filled_in.items() if each is not _ABSENT}


def _place(place: Place, schema: Any) -> Place:
    if not isinstance(schema, Mapping):
        return place
    return "expression" if schema.get("x-expression") else "template" if schema.get("x-template") else place


def _below(schema: Any, name: str) -> Any:
    if not isinstance(schema, Mapping):
        return _OPEN
    extra = schema.get("additionalProperties")
    return schema.get("properties", {}).get(name, extra if isinstance(extra, Mapping) else _OPEN)


def _safe(value: Any, place: Place, schema: Any) -> Any:
    """A value such that it means itself in its place."""
    place = _place(place, schema)
    if place == "expression":
        return _literal(value)
    if isinstance(value, Mapping):
        return {name: _safe(each, place, _below(schema, name)) for name, each in value.items()}
    if isinstance(value, list):
        below = schema.get("items", _OPEN) if isinstance(schema, Mapping) else _OPEN
        return [_safe(each, place, below) for each in value]
    if place == "template" and is_template(value):
        return "{{ " + _literal(value) + " }}"
    return value


def _inserted(value: Any, place: Place) -> str:
    """A value within a text. Where that is a template, as an expression: braces of two parts cannot become one's."""
    text = "" if value is None else value if isinstance(value, str) else _literal(value)
    return "{{ " + _literal(text) + " }}" if place == "template" and text else text


def _literal(value: Any) -> str:
    """A value as JSONata writes it, which is as JSON does."""
    return json.dumps(value, ensure_ascii=False)


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = schema.get("properties", {})
    return found


def _fault(text: str) -> Problem:
    where = text.partition(": ")[0]
    return Problem("bad_parameter", text, f"parameters{where.removeprefix('$')}")

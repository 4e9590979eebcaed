"""What texts of steps refer to, `${steps.ID.output}` and the like, and the templates and expressions they stand for.

Both ways are exact. A text of the document that cannot be written as one of steps (a template that does not parse) is
given as `{"$raw": text}`.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Any, Final

from shared.expressions.pieces import parts, pieces
from shared.expressions.template import TemplateError, end_of
from shared.workflows.steps.model import RAW

_NAME: Final = r"[A-Za-z_][A-Za-z0-9_-]*"
_PATH: Final = rf"(?:\.{_NAME}|\[[0-9]{{1,9}}\])*"
_REFERENCE: Final = re.compile(
    rf"(?:(?P<root>user_input|input|item|index|state|iteration)|steps\.(?P<step>{_NAME})\.(?P<port>{_NAME})"
    rf"|context\.(?P<variable>{_NAME})|execution\.(?P<execution>id|workflow_id|started_at))(?P<path>{_PATH})"
)
_TOKEN: Final = re.compile(rf"\\\$\{{|\$\{{\{{|\$\{{(?P<reference>{_REFERENCE.pattern})\}}")
_SEGMENT: Final = r"(?:\.[A-Za-z_][A-Za-z0-9_]*|\.`[^`]*`|\[[0-9]{1,9}\])"
_READ: Final = re.compile(
    rf"(?P<root>trigger|nodes|variables|execution|item|index|state|iteration)(?P<path>{_SEGMENT}*)"
)
# In an expression: what may be a reference.
_PERHAPS: Final = re.compile(rf"(?<![\w$.`])(?:trigger|nodes|variables)(?:{_SEGMENT})*(?![\w`(])")
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED: Final = frozenset({"and", "or", "in", "true", "false", "null", "function"})

MainPorts = Mapping[str, str | None]  # a step's id → the port that `output` is, None where it has none


class BadReference(Exception):
    """A reference that leads nowhere. The message is for people."""


def template_of(text: str, ports: MainPorts) -> str:
    """A text of steps as a template of the document. Raises BadReference."""
    made: list[str] = []
    literal: list[str] = []
    at = 0
    while (found := _TOKEN.search(text, at)) is not None:
        literal.append(text[at : found.start()])
        if found[0].startswith("\\"):
            literal.append("${")
            at = found.end()
            continue
        if found["reference"] is None:
            try:
                at = end_of(text, found.end()) + 2
            except TemplateError as error:
                raise BadReference(f"{error}, in ${{{{ … }}}}") from None
            expression = text[found.end() : at - 2]
        else:
            at = found.end()
            expression = f" {_read(found, ports)} "
        made += [_escaped("".join(literal), before_expression=True), f"{{{{{expression}}}}}"]
        literal = []
    return "".join([*made, _escaped("".join(literal) + text[at:], before_expression=False)])


def _escaped(literal: str, *, before_expression: bool) -> str:
    """A literal part of a template. Before an expression, what would be read together with its `{{` becomes one too."""
    end = _readable(literal) if before_expression else len(literal)
    tail = f"{{{{ {json.dumps(literal[end:])} }}}}" if end < len(literal) else ""
    return literal[:end].replace("{{", "\\{{") + tail


def _readable(literal: str) -> int:
    """Up to where a literal may stand before a `{{`: its end, but for backslashes and a brace without its partner."""
    end = len(literal)
    while end:
        if literal[end - 1] == "\\":
            end -= 1
            continue
        start = end
        while start and literal[start - 1] == "{":
            start -= 1
        if (end - start) % 2 == 0:
            break
        end -= 1
        if end > start:
            break
    return end


def text_of(template: str, ports: MainPorts) -> str | None:
    """A template of the document as a text of steps; None if it cannot be written as one."""
    made: list[str] = []
    literal: list[str] = []
    at = 0

    def flush() -> None:
        made.append(_TOKEN.sub(lambda m: "\\" + m[0], "".join(literal)))
        literal.clear()

    while at < len(template):
        if template.startswith("\\{{", at):
            literal.append("{{")
            at += 3
        elif template.startswith("{{", at):
            try:
                end = end_of(template, at + 2)
            except TemplateError:
                return None
            flush()
            made.append(_reference(template[at + 2 : end], ports))
            at = end + 2
        else:
            literal.append(template[at])
            at += 1
    flush()
    text = "".join(made)
    return text if _same(template_of, text, ports, template) else None


def _reference(expression: str, ports: MainPorts) -> str:
    """What stands in a text for `{{expression}}`."""
    named = _named(expression[1:-1], ports) if expression[:1] == expression[-1:] == " " else None
    return f"${{{named}}}" if named is not None else f"${{{{{expression}}}}}"


def expression_of(text: str, ports: MainPorts) -> str:
    """An expression of steps as one of the document. Raises BadReference."""
    quoted = [(start, end) for kind, start, end in pieces(text) if kind in ("text", "pattern", "open")]
    begins = [start for start, _ in quoted]

    def replaced(found: re.Match[str]) -> str:
        if found["reference"] is None:
            return found[0].removeprefix("\\")
        before = bisect_left(begins, found.start())
        if before and found.start() < quoted[before - 1][1]:
            raise BadReference(f"{found[0]} stands in quotes or a pattern, where it is text; write it without them")
        return _read(found, ports)

    return _TOKEN.sub(replaced, text)


def written_expression(expression: str, ports: MainPorts) -> str | None:
    """An expression of the document as one of steps; None if it cannot be written as one."""

    def replaced(found: re.Match[str]) -> str:
        named = _named(found[0], ports)
        return f"${{{named}}}" if named is not None else found[0]

    def written(part: str, can_name: bool) -> str:
        return _PERHAPS.sub(replaced, part) if can_name else _TOKEN.sub(lambda m: "\\" + m[0], part)

    text = "".join(written(*each) for each in parts(expression))
    for each in (text, expression):
        if _same(expression_of, each, ports, expression):
            return each
    return None


def _same(way: Callable[[str, MainPorts], str], text: str, ports: MainPorts, wanted: str) -> bool:
    try:
        return way(text, ports) == wanted
    except BadReference:
        return False


def _read(found: re.Match[str], ports: MainPorts) -> str:
    """The expression that a reference stands for. Raises BadReference."""
    if found["step"] is not None:
        root = f"nodes{_segment(found['step'])}{_segment(_port(found['step'], found['port'], ports))}"
    elif found["variable"] is not None:
        root = f"variables{_segment(found['variable'])}"
    elif found["execution"] is not None:
        root = f"execution.{found['execution']}"
    else:
        root = "trigger" if found["root"] in ("user_input", "input") else found["root"]
    return root + re.sub(rf"\.({_NAME})", lambda m: _segment(m[1]), found["path"])


def _port(step: str, named: str, ports: MainPorts) -> str:
    if step not in ports:
        raise BadReference(f"there is no step {step}")
    if named != "output":
        return named
    main = ports[step]
    if main is None:
        raise BadReference(f"{step} has no output")
    return main


def _named(expression: str, ports: MainPorts) -> str | None:
    """The reference that stands for an expression; None if there is none."""
    found = _READ.fullmatch(expression)
    if found is None:
        return None
    parts = [p.removeprefix(".").strip("`") if p[0] == "." else p for p in re.findall(_SEGMENT, found["path"])]
    root = found["root"]
    match root, parts:
        case "trigger", _:
            start, rest = "user_input", parts
        case "variables", [first, *rest]:
            start = f"context.{first}"
        case "nodes", [step, port, *rest] if step in ports:
            start = f"steps.{step}.{'output' if port == ports[step] else port}"
        case "nodes" | "variables", _:
            return None
        case _:
            start, rest = root, parts
    named = start + "".join(p if p.startswith("[") else f".{p}" for p in rest)
    again = _REFERENCE.fullmatch(named)
    try:
        return named if again is not None and _read(again, ports) == expression else None
    except BadReference:
        return None


def _segment(name: str) -> str:
    return f".{name}" if _WORD.fullmatch(name) and name not in _RESERVED else f".`{name}`"


# --- values and configs -----------------------------------------------------------------------------------------------

Change = Callable[[str, str], Any]  # (path, text) → what stands in its place


def to_values(value: Any, path: str, change: Change) -> Any:
    """A value of steps as one of the document: `change` makes a template of each text."""
    if isinstance(value, str):
        return change(path, value)
    if isinstance(value, dict):
        if set(value) == {RAW}:
            return value[RAW]
        return {k: to_values(v, f"{path}.{k}", change) for k, v in value.items()}
    if isinstance(value, list):
        return [to_values(v, f"{path}.{i}", change) for i, v in enumerate(value)]
    return value


def from_values(value: Any, ports: MainPorts) -> Any:
    """A value of the document, with templates, as one of steps."""
    if isinstance(value, str):
        text = text_of(value, ports)
        return {RAW: value} if text is None else text
    if isinstance(value, dict):
        if set(value) == {RAW}:
            return {RAW: value}
        return {k: from_values(v, ports) for k, v in value.items()}
    if isinstance(value, list):
        return [from_values(v, ports) for v in value]
    return value


def marked(
    value: Any,
    schema: Mapping[str, Any],
    path: str,
    on_template: Callable[[str, Any], Any],
    on_expression: Callable[[str, Any], Any],
) -> Any:
    """A config value with the places changed that its schema marks as templates or expressions."""
    if schema.get("x-expression"):
        return on_expression(path, value)
    if schema.get("x-template"):
        return on_template(path, value)
    if isinstance(value, dict):
        extra = schema.get("additionalProperties")
        below = schema.get("properties", {})
        other = extra if isinstance(extra, dict) else {}
        return {k: marked(v, below.get(k, other), f"{path}.{k}", on_template, on_expression) for k, v in value.items()}
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [marked(v, schema["items"], f"{path}.{i}", on_template, on_expression) for i, v in enumerate(value)]
    return value

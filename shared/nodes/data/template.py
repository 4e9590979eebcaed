"""Text with values in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shared.errors import Problem
from shared.nodes.base import Call, NodeError, Outputs, Port, Pure
from shared.nodes.data._text import text_of


class Template(Pure):
    """Fills a text."""

    category = "data"
    display_name = "Template"
    description = "Fills values into a text, with JSONata expressions, Jinja2 or Mustache."
    inputs = {
        "vars": Port(
            "object",
            description="Values for the text. Expressions read them as `inputs.vars.name`; Jinja2 and Mustache see "
            "nothing else, and read them as `name`.",
        )
    }
    outputs = {"output": Port("string", description="The filled text.")}
    config_schema = {
        "type": "object",
        "properties": {
            "template": {
                "type": "string",
                "maxLength": 100_000,
                "x-template": True,
                "title": "Template",
                "description": "The text. `expression`: JSONata in double braces, such as "
                "`Dear {{ inputs.vars.name }}`. `jinja2`, `mustache`: such as `Dear {{ name }}`.",
            },
            "engine": {
                "enum": ["expression", "jinja2", "mustache"],
                "title": "Engine",
                "description": "How the template is written. `jinja2`: loops, conditions and filters, in its sandbox; "
                "nothing is escaped but by `|e`. `mustache`: sections; escapes for HTML, but not in three braces.",
                "default": "expression",
            },
        },
        "required": ["template"],
        "additionalProperties": False,
    }
    errors = ("ExpressionError", "InvalidInput", "TemplateError", "ValueTooLarge", "Timeout")
    example = {
        "config": {"template": "Dear {{ inputs.vars.name }}, you owe {{ inputs.vars.sum }} €."},
        "inputs": {"vars": {"name": "Ada", "sum": 12}},
        "outputs": {"output": "Dear Ada, you owe 12 €."},
    }

    @classmethod
    def schema_for(cls, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """Braces of another engine are not ours to evaluate."""
        if config.get("engine", "expression") == "expression":
            return cls.config_schema
        properties = cls.config_schema["properties"]
        plain = {name: mark for name, mark in properties["template"].items() if name != "x-template"}
        return {**cls.config_schema, "properties": {**properties, "template": plain}}

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterator[Problem]:
        """A template that its engine can read."""
        if config.get("engine", "expression") != "expression":
            problem = _engine(config["engine"]).problem(config["template"])
            if problem is not None:
                yield Problem("invalid_config", f"the template cannot be read: {problem}", "config.template")

    # Pure in all engines: they see `vars` only, have no clock, chance or files, and at most a second and 10 million
    # characters. So a text is made again after a crash, in the function that needs it, and never in the API's.
    def evaluate(self, call: Call) -> Outputs:
        """The text. A template that is one expression keeps its value's type elsewhere; here it becomes text too."""
        text, engine = call.config["template"], call.config["engine"]
        if engine == "expression":
            return {"output": text_of(text)}
        names = call.inputs.get("vars")
        if names is not None and not isinstance(names, dict):
            raise NodeError("InvalidInput", "vars is no object", retryable=False)
        return {"output": _engine(engine).render(text, names or {})}


def _engine(name: str) -> Any:
    """Its module, which imports its library: loaded when the first such template comes."""
    if name == "jinja2":
        from shared.nodes.data import _jinja

        return _jinja
    from shared.nodes.data import _mustache

    return _mustache

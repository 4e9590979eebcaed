"""One way out of many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared.errors import Problem
from shared.expressions.truth import truth
from shared.nodes.base import Call, Outputs, Port, Pure

_TAKEN: Final = ("default", "error")


class Switch(Pure):
    """Sends its input out of the port of the first case that holds."""

    category = "logic"
    display_name = "Switch"
    description = "Sends its input to the first case whose expression holds, or else to `default`."
    inputs = {"input": Port("any", description="What is handed on.")}
    outputs = {"default": Port("any", description="The input, when no case holds.")}
    config_schema = {
        "type": "object",
        "properties": {
            "cases": {
                "type": "object",
                "propertyNames": {"pattern": "^[A-Za-z][A-Za-z0-9_-]{0,99}$"},
                "additionalProperties": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 10_000,
                    "x-expression": True,
                    "title": "Case",
                    "description": "A JSONata expression.",
                },
                "minProperties": 1,
                "maxProperties": 100,
                "title": "Cases",
                "description": "A name, which becomes an output port, and an expression for each case, in order.",
            }
        },
        "required": ["cases"],
        "additionalProperties": False,
    }
    errors = ("ExpressionError",)
    example = {
        "config": {"cases": {"large": "inputs.input.amount > 1000", "medium": "inputs.input.amount > 100"}},
        "inputs": {"input": {"amount": 250}},
        "outputs": {"medium": {"amount": 250}},
    }

    @classmethod
    def output_ports(cls, config: Mapping[str, Any]) -> Mapping[str, Port]:
        """One port per case, and `default`."""
        cases = config.get("cases")
        names = cases if isinstance(cases, Mapping) else ()
        return {**{n: Port("any", description=f"The input, when the case {n} holds.") for n in names}, **cls.outputs}

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterator[Problem]:
        """A case cannot be named like a port that is there anyway."""
        for name in _TAKEN:
            if name in config["cases"]:
                message = f"a case cannot be named {name!r}: every switch has that port"
                yield Problem("invalid_config", message, f"config.cases.{name}")

    def evaluate(self, call: Call) -> Outputs:
        """The input, on the port of the first case that holds; later cases are not evaluated."""
        for name, expression in call.config["cases"].items():
            if truth(call.expressions.evaluate(expression)):
                return {name: call.inputs.get("input")}
        return {"default": call.inputs.get("input")}

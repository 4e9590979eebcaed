"""Many values to one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from shared.errors import Problem
from shared.nodes.base import Call, NodeError, Outputs, Port, Pure
from shared.nodes.data._aggregates import AGGREGATES, TAKES_LISTS_APART


class Aggregator(Pure):
    """Puts values together."""

    category = "data"
    display_name = "Aggregate"
    description = "Puts everything that arrives together: as a list or an object, a sum, an average, groups and so on."
    inputs = {"inputs": Port("any", multiple=True, description="The values, in the order of the connections.")}
    outputs = {"output": Port("any", description="The one value.")}
    config_schema = {
        "type": "object",
        "properties": {
            "operation": {
                "enum": [*AGGREGATES, "expression"],
                "title": "Operation",
                "description": "`array`: a list of all. `object`: the fields of all, later ones winning. `sum`, "
                "`average`: of numbers. `min`, `max`: of numbers or of texts. `count`, `first`, `last`. `join`: one "
                "text. `group_by`: an object of lists. `expression`: what the expression gives.",
                "default": "array",
            },
            "field": {
                "type": "string",
                "minLength": 1,
                "maxLength": 200,
                "title": "Field",
                "description": "The field to take of each value, such as `price` or `order.total`: "
                "for `sum`, `average`, `min`, `max` and `join`. `group_by` needs it: the field to group by.",
            },
            "separator": {
                "type": "string",
                "maxLength": 100,
                "title": "Separator",
                "description": "What stands between the texts of `join`.",
                "default": ", ",
            },
            "flatten": {
                "type": "boolean",
                "title": "Take lists apart",
                "description": "Whether a list that arrives stands for its items, such as a loop's results. "
                "`sum`, `average`, `min`, `max`, `join` and `group_by` always do that.",
                "default": False,
            },
            "expression": {
                "type": "string",
                "minLength": 1,
                "maxLength": 100_000,
                "x-expression": True,
                "title": "Expression",
                "description": "For `expression`: JSONata over the list `values`, such as `$sum(values.price)`.",
            },
        },
        "additionalProperties": False,
    }
    errors = ("InvalidInput", "ExpressionError")
    example = {
        "config": {"operation": "group_by", "field": "city"},
        "inputs": {"inputs": [{"city": "Rome", "n": 1}, [{"city": "Oslo", "n": 2}, {"city": "Rome", "n": 3}]]},
        "outputs": {
            "output": {"Rome": [{"city": "Rome", "n": 1}, {"city": "Rome", "n": 3}], "Oslo": [{"city": "Oslo", "n": 2}]}
        },
    }

    @classmethod
    def scope_names(cls) -> frozenset[str]:
        """`values`."""
        return frozenset({"values"})

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterator[Problem]:
        """The field that `group_by` needs, the expression that `expression` needs."""
        for operation, needed in (("group_by", "field"), ("expression", "expression")):
            if config.get("operation") == operation and needed not in config:
                yield Problem("invalid_config", f"{operation} needs {needed}", f"config.{needed}")

    def evaluate(self, call: Call) -> Outputs:
        """The one value. Raises NodeError InvalidInput for a value that the operation cannot take."""
        operation = call.config["operation"]
        given = call.inputs.get("inputs", [])
        values = given if isinstance(given, list) else [given]
        if call.config["flatten"] or operation in TAKES_LISTS_APART:
            values = [item for value in values for item in (value if isinstance(value, list) else [value])]
        if operation == "expression":
            return {"output": call.expressions.evaluate(call.config["expression"], {"values": values})}
        try:
            output = AGGREGATES[operation](values, call.config)
        except OverflowError:
            output = math.inf
        if isinstance(output, float) and not math.isfinite(output):
            raise NodeError("InvalidInput", f"the {operation} is too large for a number", retryable=False)
        return {"output": output}

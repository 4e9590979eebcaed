"""Runs the tenant's own Python or JavaScript."""

from __future__ import annotations

from shared.nodes.base import Call, Effect, Outputs, Port
from shared.nodes.tools._boxes import ERRORS, boxed


class CodeExecutor(Effect):
    """Code in a box: it computes, and reaches nothing."""

    category = "tools"
    display_name = "Code"
    description = (
        "Runs Python or JavaScript of your own, in a process of its own without files, network, environment or "
        "memory of earlier runs. `input` is what came in; the result is the variable `result`, or without one the "
        "value of the last line."
    )
    boxed = True
    inputs = {"input": Port("any", description="What the code finds as `input`.")}
    outputs = {
        "result": Port("any", description="The variable `result`, or the value of the last line: JSON."),
        "stdout": Port("string", description="What it printed."),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "language": {
                "enum": ["python", "javascript"],
                "title": "Language",
                "description": "`python`: CPython 3.14 with the modules of its library that only compute. "
                "`javascript`: ECMAScript in QuickJS, with promises; no modules, no timers.",
                "default": "python",
            },
            "code": {
                "type": "string",
                "minLength": 1,
                "maxLength": 100_000,
                "title": "Code",
                "description": "It is run as it is: `{{ … }}` in it means nothing. What it needs comes in as `input`.",
            },
        },
        "required": ["code"],
        "additionalProperties": False,
    }
    errors = ("CodeFailed", "InvalidResult", *ERRORS)
    example = {
        "config": {"code": "total = sum(line['amount'] for line in input)\nresult = {'total': total}"},
        "inputs": {"input": [{"amount": 12.5}, {"amount": 7.5}]},
    }
    timeout_seconds = 30

    async def execute(self, call: Call) -> Outputs:
        """`{result, stdout}`. Raises NodeError with one of `errors`; CodeFailed has the code's own traceback."""
        request = {"language": call.config["language"], "code": call.config["code"], "input": call.inputs.get("input")}
        answer = await boxed(call, request)
        return {"result": answer.get("result"), "stdout": str(answer.get("stdout", ""))}

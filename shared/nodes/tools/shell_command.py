"""Runs a shell command."""

from __future__ import annotations

from shared.nodes.base import Call, Effect, Outputs, Port
from shared.nodes.tools._boxes import ERRORS, boxed, text


class ShellCommand(Effect):
    """A command in a box, in an empty work folder."""

    category = "tools"
    display_name = "Shell command"
    description = (
        "Runs a bash script with commands such as grep, sed, awk, jq, sort and tar, in an empty work folder that is "
        "gone afterwards. It reaches no network, no other files and no programs of the machine."
    )
    boxed = True
    inputs = {
        "command": Port("string", required=True, description="The script."),
        "stdin": Port("string", description="What it reads from its standard input."),
    }
    outputs = {
        "stdout": Port("string", description="What it wrote to its standard output."),
        "stderr": Port("string", description="What it wrote to its standard error."),
        "code": Port("number", description="Its exit status: 0 is success. Any other is a result, too, not a failure."),
    }
    errors = ERRORS
    example = {
        "config": {},
        "inputs": {"command": "sort | uniq -c | sort -rn | head -3", "stdin": "pear\napple\npear\n"},
    }
    timeout_seconds = 30

    async def execute(self, call: Call) -> Outputs:
        """`{stdout, stderr, code}`. Raises NodeError with one of `errors`."""
        request = {"language": "shell", "command": text(call, "command"), "stdin": text(call, "stdin", "")}
        answer = await boxed(call, request)
        return {name: answer[name] for name in ("stdout", "stderr", "code")}

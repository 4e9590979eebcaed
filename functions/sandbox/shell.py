"""Shell commands: bashkit, a bash in Rust with its own commands and its own files, which are in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from bashkit import Bash

_FILES: Final = 64 * 1024 * 1024  # bytes of its files
_MANY: Final = 1_000_000  # commands, and turns of a loop
_STDIN: Final = "/tmp/.stdin"  # noqa: S108 - in its own memory
_MAX_MESSAGE: Final = 1_000


def prepare() -> Callable[[bytes], bytes]:
    """A shell that is ready for one request. It has started once, so what it opens for itself is open."""
    bash = Bash(
        username="user",
        hostname="sandbox",
        max_commands=_MANY,
        max_loop_iterations=_MANY,
        max_memory=_FILES,
        timeout_seconds=3_600,  # the box ends before
    )
    bash.execute_sync("true")

    def work(request: bytes) -> bytes:
        return json.dumps(_answer(bash, json.loads(request))).encode()

    return work


def _answer(bash: Bash, asked: dict[str, Any]) -> dict[str, Any]:
    command = asked["command"]
    if asked["stdin"]:
        bash.write_file(_STDIN, asked["stdin"])
        command = f"{{\n{command}\n}} < {_STDIN}"
    done = bash.execute_sync(command)
    if done.stdout_truncated or done.stderr_truncated:
        return {"error": "OutputTooLarge", "message": "the command wrote more than 1,048,576 bytes"}
    if done.error is None:
        return {"stdout": done.stdout, "stderr": done.stderr, "code": done.exit_code}
    said = done.error[:_MAX_MESSAGE]
    if said.startswith("parse error"):
        return {"stdout": done.stdout, "stderr": f"{said}\n", "code": 2}
    return {"error": "MemoryExceeded" if "memory" in said or "bytes" in said else "LimitExceeded", "message": said}

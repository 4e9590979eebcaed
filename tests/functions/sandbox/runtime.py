"""The sandbox function as Lambda runs it: one process with the role's credentials in its environment."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
SECRET = "secret-of-the-functions-role"
_LOOP = """
import json, sys
from functions.sandbox.handler import handler
class Context:
    aws_request_id = "r1"
answers = sys.stderr
for line in sys.stdin:
    answers.write(json.dumps(handler(json.loads(line), Context)) + "\\n")
    answers.flush()
"""


class Runtime:
    """Sends events to the process, one at a time."""

    def __init__(self, process: subprocess.Popen[str], files: Path) -> None:
        self._process = process
        self.pid = process.pid
        self.files = files  # the process's temporary folder

    def __call__(self, language: str, code: str, given: Any = None, seconds: float = 10) -> dict[str, Any]:
        """The answer to a request. No answer may hold what the function's environment holds."""
        names = ("command", "stdin") if language == "shell" else ("code", "input")
        text = given or "" if language == "shell" else given
        return self.send({"language": language, "seconds": seconds, names[0]: code, names[1]: text})

    def send(self, event: Any) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stderr
        self._process.stdin.write(json.dumps(event) + "\n")
        self._process.stdin.flush()
        line = self._process.stderr.readline()
        assert SECRET not in line
        answer: dict[str, Any] = json.loads(line)
        assert answer.pop("milliseconds") >= 0
        return answer


@contextmanager
def started(files: Path, log: Path) -> Iterator[Runtime]:
    environment = {
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": SECRET,
        "SW_SOMETHING": SECRET,
        "TMPDIR": str(files),
        "PYTHONPATH": str(ROOT),
    }
    with log.open("w") as written:
        process = subprocess.Popen(
            [sys.executable, "-c", _LOOP],
            stdin=subprocess.PIPE,
            stdout=written,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
            cwd=files,
        )
        try:
            yield Runtime(process, files)
        finally:
            process.kill()
            process.communicate()

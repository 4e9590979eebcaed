"""The sandbox function's entry: bad requests, and refusing to run where it is not safe."""

from __future__ import annotations

from typing import Any

import pytest

from tests.functions.sandbox.runtime import Runtime

GOOD = {"language": "python", "seconds": 5, "code": "1", "input": None}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"language": None}, "language"),
        ({"language": "ruby"}, "language"),
        ({"language": ["python"]}, "language"),
        ({"language": "shared.sandbox.inside"}, "language"),
        ({"seconds": None}, "seconds"),
        ({"seconds": "5"}, "seconds"),
        ({"seconds": True}, "seconds"),
        ({"seconds": 0}, "seconds"),
        ({"seconds": 61}, "seconds"),
        ({"seconds": float("nan")}, "seconds"),
        ({"code": None}, "code"),
        ({"code": 5}, "code"),
        ({"code": "'\ud800'"}, "code"),
        ({"language": "shell"}, "command"),
        ({"language": "shell", "command": "ls", "stdin": 5}, "stdin"),
        ({"input": "x" * 4_000_001}, "4,000,000"),
    ],
)
def test_a_bad_request(sandbox: Runtime, change: dict[str, Any], said: str) -> None:
    answer = sandbox.send({**GOOD, **change})
    assert answer["error"] == "InvalidInput"
    assert said in answer["message"]
    assert "result" not in answer


@pytest.mark.parametrize("missing", ["language", "seconds", "code", "input"])
def test_a_missing_field(sandbox: Runtime, missing: str) -> None:
    assert sandbox.send({k: v for k, v in GOOD.items() if k != missing})["error"] == "InvalidInput"


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_a_large_input_and_result(sandbox: Runtime, language: str) -> None:
    given = [{"n": n, "text": "ü" * 20} for n in range(15_000)]
    assert sandbox(language, "input", given)["result"] == given

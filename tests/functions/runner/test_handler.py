from __future__ import annotations

import json
import subprocess
import sys
import traceback

import pytest

from functions.runner.handler import handler as runner
from functions.tasks.handler import handler as tasks
from infrastructure.local.interpreter import Context
from stepfunctions.engine.boundary import EngineFault, answer
from stepfunctions.engine.errors import Busy, NodeFailed, Paused, Stopped, TimeSlice

SECRET = "what-a-tenant-sent"


def _lines(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("kind", [TimeSlice, Busy, Paused, Stopped, NodeFailed])
def test_what_is_raised_on_purpose_passes(kind, capsys):
    def work():
        raise kind("a word")

    with pytest.raises(kind):
        answer("runner", {"run": {"tenant": "t1", "execution": "ex_1"}, "segment": 3}, "r1", work)
    (line,) = _lines(capsys)
    wanted = {"level": "INFO", "outcome": kind.__name__, "execution_id": "ex_1", "segment": 3, "request_id": "r1"}
    assert line.items() >= wanted.items()


def test_anything_else_is_named_without_what_it_says(capsys):
    def work():
        held = SECRET
        raise ValueError(f"cannot read {held}")

    with pytest.raises(EngineFault) as caught:
        answer("runner", {"run": {"tenant": "t1", "execution": "ex_1"}, "segment": 3}, "r1", work)
    told = "".join(traceback.format_exception(caught.value))
    output = capsys.readouterr().out
    assert SECRET not in told + output
    line = json.loads(output)
    assert (line["level"], line["outcome"], line["error"]) == ("ERROR", "fault", "ValueError")
    assert any(place.startswith("test_handler.py:") and place.endswith(" work") for place in line["at"])


@pytest.mark.parametrize("handler", [runner, tasks])
@pytest.mark.parametrize(
    "event",
    [
        {},
        {"run": None},
        {"run": {"tenant": SECRET}},
        {"run": {"tenant": "t01M7XN8QA3X7DR3FGJAW5EPQMZ", "execution": SECRET, "plan": SECRET}, "segment": 0},
        {"run": {"tenant": "t01M7XN8QA3X7DR3FGJAW5EPQMZ", "execution": "ex_1", "plan": "x"}, "token": SECRET},
    ],
)
def test_events_that_are_not_ours_are_faults_without_data(aws, handler, event, capsys):
    with pytest.raises(EngineFault) as caught:
        handler(event, Context())
    assert SECRET not in str(caught.value)
    lines = _lines(capsys)
    assert len(lines) == 1
    assert SECRET not in json.dumps({k: v for k, v in lines[0].items() if k not in ("tenant_id", "execution_id")})


@pytest.mark.parametrize("name", ["runner", "tasks", "stream", "run_events"])
def test_a_cold_start_imports_nothing_heavy(name):
    """Measured in a process of its own; what nodes need comes when a node needs it."""
    heavy = ("fastapi", "starlette", "pydantic", "jsonschema", "jsonata", "openai", "httpx", "mangum", "jwt")
    code = f"import sys, functions.{name}.handler; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

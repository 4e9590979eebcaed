"""Cold imports: what a function's process does before its first event, in fresh processes with warm bytecode."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from statistics import median
from typing import Any, Final

from infrastructure.bench.figures import Figure, compared, rounds
from infrastructure.bench.sides import BenchFailed
from infrastructure.local.archive import ROOT

FUNCTIONS: Final = tuple(sorted(f.parent.name for f in (ROOT / "functions").glob("*/handler.py")))
TARGETS: Final = {"api": 1.2, "runner": 0.6}
_BARE: Final = "infrastructure.bench.bare.api"
_AGAINST: Final = "FastAPI + Mangum + boto3 with one client and one route; milliseconds of CPU time"
_FIRST_AGAINST: Final = f"the import of, and the first answer from, {_AGAINST}"

# A real function's variables, so that what is made while a process starts is made here too.
_ENVIRONMENT: Final = {
    "PATH": os.environ["PATH"],
    "PYTHONPATH": str(ROOT),
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "SW_STAGE": "bench",
    "SW_TABLE": "bench",
    "SW_DATA_BUCKET": "bench",
    "SW_TENANT_ROLE_ARN": "arn:aws:iam::000000000000:role/bench",
    "SW_RUNNER_ARN": "arn:aws:lambda:us-east-1:000000000000:function:bench",
}

# Milliseconds, by the wall and of the CPU: of the import, and up to the first answer if there is an event.
_PROGRAM: Final = """
import sys, time
wall, cpu = time.perf_counter(), time.process_time()
import importlib
module = importlib.import_module(sys.argv[1])
imported = time.perf_counter() - wall, time.process_time() - cpu
import json
event = json.loads(sys.argv[2])
if event:
    assert module.handler(event, None)["statusCode"] in (200, 401)
answered = time.perf_counter() - wall, time.process_time() - cpu
sys.stderr.write(json.dumps([1000 * n for n in (*imported, *answered)]))
"""

Times = tuple[float, float, float, float]


def measure(count: int, seconds: float) -> list[Figure]:
    """`import_<function>` for each function, and `first_answer_api`."""
    ours: dict[str, list[Times]] = {name: [] for name in FUNCTIONS}
    bare: list[Times] = []
    modules = {name: f"functions.{name}.handler" for name in FUNCTIONS}
    for module in (_BARE, *modules.values()):
        _once(module)  # writes bytecode, and brings the files into memory
    for _ in rounds(count, seconds):
        for position, (name, module) in enumerate(modules.items()):
            if position % 2 == 0:
                bare.append(_once(_BARE, "/api/v1/health"))
            # The API asks who is calling before anything needs AWS; that mounts the routes as any request does.
            ours[name].append(_once(module, "/api/v1/workflows" if name == "api" else None))
    figures = [_import(name, ours[name], bare) for name in FUNCTIONS]
    answered = [[times[3] for times in kept] for kept in (ours["api"], bare)]
    return [*figures, compared("first_answer_api", answered[0], answered[1], against=_FIRST_AGAINST)]


def _import(name: str, ours: Sequence[Times], bare: Sequence[Times]) -> Figure:
    return compared(
        f"import_{name}",
        [times[1] for times in ours],
        [times[1] for times in bare],
        against=_AGAINST,
        target=TARGETS.get(name),
        detail={"by_the_wall": round(median(t[0] for t in ours) / median(t[0] for t in bare), 2)},
    )


def _once(module: str, path: str | None = None) -> Times:
    """Import a module in a new process; with a path, have its handler answer a GET too."""
    done = subprocess.run(  # noqa: S603 - our own program, no shell
        [sys.executable, "-c", _PROGRAM, module, json.dumps(path and _event(path))],
        cwd=ROOT,
        env=_ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchFailed(f"{module} cannot be imported:\n{done.stderr[-2000:]}")
    wall, cpu, wall_answered, cpu_answered = json.loads(done.stderr.splitlines()[-1])
    return wall, cpu, wall_answered, cpu_answered


def _event(path: str) -> dict[str, Any]:
    """A GET as an HTTP API hands it to a function."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "bench.example"},
        "requestContext": {
            "stage": "$default",
            "http": {"method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "b"},
        },
        "isBase64Encoded": False,
    }

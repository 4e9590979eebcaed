"""`make dev`: started from a copy of the tree, used, changed, killed, and started again."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from infrastructure.local import stack
from infrastructure.local.process import LocalError
from tests.infrastructure.conftest import until

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("local")]


@dataclass
class Copy:
    root: Path

    @property
    def state(self) -> Path:
        return self.root / "state"

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "infrastructure.local", *words, "--state", str(self.state)]
        environment = {**os.environ, "PYTHONPATH": str(self.root)}
        for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
            environment.pop(name, None)
        return subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)

    def up(self) -> dict[str, Any]:
        done = self.run("up", "--detach")
        assert done.returncode == 0, done.stdout + done.stderr
        return self.written()

    def written(self) -> dict[str, Any]:
        return dict(json.loads((self.state / "stack.json").read_text()))

    def left_over(self) -> list[str]:
        """Ports of ours that still answer, and processes that still work in our folder."""
        left = []
        for name, port in json.loads((self.state / "ports.json").read_text()).items():
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    left.append(name)
        for process in Path("/proc").glob("[0-9]*") if Path("/proc").exists() else ():
            try:
                working_in = os.readlink(process / "cwd")
            except OSError:
                continue
            if working_in.startswith(str(self.state)):
                left.append(process.name)
        return left


def current_tenant(stack: dict[str, Any], key: str) -> httpx.Response:
    url = f"{stack['api_url']}/api/v1/tenants/current"
    return httpx.get(url, headers={"X-API-Key": key}, timeout=30, trust_env=False)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    root = tmp_path_factory.mktemp("copy")
    for folder in ("functions", "infrastructure", "shared", "stepfunctions"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "template.yaml", root)
    made = Copy(root)
    yield made
    made.run("stop")


def test_it_starts_works_stops_and_starts_again_with_what_it_had(copy: Copy) -> None:
    stack = copy.up()
    assert set(stack) == {"api_url", "ws_url", "tenant_id", "api_key", "second_tenant", "pid"}
    assert stat.S_IMODE((copy.state / "stack.json").stat().st_mode) == 0o600
    assert stack["tenant_id"] != stack["second_tenant"]["tenant_id"]
    assert stack["api_url"].startswith("http://127.0.0.1:")
    for tenant in (stack, stack["second_tenant"]):
        answer = current_tenant(stack, tenant["api_key"])
        assert answer.status_code == 200, answer.text
        assert tenant["tenant_id"] in answer.text
    assert "already running" in copy.run("up", "--detach").stdout
    assert copy.run("stop").returncode == 0
    assert not (copy.state / "stack.json").exists()
    until(copy.left_over, lambda left: left == [])
    again = copy.up()
    assert {**again, "pid": 0} == {**stack, "pid": 0}
    assert current_tenant(again, stack["second_tenant"]["api_key"]).status_code == 200


def test_a_changed_source_is_picked_up(copy: Copy) -> None:
    stack = copy.written() if (copy.state / "stack.json").exists() else copy.up()
    handler = copy.root / "functions" / "webhook" / "handler.py"
    with handler.open("a") as file:
        file.write("\n\ndef handler(event, context):\n    print('changed')\n    return {'statusCode': 299}\n")
    url = f"{stack['api_url']}/hooks/x"
    until(lambda: httpx.get(url, timeout=30, trust_env=False).status_code, lambda status: status == 299)


def test_nothing_outlives_a_killed_supervisor(copy: Copy) -> None:
    stack = copy.written() if (copy.state / "stack.json").exists() else copy.up()
    os.kill(stack["pid"], signal.SIGKILL)
    until(copy.left_over, lambda left: left == [])
    assert copy.run("stop").stdout.strip() == "nothing is running"
    again = copy.up()
    assert current_tenant(again, stack["api_key"]).status_code == 200


def test_tests_can_look_into_it_and_kill_a_worker(tmp_path: Path) -> None:
    local = stack.start(tmp_path / "state", allowed_hosts=["127.0.0.1:1"])
    try:
        with pytest.raises(LocalError, match="already running"):
            stack.start(tmp_path / "state")
        url = f"{local.api_url}/api/v1/tenants/current"
        assert httpx.get(url, headers=local.tenants[0].headers, trust_env=False).status_code == 200
        assert any("/api/v1/tenants/current" in line for line in local.logs("api"))
        killed = local.worker_pids("api")
        assert killed
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        until(lambda: set(killed) & set(local.worker_pids("api")), lambda alive: not alive)  # signals take their time
        # The call that finds the loss may fail, as on AWS; after that there is a new worker.
        again = {"headers": local.tenants[1].headers, "timeout": 30, "trust_env": False}
        until(lambda: httpx.get(url, **again).status_code, lambda status: status == 200)
        assert not set(killed) & set(local.worker_pids("api"))
        configured = local.client("lambda").get_function_configuration(FunctionName="statewright-runner")
        assert configured["Environment"]["Variables"]["SW_ALLOWED_HOSTS"] == "127.0.0.1:1"
        with pytest.raises(LocalError, match="tasks"):
            local.invoke("tasks", {})
    finally:
        local.stop()
        local.stop()
    until(Copy(tmp_path).left_over, lambda left: left == [])  # a worker ends when it reads that its parent has


def test_what_cannot_start_says_why(copy: Copy) -> None:
    copy.run("stop")
    (copy.root / "functions" / "api" / "handler.py").write_text("raise RuntimeError('on purpose')\n")
    done = copy.run("up")
    assert done.returncode == 1
    assert "on purpose" in done.stderr
    until(copy.left_over, lambda left: left == [])

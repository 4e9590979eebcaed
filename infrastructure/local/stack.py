"""The local AWS with the project's own template on it: start it, use it, stop it.

stack = start(Path(".local"))
httpx.get(stack.api_url + "/api/v1/workflows", headers=stack.tenants[0].headers)
stack.client("stepfunctions").list_executions(…)
stack.stop()
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import boto3
import httpx
from botocore.config import Config

from infrastructure.local import deploy, workers
from infrastructure.local.process import HOST, Child, LocalError, free_port
from infrastructure.local.seed import SeededTenant, seed, write_private
from infrastructure.package import interpreter

REGION: Final = "us-east-1"
ACCOUNT: Final = "000000000000"
_PATIENCE: Final = 60.0
_PATIENCE_WITH_ERRORS: Final = 5.0
_STAGE: Final = "local"


@dataclass
class Stack:
    """A running local AWS. Every address is on the loopback interface."""

    state: Path
    endpoint: str  # where AWS's own APIs answer
    models_url: str  # the OpenAI-compatible endpoint
    models_scripted: bool  # whether that is our scripted server
    allowed_hosts: tuple[str, ...]
    tenants: list[SeededTenant] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)  # of the CloudFormation stack
    children: list[Child] = field(default_factory=list)
    _openai_key: str = ""
    _lock: Any = None

    @property
    def api_url(self) -> str:
        """The HTTP API; append `/api/v1/…`, `/hooks/…`."""
        return f"{self.endpoint}/_aws/execute-api/{self.outputs['HttpApiId']}/$default"

    @property
    def ws_url(self) -> str:
        """The WebSocket API."""
        return f"{self.endpoint.replace('http', 'ws', 1)}/_aws/execute-api/{self.outputs['WebSocketApiId']}/{_STAGE}"

    def client(self, service: str) -> Any:
        """A boto3 client for the local AWS, as the account's root."""
        return root_client(self.endpoint, service)

    def invoke(self, function: str, event: Any) -> Any:
        """Call a function (`run_events`, …) and give its answer. Raises LocalError with the error of one that fails."""
        answer = self.client("lambda").invoke(FunctionName=_name_of(function), Payload=json.dumps(event))
        payload = json.loads(answer["Payload"].read() or "null")
        if answer.get("FunctionError"):
            raise LocalError(f"{function}: {payload}")
        return payload

    def logs(self, function: str) -> list[str]:
        """What a function wrote, line by line. (What it wrote for a WebSocket event, MiniStack does not keep.)"""
        found = self.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{_name_of(function)}", limit=10_000)
        platform = ("START ", "END ", "REPORT ")
        return [e["message"].strip() for e in found["events"] if not e["message"].startswith(platform)]

    def worker_pids(self, function: str) -> list[int]:
        """The processes that run a function now, for tests that kill one."""
        return workers.pids(self.state / "tmp", _name_of(function))

    def deploy(self) -> None:
        """Bring the running stack up to date with the template and the sources. Raises LocalError."""
        self.outputs = self.outputs or deploy.outputs(self.client)
        if not self.outputs:
            self.outputs = deploy.deploy(self.client, self._parameters())
        # Only now are the APIs' ids known, of which the public addresses are made.
        self.outputs = deploy.deploy(self.client, self._parameters())

    def _parameters(self) -> dict[str, str]:
        connections = f"{self.endpoint}/_aws/execute-api/{self.outputs.get('WebSocketApiId')}/{_STAGE}"
        return {
            "Stage": _STAGE,
            "LogRetentionDays": "1",
            "DeletionProtection": "false",
            "AllowedHosts": ",".join(self.allowed_hosts),
            "OpenAiBaseUrl": self.models_url,
            "OpenAiApiKey": self._openai_key,
            "SignupsPerHour": "100000",
            "LoginsPerHour": "100000",
            "JwksUrl": f"{self.endpoint}/{self.outputs['UserPoolId']}/.well-known/jwks.json" if self.outputs else "",
            "PublicUrl": self.api_url if self.outputs else "",
            "ConnectionsUrl": connections if self.outputs else "",
        }

    def check(self) -> None:
        """Raise LocalError if a process has ended."""
        for child in self.children:
            child.check()

    def describe(self, pid: int) -> dict[str, Any]:
        """What `stack.json` says."""
        first, second = self.tenants[:2]
        return {
            "api_url": self.api_url,
            "ws_url": self.ws_url,
            "tenant_id": first.tenant_id,
            "api_key": first.api_key,
            "second_tenant": {"tenant_id": second.tenant_id, "api_key": second.api_key},
            "pid": pid,
        }

    def stop(self) -> None:
        """End every process; the state stays for the next start. Calling it again does nothing."""
        (self.state / "stack.json").unlink(missing_ok=True)
        for child in reversed(self.children):
            child.stop()
        self.children.clear()
        workers.outlast(self.state / "tmp")
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _name_of(function: str) -> str:
    return f"{deploy.STACK_NAME}-{function.replace('_', '-')}"


def start(state: Path, allowed_hosts: Sequence[str] = ()) -> Stack:
    """Start the local AWS with its state in `state`, deploy, and seed two tenants.

    `allowed_hosts` are the loopback `host:port` pairs that nodes may reach. The caller stops the stack; if this
    raises (LocalError), nothing is left running.
    """
    state = state.resolve()
    state.mkdir(parents=True, exist_ok=True)
    lock = _hold(state)
    stack: Stack | None = None
    try:
        interpreter.installed()
        stack = _launch(state, tuple(allowed_hosts))
        stack._lock = lock
        wait_for(stack.children, f"{stack.endpoint}/_ministack/health", "the local AWS")
        stack.deploy()
        wait_for(stack.children, f"{stack.api_url}/openapi.json", "the API")
        try:
            stack.tenants = seed(stack.api_url, state / "tenants.json")
        except LocalError as error:
            said = [line for line in stack.logs("api") if '"level":"ERROR"' in line]
            raise LocalError("\n".join([str(error), "the API's log says:", *said[-3:]])) from error
        write_private(state / "stack.json", stack.describe(os.getpid()))
    except BaseException:
        if stack is not None:
            stack.stop()
        lock.close()
        raise
    return stack


def root_client(endpoint: str, service: str) -> Any:
    """A boto3 client for an emulator, as the account's root."""
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the emulator's documented root key
        config=Config(inject_host_prefix=False, retries={"max_attempts": 2}),
    )


def _launch(state: Path, allowed_hosts: tuple[str, ...]) -> Stack:
    ports = _ports(state)
    endpoint = f"http://{HOST}:{ports['aws']}"
    models_url, key, scripted = os.environ.get("OPENAI_BASE_URL", ""), os.environ.get("OPENAI_API_KEY", ""), False
    if not models_url and not key:
        models_url, key, scripted = f"http://{HOST}:{ports['models']}/v1", "scripted", True
    stack = Stack(state, endpoint, models_url, scripted, allowed_hosts, _openai_key=key)
    try:
        if scripted:
            environment = {"PORT": str(ports["models"])}
            stack.children.append(Child("infrastructure.local.models", environment, state / "logs" / "models.log"))
        stack.children.append(emulator(state, ports["aws"]))
    except BaseException:
        stack.stop()
        raise
    return stack


def emulator(state: Path, port: int) -> Child:
    """Start MiniStack with the shim. It keeps its state under `state`, and ends with us."""
    scratch = state / "tmp"
    shutil.rmtree(scratch, ignore_errors=True)  # where an earlier start unpacked the functions
    scratch.mkdir(parents=True)
    environment = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": HOST,
        "AUTH": "true",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(state / "aws"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(state / "aws" / "s3"),
        "TMPDIR": str(scratch),
        "LOG_LEVEL": "WARNING",
        "MINISTACK_REGION": REGION,
        # Nothing of what it would otherwise open or sweep up on this machine.
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "COGNITO_EMAIL_ENABLED": "false",
        "DOCKER_HOST": f"unix://{scratch}/none",
    }
    return Child("infrastructure.local.emulator", environment, state / "logs" / "aws.log")


def _ports(state: Path) -> dict[str, int]:
    """Free ports; those of the last start if they still are, so that addresses that were handed out stay good."""
    file = state / "ports.json"
    known: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    ports = {name: free_port(known.get(name)) for name in ("aws", "models")}
    write_private(file, ports)
    return ports


def _hold(state: Path) -> Any:
    lock = (state / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise LocalError(f"a local AWS is already running on {state}") from None
    return lock


def running(state: Path) -> bool:
    """Whether somebody holds this state."""
    if not (state / "lock").exists():
        return False
    try:
        _hold(state).close()
    except LocalError:
        return True
    return False


def wait_for(children: Sequence[Child], url: str, what: str) -> None:
    """Wait until `url` answers with less than 500.

    Raises LocalError if a child ends, if nothing answers for a minute, or if there are errors only for five seconds.
    """
    deadline = time.monotonic() + _PATIENCE
    seen = "nothing"
    while time.monotonic() < deadline:
        for child in children:
            child.check()
        with contextlib.suppress(httpx.TransportError):
            answer = httpx.get(url, timeout=30, trust_env=False)
            if answer.status_code < 500:
                return
            if seen == "nothing":
                deadline = min(deadline, time.monotonic() + _PATIENCE_WITH_ERRORS)
            seen = f"{answer.status_code}: {answer.text[:2000]}"
        time.sleep(0.05)
    raise LocalError(f"{what} does not work at {url}; the last answer was {seen}")

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infrastructure.local import stack
from infrastructure.local.process import free_port

TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})


@dataclass
class Emulator:
    endpoint: str
    function_arn: str
    folder: Path
    count: int = 0

    def client(self, service: str) -> Any:
        return stack.root_client(self.endpoint, service)

    def file(self) -> Path:
        self.count += 1
        return self.folder / f"calls-{self.count}"

    def machine(self, states: dict[str, Any], start: str | None = None, **top: Any) -> str:
        self.count += 1
        definition = {"QueryLanguage": "JSONata", "StartAt": start or next(iter(states)), "States": states, **top}
        made = self.client("stepfunctions").create_state_machine(
            name=f"m{self.count}", definition=json.dumps(definition), roleArn="arn:aws:iam::000000000000:role/probe"
        )
        return str(made["stateMachineArn"])

    def start(self, machine: str, value: Any = None, **more: Any) -> str:
        started = self.client("stepfunctions").start_execution(
            stateMachineArn=machine, input=json.dumps(value or {}), **more
        )
        return str(started["executionArn"])

    def end(self, execution: str) -> dict[str, Any]:
        """The execution's description once it has ended, with its output parsed."""
        client = self.client("stepfunctions")
        described = until(lambda: client.describe_execution(executionArn=execution), lambda d: d["status"] != "RUNNING")
        return {**described, "output": json.loads(described.get("output") or "null")}

    def run(self, states: dict[str, Any], value: Any = None, **top: Any) -> dict[str, Any]:
        return self.end(self.start(self.machine(states, **top), value))

    def task(self, event: dict[str, Any] | str, **more: Any) -> dict[str, Any]:
        return {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Arguments": {"FunctionName": self.function_arn, "Payload": event},
            "Output": "{% $states.result.Payload %}",
            "End": True,
            **more,
        }

    def callback(self, event: dict[str, Any], **more: Any) -> dict[str, Any]:
        payload = {"token": "{% $states.context.Task.Token %}", **event}
        return {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Arguments": {"FunctionName": self.function_arn, "Payload": payload},
            "End": True,
            **more,
        }


def until(look: Callable[[], Any], good: Callable[[Any], bool], seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if good(found):
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {found}"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A MiniStack with the shim, and a function on it that does what it is told."""
    folder = tmp_path_factory.mktemp("emulator")
    port = free_port()
    child = stack.emulator(folder, port)
    endpoint = f"http://127.0.0.1:{port}"
    try:
        stack.wait_for([child], f"{endpoint}/_ministack/health", "the local AWS")
        iam, functions = stack.root_client(endpoint, "iam"), stack.root_client(endpoint, "lambda")
        iam.create_role(RoleName="probe", AssumeRolePolicyDocument=TRUST)
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.write(Path(__file__).with_name("probe.py"), "probe.py")
        made = functions.create_function(
            FunctionName="probe",
            Runtime="python3.13",
            Handler="probe.handler",
            Role="arn:aws:iam::000000000000:role/probe",
            Code={"ZipFile": code.getvalue()},
            Timeout=20,
        )
        yield Emulator(endpoint, made["FunctionArn"], folder)
    finally:
        child.stop()

"""Step Functions: machines, executions and task tokens, with the function's own role. Calls raise Unavailable."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from shared.aws.clients import client, patient_client
from shared.aws.reach import reaching
from shared.errors import Unavailable
from shared.settings import settings

_WHAT = "the workflow service"
_GONE = {"TaskTimedOut", "TaskDoesNotExist", "InvalidToken", "ExecutionDoesNotExist"}
_BUSY = {
    "ExecutionLimitExceeded",
    "StateMachineLimitExceeded",
    "StateMachineDoesNotExist",  # made a moment ago, and not known everywhere yet
}


def _arn(kind: str, name: str) -> str:
    # The functions' ARNs name this partition, region and account; machines live beside them.
    _, partition, _, region, account, *_ = settings().runner_arn.split(":")
    return f"arn:{partition}:states:{region}:{account}:{kind}:{name}"


def machine_arn(machine: str) -> str:
    """The ARN of a shared machine, by the hash of its definition."""
    return _arn("stateMachine", settings().machine_prefix + machine)


def execution_arn(machine: str, name: str) -> str:
    """The ARN of an execution."""
    return _arn("execution", f"{settings().machine_prefix}{machine}:{name}")


def ensure_machine(machine: str, skeleton: Mapping[str, Any], *, express: bool = False) -> None:
    """Make the machine unless it is there. Creating the same one twice at once is no error."""
    states = client("stepfunctions")
    try:
        with reaching(_WHAT):
            states.describe_state_machine(stateMachineArn=machine_arn(machine))
        return
    except ClientError as error:
        if error.response["Error"]["Code"] != "StateMachineDoesNotExist":
            raise
    definition = json.dumps(skeleton).replace("${runner}", settings().runner_arn)
    definition = definition.replace("${documents}", settings().documents_arn)
    definition = definition.replace("${tasks}", settings().tasks_arn)
    definition = definition.replace("${machines}", machine_arn(""))
    definition = definition.replace("arn:aws:states:::", f"arn:{settings().runner_arn.split(':')[1]}:states:::")
    with _reaching(unless={"StateMachineAlreadyExists"}):
        states.create_state_machine(
            name=settings().machine_prefix + machine,
            definition=definition,
            roleArn=settings().states_role_arn,
            type="EXPRESS" if express else "STANDARD",
        )


def start_execution(machine: str, name: str, envelope: Mapping[str, Any]) -> None:
    """Start an execution; one of this name that runs or ran already is the one that was wanted."""
    with _reaching(unless={"ExecutionAlreadyExists"}):
        client("stepfunctions").start_execution(
            stateMachineArn=machine_arn(machine), name=name, input=json.dumps(envelope)
        )


def run_express(machine: str, name: str, envelope: Mapping[str, Any], seconds: float) -> None:
    """Start an Express execution, and wait until it is over or `seconds` are: it goes on all the same.

    Starting it without waiting may start it twice, waiting for it starts it at most once. Whether it did its work, the
    run's record says. Raises Unavailable if it was not started.
    """
    if seconds <= 0:
        return start_execution(machine, name, envelope)
    refused: list[ClientError] = []

    def ask() -> None:
        try:
            patient_client("stepfunctions").start_sync_execution(
                stateMachineArn=machine_arn(machine), name=name, input=json.dumps(envelope)
            )
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") != 500:  # which is no answer either
                refused.append(error)
        except BotoCoreError:
            pass  # no answer: nobody knows whether it runs, and the sweeper looks at the run

    # A thread of its own, since botocore knows no patience that differs from call to call.
    waiting = threading.Thread(target=ask, daemon=True)
    waiting.start()
    waiting.join(seconds)
    if refused:
        with _reaching():
            raise refused[0]
    return None


def stop_execution(machine: str, name: str) -> None:
    """Stop an execution; one that has ended, or never was, is no error."""
    with _reaching(unless=_GONE | {"ValidationException"}):
        client("stepfunctions").stop_execution(executionArn=execution_arn(machine, name))


def describe_execution(machine: str, name: str) -> dict[str, Any] | None:
    """`{status, error, cause, …}` as Step Functions has it, or None if there is no such execution."""
    with _reaching(unless=_GONE):
        answer: dict[str, Any] = client("stepfunctions").describe_execution(executionArn=execution_arn(machine, name))
        return answer
    return None


def send_success(token: str) -> bool:
    """Let a waiting state go on. False if it waits no longer."""
    with _reaching(unless=_GONE):
        client("stepfunctions").send_task_success(taskToken=token, output="{}")
        return True
    return False


@contextmanager
def _reaching(unless: Set[str] = frozenset()) -> Iterator[None]:
    """As `reaching`, also for what passes by itself here. A refusal in `unless` is none: the block is just left."""
    try:
        with reaching(_WHAT):
            yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _BUSY:
            raise Unavailable(f"{_WHAT} is busy; try again") from error
        if code not in unless:
            raise

"""Skeletons on moto's interpreter — the one validated against AWS — with the real functions, in this process.

What moto leaves out is put in: it has no JSONata engine (jsonata-python is one), it calls functions over Docker (here
the handlers are called as they are), a state of its can start no execution (by a slip in a name), and it runs an
Express machine as a Standard one. StartSyncExecution, and that the name of an Express execution stops no second one,
are this module's: the local AWS and AWS itself have their own.
"""

from __future__ import annotations

import importlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

import jsonata
from moto.awslambda.models import LambdaBackend
from moto.core.config import default_user_config
from moto.core.responses import ActionResult
from moto.stepfunctions.models import StateMachine
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_sfn import (
    StateTaskServiceSfn,
)
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.program_state import ProgramStopped
from moto.stepfunctions.parser.asl.jsonata import jsonata as moto_jsonata
from moto.stepfunctions.responses import StepFunctionResponse

from infrastructure.package.interpreter import installed
from stepfunctions import calls

Function = Callable[[dict[str, Any], Any], Any]

_LISTEN_SECONDS: Final = 0.2  # until a wait sees that its execution was stopped


class Context:
    """What Lambda tells a function about its call."""

    def __init__(self, seconds: float = 300.0) -> None:
        self.aws_request_id = str(uuid.uuid4())
        self.function_name = "local"
        self.memory_limit_in_mb = 1024
        self.invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:local"
        self._ends = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the call is killed."""
        return max(0, int((self._ends - time.monotonic()) * 1000))


def real_function(name: str) -> Function:
    """The handler of a function of ours, by its folder."""
    handler: Function = importlib.import_module(f"functions.{name}.handler").handler
    return handler


class Functions:
    """Calls functions for the interpreter; `calls` keeps (function, event); `handlers` takes others."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._at_work = 0
        self._idle = threading.Condition()
        self.handlers: dict[str, Function] = {}

    def settle(self, seconds: float) -> None:
        """Wait until no call is at work, or so long: what a stopped execution has begun goes on to its end."""
        with self._idle:
            self._idle.wait_for(lambda: self._at_work == 0, seconds)

    def _count(self, more: int) -> None:
        with self._idle:
            self._at_work += more
            self._idle.notify_all()

    def invoke(self, parameters: dict[str, Any], region: str, state_credentials: Any) -> dict[str, Any]:
        """Stand for moto's `_invoke_lambda_function`."""
        del region, state_credentials
        name = parameters["FunctionName"].rsplit("-", 1)[-1]
        event = json.loads(parameters["Payload"])
        self.calls.append((name, event))
        handler = self.handlers.get(name) or real_function(name)
        self._count(1)
        try:
            answer = handler(event, Context())
        except Exception as error:  # Lambda names an error by its class, whatever it is
            body = {"errorMessage": str(error), "errorType": type(error).__name__}
            return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": body}
        finally:
            calls.close()  # moto's threads come and go
            self._count(-1)
        return {"StatusCode": 200, "Payload": json.loads(json.dumps(answer))}

    def called(
        self, backend: Any, name: str, qualifier: Any, body: str, headers: Any, told: dict[str, Any]
    ) -> bytes | None:
        """Stand for moto's `LambdaBackend.invoke`: a function of ours calls another one, and waits."""
        del backend, qualifier, headers
        folder = name.rsplit("-", 1)[-1]
        if folder == "sandbox":
            installed()
        try:
            answer = (self.handlers.get(folder) or real_function(folder))(json.loads(body), Context())
        except Exception as error:  # as above
            told["x-amz-function-error"] = "Unhandled"
            answer = {"errorMessage": str(error), "errorType": type(error).__name__}
        return json.dumps(answer).encode()


def _evaluate(expression: str) -> Any:
    try:
        return jsonata.Jsonata(expression).evaluate(None)
    except Exception as error:  # the engine raises Python's own errors too, and the state fails by any of them
        raise moto_jsonata.JSONataException("UNKNOWN", str(error)) from error


def _start_sync_execution(response: StepFunctionResponse) -> ActionResult:
    """Start an Express execution and answer when it is over."""
    given = [response._get_param(name) for name in ("stateMachineArn", "name", "input")]
    execution = response.stepfunction_backend.start_execution(*given)
    while execution.status == "RUNNING":
        time.sleep(0.005)
    status = execution.status if execution.status in ("SUCCEEDED", "TIMED_OUT") else "FAILED"
    dates = {"startDate": execution.start_date, "stopDate": execution.stop_date}
    return ActionResult({"executionArn": execution.execution_arn, "status": status, **dates})


_known_execution = StateMachine._handle_name_input_idempotency


def _known_unless_express(machine: StateMachine, *arguments: Any) -> Any:
    return None if machine.type == "EXPRESS" else _known_execution(machine, *arguments)


def _status(execution: Any) -> str:
    """Of an execution whose thread has not begun yet moto knows none, and falls over."""
    return "RUNNING" if execution.exec_status is None else str(execution.exec_status.value)


def _wait(_: WaitFunction, env: Environment, wait_seconds: float) -> None:
    """Of a stop moto tells once, and who is only about to wait does not hear it."""
    until = time.monotonic() + wait_seconds
    while env.is_running() and (left := until - time.monotonic()) > 0:
        env.program_state_event.wait(min(left, _LISTEN_SECONDS))


_failed = Environment.set_error


def _failed_unless_stopped(env: Environment, error: Any) -> None:
    """A state that a stop interrupts may fail by that; the execution has been stopped all the same."""
    if not isinstance(env.program_state(), ProgramStopped):
        _failed(env, error)


_normalised = StateTaskServiceSfn._normalise_parameters


def _as_boto_names_them(task: StateTaskServiceSfn, parameters: dict[str, Any]) -> None:
    """A state says `StateMachineArn`, boto3 `stateMachineArn`."""
    _normalised(task, parameters)
    for name in list(parameters):
        parameters[name[0].lower() + name[1:]] = parameters.pop(name)


@contextmanager
def running() -> Iterator[Functions]:
    """State machines run, from here to the end of the block; an account (`cloud`) must be active."""
    # Not before an account is active: it asks botocore for the AWS profile that the user's environment names.
    from moto.stepfunctions.parser.backend.execution import Execution

    functions = Functions()
    with (
        patch.dict(default_user_config, stepfunctions={"execute_state_machine": True}),
        patch.object(moto_jsonata, "_eval_jsonata", _evaluate),
        patch.object(lambda_eval_utils, "_invoke_lambda_function", functions.invoke),
        patch.object(StepFunctionResponse, "start_sync_execution", _start_sync_execution, create=True),
        patch.object(LambdaBackend, "invoke", lambda *given: functions.called(*given)),
        patch.object(StateTaskServiceSfn, "_normalise_parameters", _as_boto_names_them),
        patch.object(Execution, "status", property(_status)),
        patch.object(WaitFunction, "_wait_interval", _wait),
        patch.object(Environment, "set_error", _failed_unless_stopped),
        patch.object(StateMachine, "_handle_name_input_idempotency", _known_unless_express),
    ):
        yield functions

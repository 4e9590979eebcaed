"""Skeletons on moto's interpreter — the one validated against AWS — with the real functions, in this process.

Two things that moto leaves out are put in: it has no JSONata engine (jsonata-python is one), and it calls functions
over Docker (here the handlers are called as they are).
"""

from __future__ import annotations

import importlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import jsonata
from moto.core.config import default_user_config
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.jsonata import jsonata as moto_jsonata

from stepfunctions import calls

Function = Callable[[dict[str, Any], Any], Any]


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
        self.handlers: dict[str, Function] = {}

    def invoke(self, parameters: dict[str, Any], region: str, state_credentials: Any) -> dict[str, Any]:
        """Stand for moto's `_invoke_lambda_function`."""
        del region, state_credentials
        name = parameters["FunctionName"].rsplit("-", 1)[-1]
        event = json.loads(parameters["Payload"])
        self.calls.append((name, event))
        handler = self.handlers.get(name) or real_function(name)
        try:
            answer = handler(event, Context())
        except Exception as error:
            body = {"errorMessage": str(error), "errorType": type(error).__name__}
            return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": body}
        finally:
            calls.close()  # moto's threads come and go
        return {"StatusCode": 200, "Payload": json.loads(json.dumps(answer))}


def _evaluate(expression: str) -> Any:
    try:
        return jsonata.Jsonata(expression).evaluate(None)
    except Exception as error:
        raise moto_jsonata.JSONataException("UNKNOWN", str(error)) from error


@contextmanager
def running() -> Iterator[Functions]:
    """State machines run, from here to the end of the block; an account (`cloud`) must be active."""
    functions = Functions()
    with (
        patch.dict(default_user_config, stepfunctions={"execute_state_machine": True}),
        patch.object(moto_jsonata, "_eval_jsonata", _evaluate),
        patch.object(lambda_eval_utils, "_invoke_lambda_function", functions.invoke),
    ):
        yield functions

"""Step Functions' API over the product's walker of skeletons, in the virtual time of a `World`.

`test_walker.py` holds it against moto's interpreter.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.aws.memory import refused
from stepfunctions.rehearsal.walker import StateError
from stepfunctions.rehearsal.walker import Walker as Walking
from tests.stepfunctions.engine.virtual import World


class ExitError(Exception):
    """The process of a call was killed."""


@dataclass
class Execution:
    """One execution: `status` is what DescribeExecution says."""

    name: str
    task: asyncio.Task[Any]
    status: str = "RUNNING"
    error: str = ""


class Walker(Walking):
    """Step Functions' API as `shared.aws.states` uses it. `functions` are ours, by name: event in, answer out."""

    def __init__(self, world: World, functions: Mapping[str, Callable[[Any], Any]]) -> None:
        super().__init__()
        self.world = world
        self.functions = functions
        self.machines: dict[str, Any] = {}
        self.executions: dict[str, Execution] = {}

    def pace(self) -> float:
        return self.world.latency()

    async def invoke(self, function: str, event: Any) -> Any:
        work = self.functions[function.rsplit("-", 1)[-1]]
        try:
            return await self.world.start(lambda: work(event))
        except (Exception, asyncio.CancelledError, KeyboardInterrupt):
            raise
        except BaseException:  # a strike that kills the call is none of the function's own errors
            raise ExitError from None

    def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """An operation's answer. Raises ClientError."""
        match operation:
            case "DescribeStateMachine":
                if arguments["stateMachineArn"] not in self.machines:
                    raise refused("StateMachineDoesNotExist", operation)
                return {}
            case "CreateStateMachine":
                arn = f"arn:aws:states:us-east-1:123456789012:stateMachine:{arguments['name']}"
                self.machines[arn] = json.loads(arguments["definition"])
                return {"stateMachineArn": arn}
            case "StartExecution":
                return self._start(**arguments)
            case "SendTaskSuccess":
                if not self.succeed(arguments["taskToken"], json.loads(arguments["output"])):
                    raise refused("TaskTimedOut", operation)
                return {}
        raise AssertionError(operation)

    def _start(self, stateMachineArn: str, name: str, input: str) -> dict[str, Any]:
        if name in self.executions:
            raise refused("ExecutionAlreadyExists", "StartExecution")
        walk = self._execute(name, self.machines[stateMachineArn], json.loads(input))
        self.executions[name] = Execution(name, self.world.main.create_task(walk))
        return {"executionArn": name}

    async def _execute(self, name: str, machine: Mapping[str, Any], given: Any) -> Any:
        execution_status = "SUCCEEDED"
        try:
            return await self.walk(name, machine, given)
        except (StateError, TimeoutError) as error:
            execution_status = "FAILED" if isinstance(error, StateError) else "TIMED_OUT"
            self.executions[name].error = str(error)
        finally:
            self.executions[name].status = execution_status

"""Executes states as AWS does, in MiniStack's place, for JSONata; JSONPath states are left as they are."""

from __future__ import annotations

import contextvars
import copy
import json
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from ministack.services import stepfunctions as sfn

from infrastructure.local import shim_scope as scope

JsonObject = dict[str, Any]
Step = tuple[Any, str | None]

_LIMIT: Final = 262_144  # bytes of a state's output
_INLINE: Final = 40  # iterations of an inline Map at one time
_NEVER_CAUGHT: Final = ("States.DataLimitExceeded", "States.Runtime")
_event_lock = threading.Lock()
_original: JsonObject = {}


def apply() -> None:
    """Replace the functions of MiniStack's interpreter that are mended here."""
    ours: dict[str, Callable[..., Any]] = {
        "_add_event": add_event,
        "_apply_state_assign": apply_state_assign,
        "_emit_execution_status_event": emit_status,
        "_error_matches": error_matches,
        "_execute_task": execute_task,
        "_fail_execution": fail_execution,
        "_run_execution": run_execution,
        "_run_map_items": run_map_items,
        "_run_parallel_branches": run_parallel_branches,
        "_run_sub_machine": run_sub_machine,
        "_scaled_sleep": scope.sleep,
        "_send_task_failure": partial(answer_task, "_send_task_failure"),
        "_send_task_success": partial(answer_task, "_send_task_success"),
        "_start_execution": start_execution,
        "_with_retry_and_catch": with_retry_and_catch,
    }
    for name, function in ours.items():
        _original[name] = getattr(sfn, name)  # AttributeError: not the MiniStack that this was made for
        setattr(sfn, name, function)


def _jsonata(state: JsonObject, ctx: JsonObject) -> bool:
    return bool(sfn._state_query_language(state, ctx) == "JSONata")


def _fork(ctx: JsonObject, **more: Any) -> JsonObject:
    """A context of its own for a branch: what is assigned in it stays in it."""
    return {**ctx, "State": dict(ctx["State"]), "variables": dict(ctx["variables"]), **more}


def _number(state: JsonObject, field: str, raw_input: Any, ctx: JsonObject) -> float | None:
    if field not in state:
        return None
    return float(sfn._jsonata_state_field(state, field, "number", raw_input, ctx))


# ---- the execution -------------------------------------------------------------------------------------------------


def start_execution(request: JsonObject) -> Any:
    """Starting a running execution again with the same input gives that execution."""
    machine = sfn._state_machines.get(request.get("stateMachineArn", ""))
    if machine and request.get("name"):
        place = f"arn:aws:states:{sfn.get_region()}:{sfn.get_account_id()}"
        known = sfn._executions.get(f"{place}:execution:{machine['name']}:{request['name']}")
        if known and known["status"] == "RUNNING" and known["input"] == request.get("input", "{}"):
            return sfn.json_response({"executionArn": known["executionArn"], "startDate": known["startDate"]})
    return _original["_start_execution"](request)


def run_execution(execution_arn: str) -> None:
    """Walk a machine to its end, at once, and no longer than its own TimeoutSeconds."""
    execution = sfn._executions[execution_arn]
    machine = sfn._state_machines[execution["stateMachineArn"]]
    definition, value = json.loads(machine["definition"]), json.loads(execution["input"])
    ctx = {
        "QueryLanguage": definition.get("QueryLanguage", "JSONPath"),
        "Execution": {
            "Id": execution_arn,
            "Input": value,
            "Name": execution["name"],
            "RoleArn": machine["roleArn"],
            "StartTime": execution["startDate"],
        },
        "StateMachine": {"Id": execution["stateMachineArn"], "Name": machine["name"]},
        "State": {},
        "variables": {},
    }
    here = contextvars.copy_context()  # the account and region, which the status event needs
    alarm = threading.Timer(definition.get("TimeoutSeconds", 0), here.run, (_close, execution, "TIMED_OUT", {}))
    alarm.daemon = True
    if "TimeoutSeconds" in definition:
        alarm.start()
    token = scope.current.set(scope.Scope(execution))
    try:
        output = sfn._run_sub_machine(definition["States"], definition["StartAt"], value, execution, ctx)
        _close(execution, "SUCCEEDED", {"output": json.dumps(output)})
    except scope.Stopped:
        return
    except sfn._ExecutionError as error:
        fail_execution(execution, error.error, error.cause)
    except Exception as error:
        sfn.logger.exception("Unexpected error in execution %s", execution_arn)
        fail_execution(execution, "States.Runtime", str(error))
    finally:
        scope.current.reset(token)
        alarm.cancel()


def fail_execution(execution: JsonObject, error: str, cause: str) -> None:
    """An execution that was stopped or ran out of time stays what it is."""
    _close(execution, "FAILED", {"error": error, "cause": cause})


def _close(execution: JsonObject, status: str, result: JsonObject) -> None:
    with _event_lock:
        if execution["status"] != "RUNNING":
            return
        execution.update(status=status, stopDate=sfn.now_iso(), **result)
    kind = {"SUCCEEDED": "Succeeded", "FAILED": "Failed", "TIMED_OUT": "TimedOut"}[status]
    add_event(execution, f"Execution{kind}", {f"execution{kind}EventDetails": result})
    sfn._emit_execution_status_event(execution)


def emit_status(execution: JsonObject) -> None:
    """Executions of an Express machine tell nobody of their status."""
    if sfn._state_machines.get(execution["stateMachineArn"], {}).get("type") != "EXPRESS":
        _original["_emit_execution_status_event"](execution)


def add_event(execution: JsonObject, kind: str, details: JsonObject | None = None) -> Any:
    """Branches write to one history: one at a time."""
    with _event_lock:
        return _original["_add_event"](execution, kind, details)


def run_sub_machine(states: JsonObject, start_at: str, value: Any, execution: JsonObject, ctx: JsonObject) -> Any:
    """The states of an execution, a branch or an iteration, with the history that AWS writes of them."""
    name: str | None = start_at
    value = copy.deepcopy(value)
    while name is not None:
        scope.check()
        state = states[name]
        kind = state["Type"]
        ctx["State"] = {"Name": name, "EnteredTime": sfn.now_iso(), "RetryCount": 0}
        entered = {"name": name, "input": json.dumps(value)}
        add_event(execution, f"{kind}StateEntered", {"stateEnteredEventDetails": entered})
        value, next_name = _step(kind, state, value, execution, ctx)
        text = json.dumps(value)
        if len(text.encode()) > _LIMIT:
            cause = f"The state '{name}' has returned a result with a size exceeding the maximum number of bytes"
            raise sfn._ExecutionError("States.DataLimitExceeded", cause)
        add_event(execution, f"{kind}StateExited", {"stateExitedEventDetails": {"name": name, "output": text}})
        name = next_name
    return value


def _step(kind: str, state: JsonObject, value: Any, execution: JsonObject, ctx: JsonObject) -> Step:
    if kind == "Fail":
        raise sfn._ExecutionError(*sfn._fail_state_error(state, value, ctx))
    if kind == "Succeed":
        if _jsonata(state, ctx):
            return sfn._apply_jsonata_output(state, value, ctx, default=value), None
        return sfn._apply_output_path(state, sfn._apply_input_path(state, value, ctx), ctx), None
    handler = getattr(sfn, f"_execute_{kind.lower()}")
    arguments = (execution, ctx) if kind in ("Task", "Parallel", "Map") else (ctx,)
    step: Step = handler(state, value, *arguments)
    return step


# ---- variables, errors ---------------------------------------------------------------------------------------------


def apply_state_assign(
    state: JsonObject, raw_input: Any, ctx: JsonObject | None, result: Any = None, error_output: Any = None
) -> None:
    """Every expression of an Assign sees the values from before it."""
    assign = state.get("Assign")
    if ctx is None or not isinstance(assign, dict) or not _jsonata(state, ctx):
        return
    fresh = {
        name: sfn._apply_jsonata_template(value, raw_input, ctx, result=result, error_output=error_output)
        for name, value in assign.items()
    }
    ctx["variables"].update(fresh)


def error_matches(error_equals: list[str], error: str) -> bool:
    """`States.ALL` and `States.TaskFailed` take neither a runtime error nor an exceeded data limit."""
    if error in _NEVER_CAUGHT:
        return error in error_equals
    return bool(_original["_error_matches"](error_equals, error))


def with_retry_and_catch(state: JsonObject, raw_input: Any, ctx: JsonObject, attempt: Callable[[], Step]) -> Step:
    """Run an attempt of a Task, Parallel or Map under its Retry and Catch; MaxDelaySeconds holds."""
    entered = ctx["State"]
    counts: dict[int, int] = {}
    while True:
        ctx["State"] = {**entered, "RetryCount": sum(counts.values())}
        try:
            return attempt()
        except sfn._ExecutionError as error:
            retrier, index = sfn._find_matching_retrier(state.get("Retry", []), error.error, counts)
            if retrier is not None:
                delay = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** counts.get(index, 0)
                counts[index] = counts.get(index, 0) + 1
                scope.sleep(min(delay, retrier.get("MaxDelaySeconds", delay)))
                continue
            catcher = sfn._find_matching_catcher(state.get("Catch", []), error.error)
            if catcher is None:
                raise
            caught = {"Error": error.error, "Cause": error.cause}
            language = sfn._state_query_language(state, ctx)
            return sfn._apply_catcher(catcher, raw_input, ctx, language, caught), catcher["Next"]


# ---- Parallel, Map -------------------------------------------------------------------------------------------------


def run_parallel_branches(state: JsonObject, raw_input: Any, execution: JsonObject, ctx: JsonObject) -> Step:
    """Arguments, Output and Assign hold; a branch has variables of its own; the first failure ends the others."""
    if not _jsonata(state, ctx):
        step: Step = _original["_run_parallel_branches"](state, raw_input, execution, ctx)
        return step
    argument = sfn._apply_jsonata_arguments(state, raw_input, ctx)
    jobs = [
        partial(sfn._run_sub_machine, b["States"], b["StartAt"], argument, execution, _fork(ctx))
        for b in state["Branches"]
    ]
    return _leave(state, raw_input, ctx, scope.together(execution, jobs, len(jobs)))


def run_map_items(state: JsonObject, raw_input: Any, execution: JsonObject, ctx: JsonObject) -> Step:
    """Items, ItemSelector and the numbers may be expressions, in a distributed Map too."""
    if not _jsonata(state, ctx):
        step: Step = _original["_run_map_items"](state, raw_input, execution, ctx)
        return step
    processor = state["ItemProcessor"]
    distributed = processor.get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED"
    if "ItemReader" in state:
        reader = state["ItemReader"]
        arguments = sfn._apply_jsonata_template(reader.get("Arguments", {}), raw_input, ctx)
        items = sfn._read_map_items({**reader, "Arguments": arguments}, raw_input, ctx)
    elif "Items" in state:
        items = sfn._jsonata_state_field(state, "Items", "array", raw_input, ctx)
    else:
        items = raw_input
    chosen = [_selected(state, raw_input, ctx, index, item) for index, item in enumerate(items)]
    limit = int(_number(state, "MaxConcurrency", raw_input, ctx) or 0)
    if distributed:
        # What an execution of its own sees: its item, and no variable of ours.
        bare = {k: v for k, v in state.items() if k in ("Type", "Label")}
        for field in ("ToleratedFailurePercentage", "ToleratedFailureCount"):
            if field in state:
                bare[field] = _number(state, field, raw_input, ctx)
        apart = _fork(ctx, variables={})
        bare = {**bare, "MaxConcurrency": limit, "QueryLanguage": "JSONPath", "End": True}
        results, _ = sfn._run_distributed_map(bare, chosen, chosen, processor, execution, apart)
        scope.check()
    else:
        jobs = [
            partial(sfn._run_sub_machine, processor["States"], processor["StartAt"], item, execution, _fork(ctx))
            for item in chosen
        ]
        results = scope.together(execution, jobs, min(limit or _INLINE, _INLINE))
    return _leave(state, raw_input, ctx, results)


def _selected(state: JsonObject, raw_input: Any, ctx: JsonObject, index: int, item: Any) -> Any:
    if "ItemSelector" not in state:
        return item
    seen = _fork(ctx, Map={"Item": {"Index": index, "Value": item}})
    return sfn._apply_jsonata_template(state["ItemSelector"], raw_input, seen)


def _leave(state: JsonObject, raw_input: Any, ctx: JsonObject, result: Any) -> Step:
    output = sfn._apply_jsonata_output(state, raw_input, ctx, result=result, default=result)
    apply_state_assign(state, raw_input, ctx, result=result)
    return output, sfn._next_or_end(state)


# ---- Task ----------------------------------------------------------------------------------------------------------


def execute_task(state: JsonObject, raw_input: Any, execution: JsonObject, ctx: JsonObject) -> Step:
    """Time-outs may be expressions; a callback has a token of its own in every attempt."""
    if not _jsonata(state, ctx):
        step: Step = _original["_execute_task"](state, raw_input, execution, ctx)
        return step
    resource = state["Resource"]
    callback = resource.endswith(".waitForTaskToken")

    def attempt() -> Step:
        try:
            if callback:
                ctx["Task"] = {"Token": sfn.new_uuid()}
            argument = sfn._apply_jsonata_arguments(state, raw_input, ctx)
            timeout = _number(state, "TimeoutSeconds", raw_input, ctx)
            details = {"resourceType": "lambda" if "lambda" in resource else "states", "resource": resource}
            add_event(execution, "TaskScheduled", {"taskScheduledEventDetails": details})
            if callback:
                heartbeat = _number(state, "HeartbeatSeconds", raw_input, ctx)
                token = ctx["Task"]["Token"]
                result = _await_answer(resource, argument, token, timeout, heartbeat, execution)
            elif timeout is None:
                result = sfn._invoke_resource(resource, argument)
            else:
                result = sfn._invoke_resource_with_timeout(resource, argument, timeout)
            scope.check()
            text = json.dumps(result)
            add_event(execution, "TaskSucceeded", {"taskSucceededEventDetails": {"output": text, "resource": resource}})
            return _leave(state, raw_input, ctx, result)
        except sfn._ExecutionError as error:
            failed = {"error": error.error, "cause": error.cause, "resource": resource}
            add_event(execution, "TaskFailed", {"taskFailedEventDetails": failed})
            raise
        finally:
            ctx.pop("Task", None)

    return with_retry_and_catch(state, raw_input, ctx, attempt)


def _await_answer(
    resource: str, argument: Any, token: str, timeout: float | None, heartbeat: float | None, execution: JsonObject
) -> Any:
    """Call the function with the token, then wait for the answer. A function that fails fails the task."""
    answered = threading.Event()
    waiting: JsonObject = {"event": answered, "result": None, "error": None, "heartbeat": None}
    waiting["machine"] = execution["stateMachineArn"]  # for the policy of who answers
    sfn._task_tokens[token] = waiting
    begun = time.monotonic()
    last_beat: list[Any] = [None, begun]

    def beaten() -> float:
        if waiting["heartbeat"] != last_beat[0]:
            last_beat[:] = [waiting["heartbeat"], time.monotonic()]
        return float(last_beat[1])

    def deadline() -> float:
        until = begun + (99_999_999 if timeout is None else timeout)
        return until if heartbeat is None else min(until, beaten() + heartbeat)

    try:
        sfn._invoke_resource(resource.removesuffix(".waitForTaskToken"), argument)
        if not scope.wait(answered, deadline):
            late = timeout is not None and time.monotonic() >= begun + timeout
            error = "States.Timeout" if late else "States.HeartbeatTimeout"
            raise sfn._ExecutionError(error, "Nobody answered in time")
    finally:
        _closed.add(token)
        sfn._task_tokens.pop(token, None)
    if waiting["error"]:
        raise sfn._ExecutionError(waiting["error"]["Error"], waiting["error"]["Cause"])
    return json.loads(waiting["result"])


_closed: set[str] = set()


def answer_task(operation: str, request: JsonObject) -> Any:
    """An answer after the first one, or after the time, is TaskTimedOut."""
    token = request.get("taskToken", "")
    waiting = sfn._task_tokens.get(token)
    if token in _closed or (waiting and waiting["event"].is_set()):
        return sfn.error_response_json("TaskTimedOut", "The task is over", 400)
    return _original[operation](request)

"""How a failed call of a function looks.

- A Python exception has its class's name as errorType (MiniStack: always Runtime.HandlerError), so that Retry and Catch
  can tell errors apart; and it does not end the worker (MiniStack starts a new process after every exception).
- A worker that is killed in the middle of a call gives Runtime.ExitError. One that died before it had read the call is
  replaced, as Lambda replaces an environment that it lost.
"""

from __future__ import annotations

import errno
from typing import Any, Final

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

_RAISED: Final = "__raised__"
_THEIRS: Final = (
    """_real_stdout.write(json.dumps({"status": "error", "error": str(e), "trace": traceback.format_exc()}) + "\\n")"""
)
_OURS: Final = f"""sys.stderr.write(traceback.format_exc())
            _real_stdout.write(json.dumps({{"status": "ok", "result": {{"{_RAISED}": {{
                "errorMessage": str(e), "errorType": type(e).__name__,
                "stackTrace": traceback.format_tb(e.__traceback__)}}}}}}) + "\\n")"""
_UNREAD: Final = f"[Errno {errno.EPIPE}]"
_DIED: Final = ("Worker process died", "Worker returned no response")


class _Raised(str):
    """The message of an error that a function raised, with all that its worker told of it."""

    told: dict[str, Any]


def apply() -> None:
    """Patch the workers' script and the reading of their answers."""
    if lambda_runtime._PYTHON_WORKER_SCRIPT.count(_THEIRS) != 1:
        raise RuntimeError("MiniStack's worker script is not the one that the shim was made for")
    lambda_runtime._PYTHON_WORKER_SCRIPT = lambda_runtime._PYTHON_WORKER_SCRIPT.replace(_THEIRS, _OURS)
    invoke, execute = lambda_runtime.Worker.invoke, lambda_svc._execute_function_warm

    def invoke_worker(worker: Any, *arguments: Any, **more: Any) -> dict[str, Any]:
        response = invoke(worker, *arguments, **more)
        if str(response.get("error", "")).startswith(_UNREAD):  # a handler starts when it has the whole line
            response = invoke(worker, *arguments, **more)
        return as_an_error(response)

    def execute_function(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        return as_on_aws(execute(func, event, request_id))

    lambda_runtime.Worker.invoke = invoke_worker
    lambda_svc._execute_function_warm = execute_function


def as_an_error(response: dict[str, Any]) -> dict[str, Any]:
    """A worker's response; what our script wrote of an exception becomes an error again."""
    result = response.get("result")
    if not isinstance(result, dict) or _RAISED not in result:
        return response
    message = _Raised(result[_RAISED]["errorMessage"])
    message.told = result[_RAISED]
    return {**response, "status": "error", "error": message, "result": None, "trace": ""}


def as_on_aws(answer: dict[str, Any]) -> dict[str, Any]:
    """A call's answer with the error that AWS would give."""
    body = answer.get("body")
    if not answer.get("error") or not isinstance(body, dict):
        return answer
    message = body.get("errorMessage", "")
    if isinstance(message, _Raised):
        return {**answer, "body": message.told}
    if str(message).startswith(_DIED):
        killed = {"errorType": "Runtime.ExitError", "errorMessage": "Runtime exited without providing a reason"}
        return {**answer, "body": killed}
    return answer

"""A request for the sandbox, run in a box of its own.

    {language: python | javascript, seconds, code, input} → {result, stdout} or {error, message, stdout}
    {language: shell, seconds, command, stdin} → {stdout, stderr, code} or {error, message}

All answers have `milliseconds`. The errors are CodeFailed, InvalidInput, InvalidResult, LimitExceeded, MemoryExceeded,
OutputTooLarge, ResultTooLarge, Timeout and Unavailable (nothing ran, since it could not have been held in).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final

from shared.sandbox.limits import MAX_REQUEST, MAX_SECONDS, Limits
from shared.sandbox.process import BoxFailed, Reason, run

_BOXES: Final[Mapping[str, tuple[str, str, tuple[str, ...]]]] = {  # module, library, what it takes
    "python": ("functions.sandbox.python", "wasmtime", ("code", "input")),
    "javascript": ("functions.sandbox.javascript", "_quickjs", ("code", "input")),
    "shell": ("functions.sandbox.shell", "bashkit", ("command", "stdin")),
}
_TEXTS: Final = frozenset({"code", "command", "stdin"})
_ERRORS: Final[Mapping[Reason, tuple[str, str]]] = {
    "timeout": ("Timeout", "the code was not done in its time"),
    "memory": ("MemoryExceeded", "the code used up its memory"),
    "too_large": ("ResultTooLarge", "the result is larger than 4,000,000 bytes of JSON"),
    "crashed": ("CodeFailed", "the code ended its interpreter"),
    "refused": ("Unavailable", "the sandbox is not safe here, so nothing was run"),
}


def answered(request: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The answer, and for the log of the function what kept it from being one."""
    began = time.perf_counter()
    answer, detail = _run(request)
    return {**answer, "milliseconds": round((time.perf_counter() - began) * 1000)}, detail


def _run(request: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    language, seconds = request.get("language"), request.get("seconds")
    if not isinstance(language, str) or language not in _BOXES:
        return _failure("InvalidInput", "there is no such language"), ""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= MAX_SECONDS:
        return _failure("InvalidInput", f"seconds is a number above 0, up to {MAX_SECONDS:g}"), ""
    module, library, wanted = _BOXES[language]
    for name in wanted:
        if name not in request or (name in _TEXTS and not _is_text(request[name])):
            return _failure("InvalidInput", f"{name} is missing, or is no valid text"), ""
    body = json.dumps({name: request[name] for name in wanted}).encode()
    if len(body) > MAX_REQUEST:
        return _failure("InvalidInput", f"this is more than {MAX_REQUEST:,} bytes of JSON"), ""
    try:
        answer = json.loads(run(module, library, body, Limits(seconds)))
    except BoxFailed as failed:
        return _failure(*_ERRORS[failed.reason]), str(failed)
    except (ValueError, RecursionError):
        return _failure("CodeFailed", "the code spoiled its interpreter"), ""
    if not isinstance(answer, dict):
        return _failure("CodeFailed", "the code spoiled its interpreter"), ""
    return answer, ""


def _is_text(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _failure(error: str, message: str) -> dict[str, Any]:
    return {"error": error, "message": message}

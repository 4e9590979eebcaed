"""JavaScript: QuickJS. The language and nothing else: no files, no sockets, no modules to import, no timers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import _quickjs

from functions.sandbox.wasm import MEMORY

_STACK: Final = 1024 * 1024
_MAX_STDOUT: Final = 1_000_000  # characters
_MAX_MESSAGE: Final = 10_000
_HALF: Final = "the result holds half of a surrogate pair"
# Keeps what `console` writes and follows the result, which may be a promise. What a tenant's code does to the built-in
# objects can spoil its own result only.
_PRELUDE: Final = """(() => {
  const stringify = JSON.stringify, text = String, resolve = Promise.resolve.bind(Promise), kept = [];
  let size = 0, flood = false, state = 'pending', value;
  const json = (v) => { try { return stringify(v) ?? text(v); } catch { return text(v); } };
  const write = (...all) => {
    const line = all.map((v) => typeof v === 'string' ? v : json(v)).join(' ') + '\\n';
    size += line.length;
    if (size > %d) { flood = true; throw new RangeError('too much was printed'); }
    kept.push(line);
  };
  globalThis.console = { log: write, info: write, warn: write, error: write, debug: write };
  const report = () => {
    const stdout = kept.join('');
    if (state === 'failed') return { state, stdout, flood, said: text(value) + '\\n' + text(value?.stack ?? '') };
    try { return { state, stdout, flood, value: stringify(value) ?? 'null' }; }
    catch (e) { return { state: 'unfit', stdout, flood, said: text(e) }; }
  };
  return (what, v) => {
    if (what === 'report') return stringify(report());
    resolve(v).then((x) => { state = 'done'; value = x; }, (e) => { state = 'failed'; value = e; });
  };
})()"""
_RESULT: Final = "typeof result === 'undefined' ? undefined : result"


def prepare() -> Callable[[bytes], bytes]:
    """An interpreter that is ready for one request."""
    _work(b'{"code": "throw new Error(1)", "input": null}')  # what Python loads late is loaded now
    return _work


def _work(request: bytes) -> bytes:
    asked = json.loads(request)
    context = _quickjs.Context()
    context.set_memory_limit(MEMORY)
    context.set_max_stack_size(_STACK)
    drive = context.eval(_PRELUDE % _MAX_STDOUT)
    context.set("input", context.parse_json(json.dumps(asked["input"])))
    failed = _run(context, asked["code"], drive)
    try:
        report = json.loads(drive("report", None))
    except (_quickjs.JSException, SystemError, ValueError, RecursionError):  # no memory is left to report with
        return json.dumps(
            {**(failed or _failure("CodeFailed", "the code spoiled its interpreter")), "stdout": ""}
        ).encode()
    if report["flood"]:
        failed, report["stdout"] = (
            _failure("OutputTooLarge", f"the code printed more than {_MAX_STDOUT:,} characters"),
            "",
        )
    return json.dumps({**(failed or _result(report)), "stdout": _valid(report["stdout"])}).encode()


def _run(context: Any, code: str, drive: Any) -> dict[str, Any] | None:
    """Run the code and what it has promised; gives the failure, if it is one."""
    try:
        value = context.eval(code)
        chosen = context.eval(_RESULT)
        drive("settle", value if chosen is None else chosen)
        while context.execute_pending_job():
            pass
    except _quickjs.JSException as error:
        said = str(error).replace("<input>", "code.js")
        if "InternalError: out of memory" in said:
            return _failure("MemoryExceeded", "the code used up its memory")
        return _failure("CodeFailed", said)
    except UnicodeDecodeError:
        return _failure("InvalidResult", _HALF)
    except TypeError:
        return _failure("InvalidResult", "the result is not JSON")
    except ValueError:
        return _failure("CodeFailed", "SyntaxError: the code holds a null character")
    return None


def _result(report: dict[str, Any]) -> dict[str, Any]:
    if report["state"] == "done":
        try:
            value = json.loads(report["value"])
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return _failure("InvalidResult", _HALF)
        except RecursionError:
            return _failure("InvalidResult", "the result is nested too deeply")
        return {"result": value}
    if report["state"] == "unfit":
        return _failure("InvalidResult", f"the result is not JSON: {report['said']}")
    if report["state"] == "failed":
        return _failure("CodeFailed", report["said"].replace("<input>", "code.js"))
    return _failure("CodeFailed", "the promise that is the result is never settled")


def _failure(error: str, message: str) -> dict[str, Any]:
    return {"error": error, "message": _valid(message)[:_MAX_MESSAGE]}


def _valid(text: str) -> str:
    return text.encode(errors="replace").decode()

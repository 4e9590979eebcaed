"""JavaScript in the sandbox: what it can do, and what it tries in vain."""

from __future__ import annotations

from typing import Any

import pytest

from tests.functions.sandbox.runtime import Runtime


def run(sandbox: Runtime, code: str, given: Any = None, seconds: float = 10) -> dict[str, Any]:
    return sandbox("javascript", code, given, seconds)


@pytest.mark.parametrize(
    ("code", "given", "result"),
    [
        ("1 + 1", None, 2),
        ("const result = input.a * 2; 'not this'", {"a": 4}, 8),
        ("let x = 5", None, None),
        ("undefined", None, None),
        ("() => 1", None, None),
        ("({a: [1, null, undefined], d: new Date(0)})", None, {"a": [1, None, None], "d": "1970-01-01T00:00:00.000Z"}),
        ("(async () => { await 1; return input.map((x) => x * 2) })()", [1, 2], [2, 4]),
        ("class A { #x = 3; get x() { return this.#x } } new A().x", None, 3),
        ("[...'a1b2'.matchAll(/\\d/g)].map((m) => m[0])", None, ["1", "2"]),
        ("Object.groupBy([1, 2, 3], (x) => x % 2 ? 'odd' : 'even')", None, {"odd": [1, 3], "even": [2]}),
        ("'é€😀'", None, "é€😀"),
        ("input", {"deep": [1.5, True, None, "ü"]}, {"deep": [1.5, True, None, "ü"]}),
        ("NaN", None, None),
    ],
)
def test_a_result(sandbox: Runtime, code: str, given: Any, result: Any) -> None:
    assert run(sandbox, code, given) == {"result": result, "stdout": ""}


def test_what_is_printed(sandbox: Runtime) -> None:
    answer = run(sandbox, "console.log('one', {a: 2}); console.error(undefined); 1")
    assert answer == {"result": 1, "stdout": 'one {"a":2}\nundefined\n'}


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("function f() { throw new TypeError('no') }\nf()", "TypeError: no\n    at f (code.js:1:"),
        ("let x = ;", "SyntaxError"),
        ("throw null", "null"),
        ("(async () => { throw new Error('late') })()", "Error: late"),
        ("new Promise(() => 1)", "never settled"),
        ("1\0", "null character"),
    ],
)
def test_a_failure(sandbox: Runtime, code: str, said: str) -> None:
    answer = run(sandbox, code)
    assert answer["error"] == "CodeFailed"
    assert said in answer["message"]


@pytest.mark.parametrize(
    "code",
    ["10n", "({a: 10n})", "'\\ud800'", "({a: '\\ud800'})", "const o = {}; o.o = o; o", "({toJSON() { throw 1 }})"],
)
def test_a_result_that_is_no_json(sandbox: Runtime, code: str) -> None:
    assert run(sandbox, code)["error"] == "InvalidResult"


NOT_THERE = "is not defined"
ESCAPES = {
    "the environment": ("process.env", NOT_THERE),
    "Node's modules": ("require('fs').readFileSync('/etc/passwd')", NOT_THERE),
    "QuickJS's modules": ("std.loadFile('/etc/passwd')", NOT_THERE),
    "QuickJS's system calls": ("os.exec(['id'])", NOT_THERE),
    "a module by name": ("import('std')", "could not load module"),
    "a module by path": ("import('/etc/passwd')", "could not load module"),
    "a module of the function": ("import('./handler.py')", "could not load module"),
    "an import statement": ("import fs from 'fs'; 1", "SyntaxError"),
    "a page": ("fetch('http://169.254.169.254/')", NOT_THERE),
    "an old page": ("new XMLHttpRequest()", NOT_THERE),
    "a socket": ("new WebSocket('ws://127.0.0.1')", NOT_THERE),
    "Deno": ("Deno.readTextFileSync('/proc/self/environ')", NOT_THERE),
    "Bun": ("Bun.file('/etc/passwd')", NOT_THERE),
    "a worker": ("new Worker('x')", NOT_THERE),
    "a timer": ("setTimeout(() => 1, 1)", NOT_THERE),
    "the constructor's constructor": ("this.constructor.constructor('return process')()", NOT_THERE),
    "a function's constructor": ("Function('return require')()", NOT_THERE),
    "an error's stack": ("Error.prepareStackTrace = (_, s) => s; result = typeof new Error().stack", None),
    "the prototype of all": (
        "Object.prototype.secret = 1; result = Object.keys(globalThis).includes('process')",
        False,
    ),
    "a proxy as a result": (
        "new Proxy({}, {get() { throw new Error('x') }, ownKeys() { throw new Error('x') }})",
        "CodeFailed",
    ),
    "a promise that is none": ("({then(done) { done(5) }})", 5),
    "a promise's own then": ("Promise.prototype.then = null; 1", "CodeFailed"),
    "JSON of one's own": ("JSON.stringify = () => 'x'; JSON.parse = null; 1", 1),
    "deep recursion": ("const f = () => f(); f()", "Maximum call stack size"),
    "deep recursion of JSON": ("let v = []; for (let i = 0; i < 1e5; i++) v = [v]; v", "InvalidResult"),
    "deep recursion of patterns": ("new RegExp('('.repeat(1e5) + ')'.repeat(1e5))", "CodeFailed"),
    "deep recursion of code": ("eval('['.repeat(1e6))", "CodeFailed"),
    "shared memory": ("Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)", "cannot block"),
    "eval": ("(0, eval)('typeof process')", "undefined"),
    "the answer of another": ("print('{}')", NOT_THERE),
}


@pytest.mark.parametrize("name", ESCAPES)
def test_an_escape(sandbox: Runtime, name: str) -> None:
    code, wanted = ESCAPES[name]
    answer = run(sandbox, code)
    if isinstance(wanted, str) and "result" not in answer:
        assert answer["error"] in ("CodeFailed", "InvalidResult")
        assert wanted == answer["error"] or wanted in answer["message"], answer
    elif wanted is not None:
        assert answer["result"] == wanted
    else:
        assert answer["result"] in ("object", "string")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("while (true);", "Timeout"),
        ("/(a+)+$/.test('a'.repeat(40) + 'b')", "Timeout"),
        ("(async () => { while (true) await 1 })()", "Timeout"),
        ("function* g() { while (true) yield 1 } for (const x of g());", "Timeout"),
        ("try { while (true); } catch {} finally { while (true); }", "Timeout"),
        ("const all = []; while (true) all.push(new Array(1e6).fill(1))", "MemoryExceeded"),
        ("'x'.repeat(2 ** 29)", "MemoryExceeded"),
        ("new Uint8Array(2 ** 30)", "MemoryExceeded"),
        ("let s = 'x'; while (true) s = [s + s, s]", "MemoryExceeded"),
        ("while (true) console.log('x'.repeat(10_000))", "OutputTooLarge"),
        ("try { while (true) console.log('x'.repeat(10_000)) } catch {}", "OutputTooLarge"),
        ("'x'.repeat(5_000_000)", "ResultTooLarge"),
    ],
)
def test_a_bomb(sandbox: Runtime, code: str, error: str) -> None:
    answer = run(sandbox, code, seconds=0.6 if error == "Timeout" else 20)
    assert answer["error"] == error, answer


def test_none_sees_what_another_has_left(sandbox: Runtime) -> None:
    run(sandbox, "globalThis.left = 1; Object.prototype.left = 1; Array.prototype.map = null")
    assert run(sandbox, "[typeof left, ({}).left ?? 0, typeof [].map]")["result"] == ["undefined", 0, "function"]

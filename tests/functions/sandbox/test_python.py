"""Python in the sandbox: what it can do, and what it tries in vain."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.functions.sandbox.runtime import Runtime


def run(sandbox: Runtime, code: str, given: Any = None, seconds: float = 10) -> dict[str, Any]:
    return sandbox("python", code, given, seconds)


@pytest.mark.parametrize(
    ("code", "given", "result"),
    [
        ("1 + 1", None, 2),
        ("result = input['a'] * 2\n'not this'", {"a": 4}, 8),
        ("x = 5", None, None),
        ("", None, None),
        ("result = None\n5", None, None),
        ("class A:\n  def f(self): return 1\nclass B(A):\n  pass\nB().f()", None, 1),
        ("def g():\n  yield from range(3)\nlist(g())", None, [0, 1, 2]),
        (
            "import re, json, math\n[re.sub(r'\\d', '#', 'a1'), json.loads('[1]'), math.floor(2.5)]",
            None,
            ["a#", [1], 2],
        ),
        (
            "from datetime import datetime, timedelta\nstr(datetime(2024, 2, 28) + timedelta(2))",
            None,
            "2024-03-01 00:00:00",
        ),
        ("import statistics, collections, decimal\nstr(decimal.Decimal('0.1') + 1)", None, "1.1"),
        ("import csv, io\nlist(csv.reader(io.StringIO(input)))", "a,b\n1,2", [["a", "b"], ["1", "2"]]),
        ("import hashlib\nhashlib.sha256(b'x').hexdigest()[:8]", None, "2d711642"),
        ("a, *b = input\ndel a\nmatch b:\n  case [x, *_]:\n    result = x", [1, 2, 3], 2),
        ("(1, 2)", None, [1, 2]),
        ("'é€😀'", None, "é€😀"),
        ("input", {"deep": [1.5, True, None, "ü"]}, {"deep": [1.5, True, None, "ü"]}),
        ("async def f(): return 7\nc = f()\ntry: c.send(None)\nexcept StopIteration as s: result = s.value", None, 7),
        ("import time\nt = time.monotonic()\ntime.sleep(0.1)\nresult = time.monotonic() - t >= 0.1", None, True),
    ],
)
def test_a_result(sandbox: Runtime, code: str, given: Any, result: Any) -> None:
    assert run(sandbox, code, given) == {"result": result, "stdout": ""}


def test_what_is_printed(sandbox: Runtime) -> None:
    answer = run(sandbox, "import sys\nprint('one', 2)\nprint('three', file=sys.stderr)\nprint('\\ud800')")
    assert answer == {"result": None, "stdout": "one 2\nthree\n?\n"}


def test_a_failure_shows_the_tenants_own_lines_only(sandbox: Runtime) -> None:
    answer = run(sandbox, "def f(x):\n    return 1 / x\nprint('before')\nf(0)")
    assert answer["error"] == "CodeFailed"
    assert answer["stdout"] == "before\n"
    said = answer["message"]
    assert said.startswith("Traceback")
    assert 'File "code.py", line 4, in <module>\n    f(0)' in said
    assert said.endswith("ZeroDivisionError: division by zero\n")
    assert "app.py" not in said
    broken = run(sandbox, "x = 1\ndef (")
    assert broken["error"] == "CodeFailed"
    assert 'File "code.py", line 2' in broken["message"]
    assert len(run(sandbox, "raise ValueError('x' * 100_000)")["message"]) < 11_000


@pytest.mark.parametrize("code", ["{1, 2}", "float('nan')", "object()", "b'x'", "'\\ud800'", "x = []\nx.append(x)\nx"])
def test_a_result_that_is_no_json(sandbox: Runtime, code: str) -> None:
    answer = run(sandbox, code)
    assert answer["error"] == "InvalidResult"
    assert "not JSON" in answer["message"]


def test_chance_is_another_each_time(sandbox: Runtime) -> None:
    code = "import random, uuid, secrets\n[random.random(), str(uuid.uuid4()), secrets.token_hex(8)]"
    first, second = run(sandbox, code)["result"], run(sandbox, code)["result"]
    assert not set(first) & set(second)


NO_FILE = "FileNotFoundError"
NO_MODULE = "ModuleNotFoundError"
ESCAPES = {
    "the environment": ("import os\nresult = dict(os.environ)", {}),
    "the environment of the process": ("open('/proc/self/environ', 'rb').read()", NO_FILE),
    "the environment of its parent": ("open('/proc/1/environ', 'rb').read()", NO_FILE),
    "a file of the machine": ("open('/etc/passwd').read()", NO_FILE),
    "a file of the function": ("open('/var/task/functions/sandbox/handler.py').read()", NO_FILE),
    "AWS's files of credentials": ("import os\nopen(os.path.expanduser('~/.aws/credentials')).read()", NO_FILE),
    "a folder": ("import os\nos.listdir('/')", NO_FILE),
    "a way out of a folder": ("open('../../../../etc/passwd').read()", NO_FILE),
    "an open end": (
        "import os\nfor n in range(3, 256):\n  try: os.fstat(n)\n  except OSError: continue\n  raise SystemError",
        None,
    ),
    "a file for the next one": ("open('/tmp/left', 'w').write('x')", NO_FILE),
    "a symbolic link": ("import os\nos.symlink('/etc/passwd', '/tmp/x')", NO_FILE),
    "a socket": ("import socket\nsocket.create_connection(('169.254.169.254', 80))", NO_MODULE),
    "a socket, lower down": ("import _socket\n_socket.socket().connect(('169.254.169.254', 80))", "PermissionError"),
    "a datagram": ("import _socket\n_socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)", "ended its interpreter"),
    "a listener": ("import _socket\n_socket.socket().bind(('0.0.0.0', 8080))", "PermissionError"),
    "a name": ("import _socket\n_socket.getaddrinfo(b'localhost', 80)", "ended its interpreter"),
    "a page": ("import urllib.request\nurllib.request.urlopen('http://127.0.0.1/')", NO_MODULE),
    "a process": ("import subprocess\nsubprocess.run(['id'])", NO_MODULE),
    "a process, lower down": ("import os\nos.fork()", "AttributeError"),
    "a command": ("import os\nos.system('id')", "AttributeError"),
    "a program": ("import os\nos.execv('/bin/sh', ['sh'])", "AttributeError"),
    "a signal": ("import os\nos.kill(1, 9)", "AttributeError"),
    "memory of the machine": ("import ctypes\nctypes.string_at(0)", NO_MODULE),
    "a thread": ("import threading", NO_MODULE),
    "a module of the machine": ("import importlib, sys\nsys.path.append('/usr/lib/python3')\nimport boto3", NO_MODULE),
    "the world above": (
        "import wit_world, __main__\nresult = [n for n in dir(wit_world) if 'socket' in n.lower()]",
        [],
    ),
    "subclasses": (
        "result = [c.__name__ for c in object.__subclasses__() if c.__name__ in ('Popen', 'socket', 'CDLL')]",
        [],
    ),
    "frames": (
        "import sys\nf = sys._getframe()\nwhile f.f_back: f = f.f_back\nresult = 'AWS' in str(f.f_globals)",
        False,
    ),
    "byte code": (
        "def f(): pass\nf.__code__ = f.__code__.replace(co_code=b'\\x64\\xff' * 50, co_stacksize=1)\nf()",
        "CodeFailed",
    ),
    "the end of the process": ("import os\nos._exit(0)", "ended its interpreter"),
    "an abort": ("import os\nos.abort()", "ended its interpreter"),
    "leaving": ("import sys\nsys.exit(0)", "SystemExit"),
    "deep recursion": ("def f(n): return f(n + 1)\nf(0)", "RecursionError"),
    "bottomless recursion": ("import sys\nsys.setrecursionlimit(10**9)\ndef f(n): return f(n + 1)\nf(0)", "too deeply"),
    "the answer of another": ("import sys\nsys.stdout = sys.__stdout__\nprint('{\"result\": 1}')", "CodeFailed"),
    "the interpreter's own names": ("import json\njson.dumps = lambda *a, **k: 'x'\n1", "spoiled its interpreter"),
}


@pytest.mark.parametrize("name", ESCAPES)
def test_an_escape(sandbox: Runtime, name: str) -> None:
    code, wanted = ESCAPES[name]
    answer = run(sandbox, code)
    if isinstance(wanted, str):
        assert "result" not in answer
        assert answer["error"] == "CodeFailed", answer
        assert wanted in (answer["error"], *answer["message"].split()) or wanted in answer["message"], answer
    else:
        assert answer.get("result", "none") == wanted, answer


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("while True: pass", "Timeout"),
        ("import time\ntime.sleep(60)", "Timeout"),
        ("import re\nre.match(r'(a+)+$', 'a' * 40 + 'b')", "Timeout"),
        ("10 ** 10 ** 8", "Timeout"),
        (
            "class E(Exception): pass\nwhile True:\n  try:\n    while True: pass\n  except BaseException: pass",
            "Timeout",
        ),
        ("def g():\n  while True: yield 1\nsum(g())", "Timeout"),
        ("x = []\nwhile True: x.append('a' * 1_000_000)", "MemoryExceeded"),
        ("'a' * (1 << 30)", "MemoryExceeded"),
        ("list(range(10**9))", "MemoryExceeded"),
        ("print('x' * 2_000_000)", "OutputTooLarge"),
        ("while True:\n  try: print('x' * 10_000)\n  except Exception: break", None),
        ("'x' * 5_000_000", "ResultTooLarge"),
    ],
)
def test_a_bomb(sandbox: Runtime, code: str, error: str | None) -> None:
    answer = run(sandbox, code, seconds=0.6 if error == "Timeout" else 20)
    assert answer.get("error") == error
    assert len(answer.get("stdout", "")) <= 1_000_000


def test_none_sees_what_another_has_left(sandbox: Runtime) -> None:
    run(sandbox, "import builtins, json, sys\nbuiltins.left = json.left = sys.left = 'left'\nresult = left")
    seen = run(sandbox, "import builtins, json, sys\nresult = [hasattr(m, 'left') for m in (builtins, json, sys)]")
    assert seen["result"] == [False, False, False]


def test_no_address_is_reached_although_somebody_listens(sandbox: Runtime) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        code = f"import asyncio\nasyncio.run(asyncio.open_connection('127.0.0.1', {server.getsockname()[1]}))"
        assert run(sandbox, code)["error"] == "CodeFailed"
        with pytest.raises(TimeoutError):
            server.accept()


def test_no_process_is_left(sandbox: Runtime) -> None:
    run(sandbox, "while True: pass", seconds=0.5)
    children = Path(f"/proc/{sandbox.pid}/task/{sandbox.pid}/children")
    if children.exists():
        assert children.read_text() == ""
    os.kill(sandbox.pid, 0)

"""A box: what it gives up, what is said when it ends, and that nothing runs where something is still open."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shared.sandbox.limits import Limits
from shared.sandbox.process import BoxFailed, run

ROOT = Path(__file__).resolve().parents[3]
LIMITS = Limits(2, answer_bytes=100_000)

# Works that try, in Python itself, what an interpreter that has been broken out of could try.
ATTEMPTS = {
    "read a file": "open('/etc/passwd').read()",
    "write a file": "open('/tmp/left', 'w')",
    "list a folder": "os.listdir('/')",
    "open a socket": "_socket.socket()",
    "open a pair of sockets": "_socket.socketpair()",
    "open a pipe": "os.pipe()",
    "start a process": "os.fork()",
    "start a program": "os.execv('/bin/true', ['true'])",
    "signal its parent": "os.kill(os.getppid(), 9)",
    "trace": "open('/proc/self/mem', 'rb')",
    "take back its limits": "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))",
    "change its user": "os.setuid(0) or os.chroot('/')",
    "make a link": "os.symlink('/etc/passwd', '/tmp/link')",
    "remove a file": "os.remove('/etc/hostname')",
    "start a thread": "_thread.start_new_thread(print, ())",
}


def of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, before: str = "pass") -> str:
    """The name of a module whose work is this; `library` finds it."""
    (tmp_path / "the_work.py").write_text(
        "import _socket, _thread, mmap, os, resource, sys, time\n"
        f"def prepare():\n    {before}\n    return work\n"
        f"def work(request):\n    {body}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return "the_work"


@pytest.mark.skipif(sys.platform != "linux", reason="the filter of system calls is Linux's")
@pytest.mark.parametrize("what", ATTEMPTS)
def test_what_a_box_cannot_do(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = (
        f"try: {ATTEMPTS[what]}\n    except (OSError, ValueError, RuntimeError): return b'refused'\n    return b'done'"
    )
    assert run(of(tmp_path, monkeypatch, body), "the_work", b"", LIMITS) == b"refused"


def test_a_box_has_no_environment_and_no_arguments_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    found = run(
        of(tmp_path, monkeypatch, "return repr((sorted(os.environ), os.getpid())).encode()"), "the_work", b"", LIMITS
    )
    assert found.split(b"]")[0] in (b"([", b"(['LC_CTYPE'")  # the latter is Python's own


def test_the_request_is_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "return str(len(request)).encode()"
    assert run(of(tmp_path, monkeypatch, body), "the_work", b"x" * 3_000_000, LIMITS) == b"3000000"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("\n    while True: pass", "timeout"),
        ("time.sleep(60)", "timeout"),
        ("bytearray(1 << 33)", "memory"),
        ("mmap.mmap(-1, 1 << 33)", "crashed"),
        ("return b'x' * 200_000", "too_large"),
        ("os.write(2, b'x' * 200_000)", "too_large"),
        ("os._exit(3)", "crashed"),
        ("os.abort()", "crashed"),
        ("raise KeyError('secret')", "crashed"),
        ("return 'no bytes'", "crashed"),
    ],
)
def test_why_there_is_no_answer(body: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BoxFailed) as caught:
        run(of(tmp_path, monkeypatch, body), "the_work", b"", Limits(0.5, answer_bytes=100_000))
    assert caught.value.reason == reason
    assert "secret" not in str(caught.value)


def test_a_box_that_never_gets_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.sandbox.process._START_SECONDS", 0.2)
    began = time.monotonic()
    with pytest.raises(BoxFailed, match="timeout"):
        run(of(tmp_path, monkeypatch, "return b''", before="time.sleep(60)"), "the_work", b"", Limits(0.3))
    assert time.monotonic() - began < 5


def test_without_its_library_nothing_is_started() -> None:
    with pytest.raises(BoxFailed, match=r"refused .*nobody_has_this"):
        run("the_work", "nobody_has_this", b"", LIMITS)


OPEN = "try: open('/etc/passwd')\n    except OSError: return b'held'\n    return b'open'"
NO_FILTER = "lock.syscalls.refuse_all_but_computing = lambda: False"
NO_LIMIT = "lock._fill_descriptors = lambda: None"


@pytest.mark.parametrize(
    ("sabotage", "said"),
    [
        (f"{NO_LIMIT}\n    {NO_FILTER}", "a file can still be opened"),
        ("lock._limit = lambda which, value: os.close(-1)", "a limit cannot be set"),
    ],
)
def test_where_something_is_still_open_nothing_runs(
    sabotage: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = of(tmp_path, monkeypatch, OPEN, f"from shared.sandbox import lock\n    {sabotage}")
    with pytest.raises(BoxFailed, match=f"refused {said}"):
        run(module, "the_work", b"", LIMITS)


@pytest.mark.skipif(sys.platform != "linux", reason="the filter of system calls is Linux's")
def test_without_the_limits_the_filter_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = of(tmp_path, monkeypatch, OPEN, f"from shared.sandbox import lock\n    {NO_LIMIT}")
    assert run(module, "the_work", b"", LIMITS) == b"held"


def test_without_the_filter_the_limits_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a system that has no such filter: no descriptor is to be had; and root, whom no limit holds, is refused."""
    before = "from shared.sandbox import syscalls\n    syscalls.refuse_all_but_computing = lambda: False"
    body = "try: os.pipe()\n    except OSError: return b'held'\n    return b'open'"
    module = of(tmp_path, monkeypatch, body, before)
    if os.getuid() == 0:
        with pytest.raises(BoxFailed, match="refused a process can still be started"):
            run(module, "the_work", b"", LIMITS)
    else:
        assert run(module, "the_work", b"", LIMITS) == b"held"


def test_a_box_ends_although_nobody_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = of(tmp_path, monkeypatch, "time.sleep(60)")
    program = "import sys; sys.path[:0] = sys.argv.pop().split('\\n')\nfrom shared.sandbox.inside import main\nmain()"
    arguments = [sys.executable, "-I", "-S", "-c", program, module, "0.3", "100000000", f"{ROOT}\n{tmp_path}"]
    box = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env={})
    assert box.wait(timeout=20) != 0

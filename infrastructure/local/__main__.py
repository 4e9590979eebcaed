"""`python -m infrastructure.local up [--detach] [--state DIR] [--allow HOST:PORT …]` and `… stop [--state DIR]`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from infrastructure.local.archive import ROOT
from infrastructure.local.process import LocalError
from infrastructure.local.stack import Stack, running, start
from infrastructure.local.watch import follow

_PATIENCE = 120.0


def _say(text: str) -> None:
    print(text, flush=True)


def up(state: Path, allowed_hosts: list[str]) -> int:
    """Run the local AWS in the foreground until Ctrl-C or SIGTERM."""
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    begun = time.monotonic()
    stack = start(state, allowed_hosts)
    try:
        _say(f"ready in {time.monotonic() - begun:.1f} s\n{_summary(stack)}")
        watcher = threading.Thread(target=follow, args=(stack, over, _say), daemon=True)
        watcher.start()
        while not over.wait(1):
            stack.check()
        watcher.join(5)
    finally:
        _say("stopping …")
        stack.stop()
    return 0


def _summary(stack: Stack) -> str:
    models = f"{stack.models_url} (SCRIPTED: canned answers, no model)" if stack.models_scripted else "OPENAI_* as set"
    return "\n".join(
        [
            f"  HTTP API     {stack.api_url}/docs",
            f"  WebSocket    {stack.ws_url}",
            f"  AWS APIs     {stack.endpoint}",
            f"  models       {models}",
            f"  tenants      {', '.join(t.tenant_id for t in stack.tenants)}",
            f"  keys         {stack.state / 'stack.json'}",
            "  Ctrl-C or `make stop` ends it; what it holds is kept.",
        ]
    )


def detach(state: Path, allowed_hosts: list[str]) -> int:
    """Start the local AWS in the background; return when it is ready."""
    if running(state):
        _say(f"already running: {state / 'stack.json'}")
        return 0
    log = state / "logs" / "dev.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "infrastructure.local", "up", "--state", str(state)]
    command += [word for host in allowed_hosts for word in ("--allow", host)]
    with log.open("wb") as output:
        child = subprocess.Popen(  # noqa: S603 - our own module, no shell
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if _pid(state) == child.pid:
            _say(log.read_text())
            return 0
        if child.poll() is not None:
            break
        time.sleep(0.05)
    _say(log.read_text())
    child.terminate()
    return 1


def stop(state: Path) -> int:
    """End a local AWS that runs on this state, and wait until it is gone."""
    pid = _pid(state)
    if pid is None or not running(state):
        _say("nothing is running")
        return 0
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE
    while running(state):
        if time.monotonic() > deadline:
            _say(f"process {pid} does not end")
            return 1
        time.sleep(0.05)
    _say("stopped")
    return 0


def _pid(state: Path) -> int | None:
    try:
        return int(json.loads((state / "stack.json").read_text())["pid"])
    except FileNotFoundError:
        return None


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m infrastructure.local", description=__doc__)
    parser.add_argument("command", choices=["up", "stop"])
    parser.add_argument("--state", type=Path, default=ROOT / ".local", help="folder that keeps everything (.local)")
    parser.add_argument("--detach", action="store_true", help="return when it is ready")
    parser.add_argument("--allow", action="append", default=[], help="a host:port that nodes may reach")
    options = parser.parse_args()
    state = options.state.resolve()
    try:
        if options.command == "stop":
            return stop(state)
        return detach(state, options.allow) if options.detach else up(state, options.allow)
    except LocalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

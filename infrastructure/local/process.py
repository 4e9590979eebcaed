"""Child processes of the local AWS: on ports of their own, with clean environments, and ended together."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from infrastructure.local.archive import ROOT

HOST: Final = "127.0.0.1"

# What a child keeps of our environment. Not AWS_*: the local AWS must never see real credentials.
_KEPT: Final = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "http_proxy",
    "https_proxy",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
)


class LocalError(Exception):
    """The local AWS could not do what was asked; the message says why and what to do."""


def free_port(preferred: int | None = None) -> int:
    """A port that nobody listens on: the preferred one if it is free."""
    for wanted in (preferred, 0):
        if wanted is None:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, wanted))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise LocalError("no free port on 127.0.0.1")


class Child:
    """A Python module of ours, run in a process that ends when we do."""

    def __init__(self, module: str, environment: Mapping[str, str], log: Path) -> None:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, no shell
                [sys.executable, "-m", module],
                cwd=ROOT,
                env={**kept, "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost", **environment},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us only; we end the children in order
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def check(self) -> None:
        """Raise LocalError, with the end of the log, if the process has ended."""
        code = self._process.poll()
        if code is not None:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
            raise LocalError(f"a process of the local AWS ended with {code}; the end of {self.log}:\n{tail}")

    def stop(self, grace: float = 15) -> None:
        """End the process: close its standard input, then SIGTERM, then, after `grace` seconds, SIGKILL."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

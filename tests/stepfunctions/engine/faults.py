"""What goes wrong, made to order: a service that stalls and fails, an AWS that refuses, a call that is killed."""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from shared import clock
from shared.aws.clients import client
from shared.ids import digest
from stepfunctions.engine import journal

# --- a service on the other side ---------------------------------------------------------------------------------


@dataclass
class Gate:
    """Requests of a path wait here: `arrived` is set by the first, and all go on once it is `open`."""

    arrived: threading.Event = field(default_factory=threading.Event)
    open: threading.Event = field(default_factory=threading.Event)


class Service(ThreadingHTTPServer):
    """Answers every request with its path; as scripted where something is scripted for the path.

    `seen`: (path, Idempotency-Key) of each request. `script`: per path, (status, headers) of the next answers.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, str | None]] = []
        self.script: dict[str, deque[tuple[int, dict[str, str]]]] = defaultdict(deque)
        self.bodies: dict[str, bytes] = {}
        self.gates: dict[str, Gate] = {}

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def hold(self, path: str) -> Gate:
        """Let the requests of a path wait from now on."""
        self.gates[path] = Gate()
        return self.gates[path]

    def fail(self, path: str, times: int = 1, status: int = 500, **headers: str) -> None:
        """Let the next answers of a path be failures."""
        self.script[path].extend([(status, {k.replace("_", "-"): v for k, v in headers.items()})] * times)

    def count(self) -> Counter[str]:
        """Requests by path."""
        return Counter(path for path, _ in self.seen)

    def done(self, execution_id: str, scope: str, node_id: str) -> int:
        """How often one node of a run (in one iteration) has asked, by its idempotency key."""
        key = digest(execution_id, scope, node_id)
        return sum(1 for _, seen in self.seen if seen == key)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        self.server.seen.append((path, self.headers.get("Idempotency-Key")))
        gate = self.server.gates.get(path)
        if gate is not None:
            gate.arrived.set()
            gate.open.wait(30)
        status, headers = self.server.script[path].popleft() if self.server.script[path] else (200, {})
        body = self.server.bodies.get(path) or json.dumps({"path": path}).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:  # who asked was killed
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


@contextmanager
def service() -> Iterator[Service]:
    """A service for as long as the block lasts."""
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            for gate in server.gates.values():
                gate.open.set()
            server.shutdown()
            thread.join()


# --- AWS ----------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The function's process is gone: raised at the point of death, and at whatever it still tries to do."""


Moment = Literal["before", "after"]


@dataclass
class Strike:
    """At the `at`-th call of AWS (from 0), before or after it has its effect: an `error`, or death if there is none.

    An error strikes once; who is dead stays dead.
    """

    at: int
    moment: Moment
    error: Callable[[str], Exception] | None = None


def throttled(operation: str) -> ClientError:
    """DynamoDB after all of botocore's own attempts."""
    return ClientError({"Error": {"Code": "ProvisionedThroughputExceededException", "Message": "slow down"}}, operation)


def unavailable(operation: str) -> ClientError:
    """A service that is down."""
    return ClientError({"Error": {"Code": "InternalServerError", "Message": "try later"}}, operation)


class Wire:
    """Stands between our code and AWS: `made` are the calls so far; `strike` says what happens to which.

    `repeat` names an operation whose answers are all lost on the way, so that botocore sends it a second time.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[str] = []
        self.strike: Strike | None = None
        self.repeat = ""
        self._dead = False
        self._lock = threading.Lock()
        for service_name in ("dynamodb", "s3"):
            made = client(service_name)
            monkeypatch.setattr(made, "_make_api_call", self._wrapped(made._make_api_call))

    def reset(self, strike: Strike | None = None) -> None:
        """Forget the calls so far; a new process, which is struck as `strike` says."""
        self.made, self.strike, self._dead = [], strike, False

    def _wrapped(self, call: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
        def wrapped(operation: str, arguments: Any) -> Any:
            with self._lock:
                number = len(self.made)
                self.made.append(operation)
                if self._dead:
                    raise Killed
                strike = self.strike if self.strike is not None and self.strike.at == number else None
                if strike is not None and strike.moment == "before":
                    self._hit(strike, operation)
            answer = call(operation, arguments)
            if operation == self.repeat:
                answer = call(operation, arguments)
            if strike is not None:
                with self._lock:
                    self._hit(strike, operation)
            return answer

        return wrapped

    def _hit(self, strike: Strike, operation: str) -> None:
        if strike.error is None:
            self._dead = True
            raise Killed
        raise strike.error(operation)


class Time:
    """The journal's clock, which can be put forward: a lease runs out without anybody waiting for it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 0
        monkeypatch.setattr(journal, "now_ms", lambda: clock.now_ms() + self.ahead)

    def pass_lease(self) -> None:
        self.ahead += journal.LEASE_MS + 1

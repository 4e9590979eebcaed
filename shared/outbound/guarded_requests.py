"""What a library that calls `requests.post(…)` is given in place of requests, so that it reaches public addresses only.

Each connection goes to an address that was checked; TLS verifies the name, whatever the library asked for. Redirects
are not followed, proxies of the environment not used, and answers not read beyond a megabyte. How the last request
ended stands in `outcome`, for such libraries keep it to themselves.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util.connection import create_connection

from shared.outbound.deadline import Deadline, deadline
from shared.outbound.hosts import checked_addresses_blocking

_MAX_ANSWER: Final = 1_000_000


@dataclass
class Outcome:
    """How the last request ended: with an answer, or with an error of requests. `sent` counts the answers below 400."""

    allowed: frozenset[str]
    timeout: float
    status: int | None = None
    retry_after: str | None = None
    failure: requests.RequestException | None = None
    sent: int = 0


_current: ContextVar[Outcome] = ContextVar("outcome")
_end: ContextVar[Deadline] = ContextVar("end")


@contextmanager
def guarded(allowed: frozenset[str], timeout: float) -> Iterator[Outcome]:
    """Requests inside may reach public addresses and `allowed`, and have `timeout` seconds in all."""
    outcome = Outcome(allowed, timeout)
    token = _current.set(outcome)
    try:
        with deadline(timeout) as end:
            ended = _end.set(end)
            try:
                yield outcome
            finally:
                _end.reset(ended)
    finally:
        _current.reset(token)


class GuardedRequests:
    """Stands in for the module `requests`. What is not a call is requests' own. Works inside `guarded` only."""

    def __getattr__(self, name: str) -> Any:
        if name in ("Session", "session", "sessions"):
            raise AttributeError(name)  # no way around the guard
        return getattr(requests, name)

    def post(self, url: str, data: Any = None, json: Any = None, **more: Any) -> requests.Response:
        """As requests.post. Raises AddressRefused, NameNotFound, and requests' own errors."""
        return self.request("POST", url, data=data, json=json, **more)

    def get(self, url: str, params: Any = None, **more: Any) -> requests.Response:
        """As requests.get."""
        return self.request("GET", url, params=params, **more)

    def put(self, url: str, data: Any = None, **more: Any) -> requests.Response:
        """As requests.put."""
        return self.request("PUT", url, data=data, **more)

    def request(self, method: str, url: str, **more: Any) -> requests.Response:
        """As requests.request."""
        outcome = _current.get()
        outcome.status, outcome.failure, outcome.retry_after = None, None, None
        more |= {"verify": True, "allow_redirects": False, "timeout": outcome.timeout, "stream": True}
        with requests.Session() as session:
            session.trust_env = False
            session.mount("http://", _Adapter())
            session.mount("https://", _Adapter())
            try:
                response: requests.Response = session.request(method, url, **more)
                response._content = response.raw.read(_MAX_ANSWER, decode_content=True)
                response._content_consumed = True
            except requests.RequestException as error:
                outcome.failure = requests.Timeout() if _end.get().passed else error
                raise outcome.failure from error
            except urllib3.exceptions.HTTPError as error:
                outcome.failure = requests.Timeout() if _end.get().passed else requests.ConnectionError(str(error))
                raise outcome.failure from error
        outcome.status = response.status_code
        outcome.retry_after = response.headers.get("Retry-After")
        outcome.sent += response.status_code < 400
        return response


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
        super().init_poolmanager(*arguments, **more)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


def _connected(connection: HTTPConnection) -> socket.socket:
    """A socket to one of the host's checked addresses. Raises AddressRefused, NameNotFound, urllib3's own errors."""
    addresses = checked_addresses_blocking(connection._dns_host, connection.port, _current.get().allowed)
    last: OSError = OSError("no address")
    for address in addresses:
        try:
            made = create_connection(
                (address, connection.port), connection.timeout, socket_options=connection.socket_options
            )
            _end.get().watch(made)
            return made
        except TimeoutError as error:
            raise ConnectTimeoutError(connection, "the connection was not taken in time") from error
        except OSError as error:
            last = error
    raise NewConnectionError(connection, f"the connection failed: {type(last).__name__}") from last


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _connected(self)


class _TlsConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _connected(self)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection

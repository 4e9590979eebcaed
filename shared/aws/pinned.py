"""Sends botocore's requests to addresses that have been checked, for endpoints that a tenant names.

botocore asks its `before-send` handlers first whether one of them has the answer already. This one always has: it
resolves the host, checks every address it has, and connects to the checked one; TLS verifies the name.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any, Final
from urllib.parse import urlsplit

from botocore import exceptions as failures
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.httpsession import get_cert_path
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3 import exceptions as broken

from shared.outbound.hosts import checked_addresses_blocking

MAX_BYTES: Final = 50_000_000
_KEPT: Final = 20  # connection pools: one for each address and name


class AnswerTooLarge(Exception):
    """The answer is over the limit."""


class _Whole(BytesIO):
    """An answer that has been read, as botocore wants to read it."""

    def stream(self, **_how: Any) -> Iterator[bytes]:
        """All of it."""
        yield self.read()


def _read(answer: BaseHTTPResponse) -> bytes:
    """The whole body, read to its end so that the connection can be used again."""
    body = bytearray()
    for part in answer.stream(decode_content=False):
        body += part
        if len(body) > MAX_BYTES:
            answer.close()
            raise AnswerTooLarge(f"the answer is over {MAX_BYTES:,} bytes")
    return bytes(body)


class PinnedSender:
    """A `before-send` handler. Raises AddressRefused, NameNotFound, AnswerTooLarge, and botocore's own errors."""

    def __init__(self, allowed: frozenset[str], *, connect_timeout: float, read_timeout: float) -> None:
        self._allowed = allowed
        self._timeout = Timeout(connect=connect_timeout, read=read_timeout)
        self._pools: dict[tuple[str, str, int, str], HTTPConnectionPool] = {}

    def __call__(self, request: AWSPreparedRequest, **_event: Any) -> AWSResponse:
        """The answer to a request."""
        parts = urlsplit(request.url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        address = checked_addresses_blocking(host, port, self._allowed)[0]
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        headers = {**dict(request.headers.items()), "Host": parts.netloc}  # the pool only knows the address
        try:
            answer = self._pool(parts.scheme, address, port, host).urlopen(
                request.method,
                target,
                body=request.body,
                headers=headers,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            # What streams is read, and measured, by who asked for it.
            raw = answer if request.stream_output else _Whole(_read(answer))
        except broken.NewConnectionError as error:
            raise failures.EndpointConnectionError(endpoint_url=request.url, error=error) from None
        except broken.ConnectTimeoutError as error:
            raise failures.ConnectTimeoutError(endpoint_url=request.url, error=error) from None
        except (broken.ReadTimeoutError, TimeoutError) as error:
            raise failures.ReadTimeoutError(endpoint_url=request.url, error=error) from None
        except broken.SSLError as error:
            raise failures.SSLError(endpoint_url=request.url, error=error) from None
        except (broken.HTTPError, OSError) as error:
            raise failures.ConnectionClosedError(endpoint_url=request.url, request=request, error=error) from None
        return AWSResponse(request.url, answer.status, answer.headers, raw)

    def _pool(self, scheme: str, address: str, port: int, host: str) -> HTTPConnectionPool:
        key = (scheme, address, port, host)
        if key not in self._pools:
            if len(self._pools) >= _KEPT:
                self._pools.clear()
            shared: dict[str, Any] = {"timeout": self._timeout, "maxsize": 20}
            self._pools[key] = (
                HTTPSConnectionPool(
                    address, port, server_hostname=host, assert_hostname=host, ca_certs=get_cert_path(True), **shared
                )
                if scheme == "https"
                else HTTPConnectionPool(address, port, **shared)
            )
        return self._pools[key]

"""Services of an account that is not ours: clients made from a tenant's `aws` credential, and from nothing else.

No role, environment or configuration file of the function has a say: keys, region and endpoint are the credential's.
Without an endpoint of its own it is AWS's for that region. One of its own is reached through `shared.aws.pinned`:
only at public addresses, or where the operator allows its `host:port`.
"""

from __future__ import annotations

import math
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import botocore.session
from botocore import exceptions as failures
from botocore.config import Config
from botocore.parsers import ResponseParserError
from botocore.response import StreamingBody

from shared.aws.pinned import MAX_BYTES, AnswerTooLarge, PinnedSender
from shared.outbound import aws
from shared.outbound.aws import AwsFailed
from shared.outbound.hosts import AddressRefused, NameNotFound

_KEPT: Final = 64  # clients in one process; each has connections of its own
_SECRET: Final = ("access_key_id", "secret_access_key", "session_token")
_VALUE: Final = re.compile(r", value: .*?, type:", re.DOTALL)  # botocore quotes what does not fit

_lock = threading.Lock()
_clients: OrderedDict[tuple[Any, ...], Any] = OrderedDict()


class ForeignAws:
    """One service of an account. Its calls block."""

    def __init__(self, client: Any, secrets: tuple[str, ...]) -> None:
        self._client = client
        self._secrets = secrets

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to an operation, named as boto3's methods are (`get_item`); streams are read into bytes.

        What cannot be parsed is left out, as botocore does: look for the members you need. Raises AwsFailed.
        """
        method = getattr(self._client, operation)
        with self._failures():
            answer = method(**parameters)
            return {name: _read(value) for name, value in answer.items() if name != "ResponseMetadata"}

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except AddressRefused as error:
            raise AwsFailed(aws.BLOCKED, str(error)) from None
        except NameNotFound as error:
            raise AwsFailed(aws.UNKNOWN_HOST, str(error)) from None
        except AnswerTooLarge as error:
            raise AwsFailed(aws.TOO_LARGE, str(error)) from None
        except (failures.ReadTimeoutError, failures.ConnectTimeoutError):
            raise AwsFailed(aws.TIMED_OUT, "AWS did not answer in time") from None
        except failures.HTTPClientError:
            raise AwsFailed(aws.UNREACHED, "AWS cannot be reached, or the connection broke off") from None
        except failures.ClientError as error:
            raise self._answered(error) from None
        except failures.ParamValidationError as error:
            raise AwsFailed(aws.MALFORMED, self._clean(_VALUE.sub(", type:", str(error)))) from None
        except failures.BotoCoreError as error:
            raise AwsFailed(aws.UNREACHED, f"AWS's answer cannot be had: {type(error).__name__}") from None
        except (ResponseParserError, AttributeError, KeyError, TypeError, ValueError) as error:
            # botocore's parsers take for granted that it is AWS that answers.
            raise AwsFailed(aws.UNREADABLE, f"the endpoint's answer cannot be read: {type(error).__name__}") from None

    def _answered(self, error: failures.ClientError) -> AwsFailed:
        said, about = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
        later = str(about.get("HTTPHeaders", {}).get("retry-after", ""))
        return AwsFailed(
            str(said.get("Code") or "Unknown")[:100],
            self._clean(str(said.get("Message") or "AWS gave no reason")),
            status=int(about.get("HTTPStatusCode", 0)),
            retry_after=float(later[:9]) if later.isascii() and later.isdigit() else None,
        )

    def _clean(self, text: str) -> str:
        """The text without what an endpoint may have echoed of the credential."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text[:300]


def foreign(
    service: str, values: Mapping[str, Any], allowed: frozenset[str], *, timeout: float, attempts: int = 3
) -> ForeignAws:
    """A service of the account that the fields of an `aws` credential open; it makes no call yet.

    `allowed` are `host:port` of endpoints that may be private; `timeout` (seconds) bounds each of the `attempts`.
    Raises AwsFailed InvalidInput.
    """
    secrets = tuple(str(values[name]) for name in _SECRET if values.get(name))
    endpoint = values.get("endpoint_url") or None
    keys = {
        "region_name": str(values["region"]),
        "aws_access_key_id": str(values["access_key_id"]),
        "aws_secret_access_key": str(values["secret_access_key"]),
        "aws_session_token": values.get("session_token") or None,
    }
    slot = (service, *keys.values(), endpoint, allowed, math.ceil(timeout), attempts)
    try:
        client = _client(slot, service, endpoint, allowed, timeout, attempts, keys)
    except (ValueError, failures.BotoCoreError):
        raise AwsFailed(aws.MALFORMED, "the credential's region or endpoint cannot be used") from None
    return ForeignAws(client, secrets)


def own(service: str, *, timeout: float, attempts: int = 3) -> ForeignAws:
    """A service of the platform's own account, under the function's role."""
    return ForeignAws(
        _client((service, math.ceil(timeout), attempts), service, None, frozenset(), timeout, attempts), ()
    )


def forget() -> None:
    """Drop the clients. For tests."""
    _clients.clear()


def _client(
    slot: tuple[Any, ...],
    service: str,
    endpoint: str | None,
    allowed: frozenset[str],
    timeout: float,
    attempts: int,
    keys: Mapping[str, Any] | None = None,
) -> Any:
    with _lock:
        if slot in _clients:
            _clients.move_to_end(slot)
            return _clients[slot]
        seconds = max(1, math.ceil(timeout))
        config = Config(
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=min(5, seconds),
            read_timeout=seconds,
            max_pool_connections=50,
            signature_version="s3v4" if service == "s3" else "v4",  # said here, no token of the environment counts
            ignore_configured_endpoint_urls=bool(keys),
        )
        made = botocore.session.Session().create_client(service, config=config, endpoint_url=endpoint, **keys or {})
        if endpoint:
            sender = PinnedSender(allowed, connect_timeout=min(5, seconds), read_timeout=seconds)
            made.meta.events.register_first("before-send", sender)
        _clients[slot] = made
        if len(_clients) > _KEPT:
            _clients.popitem(last=False)
        return made


def _read(value: Any) -> Any:
    if not isinstance(value, StreamingBody):
        return value
    with value:
        body = value.read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        raise AwsFailed(aws.TOO_LARGE, f"the answer is over {MAX_BYTES:,} bytes")
    return body

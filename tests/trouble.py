"""AWS in trouble: the real clients' calls fail as botocore says it, once its own tries are over."""

from __future__ import annotations

from collections.abc import Iterator, Set
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient
from botocore.exceptions import ClientError, EndpointConnectionError

from shared.aws import clients

_CALL = BaseClient._make_api_call


def unreachable() -> EndpointConnectionError:
    """Nobody answers."""
    return EndpointConnectionError(endpoint_url="https://aws.test")


def client_error(code: str, operation: str = "X", status: int = 400) -> ClientError:
    """An answer that is a refusal."""
    answer: Any = {"Error": {"Code": code, "Message": "hush"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, operation)


def throttled(operation: str = "X") -> ClientError:
    """Too much to do there."""
    return client_error("ThrottlingException", operation)


@contextmanager
def failing(
    service: str, error: Exception, operations: Set[str] = frozenset(), *, times: int | None = None
) -> Iterator[list[str]]:
    """A service (`dynamodb`) fails, or only those of its operations, so many times or for ever; gives what has."""
    failed: list[str] = []
    for made in (clients.client(service), clients.patient_client(service)):
        # Clients outlive tests, and a monkeypatch of one leaves its method on it, where the class's does not count.
        vars(made).pop("_make_api_call", None)

    def call(client: BaseClient, operation: str, arguments: Any) -> Any:
        meant = client.meta.service_model.service_name == service and operation in (operations or {operation})
        if meant and (times is None or len(failed) < times):
            failed.append(operation)
            raise error
        return _CALL(client, operation, arguments)

    with patch.object(BaseClient, "_make_api_call", call):
        yield failed

"""Sending to WebSocket connections, with the function's own role."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from shared.aws.clients import client
from shared.aws.reach import reaching
from shared.settings import settings


def post(connection_id: str, frame: Mapping[str, Any]) -> bool:
    """Send a frame as JSON. False if the connection is gone. Raises Unavailable."""
    api = client("apigatewaymanagementapi", settings().websocket_url)
    try:
        with reaching("the connection"):
            api.post_to_connection(ConnectionId=connection_id, Data=json.dumps(frame, ensure_ascii=False).encode())
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 410:
            return False
        raise
    return True

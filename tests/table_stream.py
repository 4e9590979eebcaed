"""The table's stream as Lambda hands it to a function: read from moto's, put into the shape of an event."""

from __future__ import annotations

import base64
import json
from typing import Any

import boto3

from infrastructure.local import cloud


class TableStream:
    """Reads on from where it was last asked."""

    def __init__(self) -> None:
        self._client = boto3.client("dynamodbstreams", region_name=cloud.REGION)
        (stream,) = self._client.list_streams(TableName="sw-test-table")["Streams"]
        self._stream = stream["StreamArn"]
        self._seen = 0

    def records(self) -> list[dict[str, Any]]:
        """The records since the last call, oldest first."""
        told = self._client.describe_stream(StreamArn=self._stream)["StreamDescription"]
        found: list[dict[str, Any]] = []
        for shard in told["Shards"]:
            position = self._client.get_shard_iterator(
                StreamArn=self._stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            found += self._client.get_records(ShardIterator=position)["Records"]
        fresh, self._seen = found[self._seen :], len(found)
        return [json.loads(json.dumps(r, default=_as_lambda)) for r in fresh]


def _as_lambda(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.timestamp()

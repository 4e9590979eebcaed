"""The Lambda function that delivers webhooks: each message of its queue asks for one attempt."""

from __future__ import annotations

import asyncio
from collections import Counter
from time import perf_counter_ns
from typing import Any

from shared.log import logger
from shared.webhooks_out.delivering import deliver
from shared.webhooks_out.outbox import Message

_log = logger("deliveries")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Make the attempts that a batch asks for, side by side; SQS hands over again what is named in the answer."""
    started = perf_counter_ns()
    done = asyncio.run(_all(event["Records"]))
    ms = round((perf_counter_ns() - started) / 1e6, 1)
    _log.info("batch", request_id=context.aws_request_id, done=dict(Counter(done.values())), ms=ms)
    again = [number for number, what in done.items() if what == "trouble"]
    return {"batchItemFailures": [{"itemIdentifier": number} for number in again]}


async def _all(records: list[dict[str, Any]]) -> dict[str, str]:
    done = await asyncio.gather(*(_one(r) for r in records))
    return {r["messageId"]: what for r, what in zip(records, done, strict=True)}


async def _one(record: dict[str, Any]) -> str:
    try:
        message = Message.read(record["body"])
    except (KeyError, ValueError, TypeError):
        _log.error("skipped", message_id=record["messageId"])
        return "skipped"
    try:
        return await deliver(message)
    except Exception as error:  # whatever it is: the other messages are not to wait for it
        _log.error("not_attempted", tenant_id=message.tenant.id, error=type(error).__name__)
        return "trouble"

"""SQS: messages to functions of ours, some of them for later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from shared.aws.clients import client
from shared.aws.reach import reaching

MAX_DELAY_S: Final = 900


def send(queue_url: str, message: Mapping[str, Any], *, group: str, delay_s: int = 0) -> None:
    """Put a small JSON object into a standard queue, to be received after `delay_s` (at most 900).

    Of several groups with messages in the queue none waits for another's backlog (SQS: fair queues). Raises
    Unavailable.
    """
    with reaching("the queue"):
        client("sqs").send_message(
            QueueUrl=queue_url, MessageBody=json.dumps(message), MessageGroupId=group, DelaySeconds=delay_s
        )

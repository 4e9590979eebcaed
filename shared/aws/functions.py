"""Other functions, called for their answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from shared.aws.clients import patient_client
from shared.aws.reach import reaching
from shared.errors import TooLarge, Unavailable

_MAX_REQUEST: Final = 6 * 1024 * 1024  # bytes that Lambda takes for a call that is waited for


def invoke(arn: str, request: Mapping[str, Any], *, what: str, seconds: int) -> Any:
    """What the function makes of the request; `seconds` is how long it may take. It is called once. Blocks.

    Raises TooLarge, Unavailable (also for a function that fails): `what` names it to people.
    """
    body = json.dumps(request).encode()
    if len(body) > _MAX_REQUEST:
        raise TooLarge(f"{what} takes at most {_MAX_REQUEST:,} bytes of JSON; this is {len(body):,}")
    try:
        with reaching(what):
            answer = patient_client("lambda", seconds).invoke(FunctionName=arn, Payload=body)
            said = answer["Payload"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotReadyException":
            raise Unavailable(f"{what} has too much to do; try again") from None
        raise
    if "FunctionError" in answer:
        raise Unavailable(f"{what} has failed; try again")
    return json.loads(said)

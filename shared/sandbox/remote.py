"""The sandbox function, as a runner calls it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from shared.aws.functions import invoke
from shared.errors import Invalid, TooLarge, Unavailable
from shared.sandbox.limits import MAX_REQUEST, MAX_SECONDS

_PATIENCE: Final = int(MAX_SECONDS) + 20  # a box that was told to take 60 seconds, and a cold start


class SandboxFunction:
    """Called with the runner's own role; what is sent names no tenant."""

    def __init__(self, arn: str) -> None:
        self._arn = arn

    def run(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """What comes of a request. Raises Invalid (no JSON), TooLarge, Unavailable."""
        try:
            size = len(json.dumps(request))
        except (TypeError, ValueError, RecursionError):
            raise Invalid("the input is no JSON, or is nested too deeply") from None
        if size > MAX_REQUEST:
            raise TooLarge(f"code and input have at most {MAX_REQUEST:,} bytes as JSON; these have {size:,}")
        answer = invoke(self._arn, request, what="the sandbox", seconds=_PATIENCE)
        if not isinstance(answer, dict):
            raise Unavailable("the sandbox has failed; try again")
        return answer

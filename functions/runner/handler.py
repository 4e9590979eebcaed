"""The function that state machines call to run a segment of a plan."""

from __future__ import annotations

from stepfunctions.calls import runner

handler = runner("runner")

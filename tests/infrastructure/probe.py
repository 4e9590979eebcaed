"""A Lambda function for the shim's tests: it does what its event says."""

import json
import os
import signal
import sys
from pathlib import Path


class TimeSlice(Exception):
    pass


def handler(event, _context):
    print(json.dumps({"got": event}), file=sys.stderr)
    calls = Path(event.get("file", os.devnull))
    seen = calls.read_text().split() if calls.is_file() else []
    if calls != Path(os.devnull):
        with calls.open("a") as file:
            file.write(event.get("token", "call") + "\n")
    failures = event.get("failures", 0)
    if len(seen) < failures:
        if event["how"] == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        raise TimeSlice("not yet")
    return event.get("answer", {"pid": os.getpid()})

"""Deploys again when a source or the template changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from watchfiles import watch

from infrastructure.local.archive import PACKAGES, ROOT
from infrastructure.local.process import LocalError
from infrastructure.local.stack import Stack


def follow(stack: Stack, until: threading.Event, say: Callable[[str], None]) -> None:
    """Deploy on every change until the event is set. A deployment that fails is reported, and the next one tried."""
    watched = [*(ROOT / package for package in PACKAGES), ROOT / "template.yaml"]
    for _changes in watch(*watched, stop_event=until, debounce=400, step=50):
        begun = time.monotonic()
        try:
            stack.deploy()
        except (LocalError, OSError) as error:
            say(f"not deployed: {error}")
        else:
            say(f"deployed in {time.monotonic() - begun:.1f} s")

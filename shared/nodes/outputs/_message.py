"""What is sent over any channel of a notification."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent. `key` is the same for every attempt of a node run."""

    title: str
    text: str
    format: str
    to: tuple[str, ...]
    key: str

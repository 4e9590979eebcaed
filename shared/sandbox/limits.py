"""What one box may use. A box is a process that runs a tenant's code, or a tenant's query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_SECONDS: Final = 60.0
MAX_REQUEST: Final = 4_000_000  # bytes of JSON; a call of a function holds 6 MB
MAX_ANSWER: Final = 4_000_000
MEMORY: Final = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """`memory_bytes` is what comes on top of the interpreter's own; `answer_bytes` is what is taken of its answer."""

    seconds: float
    memory_bytes: int = 2 * MEMORY
    answer_bytes: int = MAX_ANSWER

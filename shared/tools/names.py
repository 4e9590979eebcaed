"""Names that models take for tools: letters, digits, `_` and `-`, at most 64 characters."""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Final

_LONGEST: Final = 64


def free_name(wanted: str, taken: Set[str]) -> str:
    """The name as models take it; with a number behind it where that is taken."""
    base = re.sub(r"[^A-Za-z0-9_-]", "_", wanted)[:_LONGEST]
    name, number = base, 1
    while name in taken:
        number += 1
        end = f"_{number}"
        name = base[: _LONGEST - len(end)] + end
    return name

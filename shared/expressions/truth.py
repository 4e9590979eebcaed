"""When a value counts as true: JSONata's own rules, those of `$boolean`."""

from __future__ import annotations

from typing import Any


def truth(value: Any) -> bool:
    """False for undefined, null, false, 0, "", an empty object, and an array without a true member."""
    if isinstance(value, list):
        return any(truth(member) for member in value)
    return bool(value)

"""What the samples of `store_samples.py` are made with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from inspect import Parameter
from typing import Any

# A day that everything of the tenant speaks of, and nothing else: names, titles, documents, a schedule's start.
MARK = "2031-04-07"
OTHER_DAY = "2032-05-08"
LARGE = {"text": MARK * 4_000}  # lies in S3


@dataclass(frozen=True)
class Samples:
    """Arguments for the methods of stores: by the parameter's type, or else by its name."""

    by_type: dict[Any, list[Any]] = field(default_factory=dict)
    by_name: dict[str, list[Any]] = field(default_factory=dict)

    def record(self, *records: Any, kind: Any = None) -> None:
        """Arguments for every parameter of their type, without what only their owner knows."""
        for r in records:
            self.by_type.setdefault(kind or type(r), []).append(without_mark(r))

    def value(self, **values: Iterable[Any]) -> None:
        """Arguments for every parameter of this name."""
        self.by_name.update({name: list(found) for name, found in values.items()})

    def of(self, parameter: Parameter) -> list[Any]:
        """What the parameter can be; nothing if there are no samples."""
        return self.by_type.get(parameter.annotation) or self.by_name.get(parameter.name, [])


def without_mark(value: Any) -> Any:
    """A value as somebody has it who knows the ids and nothing else: another day, no bytes."""
    if isinstance(value, str):
        return value.replace(MARK, OTHER_DAY)
    if isinstance(value, bytes):
        return b"none"
    if isinstance(value, dict):
        return {k: without_mark(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(without_mark, value))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: without_mark(getattr(value, f.name)) for f in fields(value)})
    return value

"""A record of the table's stream, as Lambda hands it over, in plain Python values."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from shared.aws.dynamo import Item


class Undecodable(Exception):
    """A record is not what DynamoDB writes."""


@dataclass(frozen=True, slots=True)
class Change:
    """One item before and after a write (None: it was not there). `at` is ms since the epoch, roughly.

    `sequence` grows with every change within a partition; it has only digits.
    """

    sequence: str
    kind: Literal["INSERT", "MODIFY", "REMOVE"]
    pk: str
    sk: str
    at: int
    old: Item | None
    new: Item | None


def read(record: Mapping[str, Any]) -> Change:
    """The change that a record tells of. Raises Undecodable."""
    try:
        told = record["dynamodb"]
        keys = _item(told["Keys"])
        return Change(
            sequence=str(int(told["SequenceNumber"])),
            kind=record["eventName"],
            pk=keys["PK"],
            sk=keys["SK"],
            at=round(float(told["ApproximateCreationDateTime"]) * 1000),
            old=_item(told["OldImage"]) if "OldImage" in told else None,
            new=_item(told["NewImage"]) if "NewImage" in told else None,
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise Undecodable(type(error).__name__) from None


def _item(image: Mapping[str, Any]) -> Item:
    return {name: _value(typed) for name, typed in image.items()}


def _value(typed: Mapping[str, Any]) -> Any:
    ((kind, value),) = typed.items()
    match kind:
        case "S" | "BOOL":
            return value
        case "N":
            return int(value)
        case "NULL":
            return None
        case "B":
            return value if isinstance(value, bytes) else base64.b64decode(value, validate=True)
        case "SS":
            return set(value)
        case "L":
            return [_value(v) for v in value]
        case "M":
            return _item(value)
    raise ValueError("a type that no item of ours has")

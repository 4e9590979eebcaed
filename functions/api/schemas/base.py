"""What every body has in common."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, WithJsonSchema

from shared.clock import iso, parse


class Body(BaseModel):
    """A request's body: unknown fields are refused, and `"5"` is not 5."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Answer(BaseModel):
    """An answer's body. `Thing.model_validate(value)` reads a value's attributes."""

    model_config = ConfigDict(from_attributes=True)


def _to_ms(text: Any) -> int:
    try:
        return parse(text)
    except (ValueError, OverflowError, AttributeError, TypeError):
        raise ValueError("must be an RFC 3339 time such as 2026-01-02T03:04:05Z") from None


def _to_text(ms: Any) -> Any:
    return iso(ms) if isinstance(ms, int) else ms


# A time in a request: RFC 3339 text outside, ms since the epoch inside.
TimeIn = Annotated[int, BeforeValidator(_to_ms), WithJsonSchema({"type": "string", "format": "date-time"})]
# A time in an answer, made from ms since the epoch.
TimeOut = Annotated[str, BeforeValidator(_to_text), WithJsonSchema({"type": "string", "format": "date-time"})]

# A name for people: one line of text, not blank, no control characters.
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
]
# A longer text for people; may have lines.
Text = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00]*$")]

"""What a template is: a document with places for parameters, and a JSON Schema of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Source = Literal["library", "tenant"]
MAX_PARAMETERS: Final = 100


@dataclass(frozen=True, slots=True)
class Template:
    """A template. `parameters` is the JSON Schema of an object; in `document` stand placeholders (see `fill`).

    `version` counts its changes. Times are ms since the epoch, and null for the library's, which come with the code.
    In a list the document is left out.
    """

    id: str
    source: Source
    name: str
    description: str
    category: str | None
    tags: tuple[str, ...]
    version: int
    parameters: Mapping[str, Any]
    document: Mapping[str, Any] = field(default_factory=dict)
    created_at: int | None = None
    updated_at: int | None = None
    updated_by: str | None = None

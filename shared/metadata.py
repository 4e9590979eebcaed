"""Words that people and their tools put on a thing, for themselves: nothing of the platform reads them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

Label = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
Labelled = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$")]
Metadata = Annotated[dict[Label, Labelled], Field(max_length=20)]

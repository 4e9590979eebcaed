"""Collections."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from functions.api.schemas.base import Answer, Body, Text, TimeOut
from functions.api.schemas.credentials import CredentialName
from shared.collections.model import MAX_DIMENSION, NAME, Backend, Metric, Provider

CollectionName = Annotated[str, StringConstraints(pattern=NAME)]
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class ModelIn(Body):
    """The model that embeds a collection's texts, and the credential for it, by name.

    `shortened`: the model can give vectors of any dimension, and is to be asked for that of the collection.
    """

    provider: Provider = "openai"
    model: ModelName
    credential: CredentialName | None = None
    shortened: bool = False


class ModelOut(Answer):
    """The model that embeds a collection's texts."""

    provider: str
    model: str
    credential: str | None
    shortened: bool


class CollectionIn(Body):
    """A collection to make. All but the description is fixed from then on.

    `backend` is the operator's default where it is left out; `credential` names that of a Qdrant.
    """

    name: CollectionName
    description: Text = ""
    dimension: Annotated[int, Field(ge=1, le=MAX_DIMENSION)]
    metric: Metric = "cosine"
    backend: Backend | None = None
    model: ModelIn | None = None
    credential: CredentialName | None = None


class CollectionPatch(Body):
    """What may change of a collection."""

    description: Text


class CollectionOut(Answer):
    """A collection. `count` (of passages) and `size` (bytes) are known of embedded ones only."""

    name: str
    description: str
    dimension: int
    metric: str
    backend: str
    model: ModelOut | None
    credential: str | None
    state: str
    count: int | None
    size: int | None
    created_at: TimeOut

"""What a collection is, as values, and what it may hold. Times are ms since the epoch."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Backend = Literal["embedded", "s3_vectors", "qdrant"]
Metric = Literal["cosine", "dot", "euclidean"]
Provider = Literal["openai", "bedrock"]

MAX_COLLECTIONS: Final = 100  # of a tenant
MAX_VECTORS: Final = 50_000  # of a collection in the embedded back end
MAX_BYTES: Final = 550_000_000  # of its vectors, and four times those of texts and metadata, for the index of words
MAX_DIMENSION: Final = 4_096
MAX_BATCH: Final = 10_000  # passages of one call
MAX_TEXT_BYTES: Final = 30_000  # the smallest that a back end holds, so that a passage fits into all of them
MAX_METADATA_BYTES: Final = 2_000
MAX_METADATA_FIELDS: Final = 40
MAX_ID: Final = 200
MAX_K: Final = 100
NAME: Final = "^[a-z][a-z0-9_-]{0,62}$"
FIELD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")


class BadPassage(ValueError):
    """A passage that no collection takes; the message says why."""


@dataclass(frozen=True, slots=True)
class Model:
    """The model that embeds a collection's texts; `credential` is the name of the tenant's credential for it.

    `shortened`: it can give vectors of any dimension, and is asked for that of the collection.
    """

    provider: Provider
    model: str
    credential: str | None = None
    shortened: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """An immutable object that holds some of a collection's passages; `rows` counts those, and `size` its bytes."""

    id: str
    rows: int
    size: int


@dataclass(frozen=True, slots=True)
class CollectionRecord:
    """A collection. `version` counts changes of its description, `revision` changes of what the embedded one holds.

    `id` names what belongs to it, so that a collection of the same name that was there before has nothing to do with
    it. `credential` is that of a back end by connection.
    """

    name: str
    id: str
    created_at: int
    dimension: int
    metric: Metric = "cosine"
    backend: Backend = "embedded"
    model: Model | None = None
    credential: str | None = None
    description: str = ""
    version: int = 1
    state: Literal["active", "removing"] = "active"
    revision: int = 0
    count: int = 0
    size: int = 0
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """A text with its vector (as many numbers as the collection's dimension) and what else is known of it."""

    id: str
    text: str
    vector: Sequence[float] = field(repr=False)
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """A passage that was found. `score`: higher is nearer.

    Cosine: the similarity, -1 to 1. Dot: the product. Euclidean: 1 / (1 + distance).
    """

    id: str
    text: str
    metadata: Mapping[str, Any]
    score: float


def passage_id(text: str, metadata: Mapping[str, Any]) -> str:
    """The id of a passage that brings none: the same for the same text and metadata, so that writing twice is once."""
    body = json.dumps([text, metadata], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(body.encode(errors="replace")).hexdigest()[:32]


def check_passage(passage: Passage, dimension: int) -> None:
    """Raises BadPassage."""
    if not passage.id or len(passage.id) > MAX_ID or not passage.id.isprintable():
        raise BadPassage(f"an id has 1 to {MAX_ID} printable characters")
    if len(passage.text.encode(errors="replace")) > MAX_TEXT_BYTES:
        raise BadPassage(f"a passage has at most {MAX_TEXT_BYTES:,} bytes of text; cut it into chunks first")
    check_metadata(passage.metadata)
    check_vector(passage.vector, dimension)


def check_metadata(metadata: Mapping[str, Any]) -> None:
    """Raises BadPassage."""
    wrong = next((name for name in metadata if not FIELD.fullmatch(name)), None)
    if wrong is not None:
        raise BadPassage(
            f"the metadata field {wrong[:70]!r} is no name: a letter, then letters, digits, `_` and `-`, at most 63"
        )
    if len(metadata) > MAX_METADATA_FIELDS:
        raise BadPassage(f"metadata has at most {MAX_METADATA_FIELDS} fields")
    size = len(json.dumps(metadata, ensure_ascii=False, separators=(",", ":")).encode(errors="replace"))
    if size > MAX_METADATA_BYTES:
        raise BadPassage(f"metadata has at most {MAX_METADATA_BYTES:,} bytes as JSON; this has {size:,}")


def check_vector(vector: Sequence[float], dimension: int) -> None:
    """Raises BadPassage for another length, for what is no number, and for what is too large to be squared."""
    if len(vector) != dimension:
        raise BadPassage(f"the collection's vectors have {dimension} numbers; this has {len(vector)}")
    for number in vector:
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise BadPassage("a vector is an array of numbers")
        if not math.isfinite(number) or abs(number) > 1e15:
            raise BadPassage("a vector's numbers are finite, and at most 1e15")


def score_of(metric: Metric, distance: float) -> float:
    """The score for a distance as back ends report it: cosine's is 1 - similarity, euclidean's the length."""
    return 1.0 - distance if metric == "cosine" else 1.0 / (1.0 + max(0.0, distance))

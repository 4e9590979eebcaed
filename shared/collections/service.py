"""What the API does with a tenant's collections."""

from __future__ import annotations

from shared.clock import now_ms
from shared.collections.model import Backend, CollectionRecord, Metric, Model
from shared.collections.s3_vectors import S3Vectors
from shared.collections.store import CollectionStore
from shared.errors import Invalid, Problem
from shared.ids import new_id
from shared.settings import settings
from shared.store.pages import Listing
from shared.store.table import TenantTable
from shared.tenancy import Principal


def collections(who: Principal, cursor: str | None, limit: int) -> Listing[CollectionRecord]:
    """The tenant's collections, by name."""
    return _store(who).page(cursor, limit)


def collection(who: Principal, name: str) -> CollectionRecord:
    """One collection. Raises NotFound."""
    return _store(who).find(name)


def create(
    who: Principal,
    name: str,
    description: str,
    dimension: int,
    metric: Metric,
    backend: Backend | None,
    model: Model | None,
    credential: str | None,
) -> CollectionRecord:
    """A new collection, empty. Raises Invalid, Conflict (the name is taken), TooLarge (too many), Unavailable."""
    chosen = backend or ("s3_vectors" if settings().vector_bucket and metric != "dot" else "embedded")
    _check(chosen, metric, credential)
    made = CollectionRecord(
        name, new_id("co"), now_ms(), dimension, metric, chosen, model, credential, description=description
    )
    if chosen != "s3_vectors":
        _store(who).add(made)
        return made
    index = S3Vectors(who.tenant, made)
    index.create(dimension)
    try:
        _store(who).add(made)
    except BaseException:  # whatever it is, nobody knows of this index
        index.drop()
        raise
    return made


def _check(backend: Backend, metric: Metric, credential: str | None) -> None:
    found = []
    if backend == "s3_vectors" and not settings().vector_bucket:
        found.append(Problem("not_configured", "the operator has configured no vector bucket", "backend"))
    if backend == "s3_vectors" and metric == "dot":
        found.append(Problem("not_supported", "Amazon S3 Vectors knows cosine and euclidean", "metric"))
    if backend == "qdrant" and credential is None:
        found.append(Problem("missing", "name the credential of the kind qdrant", "credential"))
    if backend != "qdrant" and credential is not None:
        found.append(Problem("not_supported", f"a collection in {backend} needs no credential", "credential"))
    if found:
        raise Invalid("such a collection cannot be made", errors=found)


def describe(who: Principal, name: str, description: str, known: int | None) -> CollectionRecord:
    """Give a collection another description. Raises NotFound, PreconditionFailed."""
    return _store(who).describe(name, description, known)


def remove(who: Principal, name: str, known: int | None) -> None:
    """Remove a collection and all it holds; what lies in a Qdrant of the tenant's own stays there.

    One whose removal broke off can be removed again. Raises NotFound, PreconditionFailed, Unavailable.
    """
    store = _store(who)
    gone = store.begin_removal(name, known)
    if gone.backend == "s3_vectors":
        S3Vectors(who.tenant, gone).drop()
    elif gone.backend == "embedded":
        store.delete_segments(gone.id)
    store.remove(gone)


def _store(who: Principal) -> CollectionStore:
    return CollectionStore(TenantTable(who.tenant))

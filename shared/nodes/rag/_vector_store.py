"""What vector_store makes of its data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.collections.model import (
    MAX_BATCH,
    BadPassage,
    CollectionRecord,
    Passage,
    check_passage,
    passage_id,
)
from shared.nodes.base import Call, NodeError, Outputs
from shared.nodes.rag._collections import Held, condition, document, embedded, fitting, how_many, opened
from shared.nodes.rag.vector_store import OPERATIONS

_CONTENT: Final = ("content", "text")
_VECTOR: Final = ("vector", "embedding")


async def operate(call: Call) -> Outputs:
    """Do what `operation` says. Raises NodeError."""
    operation = call.inputs.get("operation") or call.config["operation"]
    if operation not in OPERATIONS:
        raise _bad(f"operation is one of {', '.join(OPERATIONS)}")
    collection, held = await opened(call)
    match operation:
        case "query":
            return await _query(call, collection, held)
        case "delete":
            return await _delete(call, held)
        case "count":
            data = call.inputs["data"]
            given = data.get("filter") if isinstance(data, Mapping) else None
            return {"results": [], "count": await held.count(condition(call.config.get("filter"), given))}
    return await _upsert(call, collection, held)


async def _upsert(call: Call, collection: CollectionRecord, held: Held) -> Outputs:
    data = call.inputs["data"]
    given = [_item(item, i) for i, item in enumerate(data if isinstance(data, list) else [data])]
    if len(given) > MAX_BATCH:
        message = f"at most {MAX_BATCH:,} passages at once; there are {len(given):,}"
        raise NodeError("TooLarge", message, retryable=False)
    # Everything is looked at before anything is paid for.
    zeros = [0.0] * collection.dimension
    for i, (text, metadata, vector, known) in enumerate(given):
        _checked(Passage(known, text, zeros if vector is None else vector, metadata), collection.dimension, i)
    texts = [text for text, _, vector, _ in given if vector is None]
    made = iter(await embedded(call, collection, texts, "document") if texts else ())
    passages = [
        Passage(known, text, next(made) if vector is None else vector, metadata)
        for text, metadata, vector, known in given
    ]
    count = await held.upsert(passages) if passages else 0
    call.usage["passages"] = count
    return {"results": [{"id": p.id} for p in passages], "count": count}


def _item(given: Any, position: int) -> tuple[str, Mapping[str, Any], Sequence[float] | None, str]:
    """Text, metadata, vector (None: to be embedded) and id of one passage."""
    if isinstance(given, str):
        given = {"content": given}
    if not isinstance(given, Mapping):
        raise _bad(f"data[{position}] is neither text nor an object with content or a vector")
    text = next((given[name] for name in _CONTENT if given.get(name) is not None), "")
    vector = next((given[name] for name in _VECTOR if given.get(name) is not None), None)
    metadata = given.get("metadata") or {}
    known = given.get("id")
    if not isinstance(text, str) or not isinstance(metadata, Mapping):
        raise _bad(f"data[{position}]: content is text, and metadata an object")
    if vector is not None and not isinstance(vector, list):
        raise _bad(f"data[{position}]: a vector is an array of numbers")
    if vector is None and not text.strip():
        raise _bad(f"data[{position}] has neither content nor a vector")
    if known is None:
        known = passage_id(text or json.dumps(vector), metadata)
    if isinstance(known, bool) or not isinstance(known, str | int):
        raise _bad(f"data[{position}]: an id is a text or a whole number")
    return text, metadata, vector, str(known)


def _checked(passage: Passage, dimension: int, position: int) -> None:
    try:
        check_passage(passage, dimension)
    except BadPassage as error:
        raise _bad(f"data[{position}]: {error}") from None


async def _query(call: Call, collection: CollectionRecord, held: Held) -> Outputs:
    data = call.inputs["data"]
    asked = data if isinstance(data, Mapping) else {"vector" if isinstance(data, list) else "query": data}
    k = how_many(call, asked.get("k"))
    where = condition(call.config.get("filter"), asked.get("filter"))
    if isinstance(asked.get("vector"), list):
        vector = fitting(asked["vector"], collection.dimension)
    else:
        text = asked.get("query", asked.get("text"))
        if not isinstance(text, str) or not text.strip():
            raise _bad("a query is a text, a vector, or an object with `query` or `vector`")
        [vector] = await embedded(call, collection, [text], "query")
    found = await held.nearest(vector, k, where)
    return {"results": [document(m) for m in found], "count": len(found)}


async def _delete(call: Call, held: Held) -> Outputs:
    data = call.inputs["data"]
    where, within = None, condition(call.config.get("filter"))
    if isinstance(data, Mapping) and "filter" in data:
        where = condition(call.config.get("filter"), data["filter"])
        if where is None:
            raise _bad("an empty filter would remove everything; remove the collection instead")
        data = data.get("ids") or []
    elif isinstance(data, Mapping) and "ids" in data:
        data = data["ids"]
    ids = [_id(item, i) for i, item in enumerate(data if isinstance(data, list) else [data])]
    count = await held.delete(ids, where, within)  # what the data names is never beyond the config's filter
    return {"results": [], "count": count}


def _id(given: Any, position: int) -> str:
    known = given.get("id") if isinstance(given, Mapping) else given
    if isinstance(known, str | int) and not isinstance(known, bool):
        return str(known)
    if isinstance(given, Mapping) and any(name in given for name in (*_CONTENT, *_VECTOR)):
        return _item(given, position)[3]
    raise _bad(f"data[{position}] names no passage: an id, or a document as it was written")


def _bad(message: str) -> NodeError:
    return NodeError("InvalidInput", message, retryable=False)

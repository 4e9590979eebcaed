"""Texts to vectors: by an OpenAI-compatible endpoint or by Bedrock's Titan and Cohere models."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from shared.nodes.ai import _models
from shared.nodes.ai._chat import opened
from shared.nodes.ai._models import Link, Request
from shared.nodes.base import Call, NodeError

Purpose = Literal["document", "query"]
Vector = list[float]
MAX_TEXTS: Final = 10_000
_TEXTS: Final = {"openai": 128, "cohere": 96, "titan": 1}  # in one request
_CHARACTERS: Final = 100_000  # in one request: OpenAI takes 300,000 tokens, and a character is seldom three
_AT_ONCE: Final = 4  # requests
_TOO_LONG: Final = 200_000  # characters of one text


async def embed(
    call: Call,
    texts: Sequence[str],
    *,
    provider: str = "openai",
    model: str,
    credential: str | None = None,
    dimensions: int | None = None,
    purpose: Purpose = "document",
) -> list[Vector]:
    """A vector for each text, in their order; the tokens are added to the call's usage, also where it fails later.

    `provider`: openai or bedrock; `credential`: the name of one of the kind openai or aws, None for the platform's.
    `purpose` tells models that distinguish what is kept from what is looked for. Raises NodeError, one of
    `MODEL_ERRORS` and `CREDENTIAL_ERRORS`. The caller bounds the time.
    """
    link = Link(
        call.world,
        await opened(call, credential, provider),
        call.timeout_seconds,
        int(call.config.get("max_retries", 3)),
    )
    return await embedded(provider, link, texts, call.usage, model=model, dimensions=dimensions, purpose=purpose)


async def embedded(
    provider: str,
    link: Link,
    texts: Sequence[str],
    total: dict[str, Any],
    *,
    model: str,
    dimensions: int | None = None,
    purpose: Purpose = "document",
) -> list[Vector]:
    """The same over an open link; the tokens of each request are added to `total` when it is answered."""
    _check(texts)
    family = _family(provider, model)
    request = Request(model, [])
    turns = asyncio.Semaphore(_AT_ONCE)
    vectors: list[Vector] = []

    async def one(batch: Sequence[str]) -> list[Any]:
        async with turns:
            if family == "openai":
                found, tokens = await _openai_batch(link, batch, model, dimensions)
            else:
                found, tokens = await _bedrock_batch(family, link, batch, request, dimensions, purpose)
        _models.add_usage(total, _models.usage(tokens, 0, model))  # paid, whatever becomes of the others
        return found

    tasks = [asyncio.create_task(one(batch)) for batch in _batches(texts, _TEXTS[family])]
    try:
        for found in await asyncio.gather(*tasks):
            vectors += found
    finally:
        for task in tasks:
            task.cancel()  # what has not ended when one of them fails
    return _checked(vectors, len(texts))


def _check(texts: Sequence[str]) -> None:
    if not texts or len(texts) > MAX_TEXTS:
        raise _bad(f"there must be 1 to {MAX_TEXTS:,} texts; there are {len(texts)}")
    for i, text in enumerate(texts):
        if not isinstance(text, str) or not text.strip():
            raise _bad(f"text {i} is empty or no text")
        if len(text) > _TOO_LONG:
            raise NodeError("ContextLengthExceeded", f"text {i} is over {_TOO_LONG:,} characters", retryable=False)


def _family(provider: str, model: str) -> str:
    if provider != "bedrock":
        return "openai"
    for family in ("titan", "cohere"):
        if family in model:
            return family
    raise _bad("of Bedrock's models, those of Amazon Titan and Cohere make vectors")


def _batches(texts: Sequence[str], most: int) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        if batch and (len(batch) == most or size + len(text) > _CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    if batch:
        yield batch


async def _openai_batch(link: Link, batch: Sequence[str], model: str, dimensions: int | None) -> tuple[list[Any], int]:
    import openai

    from shared.nodes.ai._openai import client_of, node_error
    from shared.nodes.ai._sdk import reaching

    client = await client_of(link)
    shorter: dict[str, Any] = {"dimensions": dimensions} if dimensions else {}
    try:
        # Not every compatible endpoint knows the SDK's own default, base64.
        with reaching():
            answer = await client.embeddings.create(model=model, input=list(batch), encoding_format="float", **shorter)
        listed = sorted(answer.data, key=lambda entry: entry.index)
        used = getattr(answer, "usage", None)
    except openai.APIError as error:
        raise node_error(error, model) from None
    except (ValueError, TypeError, AttributeError) as error:
        raise NodeError("ModelError", f"the endpoint's answer cannot be read: {type(error).__name__}") from None
    if [entry.index for entry in listed] != list(range(len(batch))):
        raise NodeError("InvalidResponse", "the endpoint's answer has not one vector for each text")
    return [entry.embedding for entry in listed], getattr(used, "prompt_tokens", None) or 0


async def _bedrock_batch(
    family: str, link: Link, batch: Sequence[str], request: Request, dimensions: int | None, purpose: Purpose
) -> tuple[list[Any], int]:
    from shared.nodes.ai._bedrock import invoke

    if family == "titan":
        body: dict[str, Any] = {"inputText": batch[0], **({"dimensions": dimensions} if dimensions else {})}
    else:
        body = {"texts": list(batch), "input_type": f"search_{purpose}", "embedding_types": ["float"]}
        body |= {"output_dimension": dimensions} if dimensions else {}
    parameters = {"modelId": request.model, "contentType": "application/json", "body": json.dumps(body)}
    said = await invoke(link, "invoke_model", parameters, request)
    try:
        answer = json.loads(said.get("body") or b"")
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, Mapping):
        raise NodeError("ModelError", "the endpoint's answer cannot be read")
    if family == "titan":
        return [answer.get("embedding")], answer.get("inputTextTokenCount") or 0
    made = answer.get("embeddings")
    made = made.get("float") if isinstance(made, Mapping) else made
    if not isinstance(made, list) or len(made) != len(batch):
        raise NodeError("InvalidResponse", "the endpoint's answer has not one vector for each text")
    return made, 0  # Cohere's models on Bedrock say no tokens in their answer


def _checked(vectors: list[Any], count: int) -> list[Vector]:
    """The vectors, if they are finite numbers, and all of one length."""
    lengths = {len(v) if isinstance(v, list) else 0 for v in vectors}
    if len(vectors) != count or len(lengths) != 1 or 0 in lengths:
        raise NodeError("InvalidResponse", "the endpoint's vectors are missing or not of one length")
    for vector in vectors:
        if not all(isinstance(n, (int, float)) and math.isfinite(n) for n in vector):
            raise NodeError("InvalidResponse", "a vector holds something that is no number")
    return vectors


def _bad(message: str) -> NodeError:
    return NodeError("InvalidInput", message, retryable=False)

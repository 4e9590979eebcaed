"""A stand-in for Qdrant's server, which no package registry has: its client's local mode behind its REST routes.

The search, the filters and the models are Qdrant's own Python ones; the wire is real HTTP, asked by the real client.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from qdrant_client import QdrantClient, models

from tests.servers.asgi import serving

KEY = "qdrant-key"


@contextmanager
def qdrant() -> Iterator[str]:
    """Its address. It has the collection `products` with three points of three numbers."""
    local = QdrantClient(":memory:")
    local.create_collection("products", models.VectorParams(size=3, distance=models.Distance.COSINE))
    points = [
        models.PointStruct(id=1, vector=[1, 0, 0], payload={"name": "lamp", "price": 10, "stock": True}),
        models.PointStruct(id=2, vector=[0.9, 0.1, 0], payload={"name": "bulb", "price": 2, "stock": False}),
        models.PointStruct(id=3, vector=[0, 0, 1], payload={"name": "sofa", "price": 900, "stock": True}),
    ]
    local.upsert("products", points)
    with serving(_routes(local)) as url:
        yield url


def _routes(local: QdrantClient) -> FastAPI:
    app = FastAPI()

    @app.get("/collections")
    async def collections(request: Request) -> Any:
        if request.headers.get("api-key") != KEY:
            return JSONResponse({"status": {"error": "Must provide an API key"}}, 401)
        return {"result": local.get_collections().model_dump(mode="json"), "status": "ok", "time": 0}

    @app.post("/collections/{name}/points/query")
    async def query(name: str, request: Request) -> Any:
        if request.headers.get("api-key") != KEY:
            return JSONResponse({"status": {"error": "Must provide an API key"}}, 401)
        asked = models.QueryRequest.model_validate(await request.json())
        try:
            found = local.query_points(
                name,
                query=asked.query,
                using=asked.using,
                query_filter=asked.filter,
                limit=asked.limit,
                offset=asked.offset,
                score_threshold=asked.score_threshold,
                with_payload=asked.with_payload,
                with_vectors=asked.with_vector,
            )
        except ValueError as error:
            status = 404 if "not found" in str(error) else 400
            return JSONResponse({"status": {"error": f"Wrong input: {error}"}}, status)
        return {"result": found.model_dump(mode="json"), "status": "ok", "time": 0}

    return app

"""A bare function behind an HTTP API: FastAPI, Mangum, one boto3 client, one route. Only its import is measured."""

from __future__ import annotations

import boto3
from fastapi import FastAPI
from mangum import Mangum

app = FastAPI()
dynamodb = boto3.client("dynamodb")


@app.get("/api/v1/health")
def health() -> dict[str, str]:
    """One route."""
    return {"status": "ok"}


handler = Mangum(app, lifespan="off")

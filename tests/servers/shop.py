"""A shop: its orders by GraphQL (Strawberry), its customers by REST with a description of itself (FastAPI)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import strawberry
from fastapi import FastAPI, Header, HTTPException
from starlette.requests import Request
from strawberry.asgi import GraphQL

from tests.servers.asgi import serving as serving_asgi

ORDERS = {"A-17": ("c1", 12.5), "A-18": ("c2", 99.0), "A-19": ("c9", 1.0)}
CUSTOMERS = {"c1": "Ann", "c2": "Bob"}


@strawberry.type
class Order:
    id: strawberry.ID
    customer: str
    total: float


@strawberry.type
class Query:
    @strawberry.field
    def order(self, id: strawberry.ID) -> Order | None:
        found = ORDERS.get(str(id))
        return Order(id=id, customer=found[0], total=found[1]) if found else None


def made(token: str) -> FastAPI:
    """The application; customers need the bearer token."""
    app = FastAPI(title="Shop", version="1")

    @app.get("/customers/{customer_id}", operation_id="getCustomer", responses={404: {"description": "unknown"}})
    def customer(
        customer_id: str, request: Request, authorization: Annotated[str | None, Header()] = None
    ) -> dict[str, str]:
        if authorization != f"Bearer {token}":
            raise HTTPException(401, "who are you?")
        if customer_id not in CUSTOMERS:
            raise HTTPException(404, "unknown")
        return {"id": customer_id, "name": CUSTOMERS[customer_id]}

    service: Any = GraphQL[Any, Any](strawberry.Schema(Query))
    app.mount("/graphql", service)
    return app


@contextmanager
def serving(token: str) -> Iterator[str]:
    """Serve the shop; gives its address."""
    with serving_asgi(made(token)) as base:
        yield base

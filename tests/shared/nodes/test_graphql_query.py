"""`graphql_query` against a GraphQL service of Strawberry's on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import strawberry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from strawberry.asgi import GraphQL
from strawberry.types import Info

from shared.nodes.base import NodeError
from shared.nodes.registry import get
from tests.servers.asgi import serving
from tests.shared.nodes.calls import Keyring, Outside, execute


@strawberry.type
class Order:
    id: strawberry.ID
    total: float

    @strawberry.field
    def note(self) -> str | None:
        raise ValueError("notes are gone")


@strawberry.type
class Query:
    @strawberry.field
    def order(self, id: strawberry.ID) -> Order | None:
        return Order(id=id, total=12.5) if id != "none" else None

    @strawberry.field
    def who(self, info: Info) -> str | None:
        header: str | None = info.context["request"].headers.get("authorization")
        return header

    @strawberry.field
    def must(self) -> str:
        raise ValueError("it must not")


@strawberry.type
class Mutation:
    @strawberry.mutation
    def refund(self, id: strawberry.ID, amount: float) -> bool:
        return amount > 0


async def odd(request: Request) -> Response:
    answers: dict[str, Response] = {
        "text": PlainTextResponse("hello"),
        "list": JSONResponse([1]),
        "empty": JSONResponse({"ok": True}),
        "wrong": JSONResponse({"data": 7}),
        "down": PlainTextResponse("down", 503, {"Retry-After": "7"}),
        "unknown": JSONResponse({"detail": "none"}, 404),
        "refused": JSONResponse({"errors": [{"message": "bad"}, {"message": "worse"}]}, 400),
        "busy": JSONResponse({"errors": [{"message": "too many"}]}, 429, {"Retry-After": "9"}),
        "broken": JSONResponse({"errors": [{"message": "down"}], "data": None}, 503),
    }
    return answers[request.path_params["how"]]


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    service = GraphQL[Any, Any](strawberry.Schema(Query, Mutation))
    routes = [Route("/odd/{how}", odd, methods=["POST"]), Mount("/graphql", service)]
    with serving(Starlette(routes=routes)) as address:
        yield address


def ask(base: str, query: str, variables: Any = None, path: str = "/graphql/", credentials: Any = None, **config: Any):
    world = Outside(allowed_hosts=frozenset({base.removeprefix("http://")}), credentials=credentials or Keyring({}))
    inputs = {"query": query, **({} if variables is None else {"variables": variables})}
    return execute("graphql_query", {"url": base + path, **config}, inputs, world=world)


def test_a_query_with_variables(base: str) -> None:
    found = ask(base, "query ($id: ID!) { order(id: $id) { id total } }", {"id": "A-17"})
    assert found == {"data": {"order": {"id": "A-17", "total": 12.5}}, "errors": []}


def test_a_mutation(base: str) -> None:
    assert ask(base, 'mutation { refund(id: "A", amount: 2) }')["data"] == {"refund": True}


def test_one_of_several_operations(base: str) -> None:
    document = 'query A { order(id: "a") { id } } query B { order(id: "b") { id } }'
    assert ask(base, document, operation_name="B")["data"] == {"order": {"id": "b"}}


def test_partial_data_comes_with_its_errors(base: str) -> None:
    query = '{ order(id: "a") { id note } }'
    found = ask(base, query)
    assert found["data"] == {"order": {"id": "a", "note": None}}
    assert found["errors"][0]["message"] == "notes are gone"
    assert found["errors"][0]["path"] == ["order", "note"]
    with pytest.raises(NodeError, match="GraphqlError: notes are gone"):
        ask(base, query, fail_on="any_error")


def test_errors_without_data_fail_the_node_unless_it_is_not_to(base: str) -> None:
    with pytest.raises(NodeError, match="GraphqlError: it must not"):
        ask(base, "{ must }")
    found = ask(base, "{ must }", fail_on="never")
    assert (found["data"], len(found["errors"])) == (None, 1)


def test_a_query_that_is_none(base: str) -> None:
    with pytest.raises(NodeError, match=r"GraphqlError: .*Syntax Error"):
        ask(base, "{ order(")


def test_a_credential_signs(base: str) -> None:
    keys = Keyring({"shop": ("bearer", {"token": "t-1"})})
    assert ask(base, "{ who }", credentials=keys, credential="shop")["data"] == {"who": "Bearer t-1"}


@pytest.mark.parametrize(
    ("path", "error", "retryable"),
    [
        ("/odd/text", "InvalidResponse", False),
        ("/odd/list", "InvalidResponse", False),
        ("/odd/empty", "InvalidResponse", False),
        ("/odd/wrong", "InvalidResponse", False),
        ("/odd/down", "HttpError", True),
        ("/odd/unknown", "HttpError", False),
        ("/odd/refused", "GraphqlError", False),
        ("/odd/busy", "GraphqlError", True),
        ("/odd/broken", "GraphqlError", True),
    ],
)
def test_answers_that_are_none(base: str, path: str, error: str, retryable: bool) -> None:
    with pytest.raises(NodeError) as failed:
        ask(base, "{ who }", path=path)
    assert (failed.value.error, failed.value.retryable) == (error, retryable)
    assert error in get("graphql_query").errors


@pytest.mark.parametrize(("path", "seconds"), [("/odd/down", 7), ("/odd/busy", 9), ("/odd/broken", None)])
def test_how_long_to_wait_is_passed_on(base: str, path: str, seconds: float | None) -> None:
    with pytest.raises(NodeError) as failed:
        ask(base, "{ who }", path=path)
    assert failed.value.retry_after == seconds


@pytest.mark.parametrize(
    ("query", "variables", "config", "error"),
    [
        ("", None, {}, "InvalidInput"),
        (7, None, {}, "InvalidInput"),
        ("{ who }", [1], {}, "InvalidInput"),
        ("{ who }", None, {"credential": "none"}, "CredentialNotFound"),
        ("{ who }", None, {"url": "ftp://a.example"}, "InvalidInput"),
        ("{ who }", None, {"url": "http://127.0.0.1:9"}, "BlockedAddress"),
        ("{ who }", None, {"url": "http://nowhere.invalid"}, "DnsError"),
    ],
)
def test_bad_input(query: Any, variables: Any, config: Any, error: str) -> None:
    with pytest.raises(NodeError) as failed:
        ask("http://127.0.0.1:1", query, variables, **config)
    assert failed.value.error == error


def test_nobody_listens_there() -> None:
    with pytest.raises(NodeError, match="ConnectionFailed"):
        ask("http://127.0.0.1:1", "{ who }")

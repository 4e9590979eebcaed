"""Orders by GraphQL, their customers by an operation that OpenAPI describes, in a loop; a credential signs."""

from __future__ import annotations

import pytest

from tests.e2e.caller import Caller
from tests.e2e.conftest import SHOP_TOKEN
from tests.stepfunctions.compiler.documents import document, node

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]


def test_orders_get_the_names_of_their_customers(mine: Caller, shop: str) -> None:
    mine.post("/credentials", {"name": "shop", "kind": "bearer", "values": {"token": SHOP_TOKEN}})
    query = "query ($id: ID!) { order(id: $id) { customer total } }"
    params = {"customer_id": "{{ nodes.order.data.order.customer }}"}
    whole = document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"max_concurrency": 3, "on_item_error": "null", "result": "nodes.row.output"}),
            node(
                "order",
                "graphql_query",
                {"url": f"{shop}/graphql/"},
                parent="each",
                inputs={"query": query, "variables": {"id": "{{ item }}"}},
            ),
            node(
                "customer",
                "openapi_call",
                {"spec_url": f"{shop}/openapi.json", "operation_id": "getCustomer", "credential": "shop"},
                parent="each",
                inputs={"params": params},
            ),
            node(
                "row",
                "transform",
                {"expression": "{'order': item, 'total': nodes.order.data.order.total, 'name': inputs.input.name}"},
                parent="each",
            ),
            node("out", "output"),
        ],
        "start.trigger -> each.items; customer.response -> row.input; each.results -> out.value",
    )
    ended = mine.until(mine.start(whole, ["A-17", "A-18", "A-19"]))
    assert ended["status"] == "completed", ended["error"]
    rows = [{"order": "A-17", "total": 12.5, "name": "Ann"}, {"order": "A-18", "total": 99, "name": "Bob"}, None]
    assert ended["final_output"] == rows

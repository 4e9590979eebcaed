"""What a run answers to the request that started it: written by a node, read by the function that holds the request.

It stands in the run's partition, so it goes with the run. The first answer of a run holds: a repeat of the request, and
a node that is run again, find that one.
"""

from __future__ import annotations

import base64
import json

from shared.nodes.world import Response
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from stepfunctions.engine.payloads import Value
from stepfunctions.start import payload_objects


def respond(tenant: Tenant, execution_id: str, response: Response) -> None:
    """Keep a run's answer, unless it has one."""
    stored = Value(base64.b64encode(response.body).decode()).store(payload_objects(tenant))
    item = {"status": response.status, "headers": json.dumps(dict(response.headers)), "body": json.dumps(stored)}
    RunStore(TenantTable(tenant)).respond(execution_id, item)


def responded(tenant: Tenant, execution_id: str) -> Response | None:
    """The answer of a run, if it has one by now."""
    item = RunStore(TenantTable(tenant)).response(execution_id)
    if item is None:
        return None
    body = Value(encoded=json.loads(item["body"]), objects=payload_objects(tenant)).get()
    return Response(int(item["status"]), json.loads(item["headers"]), base64.b64decode(body))

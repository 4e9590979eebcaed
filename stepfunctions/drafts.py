"""What a webhook's test address starts: the draft, compiled if nobody has needed it yet."""

from __future__ import annotations

from shared.store.table import TenantTable
from shared.tenancy import Tenant
from shared.triggers.model import Webhook
from shared.workflows.store import WorkflowStore
from stepfunctions.release import runnable
from stepfunctions.webhooks import Target


def draft(tenant: Tenant, webhook: Webhook) -> Target | None:
    """The draft, if it has the webhook's node. Raises NotFound; its version Invalid, if it has problems."""
    _, document = WorkflowStore(TenantTable(tenant)).get_with_document(webhook.workflow_id)
    for node in document["nodes"]:
        if node["id"] == webhook.node_id and node["type"] == "http_webhook" and not node.get("disabled"):
            return Target(node.get("config", {}), lambda: runnable(tenant, webhook.workflow_id, "draft"))
    return None

"""What holds for every type that touches the world, in runs. Nothing outside answers, but the machinery is real.

The example of each is run with credentials of each kind that it takes. It completes with the ports that it declares, or
it fails with an error that it declares, and the error port delivers that; and no secret is anywhere afterwards.
"""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from shared.clock import now_ms
from shared.credentials.kinds import KINDS, faults
from shared.credentials.model import CredentialRecord
from shared.credentials.sealing import sealed_values
from shared.credentials.store import CredentialStore
from shared.nodes.base import Effect
from shared.nodes.registry import get, names
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from shared.workflows.model import Document
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.conftest import Machines

MARK = "Wilhelmina-Qvist"
EFFECTS = [n for n in names() if isinstance(get(n), Effect)]
TAKING = [
    (n, kind)
    for n in EFFECTS
    for kind in get(n).config_schema["properties"].get("credential", {}).get("x-credential", ())
]


def values(kind: str) -> dict[str, Any]:
    """Values of a kind with the mark in each; hosts do not exist."""
    found: dict[str, Any] = {}
    for name, field in KINDS[kind]["properties"].items():
        if field.get("type") == "string":
            found[name] = MARK
        if name == "region":
            found[name] = "eu-central-1"
        if name == "host":
            found[name] = "nowhere.invalid"
        if name in ("url", "uri", "base_url", "token_url", "endpoint_url"):
            scheme = {"redis": "redis", "mongodb": "mongodb", "neo4j": "bolt", "notification": "slack"}.get(
                kind, "https"
            )
            found[name] = f"{scheme}://{MARK}:{MARK}@nowhere.invalid/{MARK}"
            if scheme in ("https", "bolt"):
                found[name] = f"{scheme}://nowhere.invalid/{MARK}"
        if name == "from":
            found[name] = "a@nowhere.invalid"
    assert faults(kind, found) == []
    return found


def keep(tenant: Tenant, name: str, kind: str) -> None:
    now, given = now_ms(), values(kind)
    sealed = sealed_values(tenant, name, kind, given)
    CredentialStore(TenantTable(tenant)).create(CredentialRecord(name, kind, "", tuple(given), now, now, now, sealed))


def alone(type_name: str, **config: Any) -> Document:
    """The type's example behind a trigger."""
    example = get(type_name).example
    tried = node("tried", type_name, {**example["config"], **config}, inputs=dict(example["inputs"]))
    nodes = [node("start", "manual_trigger"), tried, node("out", "output")]
    return document(nodes, "tried.error -> out.value")


def looped(type_name: str) -> Document:
    """The example in the body of a loop, each node with a state of its own."""
    example = get(type_name).example
    nodes = [
        node("start", "manual_trigger"),
        node("each", "loop", inputs={"items": [1, 2]}),
        node("tried", type_name, dict(example["config"]), inputs=dict(example["inputs"]), parent="each"),
        node("caught", "transform", {"expression": "inputs.input"}, parent="each"),
        node("out", "output"),
    ]
    made = document(nodes, "tried.error -> caught.input; each.results -> out.value")
    return made.model_copy(update={"settings": made.settings.model_copy(update={"granularity": "node"})})


def check(type_name: str, record: Any) -> None:
    """The record of a node of that type: completed, or failed as declared."""
    node_type = get(type_name)
    if record.status == "completed":
        assert set(record.outputs) <= set(node_type.output_ports(node_type.example["config"]))
        return
    assert record.status == "failed"
    assert record.error["error"] in node_type.errors, record.error
    assert set(record.outputs) == {"error"}


def everything_stored(aws: dict[str, str]) -> str:
    """The table and the buckets, as one text."""
    items = boto3.client("dynamodb").scan(TableName=aws["SW_TABLE"])["Items"]
    found = [json.dumps(item, default=lambda b: b.decode("latin-1")) for item in items]
    s3 = boto3.client("s3")
    for bucket in (aws["SW_DATA_BUCKET"], aws["SW_FILES_BUCKET"]):
        for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
            found.append(s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read().decode("latin-1"))
    return "\n".join(found)


@pytest.mark.parametrize("type_name", EFFECTS)
def test_the_example_of_each_type_runs_or_fails_as_declared(machines: Machines, type_name: str):
    run = machines.until(machines.start(alone(type_name)))
    assert run.status == "completed", run.error
    record = machines.records(run)["", "tried"]
    check(type_name, record)
    if record.status == "failed":
        assert machines.value(run.final_output)["error"] == record.error["error"]


@pytest.mark.parametrize("type_name", EFFECTS)
def test_each_type_works_in_a_loop_with_a_state_for_each_node(machines: Machines, type_name: str):
    run = machines.until(machines.start(looped(type_name)))
    assert run.status == "completed", run.error
    records = machines.records(run)
    for place in ("each/0", "each/1"):
        check(type_name, records[place, "tried"])


@pytest.mark.parametrize(("type_name", "kind"), TAKING, ids=[f"{n}-{k}" for n, k in TAKING])
def test_no_secret_of_a_credential_is_kept_or_logged(machines: Machines, aws, type_name: str, kind: str, capfd):
    keep(machines.tenant, "the_one", kind)
    run = machines.until(machines.start(alone(type_name, credential="the_one")))
    assert run.status == "completed", run.error
    check(type_name, machines.records(run)["", "tried"])
    logged = capfd.readouterr()
    assert MARK not in logged.out + logged.err
    assert MARK not in everything_stored(aws)

"""Two tenants on one stack: nothing of the one is there for the other."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from infrastructure.local.stack import Stack
from tests.e2e.behind import of_run
from tests.e2e.caller import Caller
from tests.functions.api import test_every_route as every_route
from tests.functions.api.samples import SAMPLES, SHARED
from tests.functions.api.workflows_over_http import node, workflow

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
OWN = {"notification_id", "task_id", "workflow_id", "execution_id", "webhook_id", "schedule_id", "node_id", "version"}


@pytest.fixture(scope="module")
def unnamed(mine: Caller, local: Stack) -> list[str]:
    """Every path that is read without naming a thing in it, from the document that the stack serves."""
    private = [p for m, p in every_route._routes(document(local)) if m == "GET" and (m, p) not in every_route.PUBLIC]
    return [p for p in private if "{" not in p]


@pytest.fixture(scope="module")
def before(theirs: Caller, local: Stack, unnamed: list[str]) -> dict[str, set[str]]:
    """What the second tenant sees there before the first one makes anything."""
    described = document(local)
    return {path: seen(theirs, described, path) for path in unnamed}


@pytest.fixture(scope="module")
def ids(mine: Caller, before: dict[str, set[str]]) -> dict[str, str]:
    """An id of the first tenant's for every parameter of the API."""
    keys = ",".join(key["id"] for key in mine.get("/api-keys")["items"])
    asking = workflow(
        [
            node("start", "manual_trigger"),
            node("hook", "http_webhook", {"auth": "hmac", "preset": "github"}),
            node("clock", "schedule", {"every": "30 days"}),
            node("tell", "notification", {"to": keys}, inputs={"message": "Somebody asks."}),
            node("ask", "human_in_the_loop", {"title": "May I?"}),
            node("out", "output"),
        ],
        "tell.sent -> ask.input; ask.response -> out.value",
    )
    workflow_id = mine.store(asking)
    triggers = mine.publish(workflow_id)
    run_id = mine.execute(workflow_id, {"text": "x" * 400_000})  # large enough to lie in S3
    made = {
        "workflow_id": workflow_id,
        "version": "1",
        "webhook_id": triggers["hook"]["id"],
        "schedule_id": triggers["clock"]["id"],
        "execution_id": run_id,
        "node_id": "ask",
        "task_id": mine.task(run_id, "ask"),
        "notification_id": mine.get("/notifications")["items"][0]["id"],
    }
    wanted = {name for name in SAMPLES if name not in OWN and not name.endswith("_token")}
    others = {name: maker(mine.http) for name, maker in SAMPLES.items() if name in wanted}
    return {**others, **made}


def document(local: Stack) -> dict[str, Any]:
    """The OpenAPI document that the stack serves."""
    found: dict[str, Any] = httpx.get(f"{local.api_url}/openapi.json", trust_env=False, timeout=30).json()
    return found


def seen(caller: Caller, described: dict[str, Any], path: str, query: dict[str, str] | None = None) -> set[str]:
    """Every text in what a tenant sees there."""
    query = {**every_route.asked_for(described, path, {"limit": "200"}), **(query or {})}
    answer = caller.send("GET", path.removeprefix("/api/v1"), params=query)
    assert answer.status_code in (200, 404, 422), (path, answer.text)
    return set(every_route.strings(answer.json())) if answer.status_code == 200 else set()


def routes(mine: Caller, local: Stack) -> list[tuple[str, str]]:
    """(method, path) of every route that names something of a tenant's, from the document that the stack serves."""
    named = [(m, p, set(re.findall(r"{(\w+)", p))) for m, p in every_route._routes(document(local))]
    private = [(m, p, names) for m, p, names in named if (m, p) not in every_route.PUBLIC]
    return [(m, p) for m, p, names in private if names and not names <= SHARED]


def test_no_route_knows_another_tenants_things(mine: Caller, theirs: Caller, local: Stack, ids: dict[str, str]) -> None:
    walked = routes(mine, local)
    urls = {p: re.sub(r"{(\w+)(?::\w+)?}", lambda m: ids[m[1]], p).removeprefix("/api/v1") for _, p in walked}
    before = {p: mine.send("GET", urls[p]).status_code for method, p in walked if method == "GET"}
    assert len(walked) >= 100
    assert list(before.values()).count(200) > 0.8 * len(before)
    for method, path in walked:
        url = urls[path]
        answer = theirs.send(method, url)
        if answer.status_code == 422:  # the body was looked at first
            answer = theirs.send(method, url, every_route._smallest_body(method, path))
        assert answer.status_code == 404, (method, path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
    # And nothing was done to them.
    assert {p: mine.send("GET", urls[p]).status_code for p in before} == before
    assert mine.get(f"/tasks/{ids['task_id']}")["status"] == "open"
    assert mine.run(ids["execution_id"])["status"] == "paused"


def test_no_list_shows_another_tenants_things(
    mine: Caller, theirs: Caller, local: Stack, unnamed: list[str], before: dict[str, set[str]], ids: dict[str, str]
) -> None:
    unlike = {name: value for name, value in ids.items() if name not in ("node_id", "step_id", "version")}
    described, shown = document(local), []
    assert len(unnamed) >= 37
    for path in unnamed:
        shown += [path] if every_route.told_of(seen(mine, described, path), unlike) else []
        asked = every_route.asked_for(described, path, unlike)
        for query in ({}, *({name: value} for name, value in asked.items())):
            told = every_route.told_of(seen(theirs, described, path, query) - before[path], unlike)
            assert not told, (path, query, told)
    assert len(shown) >= 25  # where the first tenant looks, its things are to be seen


def test_the_data_role_reaches_its_own_tenant_only(
    mine: Caller, theirs: Caller, local: Stack, ids: dict[str, str]
) -> None:
    """What the functions' policies allow when the code above them errs: the real records of a tenant, as another."""
    items = of_run(local, mine.tenant_id, ids["execution_id"])
    meta = next(i for i in items if i["SK"]["S"] == "META")
    table, bucket = local.outputs["TableName"], local.outputs["DataBucketName"]
    key = {name: meta[name] for name in ("PK", "SK")}
    stored = [o["Key"] for o in local.client("s3").list_objects_v2(Bucket=bucket)["Contents"]]
    kinds = ("payloads", "plans")
    objects = [next(o for o in stored if o.startswith(f"{kind}/{mine.tenant_id}/")) for kind in kinds]
    context = {"tenant_id": mine.tenant_id}
    root = local.client("kms")
    sealed = root.encrypt(KeyId=local.outputs["KeyArn"], Plaintext=b"s", EncryptionContext=context)["CiphertextBlob"]
    own, other = tagged(local, mine.tenant_id), tagged(local, theirs.tenant_id)
    calls: list[Callable[[Callable[[str], Any]], Any]] = [
        lambda c: c("dynamodb").get_item(TableName=table, Key=key)["Item"],
        lambda c: c("dynamodb").query(
            TableName=table, KeyConditionExpression="PK = :pk", ExpressionAttributeValues={":pk": meta["PK"]}
        )["Items"][0],
        lambda c: c("dynamodb").query(
            TableName=table,
            IndexName="GSI1",
            KeyConditionExpression="GSI1PK = :pk",
            ExpressionAttributeValues={":pk": meta["GSI1PK"]},
        )["Items"][0],
        lambda c: c("kms").decrypt(CiphertextBlob=sealed, EncryptionContext=context)["Plaintext"],
        *(lambda c, k=k: c("s3").get_object(Bucket=bucket, Key=k)["Body"].read() for k in objects),
    ]
    for number, call in enumerate(calls):
        assert call(own), number
        with pytest.raises(ClientError) as refused:
            call(other)
        assert refused.value.response["Error"]["Code"].startswith("AccessDenied"), number


def tagged(local: Stack, tenant_id: str) -> Callable[[str], Any]:
    """Clients with what the runner gets when it works for a tenant."""
    listed = local.client("cloudformation").list_stack_resources(StackName="statewright")["StackResourceSummaries"]
    role = next(r["PhysicalResourceId"] for r in listed if r["LogicalResourceId"] == "RunnerRole")
    runner = assumed(local, local.client, f"arn:aws:iam::000000000000:role/{role}")
    return assumed(local, runner, local.outputs["TenantDataRoleArn"], Tags=[{"Key": "TenantID", "Value": tenant_id}])


def assumed(local: Stack, source: Callable[[str], Any], role_arn: str, **more: Any) -> Callable[[str], Any]:
    given = source("sts").assume_role(RoleArn=role_arn, RoleSessionName="test", **more)["Credentials"]
    return lambda service: boto3.client(
        service,
        endpoint_url=local.endpoint,
        region_name="us-east-1",
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
        config=Config(retries={"max_attempts": 1}),
    )

"""The policies of template.yaml, judged by an IAM that enforces them: a tenant's credentials reach that tenant only."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from infrastructure.local import deploy
from shared.tenancy import new_tenant
from tests.infrastructure.conftest import Emulator

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("emulator")]
FUNCTIONS = ("Api", "Webhook", "Runner", "Tasks", "Dispatcher", "RunEvents", "Stream", "Deliveries", "Websocket")
Clients = Callable[[str], Any]
KEYS = f"T#{new_tenant().id}#KEYS"  # records of API keys, looked at before it is known that the caller is the tenant
LINKS, INVITATIONS = KEYS.replace("#KEYS", "#TASKLINKS"), KEYS.replace("#KEYS", "#INVITATIONS")


@dataclass
class Deployed:
    emulator: Emulator
    resources: dict[str, str]  # logical id → physical id
    outputs: dict[str, str]

    def credentials(self, source: Clients, role_arn: str, **more: Any) -> Clients:
        answer = source("sts").assume_role(RoleArn=role_arn, RoleSessionName="test", **more)["Credentials"]

        def client(service: str) -> Any:
            return boto3.client(
                service,
                endpoint_url=self.emulator.endpoint,
                region_name="us-east-1",
                aws_access_key_id=answer["AccessKeyId"],
                aws_secret_access_key=answer["SecretAccessKey"],
                aws_session_token=answer["SessionToken"],
                config=Config(retries={"max_attempts": 1}, inject_host_prefix=False),
            )

        return client

    def function(self, name: str) -> Clients:
        arn = f"arn:aws:iam::000000000000:role/{self.resources[name + 'Role']}"
        return self.credentials(self.emulator.client, arn)

    def tenant(self, tenant_id: str, function: str = "Runner") -> Clients:
        tags = [{"Key": "TenantID", "Value": tenant_id}]
        return self.credentials(self.function(function), self.outputs["TenantDataRoleArn"], Tags=tags)


@pytest.fixture(scope="module")
def deployed(emulator: Emulator) -> Deployed:
    outputs = deploy.deploy(emulator.client, {"DeletionProtection": "false"})
    listed = emulator.client("cloudformation").list_stack_resources(StackName=deploy.STACK_NAME)
    resources = {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in listed["StackResourceSummaries"]}
    return Deployed(emulator, resources, outputs)


def refused(call: Callable[[], Any]) -> bool:
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException"):
            return True
        raise
    return False


def key(pk: str) -> dict[str, Any]:
    return {"PK": {"S": pk}, "SK": {"S": "X"}}


def record_calls(table: str, pk: str) -> dict[str, Callable[[Any], Any]]:
    put = {"TableName": table, "Item": key(pk)}
    query = {"KeyConditionExpression": "#k = :v", "ExpressionAttributeValues": {":v": {"S": pk}}}
    return {
        "get": lambda c: c.get_item(TableName=table, Key=key(pk)),
        "put": lambda c: c.put_item(**put),
        "delete": lambda c: c.delete_item(TableName=table, Key=key(pk)),
        "update": lambda c: c.update_item(
            TableName=table,
            Key=key(pk),
            UpdateExpression="SET a = :a",
            ExpressionAttributeValues={":a": {"S": "1"}},
        ),
        "batch": lambda c: c.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": key(pk)}}]}),
        "transaction": lambda c: c.transact_write_items(TransactItems=[{"Put": put}]),
        "query": lambda c: c.query(TableName=table, ExpressionAttributeNames={"#k": "PK"}, **query),
        "index": lambda c: c.query(
            TableName=table, IndexName="GSI1", ExpressionAttributeNames={"#k": "GSI1PK"}, **query
        ),
    }


def test_a_tenants_credentials_reach_that_tenants_records_only(deployed: Deployed) -> None:
    mine, theirs, table = new_tenant().id, new_tenant().id, deployed.outputs["TableName"]
    client = deployed.tenant(mine)("dynamodb")
    for name, call in record_calls(table, f"T#{mine}#X").items():
        assert not refused(lambda c=call: c(client)), name
    for foreign in (f"T#{theirs}#X", "USER#1", "HOOK#1", "SWEEP#0", f"T#{mine}"):
        for name, call in record_calls(table, foreign).items():
            assert refused(lambda c=call: c(client)), (name, foreign)
    assert refused(lambda: client.scan(TableName=table))


def test_one_foreign_key_in_a_transaction_refuses_all_of_it(deployed: Deployed) -> None:
    mine, theirs, table = new_tenant().id, new_tenant().id, deployed.outputs["TableName"]
    client = deployed.tenant(mine)("dynamodb")
    puts = [{"Put": {"TableName": table, "Item": key(f"T#{t}#X")}} for t in (mine, theirs)]
    assert refused(lambda: client.transact_write_items(TransactItems=puts))


def test_a_tenants_credentials_reach_that_tenants_objects_only(deployed: Deployed) -> None:
    mine, theirs = new_tenant().id, new_tenant().id
    client = deployed.tenant(mine)("s3")
    data, files = deployed.outputs["DataBucketName"], deployed.outputs["FilesBucketName"]
    kinds = ("plans/", "payloads/", "documents/", "graphs/", "collections/")
    for bucket, kind in (*((data, kind) for kind in kinds), (files, "")):
        client.put_object(Bucket=bucket, Key=f"{kind}{mine}/x", Body=b"1")
        assert client.get_object(Bucket=bucket, Key=f"{kind}{mine}/x")["Body"].read() == b"1"
        for foreign in (f"{kind}{theirs}/x", f"{kind}x", f"{kind}{mine}x/x", f"{kind}{theirs}/{mine}/x"):
            assert refused(lambda b=bucket, k=foreign: client.put_object(Bucket=b, Key=k, Body=b"1"))
            assert refused(lambda b=bucket, k=foreign: client.get_object(Bucket=b, Key=k))
        assert refused(lambda b=bucket: client.list_objects_v2(Bucket=b))
    listed = client.list_objects_v2(Bucket=files, Prefix=f"{mine}/")["Contents"]
    assert [o["Key"] for o in listed] == [f"{mine}/x"]
    listed = client.list_objects_v2(Bucket=data, Prefix=f"collections/{mine}/")["Contents"]
    assert [o["Key"] for o in listed] == [f"collections/{mine}/x"]
    foreign_data = (
        (data, f"{mine}/"),
        (data, f"collections/{theirs}/"),
        (data, "collections/"),
        (data, f"plans/{mine}/"),
    )
    for bucket, prefix in ((files, f"{theirs}/"), (files, mine), (files, ""), *foreign_data):
        assert refused(lambda b=bucket, p=prefix: client.list_objects_v2(Bucket=b, Prefix=p)), prefix


def test_a_tenants_credentials_decrypt_that_tenants_secrets_only(deployed: Deployed) -> None:
    mine, theirs, key_id = new_tenant().id, new_tenant().id, deployed.outputs["KeyArn"]
    own, other = deployed.tenant(mine)("kms"), deployed.tenant(theirs)("kms")
    context = {"tenant_id": mine}
    secret = own.encrypt(KeyId=key_id, Plaintext=b"s", EncryptionContext=context)["CiphertextBlob"]
    assert own.decrypt(KeyId=key_id, CiphertextBlob=secret, EncryptionContext=context)["Plaintext"] == b"s"
    assert refused(lambda: other.decrypt(KeyId=key_id, CiphertextBlob=secret, EncryptionContext=context))
    assert refused(lambda: own.encrypt(KeyId=key_id, Plaintext=b"s"))
    assert refused(
        lambda: own.generate_data_key(KeyId=key_id, KeySpec="AES_256", EncryptionContext={"tenant_id": theirs})
    )


def test_the_data_role_is_assumed_with_a_tenant_only(deployed: Deployed) -> None:
    role = deployed.outputs["TenantDataRoleArn"]
    for name in FUNCTIONS:
        assert refused(lambda n=name: deployed.credentials(deployed.function(n), role))
        assert deployed.tenant(new_tenant().id, name)


@pytest.mark.parametrize(
    ("function", "reached"),
    [
        ("Api", {"USER#1", "HOOK#1", "RATE#1#1"}),
        ("Webhook", set()),
        ("Runner", set()),
        ("Tasks", set()),
        ("Dispatcher", set()),
        ("RunEvents", set()),
        ("Stream", set()),
        ("Deliveries", set()),
        ("Websocket", {"WS#1"}),
    ],
)
def test_what_a_functions_own_role_may_write(deployed: Deployed, function: str, reached: set[str]) -> None:
    client, table = deployed.function(function)("dynamodb"), deployed.outputs["TableName"]
    keys = {"USER#1", "HOOK#1", "WS#1", "RATE#1#1", "SWEEP#0", KEYS, LINKS, INVITATIONS, f"T#{new_tenant().id}#X"}
    assert {k for k in keys if not refused(lambda k=k: client.put_item(TableName=table, Item=key(k)))} == reached


@pytest.mark.parametrize(
    ("function", "reached"),
    [
        ("Api", {"USER#1", "HOOK#1", "RATE#1#1", KEYS, LINKS, INVITATIONS}),
        ("Webhook", {"HOOK#1"}),
        ("Runner", set()),
        ("Tasks", set()),
        ("Dispatcher", set()),
        ("RunEvents", set()),
        ("Stream", {"WS#1"}),
        ("Deliveries", set()),
        ("Websocket", {"USER#1", "WS#1", KEYS}),
    ],
)
def test_what_a_functions_own_role_may_read(deployed: Deployed, function: str, reached: set[str]) -> None:
    client, table = deployed.function(function)("dynamodb"), deployed.outputs["TableName"]
    keys = {"USER#1", "HOOK#1", "WS#1", "RATE#1#1", "SWEEP#0", KEYS, LINKS, INVITATIONS, f"T#{new_tenant().id}#X"}
    assert {k for k in keys if not refused(lambda k=k: client.get_item(TableName=table, Key=key(k)))} == reached


def test_only_the_sweeper_reads_what_is_due(deployed: Deployed) -> None:
    table = deployed.outputs["TableName"]
    for name in FUNCTIONS:
        due = {
            "IndexName": "GSI2",
            "KeyConditionExpression": "GSI2PK = :v",
            "ExpressionAttributeValues": {":v": {"S": "SWEEP#0"}},
        }
        client = deployed.function(name)("dynamodb")
        assert refused(lambda c=client, d=due: c.query(TableName=table, **d)) == (name != "RunEvents"), name


def test_machines_and_schedules_of_others_are_out_of_reach(deployed: Deployed) -> None:
    api, prefix = deployed.function("Api"), deployed.outputs["MachinePrefix"]
    definition = json.dumps({"StartAt": "S", "States": {"S": {"Type": "Succeed"}}})
    machine = {"definition": definition, "roleArn": deployed.outputs["StatesRoleArn"]}
    made = api("stepfunctions").create_state_machine(name=f"{prefix}own", **machine)["stateMachineArn"]
    assert refused(lambda: api("stepfunctions").create_state_machine(name="foreign", **machine))
    root = deployed.emulator.client("stepfunctions")
    foreign = root.create_state_machine(name="foreign", **machine)["stateMachineArn"]
    # The runners start the workflows that are tools of the nodes they run.
    starts = {"Api", "Webhook", "Tasks", "Dispatcher", "RunEvents", "Runner", "Documents"}
    for name in FUNCTIONS:
        client = deployed.function(name)("stepfunctions")
        assert refused(lambda c=client: c.start_execution(stateMachineArn=made)) == (name not in starts), name
        assert refused(lambda c=client: c.start_execution(stateMachineArn=foreign)), name
    schedule = {
        "Name": "s",
        "ScheduleExpression": "rate(1 day)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": made, "RoleArn": deployed.outputs["StatesRoleArn"]},
    }
    group = deployed.outputs["ScheduleGroupName"]
    assert not refused(lambda: api("scheduler").create_schedule(GroupName=group, **schedule))
    assert not refused(lambda: api("scheduler").delete_schedule(GroupName=group, Name="s"))
    assert refused(lambda: api("scheduler").create_schedule(**schedule))


def test_who_may_wait_for_which_executions(deployed: Deployed) -> None:
    prefix, root = deployed.outputs["MachinePrefix"], deployed.emulator.client("stepfunctions")
    definition = json.dumps({"StartAt": "S", "States": {"S": {"Type": "Succeed"}}})
    made = {
        name: root.create_state_machine(
            name=name, definition=definition, roleArn=deployed.outputs["StatesRoleArn"], type="EXPRESS"
        )["stateMachineArn"]
        for name in (f"{prefix}express-own", f"{prefix}other", "express-foreign")
    }
    for function in FUNCTIONS:
        client = deployed.function(function)("stepfunctions")
        waited = [
            name
            for name, arn in made.items()
            if not refused(lambda c=client, a=arn: c.start_sync_execution(stateMachineArn=a))
        ]
        waits = function in ("Api", "Webhook", "Runner", "Documents")
        assert waited == ([f"{prefix}express-own"] if waits else []), function


def test_who_may_have_webhooks_delivered(deployed: Deployed) -> None:
    queue = deployed.resources["DeliveryQueue"]
    for name in FUNCTIONS:
        client = deployed.function(name)("sqs")
        may_send = not refused(lambda c=client: c.send_message(QueueUrl=queue, MessageBody="{}", DelaySeconds=900))
        may_take = not refused(lambda c=client: c.receive_message(QueueUrl=queue))
        assert may_send == (name in ("Api", "Stream", "Deliveries")), name
        assert may_take == (name == "Deliveries"), name


def test_who_may_answer_a_task(deployed: Deployed) -> None:
    answers = {"Api", "Tasks", "RunEvents"}
    for name in FUNCTIONS:
        client = deployed.function(name)("stepfunctions")
        with pytest.raises(ClientError) as caught:
            client.send_task_success(taskToken="nobody waits for this", output="{}")
        code = caught.value.response["Error"]["Code"]
        assert (code == "TaskDoesNotExist") == (name in answers), name


def test_the_sandbox_reaches_nothing_and_is_reached_by_what_runs_nodes(deployed: Deployed) -> None:
    table, own = deployed.outputs["TableName"], deployed.function("Sandbox")
    tenant = new_tenant().id
    for name, call in record_calls(table, f"T#{tenant}#X").items():
        assert refused(lambda c=call: c(own("dynamodb"))), name
    role = {"RoleArn": deployed.outputs["TenantDataRoleArn"], "RoleSessionName": "test"}
    assert refused(lambda: own("sts").assume_role(**role, Tags=[{"Key": "TenantID", "Value": tenant}]))
    assert refused(lambda: own("s3").list_objects_v2(Bucket=deployed.outputs["FilesBucketName"]))
    sandbox, runner = (f"{deploy.STACK_NAME}-{name}" for name in ("sandbox", "runner"))
    assert refused(lambda: own("lambda").invoke(FunctionName=runner, Payload=b"{}"))
    for name in ("Runner", "Documents"):
        caller = deployed.function(name)("lambda")
        answer = json.loads(caller.invoke(FunctionName=sandbox, Payload=b"{}")["Payload"].read())
        assert answer["error"] == "InvalidInput"
        assert refused(lambda c=caller: c.invoke(FunctionName=runner, Payload=b"{}"))
    for name in ("Api", "Webhook"):
        assert refused(lambda n=name: deployed.function(n)("lambda").invoke(FunctionName=sandbox, Payload=b"{}"))

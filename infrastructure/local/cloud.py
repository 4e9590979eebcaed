"""The product's own `template.yaml` on moto, in this process: the parts of it that unit tests and single runs need."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy, deepcopy
from functools import cache
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

import boto3
import yaml
from joserfc import jwk
from moto import mock_aws
from moto.cognitoidp import models as cognito
from moto.cognitoidp.exceptions import NotAuthorizedError
from moto.dynamodb.models.table import StreamShard
from moto.dynamodb.responses import DynamoHandler
from moto.kms import models as kms
from moto.kms.utils import generate_private_key
from moto.s3.responses import S3Response

from infrastructure.local.archive import ROOT

REGION: Final = "us-east-1"
ACCOUNT: Final = "123456789012"  # moto's
ENVIRONMENT: Final = {  # before anything makes a client: this account does not exist, and nothing may reach another
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}

_unused_key = cache(generate_private_key)


@cache
def _pools_key(numbers: str) -> Any:
    return jwk.RSAKey.import_key(json.loads(numbers))


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: `!Ref X` is `{"Ref": "X"}`."""


def _short_form(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        raise TypeError(f"{tag} stands before {node}")
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {tag if tag in {"Ref", "Condition"} else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _short_form)


@cache
def template() -> dict[str, Any]:
    """The template as Python values."""
    loaded: dict[str, Any] = _Loader((ROOT / "template.yaml").read_text()).get_single_data()
    return loaded


@cache
def _client(service: str) -> Any:
    return boto3.client(service, region_name=REGION)


def properties(logical_id: str) -> dict[str, Any]:
    """The properties of one resource of the template."""
    found: dict[str, Any] = template()["Resources"][logical_id]["Properties"]
    return found


@contextmanager
def account() -> Iterator[dict[str, str]]:
    """An account of moto's with the resources in it; gives the environment that a function would have.

    DynamoDB's writes and transactions are atomic. Moto's are not when threads meet — one reads, the other writes, the
    first writes what it has made of what it read — so here they take turns, S3's too. And Cognito refuses a refresh
    token that it does not know, where moto falls over.

    Three of moto's detours are cut short, or most of the tests' time would go there: it works out the RSA key of every
    user pool, always the same; makes one for every symmetric KMS key, which has no use for it; and copies, before each
    transaction, all that the table's stream has ever told, which does not change.
    """
    turn, call_action = threading.RLock(), DynamoHandler.call_action

    def in_turn(handler: DynamoHandler) -> Any:
        with turn:
            return call_action(handler)

    def one_by_one(answer: Any) -> Any:
        def in_its_turn(handler: S3Response, *arguments: Any, **more: Any) -> Any:
            with turn:
                return answer(handler, *arguments, **more)

        return in_its_turn

    refreshed = cognito.CognitoIdpUserPool.create_tokens_from_refresh_token

    def known(pool: Any, token: str) -> Any:
        if token not in pool.refresh_tokens:
            raise NotAuthorizedError("Invalid Refresh Token")
        return refreshed(pool, token)

    def sharing_records(shard: StreamShard, memo: dict[int, Any]) -> StreamShard:
        made = copy(shard)
        made.table, made.items = deepcopy(shard.table, memo), list(shard.items)
        return made

    keys = SimpleNamespace(RSAKey=SimpleNamespace(import_key=lambda numbers: _pools_key(json.dumps(numbers))))
    with (
        mock_aws(),
        patch.object(DynamoHandler, "call_action", in_turn),
        patch.object(cognito, "jwk", keys),
        patch.object(kms, "generate_private_key", _unused_key),
        patch.object(StreamShard, "__deepcopy__", sharing_records, create=True),
        patch.object(S3Response, "_bucket_response", one_by_one(S3Response._bucket_response)),
        patch.object(S3Response, "_key_response", one_by_one(S3Response._key_response)),
        patch.object(cognito.CognitoIdpUserPool, "create_tokens_from_refresh_token", known),
    ):
        yield _deploy()


def _deploy() -> dict[str, str]:
    """Make the resources on moto, which must be active; gives the environment that a function would have."""
    table, pool, client = properties("Table"), properties("UserPool"), properties("UserPoolClient")
    dynamodb = _client("dynamodb")
    dynamodb.create_table(
        TableName="sw-test-table",
        StreamSpecification={"StreamEnabled": True, **table["StreamSpecification"]},
        **{k: table[k] for k in ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")},
    )
    ttl = table["TimeToLiveSpecification"]
    dynamodb.update_time_to_live(TableName="sw-test-table", TimeToLiveSpecification=ttl)
    s3 = _client("s3")
    for bucket in ("sw-test-data", "sw-test-files"):
        s3.create_bucket(Bucket=bucket)
    cognito = _client("cognito-idp")
    pool_id = cognito.create_user_pool(
        PoolName="sw-test", **{k: pool[k] for k in ("UsernameAttributes", "AutoVerifiedAttributes", "Policies")}
    )["UserPool"]["Id"]
    client_id = cognito.create_user_pool_client(
        UserPoolId=pool_id, **{k: client[k] for k in ("ClientName", "GenerateSecret", "ExplicitAuthFlows")}
    )["UserPoolClient"]["ClientId"]
    _client("events").create_event_bus(Name="sw-test")
    _client("scheduler").create_schedule_group(Name="sw-test")
    deliveries = _client("sqs").create_queue(QueueName="sw-test-deliveries")["QueueUrl"]
    role = f"arn:aws:iam::{ACCOUNT}:role/sw-test-"
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:sw-test-"
    return {
        "SW_TABLE": "sw-test-table",
        "SW_DATA_BUCKET": "sw-test-data",
        "SW_FILES_BUCKET": "sw-test-files",
        "SW_KMS_KEY": _client("kms").create_key()["KeyMetadata"]["Arn"],
        "SW_BUS": "sw-test",
        "SW_DELIVERIES_QUEUE": deliveries,
        "SW_USER_POOL_ID": pool_id,
        "SW_USER_POOL_CLIENT_ID": client_id,
        "SW_SCHEDULER_GROUP": "sw-test",
        "SW_SCHEDULER_ROLE_ARN": f"{role}scheduler",
        "SW_SCHEDULE_DEAD_LETTERS_ARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:sw-test-schedules",
        "SW_STATES_ROLE_ARN": f"{role}states",
        "SW_MACHINE_PREFIX": "sw-test-",
        "SW_EXPRESS": "off",  # moto knows one kind of execution; who tests the other turns it on
        "SW_RUNNER_ARN": f"{function}runner",
        "SW_DOCUMENTS_ARN": f"{function}documents",
        "SW_SANDBOX_ARN": f"{function}sandbox",
        "SW_TASKS_ARN": f"{function}tasks",
        "SW_DISPATCHER_ARN": f"{function}dispatcher",
        "SW_API_URL": "http://api.test",
    }

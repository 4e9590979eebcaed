"""The stack of an exported project, as SAM has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from shared.aws.scheduler import SCHEDULED_TIME
from shared.triggers.cron import timing
from shared.workflows.model import Document
from stepfunctions.plan import Plan

_ARN: Final = "arn:${AWS::Partition}:"
_HERE: Final = "${AWS::Region}:${AWS::AccountId}:"
_RUNNER: Final = {"Fn::Sub": f"{_ARN}lambda:{_HERE}function:${{AWS::StackName}}-runner"}
_MACHINES: Final = {"Fn::Sub": f"{_ARN}states:{_HERE}stateMachine:${{AWS::StackName}}-"}

Json = dict[str, Any]


def template(plan: Plan, document: Document) -> Json:
    """The template. Names are given where two resources must know each other without a cycle."""
    functions = {
        "Start": _function("start", "Starts runs, and says how they stand.", timeout=900),
        "Runner": _function(
            "runner", "Runs a segment of the plan; called by the state machine.", timeout=900, memory=1024
        ),
        "Tasks": _function("tasks", "Keeps a task token until somebody answers; called by the state machine."),
        "RunEvents": _function("run-events", "Closes runs that ended, and sweeps up what was missed.", timeout=60),
    }
    functions["RunEvents"]["Properties"]["Events"] = {
        "Sweep": {"Type": "Schedule", "Properties": {"Schedule": "rate(1 minute)"}},
        "Ended": {"Type": "EventBridgeRule", "Properties": {"Pattern": _ended(plan)}},
    }
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Transform": "AWS::Serverless-2016-10-31",
        "Description": "One workflow, exported from Statewright.",
        "Parameters": _PARAMETERS,
        "Globals": {"Function": _globals()},
        "Resources": {
            **_data(),
            "StatesRole": _role("states", [_statement("lambda:InvokeFunction", _calls()), *_machines()]),
            "FunctionRole": _role("lambda", _rights()),
            **{f"{name}Function": function for name, function in functions.items()},
            "Machine": _machine(plan),
            **_schedules(document),
        },
        "Outputs": {
            "StartFunctionName": {"Value": {"Ref": "StartFunction"}},
            "StateMachineArn": {"Value": {"Ref": "Machine"}},
            "FilesBucketName": {"Value": {"Ref": "FilesBucket"}},
        },
    }


_PARAMETERS: Final[Json] = {
    "AllowedHosts": {
        "Type": "String",
        "Default": "",
        "Description": "Private host:port pairs, comma separated, that nodes may reach all the same.",
    },
    "OpenAiBaseUrl": {
        "Type": "String",
        "Default": "",
        "Description": "An OpenAI-compatible endpoint for nodes without a credential; empty is OpenAI's own.",
    },
    "OpenAiApiKey": {"Type": "String", "Default": "", "NoEcho": True, "Description": "The key for that endpoint."},
}


def _globals() -> Json:
    return {
        "Runtime": "python3.13",
        "Architectures": ["arm64"],
        "CodeUri": "src/",
        "MemorySize": 512,
        "Timeout": 30,
        "Environment": {
            "Variables": {
                "SW_TABLE": {"Ref": "Table"},
                "SW_DATA_BUCKET": {"Ref": "DataBucket"},
                "SW_FILES_BUCKET": {"Ref": "FilesBucket"},
                "SW_KMS_KEY": {"Fn::GetAtt": ["Key", "Arn"]},
                "SW_MACHINE_PREFIX": {"Fn::Sub": "${AWS::StackName}-"},
                "SW_EXPRESS": "off",
                "SW_RUNNER_ARN": _RUNNER,
                "SW_ALLOWED_HOSTS": {"Ref": "AllowedHosts"},
                "OPENAI_BASE_URL": {"Ref": "OpenAiBaseUrl"},
                "OPENAI_API_KEY": {"Ref": "OpenAiApiKey"},
            }
        },
    }


def _function(name: str, description: str, *, timeout: int = 30, memory: int = 512) -> Json:
    return {
        "Type": "AWS::Serverless::Function",
        "Properties": {
            "FunctionName": {"Fn::Sub": f"${{AWS::StackName}}-{name}"},
            "Description": description,
            "Handler": f"stepfunctions.standalone.{name.replace('-', '_')}",
            "Role": {"Fn::GetAtt": ["FunctionRole", "Arn"]},
            "Timeout": timeout,
            "MemorySize": memory,
        },
    }


def _machine(plan: Plan) -> Json:
    called = {name: {"Fn::GetAtt": [f"{name.title()}Function", "Arn"]} for name in ("runner", "tasks")}
    every: Json = {**called, "machines": _MACHINES, "partition": {"Ref": "AWS::Partition"}}
    text = json.dumps(plan.skeleton)
    used = {name: value for name, value in every.items() if name == "partition" or f"${{{name}}}" in text}
    return {
        "Type": "AWS::Serverless::StateMachine",
        "Properties": {
            "Name": {"Fn::Sub": f"${{AWS::StackName}}-{plan.machine}"},
            "Type": "STANDARD",
            "DefinitionUri": "statemachine.asl.json",
            "DefinitionSubstitutions": used,
            "Role": {"Fn::GetAtt": ["StatesRole", "Arn"]},
        },
    }


def _data() -> Json:
    names = ["PK", "SK", "GSI1PK", "GSI1SK", "GSI2PK", "GSI2SK"]
    return {
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "UpdateReplacePolicy": "Retain",
            "DeletionPolicy": "RetainExceptOnCreate",
            "Properties": {
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in names],
                "KeySchema": _keys("PK", "SK"),
                "GlobalSecondaryIndexes": [
                    {
                        "IndexName": "GSI1",
                        "KeySchema": _keys("GSI1PK", "GSI1SK"),
                        "Projection": {"ProjectionType": "ALL"},
                    },
                    {
                        "IndexName": "GSI2",
                        "KeySchema": _keys("GSI2PK", "GSI2SK"),
                        "Projection": {"ProjectionType": "KEYS_ONLY"},
                    },
                ],
                "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": True},
                "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
                "SSESpecification": {"SSEEnabled": True},
            },
        },
        "DataBucket": _bucket(),
        "FilesBucket": _bucket(),
        "Key": {
            "Type": "AWS::KMS::Key",
            "UpdateReplacePolicy": "Retain",
            "DeletionPolicy": "RetainExceptOnCreate",
            "Properties": {
                "Description": "Credentials and task tokens of one exported workflow.",
                "EnableKeyRotation": True,
                "KeyPolicy": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"AWS": {"Fn::Sub": f"{_ARN}iam::${{AWS::AccountId}}:root"}},
                            "Action": "kms:*",
                            "Resource": "*",
                        }
                    ],
                },
            },
        },
    }


def _keys(hashed: str, sorted_by: str) -> list[Json]:
    return [{"AttributeName": hashed, "KeyType": "HASH"}, {"AttributeName": sorted_by, "KeyType": "RANGE"}]


def _bucket() -> Json:
    closed = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    return {
        "Type": "AWS::S3::Bucket",
        "UpdateReplacePolicy": "Retain",
        "DeletionPolicy": "RetainExceptOnCreate",
        "Properties": {
            "PublicAccessBlockConfiguration": dict.fromkeys(closed, True),
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        },
    }


def _role(service: str, statements: list[Json]) -> Json:
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": f"{service}.amazonaws.com"},
                        "Action": "sts:AssumeRole",
                    }
                ],
            },
            "Policies": [
                {"PolicyName": "own", "PolicyDocument": {"Version": "2012-10-17", "Statement": statements}},
            ],
        },
    }


def _statement(actions: str | list[str], resources: Any) -> Json:
    return {"Effect": "Allow", "Action": actions, "Resource": resources}


def _calls() -> list[Json]:
    return [{"Fn::Sub": f"{_ARN}lambda:{_HERE}function:${{AWS::StackName}}-{name}"} for name in ("runner", "tasks")]


def _machines() -> list[Json]:
    """Start, look at and stop the executions of this stack."""
    machine = {"Fn::Sub": f"{_ARN}states:{_HERE}stateMachine:${{AWS::StackName}}-*"}
    execution = {"Fn::Sub": f"{_ARN}states:{_HERE}execution:${{AWS::StackName}}-*:*"}
    return [
        _statement("states:StartExecution", machine),
        _statement(["states:DescribeExecution", "states:StopExecution"], execution),
    ]


def _rights() -> list[Json]:
    table: Json = {"Fn::GetAtt": ["Table", "Arn"]}
    actions = ["GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"]
    logs = {"Fn::Sub": f"{_ARN}logs:{_HERE}log-group:/aws/lambda/${{AWS::StackName}}-*"}
    objects = [{"Fn::Sub": f"${{{name}.Arn}}/*"} for name in ("DataBucket", "FilesBucket")]
    return [
        _statement(
            [f"dynamodb:{action}" for action in (*actions, "ConditionCheckItem")],
            [table, {"Fn::Sub": "${Table.Arn}/index/*"}],
        ),
        _statement(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], objects),
        _statement("s3:ListBucket", [{"Fn::GetAtt": [name, "Arn"]} for name in ("DataBucket", "FilesBucket")]),
        _statement(["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey"], {"Fn::GetAtt": ["Key", "Arn"]}),
        _statement(
            ["states:SendTaskSuccess", "states:SendTaskFailure"],
            {"Fn::Sub": f"{_ARN}states:{_HERE}stateMachine:${{AWS::StackName}}-*"},
        ),
        *_machines(),
        _statement(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], logs),
    ]


def _ended(plan: Plan) -> Json:
    arn = {"Fn::Sub": f"{_ARN}states:{_HERE}stateMachine:${{AWS::StackName}}-{plan.machine}"}
    return {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"status": ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"], "stateMachineArn": [arn]},
    }


def _schedules(document: Document) -> Json:
    """A schedule of EventBridge Scheduler for each `schedule` node, and the role under which it calls."""
    made: Json = {}
    for number, node in enumerate(n for n in document.nodes if n.type == "schedule" and not n.disabled):
        made[f"Schedule{number}"] = _schedule(node.id, node.config)
    if made:
        start = {"Fn::Sub": f"{_ARN}lambda:{_HERE}function:${{AWS::StackName}}-start"}
        made["SchedulerRole"] = _role("scheduler", [_statement("lambda:InvokeFunction", start)])
    return made


def _schedule(node_id: str, config: Mapping[str, Any]) -> Json:
    due = timing(config)
    limits = {name: config[field] for name, field in (("StartDate", "start"), ("EndDate", "end")) if config.get(field)}
    return {
        "Type": "AWS::Scheduler::Schedule",
        "Properties": {
            "ScheduleExpression": due.expression,
            "ScheduleExpressionTimezone": due.timezone,
            "FlexibleTimeWindow": {"Mode": "OFF"},
            **limits,
            "Target": {
                "Arn": {"Fn::GetAtt": ["StartFunction", "Arn"]},
                "RoleArn": {"Fn::GetAtt": ["SchedulerRole", "Arn"]},
                "Input": json.dumps({"schedule": node_id, "time": SCHEDULED_TIME}),
            },
        },
    }

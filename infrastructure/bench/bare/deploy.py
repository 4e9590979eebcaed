"""Puts the bare functions, their HTTP API and their state machines beside the project on a running local AWS."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infrastructure.local.stack import ACCOUNT, REGION, Stack

_NAME: Final = "bench-bare"  # not the stack's prefix: its rules and policies are not to see it


@dataclass(frozen=True, slots=True)
class Bare:
    """What was deployed: the HTTP API's address, and the machines of one task and of one question."""

    url: str
    one_task: str
    question: str


def deploy(stack: Stack) -> Bare:
    """Deploy to a stack with fresh state."""
    role = _role(stack)
    web, work, ask = (_function(stack, handler, role) for handler in ("web", "work", "ask"))
    api = stack.client("apigatewayv2")
    made = api.create_api(Name=_NAME, ProtocolType="HTTP")["ApiId"]
    integration = api.create_integration(
        ApiId=made, IntegrationType="AWS_PROXY", IntegrationUri=web, PayloadFormatVersion="2.0"
    )["IntegrationId"]
    api.create_route(ApiId=made, RouteKey="$default", Target=f"integrations/{integration}")
    api.create_stage(ApiId=made, StageName="$default", AutoDeploy=True)
    stack.client("lambda").add_permission(
        FunctionName=web,
        StatementId="api",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn=f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{made}/*",
    )
    return Bare(
        f"{stack.endpoint}/_aws/execute-api/{made}/$default",
        _machine(stack, "one-task", role, "invoke", work, "{% $states.input %}"),
        _machine(
            stack,
            "question",
            role,
            "invoke.waitForTaskToken",
            ask,
            {"id": "{% $states.input.id %}", "token": "{% $states.context.Task.Token %}"},
        ),
    )


def _role(stack: Stack) -> str:
    iam = stack.client("iam")
    services = {"Service": ["lambda.amazonaws.com", "states.amazonaws.com"]}
    trust = [{"Effect": "Allow", "Principal": services, "Action": "sts:AssumeRole"}]
    allowed = [
        {
            "Effect": "Allow",
            "Action": ["dynamodb:*", "states:*", "lambda:InvokeFunction", "logs:*"],
            "Resource": "*",
        }
    ]
    role = iam.create_role(RoleName=_NAME, AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=_NAME, PolicyName="all", PolicyDocument=_policy(allowed))
    return str(role)


def _policy(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _function(stack: Stack, handler: str, role: str) -> str:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.write(Path(__file__).with_name("function.py"), "function.py")
    made = stack.client("lambda").create_function(
        FunctionName=f"{_NAME}-{handler}",
        Runtime="python3.13",
        Handler=f"function.{handler}",
        Role=role,
        Code={"ZipFile": code.getvalue()},
        Timeout=30,
        MemorySize=1024,
        Environment={"Variables": {"TABLE": stack.outputs["TableName"]}},
    )
    return str(made["FunctionArn"])


def _machine(stack: Stack, name: str, role: str, how: str, function: str, payload: Any) -> str:
    state = {
        "Type": "Task",
        "Resource": f"arn:aws:states:::lambda:{how}",
        "Arguments": {"FunctionName": function, "Payload": payload},
        **({"Output": "{% $states.result.Payload %}"} if how == "invoke" else {"TimeoutSeconds": 60}),
        "End": True,
    }
    definition = {"QueryLanguage": "JSONata", "StartAt": "work", "States": {"work": state}}
    made = stack.client("stepfunctions").create_state_machine(
        name=f"{_NAME}-{name}", definition=json.dumps(definition), roleArn=role
    )
    return str(made["stateMachineArn"])

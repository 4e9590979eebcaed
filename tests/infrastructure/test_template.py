"""template.yaml against the rest of the tree: no function without a folder, no folder without a function."""

import importlib
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from cfnlint.decode.cfn_yaml import load
from ministack.services.lambda_svc import _apply_filter_criteria

from infrastructure.package import build
from shared.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE: dict[str, Any] = load(str(ROOT / "template.yaml"))
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
FUNCTIONS = {k: r["Properties"] for k, r in RESOURCES.items() if r["Type"] == "AWS::Serverless::Function"}
FOLDERS = sorted(p.name for p in (ROOT / "functions").iterdir() if (p / "__init__.py").exists())


def of_type(kind: str) -> dict[str, Any]:
    return {k: r for k, r in RESOURCES.items() if r["Type"] == kind}


def test_cfn_lint_finds_nothing() -> None:
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--", str(ROOT / "template.yaml")]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout + found.stderr) == (0, "")
    assert "cfn-lint" not in TEMPLATE.get("Metadata", {}), "no exceptions"


def test_every_folder_is_a_function_and_the_other_way_round() -> None:
    assert sorted(f["Handler"].split(".")[1] for f in FUNCTIONS.values()) == FOLDERS


@pytest.mark.parametrize("name", FOLDERS)
def test_a_function_has_a_handler_and_its_requirements(name: str) -> None:
    [function] = [f for f in FUNCTIONS.values() if f["Handler"] == f"functions.{name}.handler.handler"]
    assert callable(importlib.import_module(f"functions.{name}.handler").handler)
    assert (ROOT / "functions" / name / "requirements.txt").is_file()
    assert function["FunctionName"] == {"Fn::Sub": "${AWS::StackName}-" + name.replace("_", "-")}


@pytest.mark.parametrize("logical", FUNCTIONS)
def test_a_function_has_a_role_and_a_log_of_its_own(logical: str) -> None:
    function = FUNCTIONS[logical]
    stem = logical.removesuffix("Function")
    assert function["Role"] == {"Fn::GetAtt": [f"{stem}Role", "Arn"]}
    log = RESOURCES[function["LoggingConfig"]["LogGroup"]["Ref"]]["Properties"]
    assert log["LogGroupName"] == {"Fn::Sub": "/aws/lambda/" + function["FunctionName"]["Fn::Sub"]}
    assert log["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_every_variable_is_a_setting() -> None:
    known = {f"SW_{f.name.upper()}" for f in fields(Settings)} | {"OPENAI_BASE_URL", "OPENAI_API_KEY"}
    groups = [TEMPLATE["Globals"]["Function"], *FUNCTIONS.values()]
    assert {name for g in groups if "Environment" in g for name in g["Environment"]["Variables"]} <= known


def test_nothing_runs_on_another_platform_than_the_archives_are_made_for() -> None:
    assert TEMPLATE["Globals"]["Function"]["Runtime"] == "python3.13"
    assert TEMPLATE["Globals"]["Function"]["Architectures"] == ["arm64"]
    others = {name: f for name, f in FUNCTIONS.items() if {"Runtime", "Architectures"} & set(f)}
    assert others.keys() == build.ON_X86
    assert all(f["Architectures"] == ["x86_64"] and "Runtime" not in f for f in others.values())


def test_the_sandbox_has_no_variables_and_may_write_its_own_log_only() -> None:
    function, role = FUNCTIONS["SandboxFunction"], RESOURCES["SandboxRole"]["Properties"]
    assert not {"Environment", "VpcConfig", "Layers", "Policies", "Tracing"} & set(function)
    assert RESOURCES["SandboxFunction"]["IgnoreGlobals"] == ["Environment", "Tracing", "Architectures"]
    assert "ManagedPolicyArns" not in role
    [policy] = role["Policies"]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert statement["Resource"]["Fn::Sub"].endswith(":log-group:/aws/lambda/${AWS::StackName}-sandbox:*")


def test_state_machines_may_call_three_functions_and_start_each_other_and_nothing_else() -> None:
    role = RESOURCES["StatesRole"]["Properties"]
    [calls, starts, ends] = [s for p in role["Policies"] for s in p["PolicyDocument"]["Statement"]]
    assert calls["Action"] == "lambda:InvokeFunction"
    assert [r["Fn::Sub"].rsplit("-", 1)[1] for r in calls["Resource"]] == ["runner", "documents", "tasks"]
    assert starts["Action"] == "states:StartExecution"
    assert starts["Resource"]["Fn::Sub"].endswith(":stateMachine:${AWS::StackName}-*")
    assert ends["Action"] == ["states:DescribeExecution", "states:StopExecution"]
    assert ends["Resource"]["Fn::Sub"].endswith(":execution:${AWS::StackName}-*:*")
    assert "ManagedPolicyArns" not in role


def test_the_stream_hears_of_runs_journals_tasks_and_deletions_of_runs() -> None:
    filters = FUNCTIONS["StreamFunction"]["Events"]["Changes"]["Properties"]["FilterCriteria"]["Filters"]
    source = {"FilterCriteria": {"Filters": [{"Pattern": str(f["Pattern"])} for f in filters]}}

    def heard(kind: str, sk: str, pk: str = "T#t1#EX#ex_1") -> bool:
        record = {"eventName": kind, "dynamodb": {"Keys": {"PK": {"S": pk}, "SK": {"S": sk}}}}
        return bool(_apply_filter_criteria([record], source))

    kinds = ("INSERT", "MODIFY", "REMOVE")
    assert {(k, sk) for k in kinds for sk in ("META", "J##a", "TASK#tk_1", "E#01-0", "L#a#1") if heard(k, sk)} == {
        *((k, sk) for k in kinds[:2] for sk in ("META", "J##a", "TASK#tk_1")),
        ("REMOVE", "META"),
    }
    assert not any(heard(k, "META", "HOOK#wh_1") for k in kinds)


def test_no_policy_has_a_wildcard_action_or_resource() -> None:
    allowed = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
    for kind in ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy"):
        for name, resource in of_type(kind).items():
            properties = resource["Properties"]
            documents = [p["PolicyDocument"] for p in properties.get("Policies", [])]
            documents += [properties["PolicyDocument"]] if kind.endswith("ManagedPolicy") else []
            for statement in (s for d in documents for s in d["Statement"]):
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                assert not [a for a in actions if "*" in a], name
                assert statement["Resource"] != "*" or set(actions) <= allowed, name


def test_buckets_are_private_and_encrypted() -> None:
    for name, bucket in of_type("AWS::S3::Bucket").items():
        properties = bucket["Properties"]
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}, name
        assert properties["BucketEncryption"], name

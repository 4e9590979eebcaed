"""Deploys the project's own template.yaml to the local AWS, the way `sam deploy` does it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from infrastructure.local import archive
from infrastructure.local.process import LocalError

STACK_NAME: Final = "statewright"
_ARTIFACTS: Final = "statewright-artifacts"
_TEMPLATE: Final = "template.yaml"
_CODE: Final = "CodeUri: .\n"
_PATIENCE: Final = 60.0


def template() -> str:
    """The text of template.yaml."""
    return (archive.ROOT / "template.yaml").read_text()


def deploy(client: Callable[[str], Any], parameters: Mapping[str, str]) -> dict[str, str]:
    """Create the stack, or update it if the template, a parameter or a source has changed; gives its outputs.

    Raises LocalError with CloudFormation's reasons.
    """
    text = template()
    if text.count(_CODE) != 1:
        raise LocalError("template.yaml should name its CodeUri once, in Globals")
    key = f"{archive.fingerprint()}.zip"
    text = text.replace(_CODE, f"CodeUri: s3://{_ARTIFACTS}/{key}\n")
    mark = hashlib.sha256(json.dumps([text, dict(parameters)], sort_keys=True).encode()).hexdigest()[:32]
    cloudformation = client("cloudformation")
    stack = _describe(cloudformation)
    if stack is not None and {"Key": "mark", "Value": mark} in stack.get("Tags", []):
        return _outputs(stack)
    s3 = client("s3")
    _upload(s3, key, text)
    arguments = {
        "StackName": STACK_NAME,
        # From S3, as `sam deploy` does it: in the call itself a template has at most 51,200 bytes.
        "TemplateURL": f"{s3.meta.endpoint_url}/{_ARTIFACTS}/{_TEMPLATE}",
        "Parameters": [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        "Capabilities": ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        "Tags": [{"Key": "mark", "Value": mark}],
    }
    if stack is None:
        cloudformation.create_stack(**arguments)
    else:
        cloudformation.update_stack(**arguments)
    deployed = _outputs(_wait(cloudformation))
    _forget_others(s3, key)
    return deployed


def outputs(client: Callable[[str], Any]) -> dict[str, str]:
    """The outputs of the stack as it stands; none if it is not there."""
    return _outputs(_describe(client("cloudformation")) or {})


def _upload(s3: Any, key: str, text: str) -> None:
    s3.create_bucket(Bucket=_ARTIFACTS)
    s3.put_object(Bucket=_ARTIFACTS, Key=key, Body=archive.build())
    s3.put_object(Bucket=_ARTIFACTS, Key=_TEMPLATE, Body=text.encode())


def _forget_others(s3: Any, key: str) -> None:
    for entry in s3.list_objects_v2(Bucket=_ARTIFACTS).get("Contents", []):
        if entry["Key"] not in (key, _TEMPLATE):
            s3.delete_object(Bucket=_ARTIFACTS, Key=entry["Key"])


def _describe(cloudformation: Any) -> dict[str, Any] | None:
    try:
        stacks: list[dict[str, Any]] = cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    return stacks[0]


def _wait(cloudformation: Any) -> dict[str, Any]:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        stack = _describe(cloudformation)
        if stack is None:
            raise LocalError("the stack vanished while it was deployed")
        status = stack["StackStatus"]
        if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            return stack
        if not status.endswith("_IN_PROGRESS"):
            events = cloudformation.describe_stack_events(StackName=STACK_NAME)["StackEvents"]
            reasons = [
                f"{e['LogicalResourceId']}: {e['ResourceStatusReason']}"
                for e in events
                if "FAILED" in e["ResourceStatus"] and e.get("ResourceStatusReason")
            ]
            raise LocalError("\n".join(["the template could not be deployed: " + status, *reasons]))
        time.sleep(0.1)
    raise LocalError(f"the template was not deployed within {_PATIENCE:.0f} s")


def _outputs(stack: dict[str, Any]) -> dict[str, str]:
    return {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}

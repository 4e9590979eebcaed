"""`python run_project.py FOLDER EVENT…`: an exported project on moto, with its own code.

Answers go to `answers.json` in the folder.

`{"wait": "paused"}` waits until the last run has that status, and `"$run"` and `"$task"` in an event stand for the last
run and its first question.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(sys.argv[1])
sys.path.insert(0, str(FOLDER / "src"))

from infrastructure.local import cloud  # noqa: E402 - after the project's own code

os.environ.update(cloud.ENVIRONMENT)


def main() -> None:
    with cloud.account() as environment:
        os.environ.update(environment)
        os.environ.update(SW_EXPRESS="off", SW_TENANT_ROLE_ARN="", OPENAI_API_KEY="sk-test")
        from infrastructure.local.interpreter import Context, running
        from shared.aws.clients import client
        from stepfunctions import standalone

        assert Path(standalone.__file__).is_relative_to(FOLDER)
        with running() as functions:
            _make_machine(environment, client("stepfunctions"))
            functions.handlers = {"runner": standalone.runner, "tasks": standalone.tasks}
            answers: list[Any] = []
            last: dict[str, Any] = {}
            for text in sys.argv[2:]:
                event = json.loads(text.replace("$run", last.get("run", "")).replace("$task", last.get("task", "")))
                answer = (
                    _until(standalone, last["run"], event["wait"])
                    if "wait" in event
                    else standalone.start(event, Context())
                )
                last |= {"run": answer["run"]} if "run" in answer else {}
                last |= {"task": answer["tasks"][0]["task"]} if answer.get("tasks") else {}
                answers.append(answer)
        (FOLDER / "answers.json").write_text(json.dumps(answers))


def _until(standalone: Any, run: str, status: str) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        answer: dict[str, Any] = standalone.start({"run": run}, None)
        if answer["status"] == status:
            return answer
        time.sleep(0.05)
    raise AssertionError(answer)


def _make_machine(environment: dict[str, str], states: Any) -> None:
    """Make the state machine as CloudFormation would."""
    template = yaml.safe_load((FOLDER / "template.yaml").read_text())
    wanted = template["Resources"]["Machine"]["Properties"]
    runner = environment["SW_RUNNER_ARN"]
    values = {"runner": runner, "tasks": runner.removesuffix("runner") + "tasks", "partition": "aws"}
    definition = (FOLDER / wanted["DefinitionUri"]).read_text()
    for name in wanted["DefinitionSubstitutions"]:
        definition = definition.replace(f"${{{name}}}", values[name])
    assert "${" not in definition
    name = wanted["Name"]["Fn::Sub"].replace("${AWS::StackName}-", environment["SW_MACHINE_PREFIX"])
    states.create_state_machine(
        name=name, definition=definition, roleArn=environment["SW_STATES_ROLE_ARN"], type=wanted["Type"]
    )


main()

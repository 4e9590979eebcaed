"""Templates, exports and shared links on the local AWS: from a list to a run, and from one tenant to another."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml

from infrastructure.local.stack import Stack
from shared.templates.library import templates
from tests.e2e.caller import Caller, until
from tests.stepfunctions.compiler.documents import document, node

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
ALONE = "exported"
BUCKET = "exported-artifacts"
SUMS = document(
    [
        node("start", "manual_trigger"),
        node("each", "loop", {"max_concurrency": 2}, inputs={"items": "{{ trigger.numbers }}"}),
        node("rest", "delay", {"ms": 20}, parent="each"),
        node("double", "transform", {"expression": "inputs.input * 2"}, parent="each"),
        node("out", "output", inputs={"value": "{{ $sum(nodes.each.results) }}"}),
    ],
    "each.item -> rest.input; rest.output -> double.input",
)


def test_from_a_list_to_a_finished_run(mine: Caller) -> None:
    listed = mine.get("/workflows/templates?q=approval&source=library")["items"]
    assert "approval" in [t["id"] for t in listed]
    assert len(mine.get("/workflows/templates?limit=200&source=library")["items"]) == len(templates())
    given = {"name": "Spending", "parameters": {"limit": 50, "question": "{{ secrets.x }}?"}}
    draft = mine.post("/workflows/templates/approval/instantiate", given, 201)
    assert draft["problems"] == []
    mine.publish(draft["id"])
    small = mine.until(mine.execute(draft["id"], {"what": "tea", "amount": 10}))
    assert small["final_output"] == {"approved": True}
    asked = mine.execute(draft["id"], {"what": "a car", "amount": 9_000})
    task = mine.get(f"/tasks/{mine.task(asked, 'ask')}")
    assert task["title"] == "{{ secrets.x }}? a car"
    mine.answer(asked, "ask", {"decision": "rejected", "comment": "too much"})
    ended = mine.until(asked)
    assert ended["final_output"]["comment"] == "too much"


def test_a_template_of_ones_own(mine: Caller, theirs: Caller) -> None:
    chosen = [{"name": "at_once", "path": "nodes.each.config.max_concurrency"}]
    template = mine.post(f"/workflows/{mine.store(SUMS)}/template", {"name": "Sums", "parameters": chosen}, 201)
    theirs.refused("GET", f"/workflows/templates/{template['id']}", 404)
    made = mine.post(f"/workflows/templates/{template['id']}/instantiate", {"parameters": {"at_once": 1}}, 201)
    ended = mine.until(mine.execute(made["id"], {"numbers": [1, 2]}))
    assert ended["final_output"] == 6


@pytest.mark.parametrize("form", ["json", "yaml", "asl"])
def test_what_one_tenant_exports_another_runs(mine: Caller, theirs: Caller, form: str) -> None:
    workflow_id = mine.published(SUMS)
    answer = mine.send("GET", f"/workflows/{workflow_id}/export?format={form}")
    assert answer.status_code == 200
    media = {"content-type": answer.headers["content-type"]}
    taken = theirs.http.post("/workflows/import", content=answer.content, headers=media)
    assert taken.status_code == 201, taken.text
    assert taken.json()["problems"] == []
    ended = theirs.until(theirs.execute(taken.json()["id"], {"numbers": [1, 2, 3]}))
    assert ended["final_output"] == 12


def test_a_shared_workflow_is_read_and_copied(mine: Caller, theirs: Caller) -> None:
    workflow_id = mine.published(SUMS)
    link = mine.post(f"/workflows/{workflow_id}/share", {"rights": "copy"}, 201)
    mine.secrets.add(link["token"])
    with httpx.Client(base_url=str(mine.http.base_url), trust_env=False, timeout=60) as public:
        seen = public.get(f"/shared/{link['token']}")
        assert seen.json()["document"]["name"] == SUMS.name
        assert mine.tenant_id not in seen.text
        made = theirs.post(f"/shared/{link['token']}/copy", None, 201)
        assert theirs.until(theirs.execute(made["id"], {"numbers": [5]}))["final_output"] == 10
        assert mine.send("DELETE", f"/workflows/{workflow_id}/share/{link['id']}").status_code == 204
        assert public.get(f"/shared/{link['token']}").status_code == 404
        theirs.refused("POST", f"/shared/{link['token']}/copy", 404)


@pytest.fixture
def alone(local: Stack, mine: Caller) -> Iterator[Stack]:
    """An exported project in a stack of its own, put there as `sam deploy` does it."""
    body = mine.send("GET", f"/workflows/{mine.published(SUMS)}/export?format=sam").content
    s3, cloudformation = local.client("s3"), local.client("cloudformation")
    s3.create_bucket(Bucket=BUCKET)
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        template: dict[str, Any] = yaml.safe_load(archive.read("template.yaml"))
        machine = template["Resources"]["Machine"]["Properties"]
        s3.put_object(Bucket=BUCKET, Key="machine.json", Body=archive.read(machine["DefinitionUri"]))
        s3.put_object(Bucket=BUCKET, Key="code.zip", Body=_below("src/", archive))
    template["Globals"]["Function"]["CodeUri"] = f"s3://{BUCKET}/code.zip"
    machine["DefinitionUri"] = {"Bucket": BUCKET, "Key": "machine.json"}
    cloudformation.create_stack(
        StackName=ALONE,
        TemplateBody=json.dumps(template),
        Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    )

    def status() -> str:
        [stack] = cloudformation.describe_stacks(StackName=ALONE)["Stacks"]
        assert "FAILED" not in stack["StackStatus"], cloudformation.describe_stack_events(StackName=ALONE)
        assert "ROLLBACK" not in stack["StackStatus"], cloudformation.describe_stack_events(StackName=ALONE)
        return str(stack["StackStatus"])

    until(status, lambda found: found == "CREATE_COMPLETE")
    yield local
    cloudformation.delete_stack(StackName=ALONE)


def _below(folder: str, archive: zipfile.ZipFile) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name in archive.namelist():
            if name.startswith(folder):
                made.writestr(name.removeprefix(folder), archive.read(name))
    return buffer.getvalue()


def test_an_exported_project_runs_alone(alone: Stack) -> None:
    def asked(event: Any) -> Any:
        answer = alone.client("lambda").invoke(FunctionName=f"{ALONE}-start", Payload=json.dumps(event))
        found = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, found
        return found

    started = asked({"trigger_data": {"numbers": [1, 2, 3]}})
    assert "run" in started, started
    ended = until(lambda: asked({"run": started["run"]}), lambda run: run["status"] in ("completed", "failed"))
    assert (ended["status"], ended["final_output"]) == ("completed", 12), ended

"""Starting a run when Step Functions does not take it."""

from __future__ import annotations

import boto3
import pytest
from botocore.exceptions import ClientError

from shared.aws import states
from shared.errors import Unavailable
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from stepfunctions import reconcile
from stepfunctions.published import Published
from stepfunctions.start import launch, start

PUBLISHED = Published("wf_test", 1, "0" * 64, "nowhere", (), 60, ())
BY = {"kind": "test", "id": None, "user": None}


def test_a_machine_that_is_not_known_everywhere_yet_may_be_asked_again(tenant):
    """So it is for a moment after it was made; moto says the same of one that was never made."""
    with pytest.raises(ClientError) as caught:
        boto3.client("stepfunctions").start_execution(stateMachineArn=states.machine_arn("nowhere"))
    assert caught.value.response["Error"]["Code"] == "StateMachineDoesNotExist"
    with pytest.raises(Unavailable):
        states.start_execution("nowhere", "once", {})


def test_a_run_that_cannot_be_launched_now_is_the_sweepers(tenant):
    run = start(tenant, PUBLISHED, trigger_node=None, trigger_data=None, triggered_by=BY)
    runs = RunStore(TenantTable(tenant))
    assert runs.get(run.id).status == "pending"
    with pytest.raises(Unavailable):
        launch(tenant, run, ())
    runs.look_again(run.id, 0)
    assert reconcile.sweep(lambda: 60.0) == {"failed": 1}  # it looked, and there is no plan of this run
    assert runs.get(run.id).ended


def test_whoever_starts_it_again_gets_the_same_run(tenant):
    asked = {"trigger_node": None, "trigger_data": {"a": 1}, "triggered_by": BY, "execution_id": "ex_once"}
    assert start(tenant, PUBLISHED, **asked) == start(tenant, PUBLISHED, **asked)

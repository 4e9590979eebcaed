"""What MiniStack with the shim does as AWS does. Each test is a promise that the compiler's skeletons rely on."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from botocore.exceptions import ClientError

from infrastructure.local import shim
from tests.infrastructure.conftest import Emulator, until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("emulator")]
PASS: dict[str, Any] = {"Type": "Pass", "End": True}


def test_another_version_of_ministack_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shim, "VERSION", "0.0.1")
    with pytest.raises(RuntimeError, match=r"made for MiniStack 0\.0\.1"):
        shim.apply()


def parallel(*branches: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"Type": "Parallel", "Branches": [{"StartAt": next(iter(b)), "States": b} for b in branches], **more}


def test_parallel_arguments_are_the_branches_input(emulator: Emulator) -> None:
    ended = emulator.run(
        {"P": parallel({"A": PASS}, {"B": PASS}, Arguments={"n": "{% $states.input.x + 1 %}"}, End=True)}, {"x": 1}
    )
    assert ended["output"] == [{"n": 2}, {"n": 2}]


def test_parallel_output_and_assign(emulator: Emulator) -> None:
    ended = emulator.run(
        {
            "P": parallel(
                {"A": PASS},
                Output="{% {'o': $states.result} %}",
                Assign={"v": "{% $count($states.result) %}"},
                Next="R",
            ),
            "R": {**PASS, "Output": "{% {'in': $states.input, 'v': $v} %}"},
        },
        {"x": 1},
    )
    assert ended["output"] == {"in": {"o": [{"x": 1}]}, "v": 1}


def test_branches_read_outer_variables_but_share_and_leak_none(emulator: Emulator) -> None:
    branch = {
        "A{}": {"Type": "Pass", "Assign": {"mine": "{}"}, "Next": "W{}"},
        "W{}": {"Type": "Wait", "Seconds": 1, "Next": "R{}"},
        "R{}": {**PASS, "Output": "{% {'mine': $mine, 'outer': $outer} %}"},
    }
    one, two = (json.loads(json.dumps(branch).replace("{}", n)) for n in "12")
    ended = emulator.run(
        {
            "S": {"Type": "Pass", "Assign": {"outer": "o"}, "Next": "P"},
            "P": parallel(one, two, Next="R"),
            "R": {**PASS, "Output": "{% {'got': $states.input, 'leaked': $exists($mine)} %}"},
        }
    )
    assert ended["output"] == {"got": [{"mine": "1", "outer": "o"}, {"mine": "2", "outer": "o"}], "leaked": False}


def test_a_failed_branch_ends_the_others_at_once(emulator: Emulator) -> None:
    waits = {"W": {"Type": "Wait", "Seconds": 600, "End": True}}
    fails = {"F": {"Type": "Fail", "Error": "Mine"}}
    caught = [{"ErrorEquals": ["Mine"], "Next": "C"}]
    ended = emulator.run(
        {
            "P": parallel(waits, fails, Catch=caught, End=True),
            "C": {"Type": "Succeed", "Output": "{% $states.input.Error %}"},
        }
    )
    assert ended["output"] == "Mine"


def test_map_iterations_have_variables_of_their_own(emulator: Emulator) -> None:
    inner = {
        "A": {"Type": "Pass", "Assign": {"mine": "{% $states.input.i %}"}, "Next": "W"},
        "W": {"Type": "Wait", "Seconds": 1, "Next": "R"},
        "R": {**PASS, "Output": "{% $mine %}"},
    }
    ended = emulator.run(
        {
            "M": {
                "Type": "Map",
                "Items": "{% $states.input.items %}",
                "ItemSelector": {"i": "{% $states.context.Map.Item.Value %}"},
                "ItemProcessor": {"StartAt": "A", "States": inner},
                "Output": "{% {'got': $states.result} %}",
                "Next": "R2",
            },
            "R2": {**PASS, "Output": "{% {'got': $states.input.got, 'leaked': $exists($mine)} %}"},
        },
        {"items": [1, 2, 3]},
    )
    assert ended["output"] == {"got": [1, 2, 3], "leaked": False}


def test_max_concurrency_may_be_an_expression(emulator: Emulator) -> None:
    ended = emulator.run(
        {
            "M": {
                "Type": "Map",
                "Items": "{% [1..4] %}",
                "MaxConcurrency": "{% $states.input.at_once %}",
                "ItemProcessor": {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 1, "End": True}}},
                "End": True,
            }
        },
        {"at_once": 2},
    )
    assert ended["output"] == [1, 2, 3, 4]
    assert 2 <= (ended["stopDate"] - ended["startDate"]).total_seconds() < 3.5


def test_distributed_map_takes_expressions_and_sees_no_outer_variable(emulator: Emulator) -> None:
    ended = emulator.run(
        {
            "S": {"Type": "Pass", "Assign": {"outer": 1}, "Next": "M"},
            "M": {
                "Type": "Map",
                "Label": "each",
                "Items": "{% $states.input.items %}",
                "ItemSelector": {
                    "i": "{% $states.context.Map.Item.Index %}",
                    "v": "{% $states.context.Map.Item.Value %}",
                },
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                    "StartAt": "A",
                    "States": {"A": {**PASS, "Output": "{% {'at': $states.input, 'outer': $exists($outer)} %}"}},
                },
                "Output": "{% {'got': $states.result} %}",
                "Assign": {"n": "{% $count($states.result) %}"},
                "Next": "R",
            },
            "R": {**PASS, "Output": "{% {'got': $states.input.got, 'n': $n} %}"},
        },
        {"items": ["a", "b"]},
    )
    assert ended["output"] == {
        "got": [{"at": {"i": 0, "v": "a"}, "outer": False}, {"at": {"i": 1, "v": "b"}, "outer": False}],
        "n": 2,
    }


def test_succeed_has_an_output(emulator: Emulator) -> None:
    assert emulator.run({"S": {"Type": "Succeed", "Output": "{% $states.input.x * 2 %}"}}, {"x": 21})["output"] == 42


def test_assign_sees_the_values_from_before_it(emulator: Emulator) -> None:
    ended = emulator.run(
        {
            "A": {"Type": "Pass", "Assign": {"a": 1}, "Next": "B"},
            "B": {"Type": "Pass", "Assign": {"a": 2, "b": "{% $a %}"}, "Next": "C"},
            "C": {**PASS, "Output": "{% [$a, $b] %}"},
        }
    )
    assert ended["output"] == [2, 1]


def test_a_callback_times_out_after_an_expression(emulator: Emulator) -> None:
    wait = emulator.callback(
        {}, TimeoutSeconds="{% $states.input.limit %}", Catch=[{"ErrorEquals": ["States.Timeout"], "Next": "C"}]
    )
    ended = emulator.run({"W": wait, "C": {"Type": "Succeed", "Output": "{% $states.input.Error %}"}}, {"limit": 1})
    assert ended["output"] == "States.Timeout"


def test_a_callback_without_heartbeat_times_out(emulator: Emulator) -> None:
    ended = emulator.run({"W": emulator.callback({}, TimeoutSeconds=600, HeartbeatSeconds=1)})
    assert (ended["status"], ended["error"]) == ("FAILED", "States.HeartbeatTimeout")


def test_a_callback_whose_function_raises_fails_at_once(emulator: Emulator) -> None:
    wait = emulator.callback({"how": "raise", "failures": 9, "file": str(emulator.file())}, TimeoutSeconds=600)
    ended = emulator.run(
        {
            "W": {**wait, "Catch": [{"ErrorEquals": ["TimeSlice"], "Next": "C"}]},
            "C": {"Type": "Succeed", "Output": "caught"},
        }
    )
    assert ended["output"] == "caught"


def test_a_retried_callback_gets_a_new_token(emulator: Emulator) -> None:
    file = emulator.file()
    retry = [{"ErrorEquals": ["TimeSlice"], "IntervalSeconds": 1, "MaxAttempts": 3}]
    wait = emulator.callback({"how": "raise", "failures": 1, "file": str(file)}, TimeoutSeconds=600, Retry=retry)
    execution = emulator.start(emulator.machine({"W": wait}))
    first, second = until(lambda: file.read_text().split() if file.exists() else [], lambda tokens: len(tokens) == 2)
    client = emulator.client("stepfunctions")
    assert first != second
    with pytest.raises(ClientError) as caught:
        client.send_task_success(taskToken=first, output="{}")
    assert caught.value.response["Error"]["Code"] == "TaskTimedOut"
    client.send_task_success(taskToken=second, output='{"yes": true}')
    assert emulator.end(execution)["output"] == {"yes": True}
    with pytest.raises(ClientError, match="TaskTimedOut"):
        client.send_task_success(taskToken=second, output="{}")


def test_a_stopped_execution_stays_aborted_and_its_token_dies(emulator: Emulator) -> None:
    file = emulator.file()
    execution = emulator.start(emulator.machine({"W": emulator.callback({"file": str(file)}, TimeoutSeconds=600)}))
    [token] = until(lambda: file.read_text().split() if file.exists() else [], bool)
    client = emulator.client("stepfunctions")
    client.stop_execution(executionArn=execution)

    def answer() -> str:
        try:
            client.send_task_success(taskToken=token, output="{}")
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return ""

    until(answer, lambda code: code == "TaskTimedOut", 3)
    assert emulator.end(execution)["status"] == "ABORTED"


def test_starting_a_running_execution_again_gives_the_same(emulator: Emulator) -> None:
    machine = emulator.machine({"W": {"Type": "Wait", "Seconds": 600, "End": True}})
    first = emulator.start(machine, {"a": 1}, name="once")
    assert emulator.start(machine, {"a": 1}, name="once") == first
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        emulator.start(machine, {"a": 2}, name="once")
    emulator.client("stepfunctions").stop_execution(executionArn=first)
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        emulator.start(machine, {"a": 1}, name="once")


def test_an_execution_starts_at_once(emulator: Emulator) -> None:
    machine = emulator.machine({"S": {"Type": "Succeed"}})
    took = []
    for _ in range(5):
        ended = emulator.end(emulator.start(machine))
        took.append((ended["stopDate"] - ended["startDate"]).total_seconds())
    assert min(took) < 0.1


def test_the_machines_own_timeout(emulator: Emulator) -> None:
    ended = emulator.run({"W": {"Type": "Wait", "Seconds": 600, "End": True}}, TimeoutSeconds=1)
    assert ended["status"] == "TIMED_OUT"


def test_max_delay_bounds_the_wait_between_attempts(emulator: Emulator) -> None:
    file = emulator.file()
    retry = [
        {"ErrorEquals": ["TimeSlice"], "IntervalSeconds": 1, "BackoffRate": 30, "MaxDelaySeconds": 2, "MaxAttempts": 3}
    ]
    ended = emulator.run(
        {"T": emulator.task({"how": "raise", "failures": 2, "file": str(file), "answer": "done"}, Retry=retry)}
    )
    assert ended["output"] == "done"
    assert (ended["stopDate"] - ended["startDate"]).total_seconds() < 10


def test_a_killed_worker_is_an_error_that_retry_sees(emulator: Emulator) -> None:
    file = emulator.file()
    event = {"how": "die", "failures": 1, "file": str(file), "answer": "done"}
    caught = {
        "T": emulator.task(event, Catch=[{"ErrorEquals": ["Runtime.ExitError"], "Next": "C"}]),
        "C": {"Type": "Succeed", "Output": "seen"},
    }
    assert emulator.run(caught)["output"] == "seen"
    file.unlink()
    retry = [{"ErrorEquals": ["Runtime.ExitError"], "IntervalSeconds": 1, "MaxAttempts": 2}]
    assert emulator.run({"T": emulator.task(event, Retry=retry)})["output"] == "done"
    assert len(file.read_text().split()) == 2


def test_a_raised_error_keeps_its_name_and_the_worker(emulator: Emulator) -> None:
    before = emulator.run({"T": emulator.task({})})["output"]["pid"]
    ended = emulator.run({"T": emulator.task({"how": "raise", "failures": 9, "file": str(emulator.file())})})
    assert ended["error"] == "TimeSlice"
    assert json.loads(ended["cause"])["errorMessage"] == "not yet"
    assert emulator.run({"T": emulator.task({})})["output"]["pid"] == before


def test_too_large_an_output_is_caught_by_nothing(emulator: Emulator) -> None:
    large = {**PASS, "Output": "{% $join([1..70000].('abcd')) %}"}
    caught = parallel({"L": large}, Catch=[{"ErrorEquals": ["States.ALL"], "Next": "C"}], End=True)
    assert emulator.run({"P": caught, "C": {"Type": "Succeed"}})["error"] == "States.DataLimitExceeded"


def test_the_history_has_the_states_of_branches(emulator: Emulator) -> None:
    ended = emulator.run({"P": parallel({"A": PASS}, {"B": PASS}, End=True)})
    events = emulator.client("stepfunctions").get_execution_history(executionArn=ended["executionArn"])["events"]
    assert sorted(e["stateEnteredEventDetails"]["name"] for e in events if e["type"].endswith("StateEntered")) == [
        "A",
        "B",
        "P",
    ]
    assert [e["id"] for e in events] == list(range(1, len(events) + 1))


def test_a_schedule_tells_its_function_the_instant_it_was_due(emulator: Emulator) -> None:
    file = emulator.file()
    due = datetime.now(UTC) + timedelta(seconds=2)
    there = due.astimezone(ZoneInfo("Asia/Kolkata"))
    emulator.client("scheduler").create_schedule(
        Name="once",
        ScheduleExpression=f"at({there:%Y-%m-%dT%H:%M:%S})",
        ScheduleExpressionTimezone="Asia/Kolkata",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": emulator.function_arn,
            "RoleArn": "arn:aws:iam::000000000000:role/probe",
            "Input": json.dumps({"file": str(file), "token": "<aws.scheduler.scheduled-time>"}),
        },
    )
    assert until(lambda: file.read_text() if file.exists() else "", bool, 8).strip() == f"{due:%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.slow
def test_a_cron_expression_is_in_its_time_zone(emulator: Emulator) -> None:
    file = emulator.file()
    zone = ZoneInfo("Asia/Kolkata")  # off by half an hour, too
    due = (datetime.now(zone) + timedelta(seconds=70)).replace(second=0, microsecond=0)
    emulator.client("scheduler").create_schedule(
        Name="daily",
        ScheduleExpression=f"cron({due.minute} {due.hour} * * ? *)",
        ScheduleExpressionTimezone=zone.key,
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": emulator.function_arn,
            "RoleArn": "arn:aws:iam::000000000000:role/probe",
            "Input": json.dumps({"file": str(file), "token": "<aws.scheduler.scheduled-time>"}),
        },
    )
    told = until(lambda: file.read_text() if file.exists() else "", bool, 80).strip()
    assert told == f"{due.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def test_express_executions_tell_nobody(emulator: Emulator) -> None:
    sqs, events = emulator.client("sqs"), emulator.client("events")
    queue = sqs.create_queue(QueueName="ended")["QueueUrl"]
    pattern = {"source": ["aws.states"], "detail": {"status": ["SUCCEEDED"]}}
    events.put_rule(Name="ended", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="ended", Targets=[{"Id": "q", "Arn": "arn:aws:sqs:us-east-1:000000000000:ended"}])
    definition = json.dumps({"QueryLanguage": "JSONata", "StartAt": "P", "States": {"P": PASS}})
    role = "arn:aws:iam::000000000000:role/probe"
    express, standard = (
        emulator.client("stepfunctions").create_state_machine(name=t, definition=definition, roleArn=role, type=t)
        for t in ("EXPRESS", "STANDARD")
    )
    for machine in (express, standard):
        assert emulator.end(emulator.start(machine["stateMachineArn"]))["status"] == "SUCCEEDED"
    told = until(lambda: sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []), bool)
    events.remove_targets(Rule="ended", Ids=["q"])
    events.delete_rule(Name="ended")
    assert {json.loads(m["Body"])["detail"]["stateMachineArn"] for m in told} == {standard["stateMachineArn"]}

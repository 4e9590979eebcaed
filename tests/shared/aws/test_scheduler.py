from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from shared.aws import clients, scheduler
from shared.clock import now_ms
from shared.errors import Unavailable
from tests.triggered import scheduled

NAME = "sch_1"


def put(**more) -> None:
    arguments = {
        "expression": "cron(0 9 ? * MON-FRI *)",
        "timezone": "Europe/Berlin",
        "start_ms": None,
        "end_ms": None,
        "enabled": True,
        "envelope": {"tenant": "t1", "scheduled_time": scheduler.SCHEDULED_TIME},
    }
    scheduler.put(NAME, **(arguments | more))


def test_a_schedule_calls_the_dispatcher_at_exactly_its_times(aws):
    put()
    found = scheduled(NAME)
    assert found["ScheduleExpression"] == "cron(0 9 ? * MON-FRI *)"
    assert found["ScheduleExpressionTimezone"] == "Europe/Berlin"
    assert found["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert found["State"] == "ENABLED"
    assert found["ActionAfterCompletion"] == "NONE"
    assert found["Target"]["Arn"] == aws["SW_DISPATCHER_ARN"]
    assert found["Target"]["RoleArn"] == aws["SW_SCHEDULER_ROLE_ARN"]
    assert found["Target"]["DeadLetterConfig"] == {"Arn": aws["SW_SCHEDULE_DEAD_LETTERS_ARN"]}
    assert found["Target"]["RetryPolicy"]["MaximumEventAgeInSeconds"] < 24 * 3600  # as long as an instant is remembered
    assert found["Input"] == {"tenant": "t1", "scheduled_time": "<aws.scheduler.scheduled-time>"}
    assert "StartDate" not in found
    assert "EndDate" not in found


def test_putting_it_again_replaces_all_of_it(aws):
    soon, later = now_ms() + 3_600_000, now_ms() + 7_200_000
    put(start_ms=soon, end_ms=later, enabled=False)
    found = scheduled(NAME)
    assert found["State"] == "DISABLED"
    assert abs(found["StartDate"] - datetime.fromtimestamp(soon / 1000, UTC)) < timedelta(seconds=1)
    assert abs(found["EndDate"] - datetime.fromtimestamp(later / 1000, UTC)) < timedelta(seconds=1)
    put(expression="rate(2 hours)", timezone="UTC")
    found = scheduled(NAME)
    assert (found["ScheduleExpression"], found["State"]) == ("rate(2 hours)", "ENABLED")
    assert found["ScheduleExpressionTimezone"] == "UTC"
    assert "StartDate" not in found


def test_deleting_it_twice_is_no_error(aws):
    put()
    scheduler.delete(NAME)
    assert scheduled(NAME) is None
    scheduler.delete(NAME)


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerException"])
def test_a_busy_scheduler_is_told_apart_from_a_bug(aws, monkeypatch, code):
    def refuse(**_arguments):
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, "x")

    for operation in ("update_schedule", "delete_schedule"):
        monkeypatch.setattr(clients.client("scheduler"), operation, refuse)
    with pytest.raises(Unavailable):
        put()
    with pytest.raises(Unavailable):
        scheduler.delete(NAME)


def test_a_bug_is_raised_as_it_is(aws):
    with pytest.raises(ClientError, match="StartDate"):
        put(start_ms=0)

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import clock
from shared.triggers.cron import BadSchedule, problems, timing


def upcoming(config: dict[str, Any], after: str, count: int = 3) -> list[str]:
    return [clock.iso(ms).replace(".000", "") for ms in timing(config).upcoming(clock.parse(after), count)]


@pytest.mark.parametrize(
    ("cron", "expression"),
    [
        ("*/15 * * * *", "cron(0,15,30,45 * * * ? *)"),
        ("0 9 * * *", "cron(0 9 * * ? *)"),
        ("0 9 * * 1-5", "cron(0 9 ? * MON,TUE,WED,THU,FRI *)"),
        ("0 9 * * mon-fri", "cron(0 9 ? * MON,TUE,WED,THU,FRI *)"),
        ("0 0 * * 0", "cron(0 0 ? * SUN *)"),
        ("0 0 * * 7", "cron(0 0 ? * SUN *)"),
        ("0 0 * * 5-7", "cron(0 0 ? * SUN,FRI,SAT *)"),
        ("0 0 1,15 * *", "cron(0 0 1,15 * ? *)"),
        ("10-20 0 1 JAN-MAR *", "cron(10-20 0 1 1-3 ? *)"),
        ("0 0 L * *", "cron(0 0 L * ? *)"),
        ("0 0 * * 1#2", "cron(0 0 ? * 2#2 *)"),
        ("0 0 * * 5L", "cron(0 0 ? * 6L *)"),
        ("0 30 9 * * 1", "cron(30 9 ? * MON *)"),
        ("0 12 ? * MON-FRI *", "cron(0 12 ? * MON,TUE,WED,THU,FRI *)"),
        ("0 12 ? * 2-6 *", "cron(0 12 ? * MON,TUE,WED,THU,FRI *)"),
        ("0 12 ? * 1 2030-2032", "cron(0 12 ? * SUN 2030-2032)"),
        ("0 12 15 * ? 2030", "cron(0 12 15 * ? 2030)"),
        ("0 12 ? * 6L *", "cron(0 12 ? * 6L *)"),
        ("0 12 ? * 2#1 *", "cron(0 12 ? * 2#1 *)"),
        ("* * * * ? *", "cron(* * * * ? *)"),
    ],
)
def test_crons_become_eventbridge_expressions(cron: str, expression: str) -> None:
    assert timing({"cron": cron}).expression == expression


@pytest.mark.parametrize(
    ("every", "expression"),
    [
        ("1 minute", "rate(1 minute)"),
        ("5 minutes", "rate(5 minutes)"),
        ("1 Hours", "rate(1 hour)"),
        (" 2 days ", "rate(2 days)"),
        ("1 week", "rate(7 days)"),
    ],
)
def test_intervals_become_rates(every: str, expression: str) -> None:
    assert timing({"every": every}).expression == expression


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({}, "cron"),
        ({"cron": ""}, "cron"),
        ({"cron": "0 9 * * *", "every": "1 day"}, "cron"),
        ({"cron": "0 9 * *"}, "cron"),
        ({"cron": "0 9 * * * * *"}, "cron"),
        ({"cron": "60 9 * * *"}, "cron"),
        ({"cron": "0 24 * * *"}, "cron"),
        ({"cron": "0 0 0 * *"}, "cron"),
        ({"cron": "0 0 32 * *"}, "cron"),
        ({"cron": "0 0 * 13 *"}, "cron"),
        ({"cron": "0 0 * * 8"}, "cron"),
        ({"cron": "0 0 * * MOON"}, "cron"),
        ({"cron": "5-1 * * * *"}, "cron"),
        ({"cron": "*/0 * * * *"}, "cron"),
        ({"cron": "1-2/ * * * *"}, "cron"),
        ({"cron": "0 0 1 * 1"}, "cron"),
        ({"cron": "0 0 */2 * 1"}, "cron"),
        ({"cron": "0 0 ? * 1"}, "cron"),
        ({"cron": "30 0 9 * * 1"}, "cron"),
        ({"cron": "*/10 0 9 * * 1"}, "cron"),
        ({"cron": "0 12 ? * ? *"}, "cron"),
        ({"cron": "0 12 ? * 0 *"}, "cron"),
        ({"cron": "0 12 ? * 8 *"}, "cron"),
        ({"cron": "0 12 ? * MON 1900"}, "cron"),
        ({"cron": "0 12 ? * MON 2030-2020"}, "cron"),
        ({"cron": "0 12 ? * MON soon"}, "cron"),
        ({"cron": "0 0 15W * *"}, "cron"),
        ({"cron": "0 0 LW * *"}, "cron"),
        ({"cron": "0 0 1,L * *"}, "cron"),
        ({"cron": "0 0 L/2 * *"}, "cron"),
        ({"cron": "0 0 * * 1#6"}, "cron"),
        ({"cron": "0 0 * * 1#1,2#2"}, "cron"),
        ({"cron": "0 0 30 2 *"}, "cron"),
        ({"cron": "0 0 31 4,6 *"}, "cron"),
        ({"cron": "é * * * *"}, "cron"),
        ({"cron": "٣ * * * *"}, "cron"),
        ({"cron": "0 0 ? * MON " + ",".join(map(str, range(2030, 2150, 2)))}, "cron"),  # over EventBridge's length
        ({"every": "5"}, "every"),
        ({"every": "0 minutes"}, "every"),
        ({"every": "-1 day"}, "every"),
        ({"every": "1.5 hours"}, "every"),
        ({"every": "10 seconds"}, "every"),
        ({"every": "999999 days"}, "every"),
        ({"cron": "0 9 * * *", "timezone": "Europe/Atlantis"}, "timezone"),
        ({"cron": "0 9 * * *", "timezone": "../../etc/passwd"}, "timezone"),
        ({"cron": "0 9 * * *", "timezone": "Europe"}, "timezone"),
        ({"cron": "0 9 * * *", "timezone": "CEST+2"}, "timezone"),
        ({"cron": "0 9 * * *", "start": "tomorrow"}, "start"),
        ({"cron": "0 9 * * *", "end": "2026-02-30T00:00:00Z"}, "end"),
        ({"cron": "0 9 * * *", "start": "2026-02-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}, "end"),
    ],
)
def test_schedules_that_cannot_be_kept_say_why(config: dict[str, Any], field: str) -> None:
    (problem,) = problems(config)
    assert problem.path == f"config.{field}"
    assert len(problem.message) > 10


def test_good_schedules_have_no_problems() -> None:
    assert not list(problems({"cron": "0 0 29 2 *", "timezone": "Asia/Kolkata", "start": None, "end": None}))
    assert not list(problems({"every": "1 day", "start": "2026-01-01T00:00:00+02:00"}))


def test_local_times_follow_the_zone() -> None:
    config = {"cron": "0 9 * * *", "timezone": "America/New_York"}
    assert upcoming(config, "2026-01-10T12:00:00Z", 1) == ["2026-01-10T14:00:00Z"]
    assert upcoming(config, "2026-07-10T12:00:00Z", 1) == ["2026-07-10T13:00:00Z"]
    assert upcoming({**config, "timezone": "Asia/Kolkata"}, "2026-01-10T12:00:00Z", 1) == ["2026-01-11T03:30:00Z"]


def test_a_local_time_that_is_skipped_does_not_happen() -> None:
    # On 29 March 2026 clocks in Berlin go from 02:00 to 03:00.
    config = {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}
    assert upcoming(config, "2026-03-28T00:00:00Z", 2) == ["2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z"]
    around = upcoming({**config, "cron": "0,30 * * * *"}, "2026-03-29T00:00:00Z", 3)
    assert around == ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"]


def test_a_local_time_that_is_repeated_happens_once() -> None:
    # On 25 October 2026 clocks in Berlin go from 03:00 back to 02:00, at 01:00 UTC.
    config = {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}
    assert upcoming(config, "2026-10-24T12:00:00Z", 2) == ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
    assert upcoming(config, "2026-10-25T00:45:00Z", 1) == ["2026-10-26T01:30:00Z"]
    assert upcoming(config, "2026-10-25T01:15:00Z", 1) == ["2026-10-26T01:30:00Z"]  # asked in the second 02:15


def test_years_in_the_past_and_far_ahead() -> None:
    assert upcoming({"cron": "0 0 1 1 ? 2020"}, "2026-01-01T00:00:00Z") == []
    assert upcoming({"cron": "0 0 1 1 ? 2090"}, "2026-01-01T00:00:00Z") == ["2090-01-01T00:00:00Z"]
    assert upcoming({"cron": "0 0 29 2 *"}, "2026-01-01T00:00:00Z", 2) == [
        "2028-02-29T00:00:00Z",
        "2032-02-29T00:00:00Z",
    ]


def test_start_and_end_bound_a_cron() -> None:
    config = {"cron": "0 0 * * *", "start": "2026-01-03T00:00:00Z", "end": "2026-01-04T00:00:00Z"}
    assert upcoming(config, "2026-01-01T00:00:00Z") == ["2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z"]


def test_an_interval_counts_from_when_it_was_made_or_starts() -> None:
    every = timing({"every": "10 minutes"})
    made, now = clock.parse("2026-01-01T00:03:00Z"), clock.parse("2026-01-01T00:30:00Z")
    assert clock.iso(every.next_after(now, anchor_ms=made) or 0) == "2026-01-01T00:33:00.000Z"
    assert clock.iso(every.next_after(made, anchor_ms=made) or 0) == "2026-01-01T00:13:00.000Z"
    later = {"every": "10 minutes", "start": "2026-01-01T01:00:00Z", "end": "2026-01-01T01:25:00Z"}
    assert upcoming(later, "2026-01-01T00:00:00Z") == ["2026-01-01T01:10:00Z", "2026-01-01T01:20:00Z"]


FIELD = st.one_of(st.just("*"), st.integers(0, 70).map(str), st.from_regex(r"\A[0-9*,/L#?W-]{1,6}\Z"))


@settings(max_examples=300, deadline=None)
@given(st.lists(FIELD, min_size=5, max_size=6).map(" ".join))
def test_any_text_is_a_timing_or_a_bad_schedule(cron: str) -> None:
    try:
        made = timing({"cron": cron, "timezone": "Europe/Berlin"})
    except BadSchedule:
        return
    after = clock.parse("2026-03-29T00:00:00Z")
    due = made.next_after(after)
    assert due is None or (due > after and due % 60_000 == 0)
    assert made.expression.startswith("cron(")
    assert len(made.expression.split()) == 6

"""When a schedule is due: cron and interval, with time zones, as EventBridge Scheduler keeps them.

Three ways to write a time, one meaning each:

    minute hour day month weekday          Unix cron; weekdays 0-7 (0 and 7 are Sunday) or SUN-SAT
    0 minute hour day month weekday        the same with a leading second, which can only be 0
    minute hour day month weekday year     EventBridge's own, told by the `?` it has for day or weekday; weekdays 1-7

EventBridge cannot hold a day of the month *and* a weekday in one expression, so that is refused here, with the reason.
Daylight saving time is EventBridge's: a local time that is skipped does not happen, one that is repeated happens once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from shared import clock
from shared.errors import Problem

_MAX_EXPRESSION: Final = 256  # ScheduleExpression's limit
_MAX_RATE_DAYS: Final = 365
_UNITS: Final = {"minute": 60, "hour": 3_600, "day": 86_400, "week": 7 * 86_400}
_EVERY: Final = re.compile(r"(\d{1,6})\s+(minute|hour|day|week)s?", re.IGNORECASE)
_WEEKDAY: Final = re.compile(r"(?P<a>[1-7])(?:-(?P<b>[1-7]))?(?P<rest>[L]|#[1-5]|/\d+)?")
_DAY_NAMES: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_YEARS: Final = range(1970, 2200)


class BadSchedule(ValueError):
    """A schedule that cannot be kept; `field` is the config field, the message says why."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Interval:
    """Every so many seconds."""

    seconds: int

    def next_after(self, after_ms: int, base_ms: int) -> int:
        """The first instant after `after_ms` that is a whole number of intervals (at least one) after `base_ms`."""
        step = self.seconds * 1_000
        return base_ms + max(1, (after_ms - base_ms) // step + 1) * step


@dataclass(frozen=True, slots=True)
class Cron:
    """Wall-clock times in a zone."""

    fields: str  # as cronsim reads them: minute hour day month weekday
    years: tuple[int, ...] | None  # None = every year

    def next_after(self, after_ms: int, zone: ZoneInfo) -> int | None:
        """The first instant after `after_ms`; None when there is none any more."""
        from cronsim import CronSim

        after = datetime.fromtimestamp(after_ms / 1_000, UTC)
        wall = after.astimezone(zone).replace(tzinfo=None)
        while True:
            # Wall-clock times without a zone: cronsim's own handling of daylight saving is Debian's, not EventBridge's.
            candidate = next(CronSim(self.fields, self._into_years(wall)), None)
            if candidate is None or candidate.year > (self.years or _YEARS)[-1]:
                return None
            wall = candidate
            if self.years is not None and candidate.year not in self.years:
                continue
            due = candidate.replace(tzinfo=zone).astimezone(UTC)  # fold=0: the first of two, so that it happens once
            if due.astimezone(zone).replace(tzinfo=None) == candidate and due > after:
                return round(due.timestamp() * 1_000)

    def _into_years(self, wall: datetime) -> datetime:
        if self.years is None or wall.year in self.years:
            return wall
        later = next((y for y in self.years if y > wall.year), None)
        return wall if later is None else datetime(later, 1, 1) - timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Timing:
    """When a schedule is due. Make it with `timing`."""

    expression: str  # EventBridge's ScheduleExpression: cron(…) or rate(…)
    timezone: str
    start_ms: int | None
    end_ms: int | None
    rule: Interval | Cron

    def next_after(self, after_ms: int, *, anchor_ms: int | None = None) -> int | None:
        """The first instant after `after_ms` that it is due, in milliseconds; None when there is none any more.

        An interval counts from `anchor_ms`, when the schedule was made, or from its start if that is later.
        """
        if isinstance(self.rule, Interval):
            anchor = after_ms if anchor_ms is None else anchor_ms
            due: int | None = self.rule.next_after(after_ms, max(anchor, self.start_ms or 0))
        else:
            floor = after_ms if self.start_ms is None else max(after_ms, self.start_ms - 1)
            due = self.rule.next_after(floor, ZoneInfo(self.timezone))
        return None if due is None or (self.end_ms is not None and due > self.end_ms) else due

    def upcoming(self, after_ms: int, count: int, *, anchor_ms: int | None = None) -> list[int]:
        """The next instants, at most `count`."""
        found: list[int] = []
        anchor = after_ms if anchor_ms is None else anchor_ms
        while len(found) < count and (due := self.next_after(after_ms, anchor_ms=anchor)) is not None:
            found.append(due)
            after_ms = due
        return found


def timing(config: Mapping[str, Any]) -> Timing:
    """The timing of a `schedule` node's config. Raises BadSchedule."""
    given = [f for f in ("cron", "every") if config.get(f)]
    if len(given) != 1:
        raise BadSchedule("cron", "give either cron or every" + (", not both" if given else ""))
    zone = config.get("timezone") or "UTC"
    if not _is_zone(zone):
        raise BadSchedule("timezone", f"there is no time zone {zone!r}; take an IANA name such as Europe/Berlin")
    start, end = _moment(config, "start"), _moment(config, "end")
    if start is not None and end is not None and end <= start:
        raise BadSchedule("end", "the end is not after the start")
    if given == ["every"]:
        interval, expression = _interval(config["every"])
        return Timing(expression, zone, start, end, interval)
    cron, expression = _cron(config["cron"])
    return Timing(expression, zone, start, end, cron)


def problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with a `schedule` node's config."""
    try:
        made = timing(config)
    except BadSchedule as error:
        yield Problem("invalid_schedule", str(error), f"config.{error.field}")
        return
    if isinstance(made.rule, Cron) and _never(made.rule):
        yield Problem("invalid_schedule", "this cron never comes due", "config.cron")


def _never(rule: Cron) -> bool:
    """Whether the cron matches no date at all, such as 30 February."""
    first = datetime(rule.years[0] if rule.years else 2000, 1, 1, tzinfo=UTC)
    return rule.next_after(round(first.timestamp() * 1_000) - 1, ZoneInfo("UTC")) is None


def _moment(config: Mapping[str, Any], field: str) -> int | None:
    if not config.get(field):
        return None
    try:
        return clock.parse(config[field])
    except (ValueError, AttributeError, OverflowError):
        raise BadSchedule(field, f"{field} is no RFC 3339 time") from None


@lru_cache(maxsize=1_024)
def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not found; odd characters; a directory
        return False
    return not name.startswith(("posix/", "right/")) and name != "localtime"


def _interval(text: str) -> tuple[Interval, str]:
    match = _EVERY.fullmatch(text.strip())
    if match is None or int(match[1]) == 0:
        raise BadSchedule("every", "every is a whole number of minutes, hours, days or weeks, such as '5 minutes'")
    count, unit = int(match[1]), match[2].lower()
    seconds = count * _UNITS[unit]
    if seconds > _MAX_RATE_DAYS * 86_400:
        raise BadSchedule("every", f"every is at most {_MAX_RATE_DAYS} days")
    if unit == "week":
        count, unit = count * 7, "day"
    return Interval(seconds), f"rate({count} {unit}{'' if count == 1 else 's'})"


@lru_cache(maxsize=1_024)
def _cron(text: str) -> tuple[Cron, str]:
    """The rule, and EventBridge's expression of it."""
    parts = text.upper().split()
    years: tuple[int, ...] | None = None
    year = "*"
    if len(parts) == 6 and "?" in (parts[2], parts[4]):
        year = parts.pop()
        years = _year_set(year)
        if parts[2] == "?" and parts[4] == "?":
            raise BadSchedule("cron", "only one of day and weekday can be ?")
        parts[4] = ",".join(_unix_weekday(term) for term in parts[4].split(","))
        parts = ["*" if p == "?" else p for p in parts]
    elif len(parts) == 6:
        if not parts[0].isdigit() or int(parts[0]) != 0:
            raise BadSchedule("cron", "schedules go by whole minutes: of six fields the first (the second) must be 0")
        parts = parts[1:]
    if len(parts) != 5:
        raise BadSchedule("cron", f"a cron has 5 or 6 fields, not {len(text.split())}")
    if any("?" in p for p in parts):
        raise BadSchedule("cron", "? only stands for day or weekday in EventBridge's six fields, with the year last")
    if "W" in parts[2]:
        raise BadSchedule("cron", "W (the nearest weekday) is not supported")
    if parts[2] != "*" and parts[4] != "*":
        raise BadSchedule("cron", "a cron can name a day of the month or a weekday, not both; take two schedules")
    fields = " ".join(parts)
    expression = _eventbridge(fields, parts, year)
    if len(expression) > _MAX_EXPRESSION:
        raise BadSchedule("cron", f"this cron is too long for EventBridge: over {_MAX_EXPRESSION} characters")
    return Cron(fields, years), expression


def _eventbridge(fields: str, parts: list[str], year: str) -> str:
    from cronsim import CronSim, CronSimError

    try:
        parsed = CronSim(fields, datetime(2000, 1, 1))
    except CronSimError as error:
        raise BadSchedule("cron", f"{str(error).lower()} in the cron") from None
    except (AssertionError, ValueError, TypeError):  # such as `1-2/`, or a step over `L`
        raise BadSchedule("cron", "this is no cron") from None
    day, weekday = "?", "?"
    if parts[2] == "*" and parts[4] != "*":
        weekday = _weekdays(parsed.weekdays)
    elif parts[2] == "L":
        day = "L"
    elif any(d < 0 for d in parsed.days):
        raise BadSchedule("cron", "L (the last day of the month) stands alone")
    else:
        day = _listed(parsed.days, 1, 31)
    minutes, hours = _listed(parsed.minutes, 0, 59), _listed(parsed.hours, 0, 23)
    return f"cron({minutes} {hours} {day} {_listed(parsed.months, 1, 12)} {weekday} {year})"


def _listed(values: set[int], low: int, high: int) -> str:
    """`*`, or the values in order with runs as ranges: `0,15,30-35`."""
    if len(values) == high - low + 1:
        return "*"
    runs: list[list[int]] = []
    for value in sorted(values):
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def _weekdays(values: set[int | tuple[int, int]]) -> str:
    """Names, so that nobody has to know where a week starts: `MON,TUE`; the n-th and last keep EventBridge's form."""
    plain = sorted({v % 7 for v in values if isinstance(v, int)})
    marked = sorted({(v[0] % 7, v[1]) for v in values if isinstance(v, tuple)})
    if len(plain) == 7:
        return "*"
    if marked and (plain or len(marked) > 1):
        raise BadSchedule("cron", "the n-th or last weekday of a month stands alone")
    if marked:
        ((day, nth),) = marked
        return f"{day + 1}L" if nth < 0 else f"{day + 1}#{nth}"
    return ",".join(_DAY_NAMES[v] for v in plain)


def _unix_weekday(term: str) -> str:
    """EventBridge counts weekdays from SUN = 1, Unix from SUN = 0."""
    match = _WEEKDAY.fullmatch(term)
    if match is None:
        if re.search(r"(?<![#/\d])[0-9]", term):
            raise BadSchedule("cron", "in EventBridge's six fields weekdays are 1 (Sunday) to 7, or SUN to SAT")
        return term
    last = f"-{int(match['b']) - 1}" if match["b"] else ""
    return f"{int(match['a']) - 1}{last}{match['rest'] or ''}"


def _year_set(text: str) -> tuple[int, ...] | None:
    if text == "*":
        return None
    found: set[int] = set()
    for term in text.split(","):
        match = re.fullmatch(r"(\d{4}|\*)(?:-(\d{4}))?(?:/(\d{1,3}))?", term)
        if match is None or (match[3] and int(match[3]) == 0):
            raise BadSchedule("cron", "bad year in the cron")
        first = _YEARS[0] if match[1] == "*" else int(match[1])
        last = int(match[2]) if match[2] else _YEARS[-1] if match[3] or match[1] == "*" else first
        chosen = range(first, last + 1, int(match[3] or 1))
        if not chosen or first not in _YEARS or last not in _YEARS:
            raise BadSchedule("cron", "the years of a cron lie between 1970 and 2199")
        found.update(chosen)
    return tuple(sorted(found))

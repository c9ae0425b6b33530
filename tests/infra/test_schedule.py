"""Scheduled floors as people write them become the schedules that Application Auto Scaling takes."""

import contextlib
import re
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.schedule import Floor, ScheduleError, fewest_at, parse_floors


def test_days_hours_and_tasks_are_read() -> None:
    weekdays, weekend = parse_floors("mon-fri 08:00-20:30 6; sat 10:00-18:00 3")
    assert weekdays == Floor((0, 1, 2, 3, 4), 480, 1230, 6)
    assert (weekdays.starts, weekdays.ends) == ("cron(0 8 ? * MON-FRI *)", "cron(30 20 ? * MON-FRI *)")
    assert weekend.starts == "cron(0 10 ? * SAT *)"
    assert (weekdays.name, weekend.name) == ("mon-fri-0800", "sat-1000")


def test_nothing_is_scheduled_by_default() -> None:
    assert parse_floors("") == parse_floors("  ") == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("weekdays 8-20 6", "is not of the form"),
        ("mon-fri 08:00-20:00", "is not of the form"),
        ("fri-mon 08:00-20:00 6", "names no days in the order of a week"),
        ("mon-sub 08:00-20:00 6", "names no days"),
        ("mon 20:00-08:00 6", "ends before it begins"),
        ("mon 08:00-24:00 6", "holds no time of day"),
        ("mon 08:60-09:00 6", "holds no time of day"),
        ("mon-fri 08:00-20:00 6; fri 19:00-22:00 3", "mon-fri-0800 and fri-1900 overlap or touch"),
        ("mon 08:00-12:00 6; mon 12:00-14:00 3", "overlap or touch"),
        ("mon 08:00-12:00 6;", "is not of the form"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ScheduleError, match=re.escape(reason)):
        parse_floors(text)


@pytest.mark.parametrize(
    ("moment", "fewest"),
    [
        ("2026-11-02 07:59", 2),  # a Monday
        ("2026-11-02 08:00", 6),
        ("2026-11-06 20:29", 6),
        ("2026-11-06 20:30", 2),
        ("2026-11-07 09:00", 2),
        ("2026-11-07 12:00", 3),
        ("2026-11-08 12:00", 2),
    ],
)
def test_a_moment_has_the_floor_that_is_in_force(moment: str, fewest: int) -> None:
    floors = parse_floors("mon-fri 08:00-20:30 6; sat 10:00-18:00 3")
    assert fewest_at(datetime.fromisoformat(moment), floors, 2) == fewest


@given(st.text(max_size=60))
def test_any_other_text_is_refused_and_never_crashes(text: str) -> None:
    with contextlib.suppress(ScheduleError):
        assert parse_floors(text) == () or ":" in text

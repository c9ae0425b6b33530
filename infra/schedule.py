"""Scheduled floors: the fewest tasks at certain hours of certain days, as a team writes them down.

`mon-fri 08:00-20:00 6; sat-sun 10:00-18:00 3` keeps at least six tasks on weekdays from eight to eight.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EXAMPLE = "mon-fri 08:00-20:00 6"

_FLOOR = re.compile(
    r"(?P<first>[a-z]{3})(-(?P<last>[a-z]{3}))? (?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d) (?P<tasks>\d{1,4})"
)


class ScheduleError(ValueError):
    """A schedule that cannot be kept; the text says which part and why."""


@dataclass(frozen=True)
class Floor:
    """days: indexes of DAYS. start, end: minutes after midnight. tasks: the fewest in between."""

    days: tuple[int, ...]
    start: int
    end: int
    tasks: int

    @property
    def name(self) -> str:
        return f"{self._days('-').lower()}-{self.start // 60:02}{self.start % 60:02}"

    @property
    def starts(self) -> str:
        """When it begins, as Application Auto Scaling writes schedules."""
        return self._cron(self.start)

    @property
    def ends(self) -> str:
        return self._cron(self.end)

    def _cron(self, minutes: int) -> str:
        return f"cron({minutes % 60} {minutes // 60} ? * {self._days('-').upper()} *)"

    def _days(self, to: str) -> str:
        first, last = DAYS[self.days[0]], DAYS[self.days[-1]]
        return first if first == last else f"{first}{to}{last}"


def fewest_at(moment: datetime, floors: Sequence[Floor], otherwise: int) -> int:
    """The tasks of the floor in force. moment: in the floors' time zone; otherwise: where there is none."""
    minute = moment.hour * 60 + moment.minute
    return next(
        (f.tasks for f in floors if moment.weekday() in f.days and f.start <= minute < f.end), otherwise
    )


def parse_floors(text: str) -> tuple[Floor, ...]:
    """The floors of `text`, none for the empty text. Raises ScheduleError."""
    floors = tuple(_floor(part.strip()) for part in text.split(";")) if text.strip() else ()
    for index, one in enumerate(floors):
        for other in floors[index + 1 :]:
            # At the same minute one would end what the other has just begun, in no order.
            if set(one.days) & set(other.days) and one.start <= other.end and other.start <= one.end:
                raise ScheduleError(f"{one.name} and {other.name} overlap or touch")
    return floors


def _floor(part: str) -> Floor:
    found = _FLOOR.fullmatch(part)
    if found is None:
        raise ScheduleError(f"{part!r} is not of the form DAYS HH:MM-HH:MM TASKS")
    first, last = found["first"], found["last"] or found["first"]
    if first not in DAYS or last not in DAYS or DAYS.index(last) < DAYS.index(first):
        raise ScheduleError(f"{part!r} names no days in the order of a week ({', '.join(DAYS)})")
    start, end = _minutes(found["start"], part), _minutes(found["end"], part)
    if end <= start:
        raise ScheduleError(f"{part!r} ends before it begins; write a night as two floors")
    days = tuple(range(DAYS.index(first), DAYS.index(last) + 1))
    return Floor(days, start, end, int(found["tasks"]))


def _minutes(clock: str, part: str) -> int:
    hours, minutes = int(clock[:2]), int(clock[3:])
    if hours > 23 or minutes > 59:
        raise ScheduleError(f"{part!r} holds no time of day")
    return hours * 60 + minutes

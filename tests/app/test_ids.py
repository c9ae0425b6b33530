"""Ids: in the order of their making, whatever the clock does."""

import pytest

from app import ids
from app.ids import first_id, new_id


class Clock:
    """Unix time in nanoseconds, as it is set."""

    now_ms = 1_800_000_000_000

    def time_ns(self) -> int:
        return self.now_ms * 1_000_000


def test_each_id_is_larger_than_the_one_before() -> None:
    made = [new_id("proj_") for _ in range(2000)]
    assert made == sorted(set(made))


def test_a_clock_that_is_set_back_does_not_change_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(ids, "time", clock)
    monkeypatch.setattr(ids, "_last_ms", 0)
    first = new_id("key_")
    clock.now_ms -= 60_000
    assert new_id("key_") > first


def test_ids_of_a_time_lie_between_the_first_of_theirs_and_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(ids, "time", clock)
    monkeypatch.setattr(ids, "_last_ms", 0)
    made = new_id("log-")
    assert first_id("log-", clock.now_ms) < made < first_id("log-", clock.now_ms + 1)
    assert first_id("log-", 0) < first_id("log-", 17_000_000_000_000) < first_id("log-", 17_500_000_000_000)

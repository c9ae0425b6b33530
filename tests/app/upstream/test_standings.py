"""Models that fail are left alone for a while, and one request finds out when they are well again."""

import pytest

from app.models.latency import Latencies
from app.upstream import routes, standings
from app.upstream.standings import Standings

MODELS = ("a", "b", "c")


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(routes, "time", clock)
    monkeypatch.setattr(standings, "time", clock)
    return clock


def test_one_that_failed_comes_last_until_it_has_cooled_down(clock: Clock) -> None:
    known = Standings(Latencies())
    known.failed("a", told_wait_s=5)
    assert known.warm_and_cooling(MODELS) == (["b", "c"], ["a"])
    clock.now += 5
    assert known.warm_and_cooling(MODELS) == (["a", "b", "c"], [])


def test_one_request_finds_out_and_the_others_wait_for_it(clock: Clock) -> None:
    known = Standings(Latencies())
    known.failed("a", told_wait_s=5)
    clock.now += 5
    known.asked("a")
    assert known.warm_and_cooling(MODELS) == (["b", "c"], ["a"])
    known.worked("a")
    assert known.warm_and_cooling(MODELS) == (["a", "b", "c"], [])


def test_it_cools_down_longer_with_each_failure_in_a_row(clock: Clock) -> None:
    known = Standings(Latencies())
    known.failed("a")
    known.failed("a")
    clock.now += 1.5
    assert known.warm_and_cooling(MODELS)[1] == ["a"]
    clock.now += 0.5
    assert known.warm_and_cooling(MODELS)[1] == []

import math

from hypothesis import given
from hypothesis import strategies as st

from local.target_tracking import Bounds, LastActivity, TrackingPolicy, desired_count

BOUNDS = Bounds(1, 10)
NEVER = LastActivity()
REQUESTS = TrackingPolicy("requests", "requests", 100, scale_out_cooldown_s=60, scale_in_cooldown_s=300)
CPU = TrackingPolicy("cpu", "cpu", 60, scale_out_cooldown_s=60, scale_in_cooldown_s=300)

metric = st.none() | st.floats(0, 1e6)


@st.composite
def bounds(draw: st.DrawFn) -> Bounds:
    minimum = draw(st.integers(1, 50))
    return Bounds(minimum, draw(st.integers(minimum, 100)))


@given(st.integers(0, 200), bounds(), metric, metric, st.floats(0, 1000))
def test_the_count_stays_within_the_bounds(
    current: int, within: Bounds, requests: float | None, cpu: float | None, since: float
) -> None:
    last = LastActivity(-since, -since)
    wanted = desired_count(current, within, [(REQUESTS, requests), (CPU, cpu)], last, 0)
    assert within.minimum <= wanted <= within.maximum


@given(st.integers(1, 10), st.floats(0, 1e5), st.floats(0, 1e5))
def test_more_load_never_wants_fewer_tasks(current: int, some: float, more: float) -> None:
    low, high = sorted((some, more))
    assert desired_count(current, BOUNDS, [(REQUESTS, low)], NEVER, 0) <= desired_count(
        current, BOUNDS, [(REQUESTS, high)], NEVER, 0
    )


@given(st.integers(1, 10), metric, metric)
def test_nothing_shrinks_within_the_scale_in_cooldown(
    current: int, requests: float | None, cpu: float | None
) -> None:
    for last in (LastActivity(scaled_out_at=-299), LastActivity(scaled_in_at=-299)):
        assert desired_count(current, BOUNDS, [(REQUESTS, requests), (CPU, cpu)], last, 0) >= current


@given(st.integers(2, 10), st.floats(90, 1e5))
def test_one_policy_that_needs_the_tasks_keeps_them(current: int, requests: float) -> None:
    assert desired_count(current, BOUNDS, [(REQUESTS, requests), (CPU, 0)], NEVER, 0) >= current


def test_enough_tasks_are_added_to_meet_the_target() -> None:
    assert desired_count(2, BOUNDS, [(REQUESTS, 250)], NEVER, 0) == 5


def test_a_metric_near_its_target_changes_nothing() -> None:
    assert desired_count(4, BOUNDS, [(REQUESTS, 95)], NEVER, 0) == 4


def test_tasks_that_are_not_needed_go() -> None:
    assert desired_count(4, BOUNDS, [(REQUESTS, 25), (CPU, 10)], NEVER, 0) == 1


def test_a_scale_out_waits_for_its_own_cooldown_only() -> None:
    assert desired_count(2, BOUNDS, [(REQUESTS, 500)], LastActivity(scaled_out_at=-59), 0) == 2
    assert desired_count(2, BOUNDS, [(REQUESTS, 500)], LastActivity(scaled_in_at=-1), 0) == 10


def test_a_scale_out_that_waits_is_not_let_through_as_a_scale_in() -> None:
    eager = TrackingPolicy("eager", "requests", 100, scale_out_cooldown_s=60, scale_in_cooldown_s=0)
    assert desired_count(2, BOUNDS, [(eager, 500)], LastActivity(scaled_out_at=-59), 0) == 2


def test_a_missing_metric_never_scales_in() -> None:
    assert desired_count(4, BOUNDS, [(REQUESTS, 0), (CPU, None)], NEVER, 0) == 4


def test_a_policy_that_may_not_scale_in_does_not() -> None:
    only_out = TrackingPolicy("out", "requests", 100, 60, 300, scale_in_disabled=True)
    assert desired_count(4, BOUNDS, [(only_out, 0)], NEVER, math.inf) == 4

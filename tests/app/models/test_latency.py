"""Who is asked for being fastest: by measurements, with a clock and chances of the tests' own."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.latency import EXPLORED_SHARE, MAX_MEASURED, TRIED_FOR_S, Latencies, kind_of, smoothed

KIND = kind_of("/chat/completions", stream=True)
NAMES = ("a", "b", "c")
NOT_EXPLORED = 0.999


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def measured(chance: float = NOT_EXPLORED, **seconds: float) -> Latencies:
    latencies = Latencies(lambda: chance)
    for name, after_s in seconds.items():
        latencies.began(name, KIND, after_s)
    return latencies


def test_the_mean_follows_the_newest_without_forgetting_the_others() -> None:
    assert smoothed(None, 2.0) == 2.0
    assert smoothed(1.0, 2.0) == pytest.approx(1.3)


@given(st.lists(st.floats(0.001, 100), min_size=1))
def test_the_mean_stays_between_the_least_and_the_most_that_was_measured(samples: list[float]) -> None:
    mean: float | None = None
    for sample in samples:
        mean = smoothed(mean, sample)
    assert mean is not None
    assert min(samples) * 0.999999 <= mean <= max(samples) * 1.000001


def test_the_fastest_is_asked_and_those_that_are_nearly_as_fast() -> None:
    assert measured(a=0.3, b=0.1, c=0.2).fastest(NAMES, KIND) == ["b"]
    assert measured(a=0.105, b=0.1, c=0.2).fastest(NAMES, KIND) == ["a", "b"]


def test_each_kind_of_answer_has_measurements_of_its_own() -> None:
    latencies = measured(a=0.3, b=0.1)
    plain = kind_of("/chat/completions", stream=False)
    latencies.began("a", plain, 1.0)
    latencies.began("b", plain, 2.0)
    assert latencies.fastest(("a", "b"), plain) == ["a"]
    assert latencies.fastest(("a", "b"), KIND) == ["b"]


def test_one_that_nobody_knows_is_tried_by_one_request() -> None:
    clock = Clock()
    latencies = Latencies(lambda: NOT_EXPLORED, clock)
    assert latencies.fastest(("a", "b"), KIND) == ["a"]
    assert latencies.fastest(("a", "b"), KIND) == ["b"]
    assert latencies.fastest(("a", "b"), KIND) == ["a", "b"], "nothing is known yet"
    latencies.began("b", KIND, 5.0)
    assert latencies.fastest(("a", "b"), KIND) == ["b"], "the other is still being tried"
    clock.now += TRIED_FOR_S
    assert latencies.fastest(("a", "b"), KIND) == ["a"], "whoever tried it never told"


def test_a_slow_one_is_tried_again_now_and_then_and_found_out_when_it_is_well() -> None:
    random = Random(1)  # noqa: S311
    latencies = Latencies(random.random)
    speed = {"a": 0.1, "b": 2.0}
    asked: Counter[str] = Counter()

    def one_request() -> str:
        [name, *_] = latencies.fastest(("a", "b"), KIND)
        latencies.began(name, KIND, speed[name])
        return name

    asked.update(one_request() for _ in range(2000))
    assert asked["b"] == pytest.approx(2000 * EXPLORED_SHARE, rel=0.3)
    speed["b"] = 0.01
    assert any([one_request() for _ in range(5)] == ["b"] * 5 for _ in range(400))


@pytest.mark.parametrize(("chance", "name"), [(0.0, "a"), (EXPLORED_SHARE * 0.6, "c")])
def test_chance_decides_which_of_the_slow_ones_is_tried(chance: float, name: str) -> None:
    assert measured(chance, a=0.3, b=0.1, c=0.2).fastest(NAMES, KIND) == [name]


def test_what_is_remembered_is_bounded() -> None:
    latencies = Latencies()
    for number in range(MAX_MEASURED + 10):
        latencies.began(f"model-{number}", KIND, 1.0)
    assert latencies.seconds("model-9", KIND) is None
    assert latencies.seconds("model-10", KIND) == 1.0

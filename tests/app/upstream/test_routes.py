"""Which deployment a call goes to."""

from collections import Counter
from typing import Any

import pytest

from app.models.latency import Latencies
from app.secret_values import Deployment, parse_deployments
from app.upstream import routes
from app.upstream.routes import REFUSED_S, Route, Routes
from app.vault import RotatingSecret

URL = "https://api.example.com/v1"


class Clock:
    """A clock that only moves when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(routes, "time", clock)
    return clock


class NeverAsked:
    async def get_secret_value(self, **_request: Any) -> dict[str, Any]:
        raise AssertionError


def a_secret(*deployments: Deployment) -> RotatingSecret[tuple[Deployment, ...]]:
    secret: RotatingSecret[tuple[Deployment, ...]] = RotatingSecret(
        "openai", NeverAsked(), "arn", parse_deployments
    )
    secret.value = deployments or None
    return secret


A, B, C = Deployment("a", "sk-a"), Deployment("b", "sk-b"), Deployment("c", "sk-c", weight=2)


def name(route: Route | None) -> str | None:
    return None if route is None else route.deployment.name


def pick(of: Routes) -> Route:
    route = of.pick()
    assert route is not None
    return route


@pytest.mark.usefixtures("clock")
def test_requests_are_shared_by_weight() -> None:
    chosen = Routes(a_secret(A, B, C), URL)
    shares = Counter(name(chosen.pick()) for _ in range(4000))
    assert shares["c"] == pytest.approx(2000, rel=0.1)
    assert shares["a"] == pytest.approx(1000, rel=0.15)


def test_what_is_kept_upstream_is_the_firsts_alone_whatever_it_does() -> None:
    secret = a_secret(A, B)
    chosen = Routes(secret, URL)
    first = chosen.first()
    assert first is not None
    first.failed()
    assert name(chosen.first()) == "a"
    assert chosen.first(refused=[first]) is None
    secret.value = (Deployment("a", "sk-new"), B)
    new = chosen.first()
    assert new is not None
    assert new.deployment.key == "sk-new"
    assert chosen.first(refused=[new]) is first, "its key of before the rotation"
    assert Routes(a_secret(), URL).first() is None


def test_without_a_key_there_is_nowhere_to_go() -> None:
    assert Routes(a_secret(), URL).pick() is None


def test_a_deployment_has_the_settings_address_unless_it_has_its_own() -> None:
    chosen = Routes(a_secret(A), URL)
    assert pick(chosen).url == URL
    assert pick(Routes(a_secret(Deployment("x", "sk-x", "https://eu.example.com/v1")), URL)).url == (
        "https://eu.example.com/v1"
    )


def test_one_that_failed_cools_down_longer_each_time(clock: Clock) -> None:
    chosen = Routes(a_secret(A, B), URL)
    failing = pick(chosen)
    for cooldown_s in (1, 2, 4, 8, 16, 30, 30):
        failing.failed()
        clock.now += cooldown_s - 0.01
        assert all(chosen.pick() is not failing for _ in range(50))
        clock.now += 0.01
        assert any(chosen.pick() is failing for _ in range(50))
    failing.worked()
    failing.failed()
    assert failing.cool_until == clock.now + 1


def test_a_cooldown_is_as_long_as_told_within_reason(clock: Clock) -> None:
    route = Route(A, URL)
    route.failed(7.5)
    assert route.cool_until == clock.now + 7.5
    route.failed(3600)
    assert route.cool_until == clock.now + 60


def test_one_without_quota_cools_down_for_a_minute(clock: Clock) -> None:
    route = Route(A, URL)
    route.failed(0.1, out_of_quota=True)
    assert route.cool_until == clock.now + 60


def test_when_all_cool_down_the_soonest_through_is_asked(clock: Clock) -> None:
    chosen = Routes(a_secret(A, B), URL)
    first = pick(chosen)
    first.failed(9)
    second = pick(chosen)
    assert second is not first
    second.failed(3)
    assert chosen.pick() is second
    assert chosen.other([first]) is None
    clock.now += 3
    assert chosen.other([first]) is second


def test_a_rotation_takes_effect_with_the_next_call() -> None:
    secret = a_secret(A)
    chosen = Routes(secret, URL)
    assert name(chosen.pick()) == "a"
    secret.value = (B,)
    assert name(chosen.pick()) == "b"


def test_the_former_key_is_used_while_the_new_one_is_refused_which_is_tried_again(clock: Clock) -> None:
    secret = a_secret(A)
    chosen = Routes(secret, URL)
    chosen.pick()
    secret.value = (B,)
    new = pick(chosen)
    chosen.refuse(new)
    former = chosen.pick(refused=[new])
    assert name(former) == "a"
    assert chosen.pick() is former
    assert chosen.trouble == "the upstream refuses the key of b; the keys of before the rotation are in use"
    clock.now += REFUSED_S
    assert chosen.pick() is new, "one call finds out"
    assert chosen.pick() is former, "the others do not"
    new.worked()
    assert chosen.pick() is new
    assert chosen.trouble is None


def test_a_former_key_that_is_refused_is_forgotten() -> None:
    secret = a_secret(A)
    chosen = Routes(secret, URL)
    former = pick(chosen)
    secret.value = (B,)
    new = pick(chosen)
    chosen.refuse(new)
    chosen.refuse(former)
    assert chosen.pick(refused=[new, former]) is None
    assert chosen.pick() is new, "nothing else tells when it is accepted again"


def test_a_former_key_outlives_a_second_bad_rotation() -> None:
    secret = a_secret(A)
    chosen = Routes(secret, URL)
    chosen.pick()
    secret.value = (B,)
    chosen.refuse(pick(chosen))
    secret.value = (C,)
    new = pick(chosen)
    chosen.refuse(new)
    assert name(chosen.pick()) == "a"


def test_what_is_known_of_a_deployment_survives_a_rotation_of_another(clock: Clock) -> None:
    secret = a_secret(A, B)
    chosen = Routes(secret, URL)
    while name(cooling := pick(chosen)) != "a":
        pass
    cooling.failed(30)
    secret.value = (A, C)
    assert {name(chosen.pick()) for _ in range(50)} == {"c"}
    clock.now += 30
    assert {name(chosen.pick()) for _ in range(50)} == {"a", "c"}


@pytest.mark.usefixtures("clock")
def test_the_fastest_is_asked_whatever_it_weighs_and_those_nearly_as_fast_by_weight() -> None:
    latencies = Latencies(lambda: 0.999)
    chosen = Routes(a_secret(A, B, C), URL, latencies)
    assert chosen.pick(kind="m") is not None
    assert chosen.measured
    for deployment, seconds in {"a": 0.1, "b": 0.105, "c": 0.5}.items():
        latencies.began(deployment, "m", seconds)
    shares = Counter(name(chosen.pick(kind="m")) for _ in range(1000))
    assert shares.keys() == {"a", "b"}
    assert shares["a"] == pytest.approx(500, rel=0.2)
    latencies.began("c", "other", 0.01)
    latencies.began("a", "other", 0.5)
    latencies.began("b", "other", 0.5)
    assert name(chosen.pick(kind="other")) == "c"


def test_the_fastest_that_cools_down_is_left_alone(clock: Clock) -> None:
    latencies = Latencies(lambda: 0.999)
    chosen = Routes(a_secret(A, B), URL, latencies)
    for deployment, seconds in {"a": 0.1, "b": 0.5}.items():
        latencies.began(deployment, "m", seconds)
    fastest = chosen.pick(kind="m")
    assert fastest is not None
    assert name(fastest) == "a"
    fastest.failed(5)
    assert name(chosen.pick(kind="m")) == "b"
    clock.now += 5
    assert chosen.pick(kind="m") is fastest


def test_without_a_choice_nothing_is_measured() -> None:
    chosen = Routes(a_secret(A), URL, Latencies())
    chosen.pick()
    assert not chosen.measured
    chosen = Routes(a_secret(A, B), URL)
    chosen.pick()
    assert not chosen.measured

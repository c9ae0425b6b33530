"""What followers get of a leader's answer, however fast, slow or lost either is."""

import asyncio

import pytest

from app.cache import Flight, Flights, LeaderFailedError
from app.cache.flights import MAX_BEHIND_BYTES, NO_FLIGHT, Follower
from app.cache.slot import MAX_ANSWER_BYTES, Slot

SLOT = Slot("key", b"epoch", 60)


def led(flights: Flights) -> Flight:
    assert flights.follow(SLOT) is None
    return flights.lead(SLOT, alone=False)


def follower_of(flights: Flights) -> Follower:
    follower = flights.follow(SLOT)
    assert follower
    return follower


async def everything(follower: Follower) -> bytes:
    got = b""
    while events := await follower.get():
        got += events
    return got


async def test_followers_get_everything_whenever_they_come() -> None:
    flights = Flights()
    flight = led(flights)
    early = asyncio.create_task(everything(follower_of(flights)))
    flight.publish(b"one ")
    await asyncio.sleep(0)
    flight.publish(b"two ")
    late = asyncio.create_task(everything(follower_of(flights)))
    flight.publish(b"three")
    assert flight.land() == b"one two three"
    assert await early == await late == b"one two three"
    assert len(flights) == 0


async def test_an_answer_that_comes_at_once_reaches_every_follower() -> None:
    flights = Flights()
    flight = led(flights)
    followers = [asyncio.create_task(everything(follower_of(flights))) for _ in range(3)]
    await asyncio.sleep(0)
    large = b"x" * (2 * MAX_BEHIND_BYTES)
    flight.land(large)
    flight.close()
    assert await asyncio.gather(*followers) == [large] * 3


async def test_a_leader_that_fails_tells_those_who_wait_and_nobody_finds_it_any_more() -> None:
    flights = Flights()
    flight = led(flights)
    follower = follower_of(flights)
    flight.publish(b"one")
    flight.close()
    with pytest.raises(LeaderFailedError):
        await follower.get()
    led(flights).close()


async def test_a_leaders_own_client_gets_what_comes_after_it_failed_for_the_others() -> None:
    flights = Flights()
    flight = led(flights)
    follower = follower_of(flights)
    own = flight.follow_own(b"one ")
    flight.close()
    assert not flight.is_followed
    flight.publish(b"error")
    flight.land()
    assert await everything(own) == b"one error"
    with pytest.raises(LeaderFailedError):
        await follower.get()


async def test_another_epoch_is_another_flight() -> None:
    flights = Flights()
    led(flights)
    assert flights.follow(Slot("key", b"later", 60)) is None
    assert flights.follow(Slot("other", b"epoch", 60)) is None


async def test_who_lets_other_models_answer_is_not_followed_by_who_does_not() -> None:
    flights = Flights()
    led(flights)
    assert flights.follow(SLOT, ("best", "good")) is None
    flights.lead(SLOT, alone=False, models=("best", "good"))
    assert flights.follow(SLOT, ("best", "good"))
    assert flights.follow(SLOT, ("best", "other")) is None
    assert follower_of(flights)


async def test_a_follower_far_behind_loses_its_answer_and_holds_nobody_up() -> None:
    flights = Flights()
    flight = led(flights)
    slow, fast = follower_of(flights), follower_of(flights)
    chunk = b"x" * (MAX_BEHIND_BYTES // 4)
    got = b""
    for _ in range(6):
        flight.publish(chunk)
        got += await fast.get()
    assert got == 6 * chunk
    assert flight.land() is None
    with pytest.raises(LeaderFailedError):
        await slow.get()


async def test_an_answer_too_large_to_be_kept_takes_no_new_followers() -> None:
    flights = Flights()
    flight = led(flights)
    flight.publish(b"x" * MAX_ANSWER_BYTES)
    assert flights.follow(SLOT) is not None
    flight.publish(b"x")
    assert flights.follow(SLOT) is None


async def test_a_leader_whose_client_left_works_for_as_long_as_somebody_follows() -> None:
    flights = Flights()
    flight = led(flights)
    first, second = follower_of(flights), follower_of(flights)
    ended = 0

    def cancel() -> None:
        nonlocal ended
        ended += 1

    flight.leader_left(cancel)
    first.leave()
    assert ended == 0
    second.leave()
    assert ended == 1


async def test_a_leader_whom_nobody_follows_ends_with_its_client() -> None:
    flight = led(Flights())
    flight.follow_own(b"one")
    ended = []
    flight.leader_left(lambda: ended.append(True))
    assert ended == [True]


async def test_what_belongs_nowhere_is_neither_kept_nor_followed() -> None:
    NO_FLIGHT.publish(b"one")
    assert NO_FLIGHT.land(b"one") is None
    assert not NO_FLIGHT.is_followed
    flights = Flights()
    alone = flights.lead(SLOT, alone=True)
    assert flights.follow(SLOT) is None
    alone.publish(b"one")
    assert alone.land() == b"one"

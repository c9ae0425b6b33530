"""One upstream call for identical requests at the same time: the first leads, the others follow it.

A leader publishes what it gets, and followers take it as they can: each has a bounded queue of its own, so a
slow one holds nobody up. Followers cost nothing, as an answer from the cache does; the leader pays. When a
leader fails, its followers are told so once and look for themselves.
"""

import asyncio
from collections.abc import Callable

from app.cache.leases import Lease
from app.cache.slot import MAX_ANSWER_BYTES, Slot

MAX_BEHIND_BYTES = 1024 * 1024
"""A follower that is further behind loses its answer."""

MAX_FOLLOWED = 2
"""How many failures of leaders a request sits through before it asks by itself."""

FlightId = tuple[str, bytes, tuple[str, ...]]


class LeaderFailedError(Exception):
    """The answer that was followed did not come to its end."""


class Flight:
    """An answer on its way, as its leader sees it; to be closed when the leader is done, however that went.

    slot: where the answer belongs, None when nowhere. lease: the leave to ask that ends with the flight.
    is_kept: the answer has taken the lease's place. One that is not among `flights` is nobody's to follow.
    """

    __slots__ = (
        "_cancel_leader",
        "_flights",
        "_followers",
        "_id",
        "_kept",
        "_kept_bytes",
        "_leaders_own",
        "_over",
        "is_kept",
        "lease",
        "slot",
    )

    def __init__(
        self,
        slot: Slot | None,
        flights: "dict[FlightId, Flight] | None" = None,
        models: tuple[str, ...] = (),
    ) -> None:
        self.slot = slot
        self._id: FlightId = ("", b"", ()) if slot is None else (slot.key, slot.epochs, models)
        self.lease: Lease | None = None
        self.is_kept = False
        self._flights = flights
        self._followers: set[Follower] = set()
        self._kept: list[bytes] | None = None if slot is None else []
        self._kept_bytes = 0
        self._cancel_leader: Callable[[], object] | None = None
        self._leaders_own: Follower | None = None
        self._over = slot is None

    @property
    def needs_turn(self) -> bool:
        """Whether others may follow, and nothing says yet that no other replica is asking."""
        return self._flights is not None and self.lease is None

    @property
    def is_followed(self) -> bool:
        """By somebody else than its leader."""
        return len(self._followers) > (self._leaders_own is not None)

    def publish(self, events: bytes) -> None:
        """More of a stream."""
        if self._kept is not None:
            self._kept_bytes += len(events)
            if self._kept_bytes > MAX_ANSWER_BYTES:
                # Who comes now cannot have its beginning any more.
                self._kept = None
                self._leave_map()
            else:
                self._kept.append(events)
        for follower in self._followers:
            follower.take(events)

    def land(self, answer: bytes = b"") -> bytes | None:
        """The answer is complete; `answer`: all of it, when none of it was published.

        Returns what was published, None when that was too much to keep.
        """
        self._over = True
        self._leave_map()
        for follower in self._followers:
            follower.end(answer)
        self._followers.clear()
        return b"".join(self._kept) if self._kept else None

    def close(self) -> None:
        """The leader is done. Unless the answer landed, those who follow look for themselves."""
        if self.lease is not None:
            self.lease.end(replaced=self.is_kept)
            self.lease = None
        if self._over:
            return
        self._over = True
        self._leave_map()
        # The leader's own client is still to get what the leader has for it.
        own = self._followers & {self._leaders_own}
        for follower in self._followers - own:
            follower.fail()
        self._followers = own

    def follow(self) -> "Follower":
        """From the beginning."""
        follower = Follower(self)
        for events in self._kept or ():
            follower.take(events)
        self._followers.add(follower)
        return follower

    def follow_own(self, events: bytes) -> "Follower":
        """For the leader, whose client is slow: from these events on, which are the latest."""
        follower = self._leaders_own = Follower(self)
        follower.take(events)
        self._followers.add(follower)
        return follower

    def leader_left(self, cancel: Callable[[], object]) -> None:
        """The leader's client is gone; `cancel` ends its work, which goes on while somebody follows."""
        self._cancel_leader = cancel
        if not self.is_followed:
            cancel()

    def left(self, follower: "Follower") -> None:
        """A follower is gone."""
        self._followers.discard(follower)
        if self._cancel_leader is not None and not self.is_followed and not self._over:
            self._cancel_leader()

    def _leave_map(self) -> None:
        if self._flights is not None and self._flights.get(self._id) is self:
            del self._flights[self._id]


NO_FLIGHT = Flight(None)
"""Of an answer that belongs nowhere."""


class Flights:
    """The answers that are on their way in this process."""

    def __init__(self) -> None:
        self._flights: dict[FlightId, Flight] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def follow(self, slot: Slot, models: tuple[str, ...] = ()) -> "Follower | None":
        """None when nobody is getting this answer under the same epochs.

        models: who may answer beside the one that is asked first; whoever has other ones gets no answer of
        theirs.
        """
        flight = self._flights.get((slot.key, slot.epochs, models))
        return None if flight is None else flight.follow()

    def lead(self, slot: Slot | None, *, alone: bool, models: tuple[str, ...] = ()) -> Flight:
        """alone: nobody is to follow."""
        if slot is None:
            return NO_FLIGHT
        if alone:
            return Flight(slot)
        flight = self._flights[(slot.key, slot.epochs, models)] = Flight(slot, self._flights, models)
        return flight


class Follower:
    """What one request has still to get of another's answer."""

    __slots__ = ("_behind", "_behind_bytes", "_ended", "_failed", "_flight", "_waiting")

    def __init__(self, flight: Flight) -> None:
        self._flight = flight
        self._behind: list[bytes] = []
        self._behind_bytes = 0
        self._ended = False
        self._failed = False
        self._waiting: asyncio.Future[None] | None = None

    async def get(self) -> bytes:
        """What has come since the last time; b"" at the end. Raises LeaderFailedError."""
        while not self._behind:
            if self._failed:
                raise LeaderFailedError
            if self._ended:
                return b""
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        events = self._behind[0] if len(self._behind) == 1 else b"".join(self._behind)
        self._behind.clear()
        self._behind_bytes = 0
        return events

    def leave(self) -> None:
        """The request needs no more."""
        self._flight.left(self)

    def take(self, events: bytes) -> None:
        if not events or self._failed:
            return
        self._behind_bytes += len(events)
        if self._behind_bytes > MAX_BEHIND_BYTES and self._behind:
            self.fail()
        else:
            self._behind.append(events)
            self._wake()

    def end(self, answer: bytes) -> None:
        if answer and not self._failed:
            self._behind.append(answer)
        self._ended = True
        self._wake()

    def fail(self) -> None:
        # What is there may end in the middle of an answer: it is of no use any more.
        self._behind.clear()
        self._failed = True
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

"""Which deployment a call goes to: by weight or the fastest, around those that cool down or whose key was
refused.

A rotation takes effect with the next call. The keys of before are kept and used when all of now are refused,
until they are refused themselves: so a rotation to a key that does not work, or not yet, interrupts nothing.
"""

import asyncio
import random
import time
from collections.abc import Collection

from app.models.latency import Latencies
from app.secret_values import Deployment
from app.telemetry import log_event
from app.vault import RotatingSecret

FIRST_COOLDOWN_S = 1.0
LONGEST_COOLDOWN_S = 30.0
LONGEST_TOLD_COOLDOWN_S = 60.0
OUT_OF_QUOTA_S = 60.0
MAX_FORMER = 100
REFUSED_S = 20.0
"""How long a refused key is left alone, before it is tried again by one call."""


class Cooldown:
    """How long something that failed is left alone. All times are of the monotonic clock."""

    __slots__ = ("_failures", "cool_until")

    def __init__(self) -> None:
        self._failures = 0
        self.cool_until = 0.0

    def worked(self) -> None:
        self._failures = 0
        self.cool_until = 0.0

    def failed(self, told_wait_s: float | None = None, *, out_of_quota: bool = False) -> None:
        """It cools down as long as it told, otherwise longer with each failure in a row."""
        self._failures += 1
        if out_of_quota:
            cooldown_s = OUT_OF_QUOTA_S
        elif told_wait_s is not None:
            cooldown_s = min(LONGEST_TOLD_COOLDOWN_S, told_wait_s)
        else:
            cooldown_s = min(LONGEST_COOLDOWN_S, FIRST_COOLDOWN_S * 2 ** min(self._failures - 1, 10))
        self.cool_until = max(self.cool_until, time.monotonic() + cooldown_s)


class Route(Cooldown):
    """A deployment and how it fares."""

    __slots__ = ("deployment", "refused", "refused_until", "url")

    def __init__(self, deployment: Deployment, default_url: str) -> None:
        super().__init__()
        self.deployment = deployment
        self.url = deployment.base_url or default_url
        self.refused = False
        self.refused_until = 0.0

    def worked(self) -> None:
        """It answered: not about its rate, its key or a failure of its own."""
        super().worked()
        if self.refused:
            log_event("upstream_key_accepted", deployment=self.deployment.name)
            self.refused = False


class Routes:
    """The deployments of the secret, as of its last good value.

    latencies: how soon answers began, when the fastest is to be asked; None: each is asked by its weight.
    """

    def __init__(
        self,
        secret: RotatingSecret[tuple[Deployment, ...]],
        default_url: str,
        latencies: Latencies | None = None,
    ) -> None:
        self._secret = secret
        self._latencies = latencies
        self._default_url = default_url
        self._seen: tuple[Deployment, ...] | None = None
        self._current: list[Route] = []
        self._former: list[Route] = []
        self._former_read_of: tuple[Deployment, ...] | None = None
        self._reading_former = asyncio.Lock()

    async def read_again(self) -> None:
        """Looks for a newer value, because a key was refused.

        A process that was started after a rotation to keys that are all refused reads the value of before.
        """
        await self._secret.refresh()
        async with self._reading_former:
            self._take_up_rotation()
            if self._former_read_of is self._seen or not all(route.refused for route in self._current):
                return
            self._former_read_of = self._seen
            if not self._former:
                self._former = [
                    Route(deployment, self._default_url)
                    for deployment in await self._secret.read_former() or ()
                    if deployment.key not in {route.deployment.key for route in self._current}
                ]

    @property
    def trouble(self) -> str | None:
        """Which keys the upstream refuses, for people."""
        refused = [route.deployment.name for route in self._current if route.refused]
        if not refused:
            return None
        kept = "; the keys of before the rotation are in use" if self._former else ""
        return f"the upstream refuses the key of {', '.join(refused)}{kept}"

    def pick(self, refused: Collection[Route] = (), kind: str = "") -> Route | None:
        """Where a call goes, None when nowhere. `refused`: whose keys this call has found refused. `kind`: of
        the call, as its latency is measured.

        When all that are left cool down, the one that is soonest through.
        """
        self._take_up_rotation()
        if len(self._current) == 1 and not self._current[0].refused and not refused:
            return self._current[0]
        now = time.monotonic()
        left = [route for route in self._current if route not in refused and _may_be_asked(route, now)]
        if not left:
            left = [route for route in self._former if route not in refused]
        if not left and not refused:
            # Refused all: still asked, because nothing else tells when a key is accepted again.
            left = self._current
        if not left:
            return None
        warm = [route for route in left if route.cool_until <= now]
        picked = self._one_of(warm, kind) if warm else min(left, key=lambda route: route.cool_until)
        if picked.refused:
            # One call finds out; the others go on with what works.
            picked.refused_until = now + REFUSED_S
        return picked

    def first(self, refused: Collection[Route] = ()) -> Route | None:
        """The first deployment of the secret, or its key of before the rotation when that one is refused.

        What is kept upstream is kept by one account.
        """
        self._take_up_rotation()
        if not self._current:
            return None
        name = self._current[0].deployment.name
        keys = (self._current[0], *(route for route in self._former if route.deployment.name == name))
        return next((route for route in keys if route not in refused), None)

    def other(self, tried: Collection[Route]) -> Route | None:
        """Another one that can take over a call at once, None when there is none."""
        now = time.monotonic()
        able = (route for route in self._current if not route.refused and route.cool_until <= now)
        left = [route for route in able if route not in tried]
        return _by_weight(left) if left else None

    @property
    def measured(self) -> bool:
        """Whether it matters how soon their answers begin."""
        return self._latencies is not None and len(self._current) > 1

    def began(self, route: Route, kind: str, after_s: float) -> None:
        """A call's answer began."""
        if self._latencies is not None and self.measured:
            self._latencies.began(route.deployment.name, kind, after_s)

    def _one_of(self, routes: list[Route], kind: str) -> Route:
        if self._latencies is not None and len(routes) > 1:
            names = self._latencies.fastest([route.deployment.name for route in routes], kind)
            routes = [route for route in routes if route.deployment.name in names]
        return _by_weight(routes)

    def refuse(self, route: Route) -> None:
        """The upstream does not accept its key."""
        if not route.refused:
            log_event("upstream_key_refused", level="error", deployment=route.deployment.name)
        route.refused = True
        route.refused_until = time.monotonic() + REFUSED_S
        if route in self._former:
            self._former.remove(route)

    def _take_up_rotation(self) -> None:
        deployments = self._secret.value
        if deployments is self._seen:
            return
        known = {(route.url, route.deployment.key): route for route in (*self._current, *self._former)}
        self._current = []
        for deployment in deployments or ():
            fresh = Route(deployment, self._default_url)
            route = known.pop((fresh.url, deployment.key), fresh)
            route.deployment = deployment
            self._current.append(route)
        self._former = [route for route in known.values() if not route.refused][:MAX_FORMER]
        self._seen = deployments


def _may_be_asked(route: Route, now: float) -> bool:
    return not route.refused or route.refused_until <= now


def _by_weight(routes: list[Route]) -> Route:
    if len(routes) == 1:
        return routes[0]
    [picked] = random.choices(routes, [route.deployment.weight for route in routes])  # noqa: S311
    return picked

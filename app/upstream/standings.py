"""How models fare that stand in for each other: which cool down, and how soon their answers begin."""

import time
from collections.abc import Sequence

from app.models.latency import Latencies
from app.upstream.routes import FIRST_COOLDOWN_S, Cooldown


class Standings:
    """What the requests of this process have seen."""

    def __init__(self, latencies: Latencies) -> None:
        self.latencies = latencies
        # Only of models whose last answer was a failure.
        self._cooldowns: dict[str, Cooldown] = {}

    def failed(self, model: str, told_wait_s: float | None = None) -> None:
        self._cooldowns.setdefault(model, Cooldown()).failed(told_wait_s)

    def worked(self, model: str) -> None:
        self._cooldowns.pop(model, None)

    def warm_and_cooling(self, models: Sequence[str]) -> tuple[list[str], list[str]]:
        """Who may be asked now, and who has failed just now; each in the order given."""
        if not self._cooldowns:
            return list(models), []
        now = time.monotonic()
        cooling = [model for model in models if (of := self._cooldowns.get(model)) and of.cool_until > now]
        return [model for model in models if model not in cooling], cooling

    def asked(self, model: str) -> None:
        """Whoever asks one first after it has failed finds out; the others wait for it a moment longer."""
        if (cooldown := self._cooldowns.get(model)) is not None:
            cooldown.cool_until = max(cooldown.cool_until, time.monotonic() + FIRST_COOLDOWN_S)

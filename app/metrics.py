"""How many requests this replica works on, told to CloudWatch as a log line in its embedded metric format.

Autoscaling follows it: a replica full of long streams is busy while its CPU and its count of new requests say
that it is not. https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from app.telemetry import log_event

NAMESPACE = "Gateway"
IN_FLIGHT = "InFlightRequests"
LOOK_EVERY_S = 1.0
LOOKS_A_LINE = 15
"""One line every fifteen seconds; one look at its end would miss what happened before."""


class InFlightMetric:
    """Looks at a count every second and logs what it saw every fifteen. service: whom the metric is of."""

    def __init__(self, service: str, count: Callable[[], int], look_every_s: float = LOOK_EVERY_S) -> None:
        self._service = service
        self._count = count
        self._look_every_s = look_every_s
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Starts looking."""
        self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Stops looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _watch(self) -> None:
        while True:
            seen = []
            for _ in range(LOOKS_A_LINE):
                await asyncio.sleep(self._look_every_s)
                seen.append(self._count())
            log_event("metrics", **in_flight_line(self._service, seen, int(time.time() * 1000)))


def in_flight_line(service: str, seen: list[int], at_ms: int) -> dict[str, Any]:
    """The fields of a line that CloudWatch takes for a metric. seen: at most 100 values."""
    metric = {
        "Namespace": NAMESPACE,
        "Dimensions": [["Service"]],
        "Metrics": [{"Name": IN_FLIGHT, "Unit": "Count"}],
    }
    return {
        "_aws": {"Timestamp": at_ms, "CloudWatchMetrics": [metric]},
        "Service": service,
        IN_FLIGHT: seen,
    }

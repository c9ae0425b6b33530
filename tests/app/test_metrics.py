"""The replica's load as CloudWatch reads it from the log."""

import asyncio
import itertools

import pytest

from app import metrics
from app.metrics import InFlightMetric, in_flight_line


def test_a_line_is_a_metric_of_the_service() -> None:
    line = in_flight_line("openai-gateway-prod", [1, 0, 3], 1_700_000_000_000)
    assert line["_aws"] == {
        "Timestamp": 1_700_000_000_000,
        "CloudWatchMetrics": [
            {
                "Namespace": "Gateway",
                "Dimensions": [["Service"]],
                "Metrics": [{"Name": "InFlightRequests", "Unit": "Count"}],
            }
        ],
    }
    assert (line["Service"], line["InFlightRequests"]) == ("openai-gateway-prod", [1, 0, 3])


async def test_every_look_since_the_last_line_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    told: asyncio.Queue[dict[str, object]] = asyncio.Queue()
    monkeypatch.setattr(
        metrics, "log_event", lambda event, **fields: told.put_nowait({"event": event, **fields})
    )
    numbers = itertools.count()
    metric = InFlightMetric("s", lambda: next(numbers), look_every_s=0)
    metric.open()
    lines = [await asyncio.wait_for(told.get(), 5) for _ in range(2)]
    await metric.close()
    assert [line["InFlightRequests"] for line in lines] == [list(range(15)), list(range(15, 30))]
    assert {line["event"] for line in lines} == {"metrics"}
    left = told.qsize()
    await asyncio.sleep(0)
    assert told.qsize() == left

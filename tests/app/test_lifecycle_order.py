"""The end's order and time: nothing that hangs or fails keeps the rest from closing."""

import asyncio
import time

import pytest

from app import lifecycle
from app.lifecycle import Closing, plan_stop


@pytest.mark.parametrize("stop_timeout_s", [0.4, 4, 30, 120])
def test_the_plan_fills_the_stop_timeout_and_keeps_some_for_the_end(stop_timeout_s: float) -> None:
    plan = plan_stop(stop_timeout_s)
    assert plan.notice_s + plan.requests_s + plan.closing_s == pytest.approx(stop_timeout_s)
    assert plan.requests_s >= stop_timeout_s / 2
    assert plan.closing_s == min(3.0, stop_timeout_s / 4)


async def test_parts_are_closed_in_reverse_whatever_hangs_or_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, object]] = []
    monkeypatch.setattr(lifecycle, "log_event", lambda event, **fields: said.append((event, fields["part"])))
    monkeypatch.setattr(
        lifecycle, "log_exception", lambda event, _failure, **fields: said.append((event, fields["part"]))
    )
    closed: list[str] = []

    async def close(name: str) -> None:
        closed.append(name)

    async def hang() -> None:
        await asyncio.sleep(60)

    async def fail() -> None:
        raise OSError

    began = time.monotonic()
    async with Closing(within_s=0.4) as closing:
        closing.add("table", lambda: close("table"))
        closing.add("cache", hang)
        closing.add("ledger", fail)
        closing.add("requests", lambda: close("requests"))
    assert closed == ["requests", "table"]
    assert said == [("not_closed", "ledger"), ("not_closed_in_time", "cache")]
    assert time.monotonic() - began < 0.4


async def test_an_exception_of_the_block_is_raised_after_the_parts_are_closed() -> None:
    closed = asyncio.Event()

    async def close() -> None:
        closed.set()

    async def use_and_fail() -> None:
        async with Closing(within_s=1) as closing:
            closing.add("table", close)
            raise KeyError

    with pytest.raises(KeyError):
        await use_and_fail()
    assert closed.is_set()

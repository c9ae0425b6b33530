"""Deadlines of one timer: like asyncio.timeout, for many at once."""

import asyncio

import pytest

from app.deadlines import Deadlines


async def test_what_takes_longer_is_ended_and_what_does_not_is_left() -> None:
    deadlines = Deadlines(0.05)

    async def bounded(takes_s: float) -> str:
        with deadlines.within():
            await asyncio.sleep(takes_s)
        return "done"

    long, short = bounded(10), bounded(0)
    ended = await asyncio.gather(long, short, return_exceptions=True)
    assert isinstance(ended[0], TimeoutError)
    assert ended[1] == "done"
    assert deadlines._open == {}
    assert await bounded(0.01) == "done", "the timer starts again"


async def test_each_has_its_own_time() -> None:
    deadlines = Deadlines(0.2)
    loop = asyncio.get_running_loop()

    async def bounded(after_s: float) -> float:
        await asyncio.sleep(after_s)
        began = loop.time()
        with pytest.raises(TimeoutError), deadlines.within():
            await asyncio.sleep(10)
        return loop.time() - began

    for taken_s in await asyncio.gather(*(bounded(after_s) for after_s in (0, 0.05, 0.1))):
        assert 0.2 <= taken_s < 2


async def test_who_is_cancelled_stays_cancelled() -> None:
    deadlines = Deadlines(10)

    async def bounded() -> None:
        with deadlines.within():
            await asyncio.sleep(10)

    task = asyncio.create_task(bounded())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert deadlines._open == {}


async def test_an_error_within_passes_as_it_is() -> None:
    with pytest.raises(KeyError), Deadlines(10).within():
        raise KeyError


async def test_what_sets_itself_anew_when_it_passes_holds_up_nobody_who_is_due_before() -> None:
    deadlines = Deadlines(0.05)
    loop = asyncio.get_running_loop()
    passed: list[tuple[str, float]] = []

    class Renewed:
        def passed(self) -> None:
            passed.append(("renewed", loop.time()))
            deadlines.set(self)

    class Once:
        def passed(self) -> None:
            passed.append(("once", loop.time()))

    deadlines.set(Renewed())
    await asyncio.sleep(0.02)
    deadlines.set(Once())
    due = loop.time() + 0.05
    await asyncio.sleep(0.2)
    [once_at] = [at for name, at in passed if name == "once"]
    assert [name for name, _ in passed[:3]] == ["renewed", "once", "renewed"]
    assert due <= once_at

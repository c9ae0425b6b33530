"""A hook's work goes on when every thread of the program's event loop is taken."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from infra.own_thread import in_own_thread


async def test_work_is_done_while_the_loops_threads_are_all_blocked() -> None:
    released = threading.Event()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    blocked = loop.run_in_executor(None, released.wait)
    try:
        assert await asyncio.wait_for(in_own_thread(lambda word: word * 2, "ab"), 5) == "abab"
    finally:
        released.set()
        await blocked


async def test_what_the_work_raises_is_raised() -> None:
    def fail() -> None:
        raise LookupError("no such user")

    with pytest.raises(LookupError, match="no such user"):
        await in_own_thread(fail)

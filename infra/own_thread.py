"""Runs blocking work of a resource hook beside the program's event loop.

Not in the loop's own threads: Pulumi's registrations block those until their resources exist, so a hook that
waited for one of them could wait for ever.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


async def in_own_thread(work: Callable[..., T], *arguments: object) -> T:
    """What `work(*arguments)` returns, or raises."""
    with ThreadPoolExecutor(1, thread_name_prefix="hook") as thread:
        return await asyncio.get_running_loop().run_in_executor(thread, work, *arguments)

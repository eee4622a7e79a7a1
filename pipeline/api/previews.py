"""Threads of their own for previews, a few: a look takes up to minutes, and other requests must not wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import Depends, Request

from pipeline.errors import PreviewsBusy

AT_ONCE = 2
"""Looks of one process at the same time: each is a spider and its parsers, some 300 MB."""

Result = TypeVar("Result")


class PreviewRoom:
    """Room for a few previews. Whoever waits for it holds no thread."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        """Let so many be made at the same time."""
        self._at_once = at_once
        self._free = asyncio.Semaphore(at_once)

    async def run(self, look: Callable[[], Result], *, seconds: float) -> Result:
        """What `look` returns, called in a thread beside those of other requests, once there is room.

        Raises:
            PreviewsBusy: If there is none for so many seconds.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._free.acquire()
        except TimeoutError:
            raise PreviewsBusy(running=self._at_once) from None
        try:
            return await run_sync(look, limiter=CapacityLimiter(1))
        finally:
            self._free.release()


async def _room_of(request: Request) -> PreviewRoom:
    """The app's. On the loop: a plain function would wait for a thread."""
    room: PreviewRoom = request.app.state.previews
    return room


APreviewRoom = Annotated[PreviewRoom, Depends(_room_of)]

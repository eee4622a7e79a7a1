"""Previews have threads of their own."""

from __future__ import annotations

import asyncio
from threading import Event

import pytest
from anyio.to_thread import current_default_thread_limiter

from pipeline.api.previews import PreviewRoom
from pipeline.errors import PreviewsBusy

PATIENCE_SECONDS = 60


def test_a_preview_takes_no_thread_of_other_requests() -> None:
    """Neither while it runs nor while it waits; one for which there is no room in time is refused."""
    looking, may_end = Event(), Event()

    def look() -> str:
        looking.set()
        may_end.wait(PATIENCE_SECONDS)
        return "seen"

    async def meet() -> tuple[int, list[str]]:
        room = PreviewRoom(1)
        previews = [asyncio.create_task(room.run(look, seconds=PATIENCE_SECONDS)) for _ in range(3)]
        await asyncio.to_thread(looking.wait, PATIENCE_SECONDS)
        taken = current_default_thread_limiter().borrowed_tokens
        with pytest.raises(PreviewsBusy):
            await room.run(look, seconds=0)
        may_end.set()
        return taken, await asyncio.gather(*previews)

    assert asyncio.run(meet()) == (0, ["seen"] * 3)

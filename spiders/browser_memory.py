"""Ends processes of the browser that take more memory than one may."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import psutil

_LOOK_SECONDS = 0.25


class MemoryWatch:
    """Looks at the browser's processes four times a second while it runs."""

    def __init__(self, limit: int) -> None:
        """Let each have so many bytes."""
        self._limit = limit
        self._watching: asyncio.Task[None] | None = None
        self._own: dict[int, bool] = {}

    def start(self) -> None:
        """Begin to look."""
        self._watching = asyncio.ensure_future(self._watch())

    def stop(self) -> None:
        """Look no more."""
        if self._watching is not None:
            self._watching.cancel()

    def end_browser(self) -> None:
        """End every process of the browser: the next page starts another."""
        for process in self._processes():
            with suppress(psutil.Error):
                process.kill()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for process in self._processes():
                with suppress(psutil.Error):
                    if process.memory_info().rss > self._limit:
                        process.kill()

    def _processes(self) -> list[psutil.Process]:
        return [process for process in psutil.Process().children(recursive=True) if self._is_browser(process)]

    def _is_browser(self, process: psutil.Process) -> bool:
        """Chromium tells its processes what they are by `--type`; only the first one is told its profile's folder."""
        if process.pid not in self._own:
            try:
                words = process.cmdline()
            except psutil.Error:
                return False
            self._own[process.pid] = any(word.startswith(("--type=", "--user-data-dir=")) for word in words)
        return self._own[process.pid]

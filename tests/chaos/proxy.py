"""A TCP proxy before a server that can then fall silent, freeze or be gone, as whoever connects sees it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import TracebackType

PIECE = 65_536
OWN_SECONDS = 10


class Proxy:
    """Hands bytes on between whoever connects and a server, while it is entered."""

    def __init__(self, host: str, port: int) -> None:
        """Connect to that server for everyone who connects here."""
        self.port = 0
        self._server = host, port
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._silence = 0
        self._flowing = asyncio.Event()
        self._listening: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def silence(self) -> None:
        """Nothing passes on any connection there is now, in either direction; new ones work."""
        self._silence += 1

    def freeze(self) -> None:
        """Nothing passes, and nothing is lost: as before a server that was stopped. New connections are taken, too."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def leave(self) -> None:
        """Every connection is cut, and new ones are refused: as where no server is."""
        self._do(self._stop_listening())

    def mend(self) -> None:
        """Be there, and hand on what was held back."""
        self._do(self._listen())

    def _do(self, work: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(OWN_SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        self._loop.call_soon(self._ready.set)
        self._loop.run_forever()
        self._loop.run_until_complete(self._stop_listening())
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.close()

    async def _listen(self) -> None:
        self._flowing.set()
        if self._listening is None:
            self._listening = await asyncio.start_server(self._join, "127.0.0.1", self.port)
            self.port = self._listening.sockets[0].getsockname()[1]

    async def _stop_listening(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        for writer in list(self._writers):
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        born = self._silence
        self._writers.add(writer)
        with suppress(OSError, asyncio.CancelledError):
            await self._flowing.wait()
            there, back = await asyncio.open_connection(*self._server)
            self._writers.add(back)
            try:
                await asyncio.gather(self._pass(reader, back, born), self._pass(there, writer, born))
            finally:
                self._writers.discard(back)
                back.transport.abort()
        self._writers.discard(writer)
        writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, born: int) -> None:
        while piece := await reader.read(PIECE):
            await self._flowing.wait()
            if self._silence == born:
                writer.write(piece)
                await writer.drain()
        writer.close()

"""A TCP proxy whose connections can fall silent without being closed, as behind a router that forgot them."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

PIECE = 65_536


class Proxy:
    """Hands bytes on between whoever connects and a server, while it is entered."""

    def __init__(self, host: str, port: int) -> None:
        """Connect to that server for everyone who connects here."""
        self.port = 0
        self._server = host, port
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._silence = 0
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

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._join, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._loop.call_soon(self._ready.set)
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        born = self._silence
        with suppress(OSError, asyncio.CancelledError):
            there, back = await asyncio.open_connection(*self._server)
            await asyncio.gather(self._pass(reader, back, born), self._pass(there, writer, born))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, born: int) -> None:
        while piece := await reader.read(PIECE):
            if self._silence == born:
                writer.write(piece)
                await writer.drain()
        writer.close()

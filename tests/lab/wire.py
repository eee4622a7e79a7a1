"""What passes over the lab's wire: the requests it notes, and the answers it is told to give."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from socket import SO_LINGER, SOL_SOCKET, socket
from threading import Event
from typing import cast
from urllib.parse import urlsplit

from tests.lab.clock import LabClock

_LINE_LIMIT = 2**20
_LONGEST_HOLD = 60  # seconds a reply is kept back when nobody sets its event


@dataclass(frozen=True, slots=True)
class LabRequest:
    """A request as it came in. Header names are lower case; `at` is seconds since the lab opened, by its clock."""

    method: str
    host: str
    target: str
    headers: Mapping[str, str]
    at: float

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to give.

    `hold` keeps it back until the event is set, `delay` for so many seconds. `pieces` are sent after
    the body, each as it is drawn, which may go on for ever; `pause` seconds pass before each. Seconds are
    those of the lab's clock. `raw` replaces everything by bytes of your own. `reset` breaks the
    connection instead of answering.
    """

    status: int = HTTPStatus.OK
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    hold: Event | None = None
    delay: float = 0
    pieces: Iterable[bytes] | None = None
    pause: float = 0
    raw: bytes | None = None
    reset: bool = False

    def header(self, name: str) -> str | None:
        """The first header of that name, any case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def head(self) -> bytes:
        """The status line and headers."""
        lines = [f"HTTP/1.1 {self.status} Lab"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.pieces is not None:
            lines.append("Connection: close")
        elif self.status != HTTPStatus.NOT_MODIFIED and self.header("content-length") is None:
            lines.append(f"Content-Length: {len(self.body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@dataclass(slots=True)
class Connection:
    """One client, as the lab reads and answers it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    clock: LabClock = field(default_factory=LabClock)

    async def request(self, now: float) -> LabRequest | None:
        """The next request; None when the client has gone."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError):
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        pairs = (line.split(":", 1) for line in lines if ":" in line)
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
        try:  # a socket closed before all of the body was read resets the connection under the answer
            await self.reader.readexactly(int(headers.get("content-length", "0")))
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            return None
        return LabRequest(method, headers.get("host", ""), target, headers, now)

    async def answer(self, reply: Reply) -> bool:
        """Send a reply; whether the connection may carry another request."""
        if reply.hold is not None:
            await asyncio.to_thread(reply.hold.wait, _LONGEST_HOLD)
        if reply.delay:
            await self.clock.sleep(reply.delay)
        if reply.reset:
            self._reset()
            return False
        try:
            self.writer.write(reply.raw if reply.raw is not None else reply.head() + reply.body)
            await self.writer.drain()
            for piece in reply.pieces or ():
                await self._pause(reply.pause)
                self.writer.write(piece)
                await self.writer.drain()
        except ConnectionError:
            return False
        return reply.raw is None and reply.pieces is None

    async def _pause(self, seconds: float) -> None:
        if seconds:
            await self.clock.sleep(seconds)
        else:
            await asyncio.sleep(0)

    def _reset(self) -> None:
        """Close so that the other side sees a reset, not an end."""
        raw = cast("socket", self.writer.get_extra_info("socket"))
        raw.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


def limit() -> int:
    """Bytes of a request head the lab reads."""
    return _LINE_LIMIT

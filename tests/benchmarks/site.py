"""A rendered site served on loopback by a process of its own, as fast as Python can: it must not be the bottleneck."""

from __future__ import annotations

import os
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from hashlib import sha256
from pathlib import Path
from subprocess import PIPE, Popen

from deploy.sample.serve import SampleSite

KINDS = {".html": "text/html; charset=utf-8", ".xml": "application/xml", ".txt": "text/plain"}
LIMIT = 65_536


@dataclass(frozen=True, slots=True)
class Served:
    """A site that answers. `start` is where a crawl begins."""

    name: str
    start: str


@contextmanager
def sample() -> Iterator[Served]:
    """The site that ships with the project."""
    with SampleSite() as site:
        yield Served("sample", site.url)


@contextmanager
def archive(path: Path, *, start: str) -> Iterator[Served]:
    """A site packed as tar.xz, served from memory until left."""
    command = [sys.executable, "-m", "tests.benchmarks.site", str(path)]
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True) as server:  # noqa: S603 - this module
        if server.stdout is None or server.stdin is None:
            raise OSError
        origin = server.stdout.readline().strip()
        try:
            yield Served(path.name.removesuffix(".tar.xz"), origin + start)
        finally:
            server.stdin.close()
            server.terminate()


def read_archive(path: Path) -> dict[str, tuple[bytes, bytes]]:
    """Every answer of the site: by path, its head without the status line, and its body."""
    answers: dict[str, tuple[bytes, bytes]] = {}
    with tarfile.open(path) as packed:
        for member in packed:
            kind = KINDS.get(Path(member.name).suffix)
            file = packed.extractfile(member) if member.isfile() and kind else None
            if file is None:
                continue
            body = file.read()
            name = "/" + member.name.removeprefix("./")
            head = (
                f'Content-Type: {kind}\r\nContent-Length: {len(body)}\r\nETag: "{sha256(body).hexdigest()[:16]}"\r\n'
                f"Last-Modified: {formatdate(member.mtime, usegmt=True)}\r\nConnection: keep-alive\r\n\r\n"
            )
            answers[name] = (head.encode(), body)
    for name in [name for name in answers if name.endswith("/index.html")]:
        answers.setdefault(name.removesuffix("index.html"), answers[name])
    return answers


def serve(path: Path) -> None:
    """Serve an archive on a free port until standard input closes."""
    import asyncio  # noqa: PLC0415 - only the server process needs it

    answers = read_archive(path)

    class Connection(asyncio.Protocol):
        transport: asyncio.Transport

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport  # type: ignore[assignment] # asyncio gives a TCP transport
            self.waiting = b""

        def data_received(self, data: bytes) -> None:
            self.waiting += data
            while b"\r\n\r\n" in self.waiting:
                request, _, self.waiting = self.waiting.partition(b"\r\n\r\n")
                self.answer(request)

        def answer(self, request: bytes) -> None:
            target = request.split(b" ", 2)[1].decode("latin-1").partition("?")[0]
            found = answers.get(target)
            if found is None:
                self.transport.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                return
            head, body = found
            tag = head.split(b"ETag: ", 1)[1].split(b"\r\n", 1)[0]
            if tag in request:
                self.transport.write(b"HTTP/1.1 304 Not Modified\r\nETag: " + tag + b"\r\n\r\n")
                return
            self.transport.write(b"HTTP/1.1 200 OK\r\n" + head + (b"" if request.startswith(b"HEAD") else body))

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Connection, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()[:2]
        sys.stdout.write(f"http://{host}:{port}\n")
        sys.stdout.flush()
        await loop.run_in_executor(None, sys.stdin.read)
        os._exit(0)

    asyncio.run(run())


if __name__ == "__main__":
    serve(Path(sys.argv[1]))

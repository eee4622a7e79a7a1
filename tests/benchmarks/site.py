"""A site served on loopback by a process of its own, as fast as Python can: it must not be the bottleneck."""

from __future__ import annotations

import os
import random
import re
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from hashlib import sha256
from itertools import product
from pathlib import Path
from subprocess import PIPE, Popen

from deploy.sample.serve import SampleSite

Answer = tuple[bytes, bytes]
"""An answer's head without the status line, and its body."""

WIDTH = 100
"""Links on each page of a wide site."""

KINDS = {".html": "text/html; charset=utf-8", ".xml": "application/xml", ".txt": "text/plain"}
RENDERED_FOR = re.compile(rb"http://127\.0\.0\.1:\d+")
SYLLABLES = ("sal", "mor", "ten", "vik", "pla", "dru", "kef", "lin", "bas", "rot")
WORDS = ["".join(three) for three in product(SYLLABLES, repeat=3)]


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
def archive(path: Path, *, start: str, has_validators: bool = True) -> Iterator[Served]:
    """A site packed as tar.xz, served from memory until left; without validators it never says "not modified"."""
    with _serving("archive" if has_validators else "bare archive", str(path)) as origin:
        yield Served(path.name.removesuffix(".tar.xz"), origin + start)


@contextmanager
def wide(pages: int) -> Iterator[Served]:
    """A made-up site of so many small pages, each with a hundred links: a few of them name all."""
    with _serving("wide", str(pages)) as origin:
        yield Served(f"wide {pages}", f"{origin}/")


@contextmanager
def _serving(kind: str, subject: str) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.benchmarks.site", kind, subject]
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True) as server:  # noqa: S603 - this module
        if server.stdout is None or server.stdin is None:
            raise OSError
        origin = server.stdout.readline().strip()
        try:
            yield origin
        finally:
            server.stdin.close()
            server.terminate()


def read_archive(path: Path, origin: str) -> dict[str, Answer]:
    """Every answer of the site, by path. A site rendered for another loopback address is told its own."""
    answers: dict[str, Answer] = {}
    with tarfile.open(path) as packed:
        for member in packed:
            kind = KINDS.get(Path(member.name).suffix)
            file = packed.extractfile(member) if member.isfile() else None
            if file is None or kind is None:
                continue
            body = RENDERED_FOR.sub(origin.encode(), file.read())
            name = "/" + member.name.removeprefix("./")
            answers[name] = (_head(kind, body, member.mtime), body)
    for name in [name for name in answers if name.endswith("/index.html")]:
        answers.setdefault(name.removesuffix("index.html"), answers[name])
        answers.setdefault(name.removesuffix("/index.html"), answers[name])
    return answers


def wide_page(number: int, pages: int) -> bytes:
    """One page of a wide site: text that no other page has, and the names of the next hundred."""
    words = random.Random(number).choices(WORDS, k=60)  # noqa: S311 - text, not a secret
    first = number * WIDTH + 1
    links = "".join(
        f'<li><a href="{_name(next_ % pages)}">Page {next_}</a></li>' for next_ in range(first, first + WIDTH)
    )
    text = f"<h1>Page {number}</h1><p>{' '.join(words)}</p>"
    return f"<!doctype html><title>Page {number}</title><main>{text}</main><nav><ul>{links}</ul></nav>".encode()


def _name(number: int) -> str:
    return "/" + "".join("abcdefghij"[int(digit)] for digit in str(number)) if number else "/"


def _number(name: str) -> int | None:
    digits = name[1:].translate(str.maketrans("abcdefghij", "0123456789"))
    return int(digits or 0) if digits.isdecimal() or not digits else None


def without_validators(head: bytes) -> bytes:
    """A head that gives nothing to ask by the next time."""
    lines = head.split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.startswith((b"ETag:", b"Last-Modified:")))


def _head(kind: str, body: bytes, modified: float) -> bytes:
    head = (
        f'Content-Type: {kind}\r\nContent-Length: {len(body)}\r\nETag: "{sha256(body).hexdigest()[:16]}"\r\n'
        f"Last-Modified: {formatdate(modified, usegmt=True)}\r\nConnection: keep-alive\r\n\r\n"
    )
    return head.encode()


def _answers(kind: str, subject: str, origin: str) -> Callable[[str], Answer | None]:
    if kind == "archive":
        return read_archive(Path(subject), origin).get
    if kind == "bare archive":
        found = read_archive(Path(subject), origin)
        return {path: (without_validators(head), body) for path, (head, body) in found.items()}.get
    pages = int(subject)

    def answer(path: str) -> Answer | None:
        number = _number(path)
        if number is None or number >= pages:
            return None
        body = wide_page(number, pages)
        return _head(KINDS[".html"], body, 0), body

    return answer


def serve(kind: str, subject: str) -> None:
    """Serve a site on a free port until standard input closes."""
    import asyncio  # noqa: PLC0415 - only the server process needs it

    answers: Callable[[str], Answer | None]

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
            found = answers(target)
            if found is None:
                self.transport.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                return
            head, body = found
            tag = head.partition(b"ETag: ")[2].partition(b"\r\n")[0]
            if tag and tag in request:
                self.transport.write(b"HTTP/1.1 304 Not Modified\r\nETag: " + tag + b"\r\n\r\n")
                return
            self.transport.write(b"HTTP/1.1 200 OK\r\n" + head + (b"" if request.startswith(b"HEAD") else body))

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Connection, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()[:2]
        nonlocal answers
        answers = _answers(kind, subject, f"http://{host}:{port}")
        sys.stdout.write(f"http://{host}:{port}\n")
        sys.stdout.flush()
        await loop.run_in_executor(None, sys.stdin.read)
        os._exit(0)

    asyncio.run(run())


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2])

"""A large website of small pages, in a process of its own: `python -m tests.chaos.site --pages 2000`.

It says its address on a line of standard output and ends when its standard input closes. `GET /_/edit` makes
every page say something new; `GET /_/counts` tells how often each page was asked for.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from urllib.request import urlopen

from tests.chaos.broken.marks import MARKS
from tests.lab.site import make_page, prose

if TYPE_CHECKING:
    from collections.abc import Iterator

BRANCHES = 40
"""Links on the start page; each leads to its share of the others."""


class Running(NamedTuple):
    """A site that runs."""

    url: str

    def edit(self) -> None:
        """From now on every page says something new."""
        self._ask("edit")

    def counts(self) -> Counter[str]:
        """How often each path was asked for."""
        return Counter(json.loads(self._ask("counts")))

    def _ask(self, what: str) -> bytes:
        with urlopen(f"{self.url}/_/{what}", timeout=30) as answer:  # noqa: S310 - our own, on loopback
            content: bytes = answer.read()
            return content


@contextmanager
def site(pages: int, *, poison: int = 0) -> Iterator[Running]:
    """A site of so many pages, the start page among them; so many of them kill whoever parses them."""
    command = [sys.executable, "-m", "tests.chaos.site", f"--pages={pages}", f"--poison={poison}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as serving:  # noqa: S603 - our own module
        try:
            assert serving.stdout is not None
            yield Running(serving.stdout.readline().strip())
        finally:
            serving.kill()


def poisoned(pages: int, poison: int) -> dict[str, str]:
    """The paths that kill their parser, evenly spread over pages that lead nowhere, each with how."""
    places = [BRANCHES + 1 + number * (pages - BRANCHES - 1) // poison for number in range(poison)]
    return {f"/p/{place}": list(MARKS)[turn % len(MARKS)] for turn, place in enumerate(places)}


class Site:
    """What it answers."""

    def __init__(self, pages: int, poison: int) -> None:
        self.pages = pages
        self.edition = 1
        self.counts: Counter[str] = Counter()
        self.poison = poisoned(pages, poison) if poison else {}

    def answer(self, path: str) -> bytes:
        """One whole HTTP answer."""
        if path == "/_/edit":
            self.edition += 1
            return _http(200, b"done")
        if path == "/_/counts":
            return _http(200, json.dumps(self.counts).encode())
        self.counts[path] += 1
        html = self._html(path)
        return _http(404, b"<title>Not found</title>") if html is None else _http(200, html.encode())

    def _html(self, path: str) -> str | None:
        number = 0 if path == "/" else int(path[3:]) if path.startswith("/p/") and path[3:].isdigit() else None
        if number is None or number >= self.pages:
            return None
        title = f"Leaflet no{number}"
        text = f"{prose(title)} Its price is {100 * self.edition + number} euros in edition {self.edition}."
        mark = MARKS[self.poison[path]] if path in self.poison else ""
        return make_page(title, text, self._links(number), head=f"<!-- {mark} -->" if mark else "")

    def _links(self, number: int) -> list[str]:
        if number == 0:
            return [f"/p/{place}" for place in range(1, min(BRANCHES + 1, self.pages))]
        if number > BRANCHES:
            return ["/"]
        return ["/", *(f"/p/{place}" for place in range(number + BRANCHES, self.pages, BRANCHES))]


class Connection(asyncio.Protocol):
    """Answers requests without bodies, one after the other."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody connected."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer what is whole."""
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode()
            assert isinstance(self._transport, asyncio.Transport)
            self._transport.write(self._site.answer(path))


def _http(status: int, body: bytes) -> bytes:
    kind = "text/html; charset=utf-8" if body.startswith(b"<") else "application/json"
    head = f"HTTP/1.1 {status} Answer\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _serve(site: Site) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(site), "127.0.0.1", 0, backlog=256)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)


def main() -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=2_000)
    parser.add_argument("--poison", type=int, default=0)
    options = parser.parse_args()
    asyncio.run(_serve(Site(options.pages, options.poison)))


if __name__ == "__main__":
    main()

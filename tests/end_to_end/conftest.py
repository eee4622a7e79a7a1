"""A sample site that was crawled once, and an owner that stays up, for the tests that only look or change a little."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom

import pytest

from deploy.sample.serve import SampleSite
from tests.lab.command import Finished, Running, Sitewise

PORTS = range(20_000, 30_000)
"""Below those that a system gives to clients."""


def free_port() -> str:
    """A port nobody listens on, another one each time: two owners may be up at once."""
    while True:
        port = SystemRandom().choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return str(port)


@dataclass(frozen=True, slots=True)
class Shop:
    """The sample site, the command that crawled it, how that first crawl ended, the owner since then, and its port."""

    site: SampleSite
    sitewise: Sitewise
    first: Finished
    owner: Running
    port: str

    def crawl(self) -> Finished:
        """Crawl it again, through the owner."""
        return self.sitewise.run("crawl", self.site.url, "--page-limit", "200", "--json")


@pytest.fixture(scope="package")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The sample site in a knowledge base: crawled by one command, then kept by `sitewise up`."""
    sitewise = Sitewise(tmp_path_factory.mktemp("shop") / "kb")
    with SampleSite() as site:
        first = sitewise.run("crawl", site.url, "--page-limit", "200", "--json")
        assert first.status == 0, first.err
        port = free_port()
        owner = sitewise.start("up", "--port", port)
        owner.until_said("are up")
        yield Shop(site, sitewise, first, owner, port)
        owner.interrupt()
        ended = owner.wait()
    assert ended.status == 0, ended.err


@pytest.fixture
def fresh(tmp_path: Path) -> Sitewise:
    """The command for a data directory that is not there yet."""
    return Sitewise(tmp_path / "kb")

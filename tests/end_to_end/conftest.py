"""A sample site that was crawled once, and an owner that stays up, for the tests that only look or change a little."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.sample.serve import SampleSite
from tests.lab.command import Finished, Running, Sitewise

FREE_PORT = "8391"


@dataclass(frozen=True, slots=True)
class Shop:
    """The sample site, the command that crawled it, how that first crawl ended, and the owner since then."""

    site: SampleSite
    sitewise: Sitewise
    first: Finished
    owner: Running

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
        owner = sitewise.start("up", "--port", FREE_PORT)
        owner.until_said("are up")
        yield Shop(site, sitewise, first, owner)
        owner.interrupt()
        ended = owner.wait()
    assert ended.status == 0, ended.err


@pytest.fixture
def fresh(tmp_path: Path) -> Sitewise:
    """The command for a data directory that is not there yet."""
    return Sitewise(tmp_path / "kb")

"""No entry of a crawl leads to an address it must not reach: the guarded server sees no connection."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest
from scrapy.settings import Settings as ScrapySettings

from pipeline.errors import AddressRefused, GuardBypassed, InvalidUrl
from pipeline.model import Reason
from pipeline.settings import CrawlSettings, Settings
from pipeline.urls import split
from spiders.configuration import scrapy_settings
from spiders.guard import AddressGuard, own_addresses, refuse_bypass, require_guard
from spiders.resolving import Address, Resolution, Resolver
from tests.fakes.ledger import FakeLedger, make_plan
from tests.fakes.names import NameTable
from tests.lab import LabSite, Reply
from tests.lab.crawl import SpiderProcess

ONLY_THE_SITE = {"SITEWISE_CRAWL__ALLOWED_ADDRESSES": "127.0.0.1/32"}
SPELLINGS = (
    "http://127.0.0.2:{port}/",
    "http://127.2:{port}/",
    "http://2130706434:{port}/",
    "http://0x7f000002:{port}/",
    "http://[::ffff:127.0.0.2]:{port}/",
    "http://user@127.0.0.2:{port}/",
    "http://inner.test:{port}/",
    "http://both.test:{port}/",
    "http:\\\\127.0.0.2:{port}/",
    "file:///etc/hostname",
    "ftp://127.0.0.2:{port}/",
    "data:text/html,hello",
)
NAMES = {
    "outer.test": [["127.0.0.1"]],
    "inner.test": [["127.0.0.2"]],
    "both.test": [["127.0.0.1", "127.0.0.2"]],
    "rebind.test": [["127.0.0.1"], ["127.0.0.1"], ["127.0.0.2"]],
}


@pytest.fixture(scope="module")
def inner() -> Iterator[LabSite]:
    """A server that no crawl may reach."""
    with LabSite("127.0.0.2") as site:
        site.serve(lambda _: Reply(200, b"User-agent: *\nAllow: /\n"))
        yield site


def spell(inner: LabSite) -> list[str]:
    """Every way to name the inner server."""
    return [spelling.format(port=inner.port) for spelling in SPELLINGS]


def tempt(site: LabSite, inner: LabSite) -> None:
    """Name the inner server at every entry of a crawl of `site`."""
    spellings = spell(inner)
    site.page("/", links=[*spellings, *(f"/to/{number}" for number in range(len(spellings)))])
    for number, spelling in enumerate(spellings):
        site.redirect(f"/to/{number}", spelling)
        site.redirect(f"/map/{number}.xml", spelling)
    site.page("/canonical", head=f'<link rel="canonical" href="{inner.url}/">')
    site.page("/refresh", head=f'<meta http-equiv="refresh" content="0; url={inner.url}/">')
    site.page("/base", head=f'<base href="{inner.url}/">', links=["x"])
    maps = [f"{site.url}/map/{number}.xml" for number in range(len(spellings))]
    site.robots("\n".join(f"Sitemap: {url}" for url in [*spellings, *maps, f"{site.url}/index.xml"]))
    site.sitemap_index([*spellings, "/pages.xml"], path="/index.xml")
    site.sitemap([*spellings, "/canonical", "/refresh", "/base"], path="/pages.xml")


def test_no_entry_leads_inside(inner: LabSite) -> None:
    """Links, redirects, robots.txt, sitemaps and canonicals, in every spelling: no connection is made."""
    inner.connections = 0
    with LabSite() as site:
        tempt(site, inner)
        ledger = FakeLedger(make_plan(f"{site.at('outer.test')}/"))
        starts = [FakeLedger(make_plan(f"http://{name}.test:{inner.port}/")) for name in ("inner", "both")]

        statuses = run_all([ledger, *starts])

    assert statuses == [0, 0, 0]
    assert inner.connections == 0
    for refused in starts:
        assert list(refused.reasons().values()) == [Reason.ADDRESS_REFUSED]


def run_all(ledgers: list[FakeLedger]) -> list[int]:
    """Crawl for all of these at a time."""
    spiders = [SpiderProcess(ledger, settings=ONLY_THE_SITE, names=NAMES) for ledger in ledgers]
    for spider in spiders:
        spider.__enter__()
    try:
        return [spider.wait() for spider in spiders]
    finally:
        for spider in spiders:
            spider.__exit__(None, None, None)


def test_a_name_that_changes_its_mind_gains_nothing(inner: LabSite) -> None:
    """The address judged is the address connected to, each time anew."""
    inner.connections = 0
    with LabSite() as site:
        links = [f"/{number}" for number in range(30)]
        bye = (("Connection", "close"), ("Content-Type", "text/html"))
        site.answers("/", Reply(200, "".join(f'<a href="{link}">x</a>' for link in links).encode(), bye))
        site.serve(lambda _: Reply(404, b"", bye))
        ledger = FakeLedger(make_plan(f"{site.at('rebind.test')}/"))

        statuses = run_all([ledger])

    assert statuses == [0]
    assert inner.connections == 0
    assert Reason.ADDRESS_REFUSED in ledger.reasons().values()


# --- the guard itself ----------------------------------------------------------------------


class FakeReactor:
    """As much of a reactor as names need."""

    def __init__(self, resolver: Resolver) -> None:
        self.nameResolver = resolver

    def installNameResolver(self, resolver: Resolver) -> Resolver:  # noqa: N802 - Twisted's name
        """Put another resolver in place."""
        before, self.nameResolver = self.nameResolver, resolver
        return before


class Heard:
    """Remembers what a resolver passes on."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.is_complete = False

    def resolutionBegan(self, resolution: Resolution) -> None:  # noqa: N802 - Twisted's name
        """Nothing to remember."""

    def addressResolved(self, address: Address) -> None:  # noqa: N802 - Twisted's name
        """Remember an address."""
        self.addresses.append(address.host)

    def resolutionComplete(self) -> None:  # noqa: N802 - Twisted's name
        """Remember the end."""
        self.is_complete = True


def resolve(host: str, port: int, *, settings: CrawlSettings | None = None) -> Heard:
    """What a guarded reactor learns of a host."""
    reactor = FakeReactor(NameTable(NAMES))
    guard = AddressGuard(reactor, settings or CrawlSettings(), frozenset())
    guard.install_on_reactor()
    heard = Heard()
    require_guard(reactor).resolveHostName(heard, host, port)
    assert heard.is_complete
    return heard


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254", "inner.test", "both.test"])
def test_the_guard_hands_on_no_inner_address(host: str) -> None:
    """Literals pass through it as names do, and one inner answer refuses the whole name."""
    assert resolve(host, 80).addresses == []


def test_the_guard_hands_on_what_is_allowed() -> None:
    """Public addresses on web ports, and anything in an allowed network."""
    allowed = CrawlSettings(allowed_addresses=(ip_network("127.0.0.1/32"),))

    assert resolve("8.8.8.8", 443).addresses == ["8.8.8.8"]
    assert resolve("8.8.8.8", 22).addresses == []
    assert resolve("outer.test", 8080, settings=allowed).addresses == ["127.0.0.1"]


@pytest.mark.needs("eval_data")
def test_the_guard_lets_no_spelling_of_the_shared_table_through() -> None:
    """Every URL of the table is no URL, or its host leads to no address."""
    table = Path(os.environ["SITEWISE_EVAL_DATA"], "addresses.tsv").read_text(encoding="utf-8")
    through = []
    for line in table.splitlines():
        if not line.startswith("#"):
            url = ast.literal_eval(line.split("\t")[0])
            try:
                parts = split(url)
            except InvalidUrl:
                continue
            through += resolve(parts.host, parts.port).addresses

    assert through == []


def test_the_guard_remembers_why_it_refused() -> None:
    """The reason reaches the person who asks why a page is missing."""
    reactor = FakeReactor(NameTable(NAMES))
    guard = AddressGuard(reactor, CrawlSettings(), frozenset())

    guard.resolveHostName(Heard(), "inner.test", 80)

    assert isinstance(guard.refusal("inner.test"), AddressRefused)
    assert guard.refusal("outer.test") is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"TWISTED_REACTOR_ENABLED": False}, "without a reactor"),
        ({"TWISTED_DNS_RESOLVER": "scrapy.resolver.CachingThreadedResolver"}, "CachingThreadedResolver"),
        ({"DOWNLOAD_HANDLERS": {"https": "scrapy.core.downloader.handlers.http2.H2DownloadHandler"}}, "handlers"),
        (
            {
                "DOWNLOAD_HANDLERS": {
                    "http": "spiders.download.BoundedDownload",
                    "https": "spiders.download.BoundedDownload",
                    "file": "scrapy.core.downloader.handlers.file.FileDownloadHandler",
                }
            },
            "handlers",
        ),
        ({"DOWNLOADER_MIDDLEWARES": {"scrapy.downloadermiddlewares.httpproxy.HttpProxyMiddleware": 750}}, "proxy"),
    ],
)
def test_what_would_go_round_the_guard_is_refused(change: dict[str, object], said: str) -> None:
    """No crawl starts with another handler, resolver, proxy or without a reactor."""
    settings = ScrapySettings(scrapy_settings(Settings()) | change)

    with pytest.raises(GuardBypassed) as refused:
        refuse_bypass(settings, {"https_proxy": "http://proxy.example:3128"})

    assert said in str(refused.value)


def test_a_proxy_variable_alone_changes_nothing() -> None:
    """Nothing in this set-up reads it, so connections stay direct and guarded."""
    refuse_bypass(ScrapySettings(scrapy_settings(Settings())), {"https_proxy": "http://proxy.example:3128"})


def test_another_resolver_in_the_guards_place_is_refused() -> None:
    """The guard is looked for where connections look for it."""
    with pytest.raises(GuardBypassed):
        require_guard(FakeReactor(NameTable({})))


def test_this_machines_addresses_are_read_from_the_kernel(tmp_path: Path) -> None:
    """Local routes name IPv4 addresses, the interface table IPv6 ones; elsewhere there are none."""
    (tmp_path / "fib_trie").write_text(
        "Main:\n     |-- 192.0.2.7\n        /32 host LOCAL\n     |-- 192.0.2.0\n        /24 link\n"
    )
    (tmp_path / "if_inet6").write_text("20010db8000000000000000000000001 02 40 00 80 eth0\n")

    assert {str(address) for address in own_addresses(tmp_path)} == {"192.0.2.7", "2001:db8::1"}
    assert own_addresses(tmp_path / "nothing") == frozenset()

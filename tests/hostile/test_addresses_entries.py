"""No entry of a crawl leads to an address it must not reach: the guarded server sees no connection."""

from __future__ import annotations

import ast
import errno
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from html import escape
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import quote

import pytest
from scrapy.settings import Settings as ScrapySettings

from pipeline.addresses import check_url, own_addresses
from pipeline.errors import AddressRefused, GuardBypassed, InvalidUrl
from pipeline.model import Reason
from pipeline.settings import CrawlSettings, Settings
from pipeline.urls import split
from spiders.configuration import scrapy_settings
from spiders.guard import AddressGuard, refuse_bypass, require_guard
from spiders.resolving import Address, Resolution, Resolver
from tests.fakes.ledger import FakeLedger, make_plan
from tests.fakes.names import NameTable
from tests.hostile.spellings import NAMES, OUTER, spell
from tests.lab import LabSite, Reply
from tests.lab.crawl import SpiderProcess

ONLY_THE_SITE = {"SITEWISE_CRAWL__ALLOWED_ADDRESSES": f"{OUTER}/32"}


@dataclass(frozen=True, slots=True)
class Inner:
    """The servers that nothing may reach, and every way to name them."""

    sites: tuple[LabSite, ...]

    @property
    def spellings(self) -> list[str]:
        """Every spelling of the tables, with these servers' ports."""
        return spell(self.sites[0].port, self.sites[-1].port)

    @property
    def connections(self) -> int:
        """How often anything connected to them."""
        return sum(site.connections for site in self.sites)


@pytest.fixture(scope="module")
def inner() -> Iterator[Inner]:
    """Servers on loopback, in IPv6 too where the machine has it, that answer whatever they are asked."""
    addresses = ["127.0.0.1", *(["::1"] if has_ipv6 else [])]
    with ExitStack() as stack:
        sites = tuple(stack.enter_context(LabSite(address)) for address in addresses)
        for site in sites:
            site.serve(lambda _: Reply(200, b"User-agent: *\nAllow: /\n"))
        yield Inner(sites)
        assert [site.connections for site in sites] == [0] * len(sites)


@pytest.fixture(scope="module")
def has_ipv6() -> bool:
    """Whether this machine can listen on its IPv6 loopback."""
    with socket.socket(socket.AF_INET6) as six:
        return six.connect_ex(("::1", 9)) != errno.EADDRNOTAVAIL


def tempt(site: LabSite, spellings: list[str]) -> None:
    """Name the inner servers at every entry of a crawl of `site`."""
    numbers = range(len(spellings))
    site.page("/", links=[*spellings, *(f"/to/{n}" for n in numbers), *(f"/page/{n}" for n in numbers)])
    for number, spelling in enumerate(spellings):
        refresh = f'<meta http-equiv="refresh" content="0; url={escape(spelling)}">'
        head = f'<link rel="canonical" href="{escape(spelling)}"><link rel="next" href="{escape(spelling)}">{refresh}'
        header = f'<{spelling.encode("ascii", "ignore").decode()}>; rel="canonical"'.replace("\n", "")
        site.page(f"/page/{number}", head=head, links=[spelling], headers=[("Link", header)])
        location = quote(spelling.replace("\n", "").replace("\t", ""), safe=":/?#[]@!$&'()*+,;=%\\ ")
        site.redirect(f"/to/{number}", location)
        site.redirect(f"/map/{number}.xml", location)
    site.page("/base", head=f'<base href="{spellings[0]}">', links=["x"])
    maps = [f"{site.url}/map/{number}.xml" for number in numbers]
    site.robots("\n".join(f"Sitemap: {url}" for url in [*spellings, *maps, f"{site.url}/index.xml"]))
    site.sitemap_index([*spellings, "/pages.xml"], path="/index.xml")
    site.sitemap([*spellings, "/base"], path="/pages.xml")


def test_no_entry_leads_inside(inner: Inner, tmp_path: Path) -> None:
    """Starts, links, redirects, robots.txt, sitemaps and canonicals, in every spelling: no connection is made."""
    heard = tmp_path / "connections"
    with LabSite(OUTER) as site:
        tempt(site, inner.spellings)
        ledger = FakeLedger(make_plan(f"{site.at('outer.test')}/"))
        names = ("inner.test", "both.test", "six.test")
        starts = [FakeLedger(make_plan(f"http://{name}:{inner.sites[0].port}/")) for name in names]

        statuses = run_all([ledger, *starts], {"LAB_CONNECTIONS": str(heard)})
        asked = site.paths()

    assert statuses == [0, 0, 0, 0]
    assert inner.connections == 0
    assert {line.split()[0] for line in heard.read_text().splitlines()} == {OUTER}
    for number in range(len(inner.spellings)):
        assert {f"/to/{number}", f"/page/{number}", f"/map/{number}.xml"} <= set(asked)
    for refused in starts:
        assert list(refused.reasons().values()) == [Reason.ADDRESS_REFUSED]


def run_all(ledgers: list[FakeLedger], also: Mapping[str, str] | None = None) -> list[int]:
    """Crawl for all of these at a time."""
    settings = ONLY_THE_SITE | dict(also or {})
    spiders = [SpiderProcess(ledger, settings=settings, names=NAMES) for ledger in ledgers]
    for spider in spiders:
        spider.__enter__()
    try:
        return [spider.wait() for spider in spiders]
    finally:
        for spider in spiders:
            spider.__exit__(None, None, None)


def test_a_name_that_changes_its_mind_gains_nothing(inner: Inner) -> None:
    """The address judged is the address connected to, each time anew."""
    with LabSite(OUTER) as site:
        links = [f"/{number}" for number in range(30)]
        bye = (("Connection", "close"), ("Content-Type", "text/html"))
        site.answers("/", Reply(200, "".join(f'<a href="{link}">x</a>' for link in links).encode(), bye))
        site.serve(lambda _: Reply(404, b"", bye))
        ledger = FakeLedger(make_plan(f"{site.at('later.test')}/"))

        statuses = run_all([ledger])

    assert statuses == [0]
    assert inner.connections == 0
    assert Reason.ADDRESS_REFUSED in ledger.reasons().values()


@pytest.mark.parametrize("url", spell(80, 80))
def test_no_spelling_is_stored_as_a_start(url: str) -> None:
    """What a customer types is no URL, is refused at once, or is a name that leads to no address later."""
    try:
        check_url(url, CrawlSettings())
        parts = split(url)
    except (AddressRefused, InvalidUrl):
        return

    assert parts.host.endswith(".test")
    assert resolve(parts.host, parts.port).addresses == []


@pytest.mark.parametrize("url", spell(80, 80))
def test_no_spelling_gets_past_the_guard(url: str) -> None:
    """Where nothing was checked before, the resolver still hands on nothing, however often it is asked."""
    try:
        parts = split(url)
    except InvalidUrl:
        return
    names = NameTable(NAMES)

    assert [resolve(parts.host, parts.port, names=names).addresses for _ in range(3)] == [[], [], []]


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


def resolve(host: str, port: int, *, settings: CrawlSettings | None = None, names: NameTable | None = None) -> Heard:
    """What a guarded reactor learns of a host."""
    reactor = FakeReactor(names or NameTable(NAMES))
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
    allowed = CrawlSettings(allowed_addresses=(ip_network(f"{OUTER}/32"),))

    assert resolve("8.8.8.8", 443).addresses == ["8.8.8.8"]
    assert resolve("8.8.8.8", 22).addresses == []
    assert resolve("outer.test", 8080, settings=allowed).addresses == [OUTER]


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
        ({"DOWNLOADER_MIDDLEWARES": {"scrapy.downloadermiddlewares.httpproxy.HttpProxyMiddleware": 750}}, "middleware"),
    ],
)
def test_what_would_go_round_the_guard_is_refused(change: dict[str, object], said: str) -> None:
    """No crawl starts with another handler, resolver, proxy or without a reactor."""
    settings = ScrapySettings(scrapy_settings(Settings()) | change)

    with pytest.raises(GuardBypassed) as refused:
        refuse_bypass(settings, {})

    assert said in str(refused.value)


@pytest.mark.parametrize("variable", ["http_proxy", "HTTPS_PROXY", "All_Proxy", "SOCKS_PROXY"])
def test_a_proxy_in_the_environment_is_refused(variable: str) -> None:
    """Whatever obeyed it, a browser for one, would connect where no check stands; the message names it."""
    settings = ScrapySettings(scrapy_settings(Settings()))

    with pytest.raises(GuardBypassed, match=f"unset: {variable}"):
        refuse_bypass(settings, {variable: "http://proxy.example:3128", "no_proxy": "localhost"})


def test_no_proxy_is_no_proxy() -> None:
    """An empty variable, and the list of hosts that need none, by-pass nothing."""
    refuse_bypass(ScrapySettings(scrapy_settings(Settings())), {"https_proxy": "", "no_proxy": "localhost"})


def test_a_spider_with_a_proxy_does_not_start(inner: Inner) -> None:
    """The process ends as not set up, before it asks anything of anybody."""
    with LabSite(OUTER) as site:
        site.page("/")
        ledger = FakeLedger(make_plan(f"{site.url}/"))

        statuses = run_all([ledger], {"HTTP_PROXY": inner.sites[0].url})

    assert statuses == [os.EX_CONFIG]
    assert site.connections == inner.connections == 0
    assert not ledger.is_finished


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

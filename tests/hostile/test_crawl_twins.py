"""One page under many addresses is one page, and one site under several hosts is one site."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from pipeline.model import Reason
from pipeline.urls import canonical, url_key
from tests.fakes.ledger import FakeLedger, make_plan
from tests.lab import LabSite, Reply
from tests.lab.crawl import crawl
from tests.lab.site import HTML, make_page, prose

OURS = ("shop.test", "www.shop.test", "docs.shop.test", "a.b.shop.test", "help.test")
OTHERS = ("other.test", "badshop.test", "docs.help.test")

TWINS = {
    "a slash at the end": ["/slash", "/slash/"],
    "an index page": ["/index-page/index.html", "/index-page/", "/index-page/default.aspx", "/index-page"],
    "a fragment": ["/fragment#one", "/fragment#two"],
    "tracking": ["/tracking?utm_source=mail&utm_medium=x", "/tracking?gclid=1&fbclid=2", "/tracking?mc_cid=3"],
    "escapes": ["/esc%61pes", "/escapes", "/escape%73"],
    "upper and lower case of escapes": ["/%c3%bcber", "/%C3%BCber", "/über"],
    "upper and lower case of the host": ["//SHOP.test:{port}/host-case", "//Shop.Test:{port}/host-case"],
    "www": ["//www.shop.test:{port}/www", "//shop.test:{port}/www"],
    "http and https": ["/scheme", "https://shop.test:{port}/scheme"],
    "dots": ["/x/../dots", "/./dots", "/x/%2e%2e/dots"],
    "a session in the path": ["/session;jsessionid=0123456789abcdef", "/(S(lit3py55t21z5v55))/session", "/session"],
    "a session in the query": ["/logged?PHPSESSID=0123456789abcdef", "/logged?sid=0123456789abcdef01", "/logged"],
    "the order of a query": ["/query?b=1&a=2", "/query?a=2&b=1", "/query?a=2&&b=1&"],
}
"""Addresses of one page, by what they differ in."""


class Crawled:
    """What one crawl of a site of several hosts took."""

    def __init__(self, site: LabSite, ledger: FakeLedger) -> None:
        self.site = site
        self.ledger = ledger
        self.fetched = [f"http://{request.host}{request.target}" for request in site.requests]
        self.kept = {url.replace(f":{site.port}", "") for url in ledger.kept()}

    def url(self, link: str) -> str:
        """A link of the start page, absolute."""
        return canonical(link.format(port=self.site.port), f"{self.site.at('shop.test')}/")


def any_page(path: str) -> Reply:
    """A page for whatever address."""
    return Reply(200, make_page(f"Page {path}").encode(), (HTML,))


def build(site: LabSite) -> None:
    """A shop with its manuals, help and blog on hosts of their own, and neighbours with names like its own."""
    links = [link.format(port=site.port) for links in TWINS.values() for link in links]
    fronts = [site.at(host) + "/" for host in ("docs.shop.test", "a.b.shop.test", *OTHERS)]
    languages = f'<link rel="alternate" hreflang="de" href="{site.at("docs.shop.test")}/de/">'
    site.page("/", text=prose("shop"), links=[*links, *fronts, "/moved", "/left"], head=languages, host="shop.test")
    site.redirect("/moved", site.at("docs.shop.test") + "/from-moved", host="shop.test")
    site.redirect("/left", site.at("other.test") + "/", host="shop.test")
    site.sitemap(
        ["/listed"], alternates={"/listed": {"fr": f"{site.at('docs.shop.test')}/fr/listed"}}, host="shop.test"
    )
    better = f'<link rel="canonical" href="{site.at("shop.test")}/scheme">'
    site.page("/copied", head=better, host="docs.shop.test")
    site.page("/", links=["/copied"], host="docs.shop.test")
    site.sitemap(["/only-in-the-sitemap-of-help"], host="help.test")
    site.robots("User-agent: *\nDisallow: /private", host="help.test")
    site.page("/", links=["/private"], host="help.test")
    site.serve(lambda request: None if request.path in {"/robots.txt", "/sitemap.xml"} else any_page(request.target))


@pytest.fixture(scope="module")
def crawled() -> Iterator[Crawled]:
    """The shop, crawled once with its subdomains and one more host."""
    with LabSite() as site:
        build(site)
        plan = replace(make_plan(f"{site.at('shop.test')}/"), subdomains=True, extra_hosts=(f"help.test:{site.port}",))
        ledger = FakeLedger(plan)
        names = {host: [["127.0.0.1"]] for host in (*OURS, *OTHERS)}

        status = crawl(ledger, names=names)

        assert status == 0
        yield Crawled(site, ledger)


@pytest.mark.parametrize("links", TWINS.values(), ids=TWINS)
def test_twins_are_fetched_once(crawled: Crawled, links: list[str]) -> None:
    """Whatever they differ in, the first is asked for and kept, the others cost nothing."""
    key = url_key(crawled.url(links[0]))

    assert {url_key(crawled.url(link)) for link in links} == {key}
    assert sum(url_key(url) == key for url in crawled.fetched) == 1
    assert sum(url_key(url) == key for url in crawled.ledger.kept()) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://docs.shop.test/",
        "http://a.b.shop.test/",
        "http://docs.shop.test/de/",
        "http://docs.shop.test/fr/listed",
        "http://docs.shop.test/from-moved",
        "http://help.test/",
        "http://help.test/only-in-the-sitemap-of-help",
        "http://shop.test/listed",
    ],
)
def test_pages_of_every_host_of_the_site_are_kept(crawled: Crawled, url: str) -> None:
    """Linked, redirected to, named as another language, or listed by an added host's own sitemap."""
    assert url in crawled.kept


def test_hosts_of_others_are_left_alone(crawled: Crawled) -> None:
    """Not one request goes to a host that only looks like ours, or that nobody added."""
    hosts = {request.host.partition(":")[0] for request in crawled.site.requests}

    assert hosts == {"shop.test", "docs.shop.test", "a.b.shop.test", "help.test"} | hosts & {"www.shop.test"}
    assert crawled.ledger.reasons()[crawled.url("/left")] is Reason.OFF_SITE


def test_every_host_has_its_own_robots_txt(crawled: Crawled) -> None:
    """What one host forbids, another may allow."""
    reason = crawled.ledger.reasons()[f"{crawled.site.at('help.test')}/private"]

    assert reason is Reason.ROBOTS


def test_a_canonical_on_another_host_of_the_site_counts(crawled: Crawled) -> None:
    """A copy that names its original there is folded into it."""
    copy = crawled.ledger.outcome(f"{crawled.site.at('docs.shop.test')}/copied")

    assert (copy.reason, copy.final_url) == (Reason.CANONICAL_TO, crawled.url("/scheme"))

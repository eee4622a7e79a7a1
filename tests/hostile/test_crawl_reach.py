"""What a crawl of an ordinary site collects, and what it says of the rest."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from itertools import pairwise

import pytest

from pipeline.model import Reason
from tests.fakes.ledger import FakeLedger, make_plan
from tests.lab import LabSite, Reply
from tests.lab.crawl import crawl
from tests.lab.site import make_page, prose

PDF = [("Content-Type", "application/pdf")]
PAGE = [("Content-Type", "text/html; charset=utf-8")]


class Crawled:
    """A site, and what one crawl of it left in the ledger."""

    def __init__(self, site: LabSite, ledger: FakeLedger, status: int) -> None:
        self.site = site
        self.ledger = ledger
        self.status = status

    def kept(self) -> set[str]:
        """Paths of the pages that were kept."""
        return {url.removeprefix(self.site.url) for url in self.ledger.kept()}

    def reason(self, path: str) -> Reason | None:
        """Why a path was left out."""
        return self.ledger.reasons().get(self.site.url + path)

    def detail(self, path: str) -> str:
        """What was seen there."""
        return self.ledger.outcome(self.site.url + path).detail or ""


def build(site: LabSite) -> None:
    """A small site with one page for every common turn."""
    links = ["/a", "/b/", "/b", "/c?utm_source=mail", "/dir/", "https://example.org/elsewhere", "mailto:me@example.org"]
    links += ["/old", "/slash", "/loop-1", "/self", "/cookie", "/missing", "/file.pdf", "/like.html", "/canonical"]
    links += [
        "/hidden-by-tag",
        "/hidden-by-header",
        "/nofollow",
        "/login",
        "/account",
        "/lost",
        "/thin",
        "/refresh",
        "/round-1",
    ]
    links += ["/list?page=1", "/private/x", "/a/a/a/a", "/Link-canonical", "/outside", "/binary", "/typeless"]
    links += ["/busy", "/broken"]
    site.page("/", text=" ".join(prose(f"Part {number}") for number in range(4)), links=links)
    site.page("/a", links=["/a/deeper"])
    site.page("/a/deeper")
    site.page("/b/")
    site.page("/c")
    site.page("/dir/", head='<base href="/base/">', links=["based"])
    site.page("/base/based")
    site.redirect("/old", "/a")
    site.redirect("/slash", "/slash/")
    site.page("/slash/")
    site.redirect("/loop-1", "/loop-2")
    site.redirect("/loop-2", "/loop-1")
    site.redirect("/self", "/self")
    site.redirect("/outside", "https://example.org/")
    wants_cookie = Reply(302, b"", (("Location", "/cookie"), ("Set-Cookie", "seen=1; Path=/")))
    site.answers("/cookie", wants_cookie, _page("Cookie"))
    site.answers("/busy", Reply(429, b"", (("Retry-After", "2"),)), _page("Busy"))
    site.answers("/broken", Reply(500), Reply(502), _page("Broken"))
    site.respond("/file.pdf", body=b"%PDF-1.7", headers=PDF)
    site.respond("/like.html", body=b"%PDF-1.7", headers=PAGE)
    site.respond("/binary", body=bytes(range(256)) * 8, headers=PAGE)
    site.respond("/typeless", body=b"<!doctype html><title>T</title><p>Some words that make a page of its own.")
    site.page("/canonical", head='<link rel="canonical" href="/a">')
    site.page("/Link-canonical", headers=[("Link", f'<{site.url}/a>; rel="canonical"')])
    site.page("/hidden-by-tag", head='<meta name="robots" content="noindex">', links=["/behind-noindex"])
    site.page("/behind-noindex")
    site.page("/hidden-by-header", headers=[("X-Robots-Tag", "noindex")])
    site.page("/nofollow", head='<meta name="robots" content="nofollow">', links=["/behind-nofollow"])
    site.page("/behind-nofollow")
    site.page("/login", html='<title>Sign in</title><form><input type="password" name="p"></form>')
    site.redirect("/account", "/signin?next=/account")
    site.page("/lost", title="Page not found", text="We could not find it.")
    site.page("/thin", html="<title>T</title><p>One.")
    site.page("/refresh", head='<meta http-equiv="refresh" content="0; url=/a">')
    for here, there in ((1, 2), (2, 3), (3, 1)):
        site.page(f"/round-{here}", head=f'<meta http-equiv="refresh" content="0; url=/round-{there}">')
    site.page("/list", links=[f"/list?page={number}" for number in range(2, 80)])
    site.page("/private/x")
    site.robots(f"User-agent: *\nDisallow: /private/\nSitemap: {site.url}/named.xml.gz\n")
    site.sitemap_index(["/nested.xml"])
    site.sitemap(["/only-in-nested", "/a"], path="/nested.xml", lastmod="2026-01-02")
    site.page("/only-in-nested")
    named = f"<urlset><url><loc>{site.url}/only-named</loc></url></urlset>".encode()
    site.respond("/named.xml.gz", body=gzip.compress(named), headers=[("Content-Type", "application/gzip")])
    site.page("/only-named")


def _page(title: str) -> Reply:
    return Reply(200, make_page(title).encode(), tuple(PAGE))


@pytest.fixture(scope="module")
def crawled() -> Iterator[Crawled]:
    """The small site, crawled once."""
    with LabSite() as site:
        build(site)
        ledger = FakeLedger(make_plan(f"{site.url}/"))
        yield Crawled(site, ledger, crawl(ledger))


def test_the_crawl_ends_by_itself(crawled: Crawled) -> None:
    """Exit status 0, the ledger is told, nothing is left waiting."""
    assert crawled.status == 0
    assert crawled.ledger.is_finished
    assert crawled.ledger.progress().waiting == 0


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/a",
        "/a/deeper",
        "/b/",
        "/base/based",
        "/slash",
        "/cookie",
        "/typeless",
        "/behind-noindex",
        "/nofollow",
        "/only-in-nested",
        "/only-named",
        "/busy",
        "/broken",
    ],
)
def test_a_page_reached_any_way_is_kept(crawled: Crawled, path: str) -> None:
    """Links, base addresses, redirects to itself, cookies and sitemaps of all kinds lead to pages."""
    assert path in crawled.kept()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/old", Reason.DUPLICATE_OF),
        ("/refresh", Reason.DUPLICATE_OF),
        ("/round-2", Reason.DUPLICATE_OF),
        ("/round-3", Reason.REDIRECT_LOOP),
        ("/loop-2", Reason.REDIRECT_LOOP),
        ("/self", Reason.REDIRECT_LOOP),
        ("/outside", Reason.OFF_SITE),
        ("/missing", Reason.HTTP_ERROR),
        ("/file.pdf", Reason.NOT_HTML),
        ("/like.html", Reason.NOT_HTML),
        ("/binary", Reason.NOT_HTML),
        ("/canonical", Reason.CANONICAL_TO),
        ("/Link-canonical", Reason.CANONICAL_TO),
        ("/hidden-by-tag", Reason.NOINDEX),
        ("/hidden-by-header", Reason.NOINDEX),
        ("/login", Reason.LOGIN_WALL),
        ("/account", Reason.LOGIN_WALL),
        ("/lost", Reason.SOFT_404),
        ("/thin", Reason.THIN),
        ("/private/x", Reason.ROBOTS),
        ("/a/a/a/a", Reason.DEPTH),
        ("/list?page=79", Reason.PAGE_LIMIT),
    ],
)
def test_a_url_that_is_no_page_has_its_reason(crawled: Crawled, path: str, reason: Reason) -> None:
    """Every way of not being a page has a word of its own."""
    assert crawled.reason(path) is reason


def test_twins_are_fetched_once(crawled: Crawled) -> None:
    """Trailing slash and tracking make no second fetch."""
    asked = crawled.site.paths()

    assert asked.count("/b/") + asked.count("/b") == 1
    assert asked.count("/c?utm_source=mail") + asked.count("/c") == 1
    assert max(asked.count(path) for path in set(asked) - {"/cookie", "/self", "/busy", "/broken"}) == 1


def test_other_sites_are_not_even_remembered(crawled: Crawled) -> None:
    """A link elsewhere costs no row."""
    assert not any("example.org" in url_key for url_key in crawled.ledger.rows)


def test_links_of_a_nofollow_page_are_left_alone(crawled: Crawled) -> None:
    """Nofollow keeps the page and not its links."""
    assert "/behind-nofollow" not in crawled.site.paths()


def test_robots_txt_keeps_us_out(crawled: Crawled) -> None:
    """A path it names is never asked for, and robots.txt is read once."""
    assert "/private/x" not in crawled.site.paths()
    assert crawled.site.count("/robots.txt") == 1


def test_one_path_is_fetched_with_fifty_queries_at_most(crawled: Crawled) -> None:
    """Endless pagination ends."""
    assert sum(path.startswith("/list?") for path in crawled.site.paths()) <= 50


def test_a_host_that_asks_for_a_pause_gets_it(crawled: Crawled) -> None:
    """`Retry-After: 2` keeps every visit away for two seconds, those already sent excepted."""
    times = [request.at for request in crawled.site.requests]
    refused = next(request.at for request in crawled.site.requests if request.path == "/busy")

    longest = max(later - earlier for earlier, later in pairwise(times) if later > refused)

    assert longest > 1


def test_a_sitemaps_date_is_kept(crawled: Crawled) -> None:
    """`lastmod` travels with the URL it belongs to."""
    row = next(row for row in crawled.ledger.rows.values() if row.taken.url.endswith("/only-in-nested"))

    assert row.lastmod == "2026-01-02"


def test_we_say_who_we_are(crawled: Crawled) -> None:
    """Every request names the crawler and where to complain."""
    agents = {request.headers["user-agent"] for request in crawled.site.requests}

    assert len(agents) == 1
    assert "SitewiseBot" in agents.pop()


def test_a_second_crawl_asks_only_what_changed() -> None:
    """A page whose validators still hold is not sent again."""
    with LabSite() as site:
        site.page("/", links=["/a"], etag='"start"')
        site.page("/a", headers=[("Last-Modified", "Fri, 02 Jan 2026 00:00:00 GMT")])
        site.sitemap(["/a"])
        known: dict[str, tuple[str | None, str | None]] = {
            f"https://127.0.0.1:{site.port}/": ('"start"', None),
            f"https://127.0.0.1:{site.port}/a": (None, "Fri, 02 Jan 2026 00:00:00 GMT"),
        }
        ledger = FakeLedger(make_plan(f"{site.url}/"), known=known)

        status = crawl(ledger)

        assert status == 0
        assert ledger.outcome(f"{site.url}/").not_modified
        assert ledger.outcome(f"{site.url}/a").not_modified


def test_rules_and_limits_hold() -> None:
    """Includes, excludes and the page limit decide; the start page is still read for its links."""
    with LabSite() as site:
        site.page("/", links=[f"/docs/{number}" for number in range(30)] + ["/blog/a", "/docs/old/a"])
        site.serve(lambda request: _page(request.path) if "/docs/" in request.path else None)
        plan = make_plan(f"{site.url}/", page_limit=12, include=["/docs/*"], exclude=["/docs/old/*"])
        ledger = FakeLedger(plan)

        status = crawl(ledger)

        assert status == 0
        assert len(ledger.kept()) == 12
        assert len(site.paths()) == 13
        assert ledger.reasons()[f"{site.url}/"] is Reason.EXCLUDED_RULE
        assert ledger.reasons()[f"{site.url}/blog/a"] is Reason.EXCLUDED_RULE
        assert ledger.reasons()[f"{site.url}/docs/old/a"] is Reason.EXCLUDED_RULE


def test_a_hidden_login_form_loses_no_page() -> None:
    """A front page that says little, with a form to sign in that opens on a click, is kept, and its links followed."""
    text = "We sell kettles and pans made in Sheffield since 1921. Free delivery over 50 pounds."
    form = '<div class="modal" style="display:none"><form><input type="password" name="p"></form></div>'
    with LabSite() as site:
        site.page("/", html=f'<title>Shop</title><header><a href="/a">A</a>{form}</header><main><p>{text}</main>')
        site.page("/a", text=prose("kettles"))
        ledger = FakeLedger(make_plan(site.url + "/"))

        crawl(ledger)

        assert {url.removeprefix(site.url) for url in ledger.kept()} == {"/", "/a"}

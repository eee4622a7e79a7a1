"""What a caller may say of a website, field by field."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.errors import AddressRefused, InvalidHost, InvalidInput, InvalidPattern, InvalidUrl
from pipeline.rules import SiteHosts
from pipeline.services.previewing import plan_of
from pipeline.services.websites import NewDatasource, check_datasource
from pipeline.settings import Settings

SITE = NewDatasource("https://www.example.com/")
LONG = "/" + "a" * 500


@pytest.mark.parametrize(
    ("new", "error", "told"),
    [
        (NewDatasource("example.com"), InvalidUrl, "https://www.example.com/"),
        (NewDatasource("http://10.0.0.1/"), AddressRefused, "private"),
        (NewDatasource("http://localhost/"), AddressRefused, "a name of this machine"),
        (replace(SITE, page_limit=0), InvalidInput, "1 to 5000"),
        (replace(SITE, page_limit=5_001), InvalidInput, "1 to 5000"),
        (replace(SITE, crawl_interval_hours=23), InvalidInput, "at least 24"),
        (replace(SITE, render_js="sometimes"), InvalidInput, "never, auto, always"),
        (replace(SITE, display_name="x" * 301), InvalidInput, "display_name"),
        (
            replace(SITE, include_paths=("/a",) * 51),
            InvalidPattern,
            "include_paths, given: 51 rules",
        ),
        (replace(SITE, exclude_paths=(LONG,)), InvalidPattern, "longer than 500 characters"),
        (replace(SITE, exclude_paths=("re:(",)), InvalidPattern, "field: exclude_paths, pattern: re:("),
        (replace(SITE, include_paths=("docs/*",)), InvalidPattern, "is /docs/\\* meant?"),
        (replace(SITE, include_paths=("https://www.example.com/docs/*",)), InvalidPattern, "is /docs/\\* meant?"),
        (replace(SITE, exclude_paths=("/*",)), InvalidInput, "matches every page"),
        (replace(SITE, exclude_paths=("re:.",)), InvalidInput, "matches every page"),
        (replace(SITE, include_paths=("/a/*",), exclude_paths=("/a/*",)), InvalidInput, "excluded as well"),
        (replace(SITE, sitemap_urls=("/sitemap.xml",)), InvalidUrl, "no scheme"),
        (replace(SITE, sitemap_urls=("http://169.254.169.254/",)), AddressRefused, "metadata"),
        (replace(SITE, sitemap_urls=("https://example.com/s",) * 51), InvalidInput, "at most 50"),
        (replace(SITE, extra_hosts=("help.example.org/docs",)), InvalidHost, "more than a host"),
        (replace(SITE, extra_hosts=("me@example.org",)), InvalidHost, "names a user"),
        (replace(SITE, extra_hosts=("*.com",)), InvalidHost, "only a name with a dot"),
        (replace(SITE, extra_hosts=("a.example",) * 51), InvalidHost, "at most 50"),
        (replace(SITE, extra_hosts=("127.0.0.1",)), AddressRefused, "loopback"),
        (NewDatasource("https://93.184.215.14/", subdomains=True), InvalidHost, "subdomains"),
    ],
)
def test_what_cannot_work_is_named_with_what_would(new: NewDatasource, error: type[InvalidInput], told: str) -> None:
    """Every field has its bounds, and its own message."""
    with pytest.raises(error, match=told.replace("(", "\\(").replace("?", "\\?")):
        check_datasource(new, Settings())


@pytest.mark.parametrize(
    "new",
    [
        SITE,
        replace(SITE, page_limit=None, crawl_interval_hours=None),
        replace(SITE, include_paths=("/docs/*", "*/en-us/*", "re:^/(de|fr)/"), exclude_paths=("/docs/old/*",)),
        replace(SITE, include_paths=("/" + "a" * 499,) * 50),
        replace(SITE, subdomains=True, extra_hosts=("help.example.org", "*.example.net", "shop.example.org:8443")),
        replace(SITE, sitemap_urls=("https://cdn.example.net/sitemap.xml",)),
    ],
)
def test_what_is_within_its_bounds_may_be_stored(new: NewDatasource) -> None:
    """The answer is where its crawls start."""
    settings = Settings(crawl={"allowed_ports": "80,443,8443"})

    assert check_datasource(new, settings) == "https://www.example.com/"


@pytest.mark.parametrize(
    ("host", "subdomains", "extra", "ours"),
    [
        ("example.com", False, (), True),
        ("docs.example.com", False, (), False),
        ("docs.example.com", True, (), True),
        ("a.b.example.com", True, (), True),
        ("badexample.com", True, (), False),
        ("example.com.evil.example", True, (), False),
        ("docs.example.com:8443", True, (), False),
        ("help.example.org", False, ("help.example.org",), True),
        ("help.example.org", False, ("WWW.Help.Example.org",), True),
        ("docs.help.example.org", False, ("help.example.org",), False),
        ("docs.help.example.org", False, ("*.example.org",), True),
        ("example.org", False, ("*.example.org",), False),
        ("b\u00fccher.example", False, ("xn--bcher-kva.example",), True),
    ],
)
def test_a_site_has_the_hosts_its_datasource_says(
    host: str,
    subdomains: bool,  # noqa: FBT001 - a table's column
    extra: tuple[str, ...],
    ours: bool,  # noqa: FBT001 - a table's column
) -> None:
    """Its own and the www twin always; those under it, and others by name, when asked for."""
    hosts = SiteHosts.read("http://www.example.com/start", subdomains=subdomains, extra=extra)

    assert hosts.has(host.encode("idna").decode()) is ours


def test_a_plan_says_what_the_website_says() -> None:
    """Every field that a plan and a website share is carried over, also one that is added one day."""
    new = replace(SITE, include_paths=("/docs/*",), subdomains=True, sitemap_urls=("https://example.com/s.xml",))

    plan = plan_of(new, SITE.url, page_limit=7)

    assert plan["include_paths"] == ("/docs/*",)
    assert (plan["subdomains"], plan["page_limit"], plan["start_url"]) == (True, 7, SITE.url)
    assert plan["sitemap_urls"] == ("https://example.com/s.xml",)

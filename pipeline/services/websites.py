"""What a caller may say of a website, and what is refused before anything of it is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.addresses import check_url
from pipeline.browser import find_browser
from pipeline.errors import InvalidInput
from pipeline.rules import CrawlRules, refuse_hopeless
from pipeline.settings import Settings
from pipeline.urls import canonical

PAGE_LIMIT_MAXIMUM = 5_000
SITEMAPS_MAXIMUM = 50
NAME_MAXIMUM = 300
RENDERINGS = ("never", "auto", "always")


@dataclass(frozen=True, slots=True)
class NewDatasource:
    """What a caller says of a website; bounds are those of the HTTP contract.

    `subdomains` takes in every host under the start's own; `extra_hosts` names others, as
    `help.example.org`, or `*.example.org` for all under one.
    """

    url: str
    display_name: str | None = None
    page_limit: int | None = 100
    include_paths: tuple[str, ...] = ()
    exclude_paths: tuple[str, ...] = ()
    crawl_interval_hours: int | None = 168
    render_js: str = "never"
    documents: bool = False
    sitemap_urls: tuple[str, ...] = ()
    subdomains: bool = False
    extra_hosts: tuple[str, ...] = ()


def check_datasource(new: NewDatasource, settings: Settings) -> str:
    """The canonical start URL of a website whose every field may be stored. Nothing is connected to.

    Raises:
        InvalidUrl: If the address, or a sitemap's, is not one.
        AddressRefused: If an address is not public, and not allowed.
        InvalidHost: If an added host is none.
        InvalidPattern: If a rule cannot be read.
        InvalidInput: If a field is out of its bounds, or the rules leave nothing.
        BrowserMissing: If pages shall be rendered, and nothing here can.
    """
    url = canonical(new.url)
    check_url(url, settings.crawl)
    _check_bounds(new, floor=settings.work.interval_floor_hours)
    rules = CrawlRules.read(
        url,
        include=new.include_paths,
        exclude=new.exclude_paths,
        subdomains=new.subdomains,
        extra_hosts=new.extra_hosts,
    )
    refuse_hopeless(rules)
    if new.render_js != "never":
        find_browser(settings.browser)
    for host in new.extra_hosts:
        check_url(f"https://{host.removeprefix('*.')}/", settings.crawl)
    for sitemap in new.sitemap_urls:
        check_url(canonical(sitemap), settings.crawl)
    return url


def _check_bounds(new: NewDatasource, *, floor: int) -> None:
    if new.page_limit is not None and not 1 <= new.page_limit <= PAGE_LIMIT_MAXIMUM:
        raise InvalidInput(field="page_limit", given=new.page_limit, allowed=f"1 to {PAGE_LIMIT_MAXIMUM}")
    if new.crawl_interval_hours is not None and new.crawl_interval_hours < floor:
        raise InvalidInput(field="crawl_interval_hours", given=new.crawl_interval_hours, allowed=f"at least {floor}")
    if new.render_js not in RENDERINGS:
        raise InvalidInput(field="render_js", given=new.render_js, allowed=", ".join(RENDERINGS))
    _check_size("sitemap_urls", new.sitemap_urls, SITEMAPS_MAXIMUM, unit="addresses")
    _check_size("display_name", new.display_name or "", NAME_MAXIMUM, unit="characters")


def _check_size(field: str, given: Sequence[str], most: int, *, unit: str) -> None:
    if len(given) > most:
        raise InvalidInput(field=field, given=f"{len(given)} {unit}", allowed=f"at most {most}")

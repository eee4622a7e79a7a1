"""What a caller may say of a website, and what is refused before anything of it is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.addresses import check_url
from pipeline.browser import find_browser
from pipeline.db.datasources import Datasource
from pipeline.errors import AddressRefused, BrowserMissing, InvalidInput, InvalidUrl
from pipeline.rules import CrawlRules, refuse_hopeless
from pipeline.settings import Settings
from pipeline.urls import canonical

PAGE_LIMIT_MAXIMUM = 5_000
SITEMAPS_MAXIMUM = 50
NAME_MAXIMUM = 300
INTERVAL_MAXIMUM_HOURS = 10 * 365 * 24
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


@dataclass(frozen=True, slots=True)
class DatasourceChange:
    """What a caller changes of a website, by field: what is not named stays. A name of None is the host again."""

    fields: dict[str, Any]
    is_paused: bool | None = None

    def of(self, source: Datasource) -> NewDatasource:
        """The website as it would be."""
        return replace(described(source), **self.fields)


def described(source: Datasource) -> NewDatasource:
    """A stored website, as somebody would give it."""
    return NewDatasource(
        url=source.url,
        display_name=source.display_name,
        page_limit=source.page_limit,
        include_paths=tuple(source.include_paths),
        exclude_paths=tuple(source.exclude_paths),
        crawl_interval_hours=source.crawl_interval_hours,
        render_js=source.render_js,
        documents=source.documents,
        sitemap_urls=tuple(source.sitemap_urls),
        subdomains=source.subdomains,
        extra_hosts=tuple(source.extra_hosts),
    )


def rules_of(source: Datasource) -> CrawlRules:
    """Which pages a website's rules leave out."""
    return CrawlRules.read(
        source.url,
        include=source.include_paths,
        exclude=source.exclude_paths,
        subdomains=source.subdomains,
        extra_hosts=source.extra_hosts,
    )


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
    url = _address(new.url, settings, field="url")
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
        _check_browser(new, settings)
    for host in new.extra_hosts:
        check_url(f"https://{host.removeprefix('*.')}/", settings.crawl)
    for sitemap in new.sitemap_urls:
        _address(sitemap, settings, field="sitemap_urls")
    return url


def _check_browser(new: NewDatasource, settings: Settings) -> None:
    try:
        find_browser(settings.browser)
    except BrowserMissing as error:
        raise BrowserMissing(field="render_js", given=new.render_js, **error.facts) from error


def _address(given: str, settings: Settings, *, field: str) -> str:
    """A field's address in canonical form, if it may be connected to. A refusal names the field and what was given."""
    try:
        url = canonical(given)
        check_url(url, settings.crawl)
    except InvalidUrl as error:
        raise InvalidUrl(**{"field": field, "allowed": "an http or https address", **error.facts}) from error
    except AddressRefused as error:
        facts = {"field": field, "given": given, "allowed": "an address on the public internet"}
        raise AddressRefused(**{**facts, **error.facts}) from error
    return url


def _check_bounds(new: NewDatasource, *, floor: int) -> None:
    if new.page_limit is not None and not 1 <= new.page_limit <= PAGE_LIMIT_MAXIMUM:
        raise InvalidInput(field="page_limit", given=new.page_limit, allowed=f"1 to {PAGE_LIMIT_MAXIMUM}")
    hours = new.crawl_interval_hours
    if hours is not None and not floor <= hours <= INTERVAL_MAXIMUM_HOURS:
        raise InvalidInput(field="crawl_interval_hours", given=hours, allowed=f"{floor} to {INTERVAL_MAXIMUM_HOURS}")
    if new.render_js not in RENDERINGS:
        raise InvalidInput(field="render_js", given=new.render_js, allowed=", ".join(RENDERINGS))
    _check_size("sitemap_urls", new.sitemap_urls, SITEMAPS_MAXIMUM, unit="addresses")
    _check_size("display_name", new.display_name or "", NAME_MAXIMUM, unit="characters")


def _check_size(field: str, given: Sequence[str], most: int, *, unit: str) -> None:
    if len(given) > most:
        raise InvalidInput(field=field, given=f"{len(given)} {unit}", allowed=f"at most {most}")

"""A website that has moved for good is followed: its pages keep what they are known by, their texts and vectors.

Only all of it moves: the start page, and nearly every page that was looked at, leads for good to the same
path on one other website. Anything less is redirects of single pages, which are refused as before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from pipeline.db import crawls, datasources, frontier, outbox, pages
from pipeline.db.crawls import Crawl
from pipeline.db.datasources import Datasource
from pipeline.db.engine import Session
from pipeline.db.pages import Page
from pipeline.logs import get_logger
from pipeline.model import Reason
from pipeline.urls import UrlParts, split, url_key

PERMANENT = (301, 308)
"""Statuses that say: for good."""

LEAST_SHARE = 0.8
"""Share of the pages looked at that have to lead to the new place."""

LEAST_PAGES = 3
"""So many pages have to say so, where there are as many."""

log = get_logger(__name__)


def follow(session: Session, crawl: Crawl, *, now: datetime) -> bool:
    """Take a website along to where it went, and give its crawl back, to start there. Whether it has moved.

    One step a crawl: two websites that lead to each other are not followed in circles. Where too few pages
    were looked at to tell, all are looked at next time.
    """
    source = session.get_one(Datasource, crawl.datasource_id)
    start = _new_start(session, crawl, source)
    if start is None:
        return False
    old, new = split(source.url), split(start)
    if not _all_follow(session, crawl, source, old, new):
        return False
    for page in pages.known(session, source.id):
        _take_along(session, page, old, new)
    source.former_urls = [url for url in (*source.former_urls, source.url) if split(url).site != new.site]
    source.url, source.url_key, source.moved_at, source.updated_at = start, url_key(start), now, now
    source.sitemap_urls = [_there(url, old, new) for url in source.sitemap_urls]
    if source.display_name == old.netloc:
        source.display_name = new.netloc
    session.flush()
    pages.wake(session, source.id)
    frontier.forget(session, [crawl.id])
    crawl.started_at = None  # its frontier is made anew
    crawls.pause(crawl, until=now, why=f"the website moved to {new.origin}")
    outbox.put(session, outbox.CRAWL, crawl.id, now=now)
    log.info("website moved", datasource=str(source.id), old=old.origin, new=new.origin)
    return True


def now_at(url: str, sources: Iterable[Datasource]) -> str | None:
    """Where a URL of a website that moved is found today; None for any other URL."""
    for source in sources:
        asked = split(url) if source.former_urls else None
        if asked is not None and any(split(former).site == asked.site for former in source.former_urls):
            return _there(url, asked, split(source.url))
    return None


def is_former(url: str, source: Datasource) -> bool:
    """Whether a URL is of where a website was before it moved."""
    return now_at(url, [source]) is not None


def _new_start(session: Session, crawl: Crawl, source: Datasource) -> str | None:
    """Where the start page went for good, with the rest of its address as it was."""
    entry = frontier.get(session, crawl.id, source.url_key)
    if entry is None or entry.reason != Reason.OFF_SITE or entry.http_status not in PERMANENT or entry.target is None:
        return None
    has_moved_now = source.moved_at is not None and source.moved_at >= crawl.created_at
    is_same_path = url_key(_there(source.url, split(source.url), split(entry.target))) == url_key(entry.target)
    if has_moved_now or not is_same_path:
        return None
    is_taken = datasources.find(session, url_key=url_key(entry.target), org_id=source.org_id) is not None
    return None if is_taken else entry.target


def _all_follow(session: Session, crawl: Crawl, source: Datasource, old: UrlParts, new: UrlParts) -> bool:
    """Whether nearly all pages that serve and were looked at went there too, and enough of them were."""
    serving = [page for page in pages.kept(session, source.id) if split(page.url).site == old.site]
    if not serving:
        return True
    entries = frontier.by_key(session, crawl.id, [page.url_key for page in serving])
    looked_at = [page for page in serving if entries[page.url_key].state == frontier.DONE]
    went = [page for page in looked_at if _went(entries[page.url_key].target, _there(page.url, old, new))]
    if len(went) < LEAST_SHARE * len(looked_at):
        return False
    if len(went) < min(LEAST_PAGES, len(serving)):
        pages.wake(session, source.id)
        return False
    return True


def _went(target: str | None, there: str) -> bool:
    return target is not None and url_key(target) == url_key(there)


def _take_along(session: Session, page: Page, old: UrlParts, new: UrlParts) -> None:
    """Give a page its address on the new website; what already has one there stays."""
    if split(page.url).site != old.site:
        return
    url = _there(page.url, old, new)
    if pages.find(session, page.datasource_id, url_key(url)) is not None:
        return
    page.url, page.url_key = url, url_key(url)
    page.canonical_url = page.canonical_url and _there(page.canonical_url, old, new)
    page.target = page.target and _there(page.target, old, new)
    if page.reason == Reason.OFF_SITE:
        page.detail = page.http_status = None


def _there(url: str, old: UrlParts, new: UrlParts) -> str:
    """The same address on the new website; one of another website than the old is left as it is."""
    parts = split(url)
    if parts.site != old.site:
        return url
    return str(replace(parts, scheme=new.scheme, host=new.host, port=new.port))

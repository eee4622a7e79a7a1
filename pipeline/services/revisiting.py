"""Which pages a crawl looks at, when each is looked at next, and whether a sitemap's word may stand for a look."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from pipeline.db import frontier, page_versions, pages
from pipeline.db.crawls import Crawl
from pipeline.db.datasources import Datasource
from pipeline.db.engine import Session
from pipeline.db.frontier import FrontierEntry
from pipeline.db.pages import Page
from pipeline.lastmods import MOST_ON_TRUST, Word, claims_no_change
from pipeline.model import CrawlTrigger, Discovered, Outcome, PageStatus, Reason
from pipeline.revisits import History, fair_weight, hours_until_next
from pipeline.services.batch import Batch
from pipeline.settings import Settings
from pipeline.urls import url_key

FIRST_WEIGHT = 1 / 8
"""What a look is worth on a website that was not weighed yet: in squared intervals."""

ALMOST = 1 / 24
"""A page whose time comes within this share of the interval is due: it need not wait for the next crawl."""

SPACING = 1 / 6
"""The least share of the interval between two scheduled crawls."""

LASTING = frozenset(
    {
        Reason.NOINDEX,
        Reason.THIN,
        Reason.NOT_HTML,
        Reason.SOFT_404,
        Reason.LOGIN_WALL,
        Reason.TOO_LARGE,
        Reason.TOO_COMPLEX,
        Reason.DUPLICATE_OF,
    }
)
"""Why a page is not kept, as it said itself when somebody looked: that has a date too. All else is tried every time."""


def rest(session: Session, crawl: Crawl, datasource: Datasource, *, now: datetime) -> None:
    """Leave out of a crawl that looks at what is due whatever is not; the start page, where news is, always is."""
    interval = _interval(datasource)
    if not crawl.only_due or interval is None:
        return
    resting = pages.resting(session, datasource.id, after=now + ALMOST * interval)
    frontier.add_resting(session, crawl.id, (_rest(page) for page in resting if page.url_key != datasource.url_key))


def next_crawl(session: Session, datasource: Datasource, *, at: datetime, now: datetime) -> datetime:
    """When a website that was just crawled is crawled next: when a page is due, and at the latest `at`."""
    interval = _interval(datasource)
    if interval is None:
        return at
    due = pages.next_due(session, datasource.id, after=now)
    return at if due is None else min(at, max(due, now + SPACING * interval))


def weigh(session: Session, datasource: Datasource) -> None:
    """Settle anew what a look at one of the website's pages is worth."""
    interval = _interval(datasource)
    histories = pages.histories(session, datasource.id)
    if interval is not None and histories:
        known = (History(changes, hours) for changes, hours in histories)
        datasource.revisit_weight = fair_weight(known, interval=_hours(interval))


class Looks:
    """Notes what each look at a page told: how often it changes, and whether its sitemap had said so."""

    def __init__(self, session: Session, crawl: Crawl, settings: Settings, batch: Batch, *, now: datetime) -> None:
        """Note the looks of one batch of a crawl."""
        self._session = session
        self._settings = settings
        self._batch = batch
        self._now = now
        self._datasource = session.get_one(Datasource, crawl.datasource_id)

    def before(self, outcome: Outcome) -> dict[str, tuple[datetime | None, str | None]]:
        """When the pages that an outcome may be about were looked at before, and by which extractor."""
        known = {key: self._batch.page(key) for key in _keys(outcome)}
        reads = outcome.document is not None
        return {
            key: (page.fetched_at, self._extractor(page) if reads else None)
            for key, page in known.items()
            if page is not None
        }

    def after(self, outcome: Outcome, before: dict[str, tuple[datetime | None, str | None]]) -> None:
        """Note what became of them."""
        for key in _keys(outcome):
            entry, page = self._batch.entry(key), self._batch.page(key)
            if entry is None or page is None or entry.state != frontier.DONE:
                continue
            looked_at, extractor = before.get(key, (None, None))
            if not _says_something(entry, page):
                page.next_fetch_at = None
            elif looked_at != page.fetched_at:
                self._note_body(page, outcome)
                is_ours = outcome.document is not None and extractor not in {None, outcome.document.extractor}
                self._note(page, entry, looked_at=None if is_ours else looked_at)

    def _note(self, page: Page, entry: FrontierEntry, *, looked_at: datetime | None) -> None:
        has_changed = entry.outcome in {frontier.NEW, frontier.UPDATED}
        interval = _interval(self._datasource)
        if looked_at is not None and page.fetched_at is not None:
            self._judge(entry, since=looked_at, has_changed=has_changed)
            if interval is not None:
                _watch(page, gap=page.fetched_at - looked_at, interval=interval, has_changed=has_changed)
        page.taken_on_trust = 0
        page.next_fetch_at = _next_fetch(page, self._datasource, self._settings, now=self._now)

    def _judge(self, entry: FrontierEntry, *, since: datetime, has_changed: bool) -> None:
        claim = claims_no_change(entry.lastmod, since=since, now=self._now)
        self._datasource.lastmod_kept += claim is True and not has_changed
        self._datasource.lastmod_told += claim is False and has_changed
        self._datasource.lastmod_broken += claim is True and has_changed

    def _extractor(self, page: Page) -> str | None:
        """What read the text that serves: one that reads better has not seen the site change."""
        if page.live_version is None:
            return None
        return page_versions.get(self._session, page.live_version).extractor

    @staticmethod
    def _note_body(page: Page, outcome: Outcome) -> None:
        document = outcome.document
        if outcome.not_modified:
            page.etag = outcome.etag or page.etag
            page.last_modified = outcome.last_modified or page.last_modified
        elif document is not None and outcome.html and page.text_hash == document.text_hash:
            page.body_hash = hashlib.sha256(outcome.html).hexdigest()
        else:
            page.body_hash = None


def listen(session: Session, crawl: Crawl, found: Sequence[Discovered], settings: Settings, *, now: datetime) -> None:
    """Hear what sitemaps say of pages that are known: whose word is good, spares a look, or brings it forward."""
    said = {url.url_key: url.lastmod for url in found if url.lastmod}
    if not said:
        return
    datasource = session.get_one(Datasource, crawl.datasource_id)
    entries = frontier.by_key(session, crawl.id, list(said))
    for key, entry in entries.items():
        entry.lastmod = said[key]
    if crawl.trigger == CrawlTrigger.SCHEDULE and _word(datasource).is_trusted:
        for key, page in pages.by_key(session, crawl.datasource_id, list(entries)).items():
            if page.url_key != datasource.url_key:
                _believe(entries[key], page, datasource, settings, now=now)


def _believe(entry: FrontierEntry, page: Page, datasource: Datasource, settings: Settings, *, now: datetime) -> None:
    serves = page.live_version is not None and page.fetched_at is not None and page.missing_since is None
    claim = claims_no_change(entry.lastmod, since=page.fetched_at, now=now) if page.fetched_at and serves else None
    is_sure = claim is True and page.next_fetch_at is not None and page.taken_on_trust < MOST_ON_TRUST
    if is_sure and entry.state == frontier.WAITING:
        entry.state, entry.outcome = frontier.RESTING, frontier.NOT_DUE
        page.taken_on_trust += 1
        page.next_fetch_at = _next_fetch(page, datasource, settings, now=now)
    elif claim is False and entry.state == frontier.RESTING:
        entry.state, entry.outcome = frontier.WAITING, None


def _next_fetch(page: Page, datasource: Datasource, settings: Settings, *, now: datetime) -> datetime | None:
    interval = _interval(datasource)
    if interval is None:
        return None
    if not page.hours_watched:
        return now + interval
    hours = hours_until_next(
        History(page.changes_seen, page.hours_watched),
        weight=datasource.revisit_weight or FIRST_WEIGHT,
        interval=_hours(interval),
        shortest=settings.crawl.shortest_revisit,
        longest=settings.crawl.longest_revisit,
    )
    return now + timedelta(hours=hours)


def _watch(page: Page, *, gap: timedelta, interval: timedelta, has_changed: bool) -> None:
    before = History(page.changes_seen, page.hours_watched)
    if gap > timedelta(0):
        seen = before.seen(has_changed=has_changed, gap=_hours(gap), interval=_hours(interval))
        page.changes_seen, page.hours_watched = seen.changes, seen.hours


def _says_something(entry: FrontierEntry, page: Page) -> bool:
    """Whether a look found what lasts: the page, or why it is none. What failed has no date."""
    is_declined = entry.outcome == frontier.DECLINED and page.live_version is None
    return entry.outcome in frontier.KEPT or (is_declined and entry.reason in LASTING)


def _rest(page: Page) -> frontier.Rest:
    is_kept = page.live_version is not None or page.status == PageStatus.PENDING
    return frontier.Rest(
        page.url_key,
        page.url,
        page.depth,
        looked_at=page.fetched_at or page.updated_at,
        reason=None if is_kept else page.reason,
        detail=None if is_kept else page.detail,
        target=None if is_kept else page.target,
    )


def _keys(outcome: Outcome) -> Iterator[str]:
    yield outcome.url_key
    if outcome.final_url is not None and (key := url_key(outcome.final_url)) != outcome.url_key:
        yield key


def _word(datasource: Datasource) -> Word:
    return Word(datasource.lastmod_kept, datasource.lastmod_told, datasource.lastmod_broken)


def _interval(datasource: Datasource) -> timedelta | None:
    hours = datasource.crawl_interval_hours
    return None if hours is None else timedelta(hours=hours)


def _hours(span: timedelta) -> float:
    return span / timedelta(hours=1)

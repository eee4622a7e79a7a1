"""One crawl's rows as its spider sees them: the frontier, and what became of each URL."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from pipeline import tracing
from pipeline.crawling import HostAsk, HostShare
from pipeline.db import crawls, datasources, frontier, hosts, org_days, outbox, pages, robots
from pipeline.db.crawls import Crawl
from pipeline.db.engine import Database, Session
from pipeline.errors import TemporaryError
from pipeline.logs import get_logger
from pipeline.model import CrawlPlan, CrawlProgress, Discovered, FrontierUrl, OrgScope, Outcome, Reason
from pipeline.services import canonicals, endings, holding, moving, revisiting, sharing, sitewide
from pipeline.services.clock import Clock
from pipeline.services.hints import Hints, relay
from pipeline.services.keeping import Keeper
from pipeline.settings import Settings

log = get_logger(__name__)

LARGE_FRONTIER = 5_000
"""URLs up to which a frontier is counted whole after every batch."""

SUSPICIOUS_LOSSES = 2
"""A URL that so many spiders died with is asked for alone: whichever it is that ends them, the others are spared."""

COUNT_EVERY = timedelta(seconds=2)
"""How often a larger one is."""


class DatabaseLedger:
    """The `CrawlLedger` of a crawl held under `token`. Every write is fenced by it."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        hints: Hints,
        clock: Clock,
        *,
        crawl_id: UUID,
        scope: OrgScope,
        token: UUID,
        sends_aside: bool = False,
    ) -> None:
        """Speak for one holder of one crawl. With `sends_aside`, no page waits for the broker."""
        self._database = database
        self._settings = settings
        self._hints = hints
        self._clock = clock
        self._crawl_id = crawl_id
        self._scope = scope
        self._token = token
        self._page_limit: int | None = None
        self._counted: CrawlProgress | None = None
        self._added = 0
        """URLs added to the frontier since it was counted."""
        self._counted_at = clock()
        self._sender = ThreadPoolExecutor(1, thread_name_prefix="hints") if sends_aside else None
        self._sending: Future[None] | None = None
        self._datasource_id: UUID | None = None

    def plan(self) -> CrawlPlan:
        """What to crawl."""
        with self._database.read() as session:
            crawl = crawls.get(session, self._crawl_id, org_id=self._scope.org_id)
            datasource = datasources.get(session, crawl.datasource_id, org_id=self._scope.org_id)
            return CrawlPlan(
                crawl_id=crawl.id,
                org_id=crawl.org_id,
                datasource_id=datasource.id,
                token=self._token,
                start_url=datasource.url,
                page_limit=self._limit(session, crawl),
                include_paths=tuple(datasource.include_paths),
                exclude_paths=tuple(datasource.exclude_paths),
                sitemap_urls=tuple(datasource.sitemap_urls),
                render_js=datasource.render_js,
                documents=datasource.documents,
                subdomains=datasource.subdomains,
                extra_hosts=tuple(datasource.extra_hosts),
                sitemaps_first=datasource.last_crawl_completed_at is not None,
            )

    def seed(self, found: Sequence[Discovered]) -> None:
        """Add URLs to the frontier; those it has are left as they are."""
        now = self._clock()
        with self._database.write() as session:
            crawl = self._fence(session, now)
            found = self._within_room(session, crawl, found)
            frontier.add(session, self._crawl_id, found, now=now)
            frontier.reopen_listed(session, self._crawl_id, found)
            revisiting.listen(session, crawl, found, self._settings, now=now)
            self._write_progress(session, crawl, roughly=True)

    def take(self, limit: int) -> list[FrontierUrl]:
        """Lease up to `limit` waiting URLs, never more than could still be kept. One of ill repute is leased alone."""
        now = self._clock()
        with self._database.write() as session:
            crawl = self._fence(session, now)
            in_hand, lost = frontier.leased(session, self._crawl_id)
            if lost >= SUSPICIOUS_LOSSES:
                return []
            kept, fetched = frontier.count_done(session, self._crawl_id)
            limit_of_pages = self._limit(session, crawl)
            fetches = self._settings.crawl.fetch_limit(limit_of_pages)
            room = min(limit_of_pages - kept, fetches - fetched) - in_hand
            if room <= 0:
                return []
            left = org_days.left(session, crawl.org_id, most=self._settings.work.org_pages_per_day, now=now)
            if left == 0:
                until, why = org_days.next_day(now), "its org has used up its pages of this day"
                frontier.postpone_all(session, crawl.id, until=until, why=why)
                return []
            most = min(limit, room) if left is None else min(limit, room, left)
            taken = frontier.take(session, self._crawl_id, token=self._token, limit=most, now=now)
            if not taken and not in_hand and self._look_again(session, crawl):
                taken = frontier.take(session, self._crawl_id, token=self._token, limit=most, now=now)
            taken = _one_by_one(session, self._crawl_id, taken, in_hand=in_hand)
            if left is not None:
                org_days.spend(session, crawl.org_id, pages=len(taken), now=now)
            known = pages.by_key(session, crawl.datasource_id, [entry.url_key for entry in taken])
            return [_frontier_url(entry, known.get(entry.url_key)) for entry in taken]

    def _look_again(self, session: Session, crawl: Crawl) -> bool:
        """When all else is done, put back the pages whose canonical is no page."""
        if frontier.next_retry(session, crawl.id) is not None:
            return False
        self._counted = None
        return canonicals.look_again(session, crawl, attempts=self._settings.work.attempts) > 0

    def record(self, outcomes: Sequence[Outcome]) -> CrawlProgress:
        """Write what became of leased URLs, with what they led to, in one transaction.

        New texts wait to be indexed; one hint for all of them leaves after the commit.
        """
        now = self._clock()
        with tracing.span("keep", pages=len(outcomes)), self._database.write() as session:
            datasources.hold(session, [self._datasource(session)])
            crawl = self._fence(session, now)
            limit = self._limit(session, crawl)
            outcomes = [
                replace(one, discovered=tuple(self._within_room(session, crawl, one.discovered)))
                if one.discovered
                else one
                for one in outcomes
            ]
            keeper = Keeper(session, crawl, self._settings, outcomes, now=now, page_limit=limit)
            keeper.keep_all()
            if outcomes:
                crawls.note_use(crawl)
            if keeper.kept_versions:
                outbox.put(session, outbox.INDEX, crawl.org_id, now=now)
            url = outcomes[-1].url if outcomes else None
            progress = self._write_progress(session, crawl, url=url, roughly=True)
        if keeper.kept_versions:
            self._send_hints()
        return progress

    def progress(self) -> CrawlProgress:
        """The counts so far."""
        with self._database.read() as session:
            crawl = crawls.get(session, self._crawl_id, org_id=self._scope.org_id)
            return self._counts(session, crawl)

    def next_retry(self) -> datetime | None:
        """When the earliest URL put back may be tried again; None too when the crawl has fetched all it may."""
        with self._database.read() as session:
            crawl = crawls.get(session, self._crawl_id, org_id=self._scope.org_id)
            fetches = self._settings.crawl.fetch_limit(self._limit(session, crawl))
            if frontier.count_done(session, self._crawl_id)[1] >= fetches:
                return None
            return frontier.next_retry(session, self._crawl_id)

    def robots(self, origin: str) -> tuple[int, bytes] | None:
        """The stored robots.txt answer of this origin, while it is believed."""
        with self._database.read() as session:
            return robots.read(session, origin, now=self._clock())

    def keep_robots(self, origin: str, status: int, body: bytes) -> None:
        """Store a robots.txt answer for every crawl of every org."""
        expires_at = self._clock() + self._settings.crawl.robots_lifetime
        with self._database.write() as session:
            robots.keep(session, origin, status, body, expires_at=expires_at)

    def share_host(self, ask: HostAsk) -> HostShare:
        """Ask for a share of a host that every crawl of every org shares, keep it, or give some of it back."""
        with self._database.write() as session:
            now = self._clock()
            return sharing.share(session, ask, holder=self._token, settings=self._settings.crawl, now=now)

    def hold_host(self, host: str, asked: timedelta | None) -> timedelta:
        """Keep every crawl from a host that said it is busy; how long from now."""
        with self._database.write() as session:
            wait = sharing.hold(session, host, asked, now=self._clock())
        log.info("host is busy", host=host, asked=asked and asked.total_seconds(), seconds=round(wait.total_seconds()))
        return wait

    def leave_hosts(self) -> None:
        """Give every share back: this spider asks nobody any more."""
        with self._database.write() as session:
            hosts.leave(session, self._token)

    def postpone(self, host: str, wait: timedelta, why: str) -> bool:
        """Put off every waiting URL of a host; False when the crawl has waited enough, and they are given up."""
        now = self._clock()
        with self._database.write() as session:
            crawl = self._fence(session, now)
            if now + wait <= (crawl.started_at or now) + self._settings.crawl.host_patience:
                frontier.postpone(session, crawl.id, host, until=now + wait, why=why)
                return True
            frontier.give_up(session, crawl.id, host, why=why)
            self._write_progress(session, crawl)
        log.warning("host given up", host=host, crawl=str(self._crawl_id), why=why)
        return False

    def pause(self, wait: timedelta) -> None:
        """Give the crawl back until `wait` has passed. It counts as no attempt; what was in hand waits again."""
        now = self._clock()
        with self._database.write() as session:
            crawl = self._fence(session, now)
            frontier.put_back(session, crawl.id, token=self._token)
            self._write_progress(session, crawl)
            why = frontier.next_put_off(session, crawl.id) or "every URL left waits for its host"
            crawls.pause(crawl, until=now + wait, why=why)
        log.info("crawl paused", crawl=str(self._crawl_id), seconds=round(wait.total_seconds()), why=why)

    def finish(self) -> None:
        """Say that nothing is left to fetch.

        What still waits is refused by the page limit. The crawl completes now, if nothing waits to be indexed.
        Where the whole website has moved, it goes on there instead.
        """
        now = self._clock()
        with self._database.write() as session:
            datasources.hold(session, [self._datasource(session)])
            crawl = self._fence(session, now)
            progress = self._write_progress(session, crawl)
            brought_home = progress.kept > progress.not_due
            if brought_home or not moving.follow(session, crawl, now=now):
                self._end(session, crawl, progress, now=now)
        relay(self._database, self._hints)

    def _end(self, session: Session, crawl: Crawl, progress: CrawlProgress, *, now: datetime) -> None:
        limit = self._limit(session, crawl)
        most = self._settings.crawl.fetch_limit(limit)
        why = f"the crawl fetched {most} URLs, the most for {limit} pages" if progress.fetched >= most else None
        frontier.refuse_waiting(session, self._crawl_id, reason=Reason.PAGE_LIMIT, detail=why)
        is_crowded = progress.found >= self._settings.crawl.frontier_limit(limit)
        counts = replace(self._counts(session, crawl), limit_reached=progress.limit_reached or is_crowded)
        crawls.write_progress(crawl, counts, url=None)
        crawl.scraped_at = now
        crawl.lease_token = crawl.lease_until = None
        crawl.error_message = None
        session.flush()
        holding.decide(session, crawl, self._settings, now=now)
        problem = None if progress.kept > progress.not_due else self._start_problem(session, crawl)
        if problem:
            endings.recount(session, crawl)
            crawls.fail(crawl, now=now, message=problem)
            endings.settle(session, crawl, now=now)
        else:
            sitewide.decide(session, crawl.datasource_id, self._settings, now=now)
            endings.recount(session, crawl)
            endings.complete(session, self._settings, now=now, crawl_ids=[crawl.id])

    def _send_hints(self) -> None:
        """Send hints now, or beside the next pages: those that are on their way wait in the outbox."""
        if self._sender is None:
            relay(self._database, self._hints)
        elif self._sending is None or self._sending.done():
            self._sending = self._sender.submit(self._relay_quietly)

    def _relay_quietly(self) -> None:
        try:
            relay(self._database, self._hints)
        except TemporaryError as error:
            log.warning("hints stay in the outbox", problem=str(error))

    def _start_problem(self, session: Session, crawl: Crawl) -> str | None:
        """Why nothing could be read at all: the start page did not answer as a site does."""
        datasource = datasources.get(session, crawl.datasource_id, org_id=self._scope.org_id)
        entry = frontier.get(session, crawl.id, datasource.url_key)
        if entry is None or entry.outcome != frontier.FAILED:
            return None
        answered = f" (HTTP {entry.http_status})" if entry.http_status else ""
        return f"{datasource.url} could not be read: {entry.detail or entry.reason}{answered}"

    def _fence(self, session: Session, now: datetime) -> Crawl:
        return crawls.fence(session, self._crawl_id, token=self._token, now=now)

    def _datasource(self, session: Session) -> UUID:
        if self._datasource_id is None:
            self._datasource_id = crawls.get(session, self._crawl_id, org_id=self._scope.org_id).datasource_id
        return self._datasource_id

    def _limit(self, session: Session, crawl: Crawl) -> int:
        if self._page_limit is None:
            datasource = datasources.get(session, crawl.datasource_id, org_id=self._scope.org_id)
            maximum = self._settings.crawl.page_limit_maximum
            self._page_limit = min(datasource.page_limit or maximum, maximum)
        return self._page_limit

    def _counts(self, session: Session, crawl: Crawl) -> CrawlProgress:
        session.flush()
        limit = self._limit(session, crawl)
        most = self._settings.crawl.fetch_limit(limit)
        return frontier.progress(session, self._crawl_id, page_limit=limit, fetch_limit=most)

    def _within_room(self, session: Session, crawl: Crawl, found: Sequence[Discovered]) -> Sequence[Discovered]:
        """As many as the frontier may still take, by the last count of it."""
        known = self._counted.found if self._counted is not None else 0
        limit = self._settings.crawl.frontier_limit(self._limit(session, crawl))
        taken = found[: max(limit - known - self._added, 0)]
        self._added += len(taken)
        return taken

    def _recount(self, session: Session, crawl: Crawl) -> CrawlProgress:
        """The counts: of a large frontier only what is done, but for now and then, and when the crawl has its pages."""
        before, now = self._counted, self._clock()
        if before is not None and before.found > LARGE_FRONTIER and now - self._counted_at < COUNT_EVERY:
            session.flush()
            progress = frontier.progress_since(session, self._crawl_id, before)
            if progress.kept < self._limit(session, crawl):
                return progress
        self._counted, self._counted_at, self._added = self._counts(session, crawl), now, 0
        return self._counted

    def _write_progress(
        self, session: Session, crawl: Crawl, *, url: str | None = None, roughly: bool = False
    ) -> CrawlProgress:
        progress = self._recount(session, crawl) if roughly else self._counts(session, crawl)
        crawls.write_progress(crawl, progress, url=url)
        return progress


def _one_by_one(
    session: Session, crawl_id: UUID, taken: list[frontier.FrontierEntry], *, in_hand: int
) -> list[frontier.FrontierEntry]:
    """The URLs to ask for now: while there are some of ill repute, one of those, once nothing else is in hand."""
    suspects = [entry for entry in taken if entry.losses >= SUSPICIOUS_LOSSES]
    if not suspects:
        return taken
    alone = [] if in_hand else suspects[:1]
    frontier.leave(session, crawl_id, [entry.url_key for entry in taken if entry not in alone])
    return alone


def _frontier_url(entry: frontier.FrontierEntry, page: pages.Page | None) -> FrontierUrl:
    serves = page is not None and page.live_version is not None
    return FrontierUrl(
        url_key=entry.url_key,
        url=entry.url,
        depth=entry.depth,
        found_on=entry.found_on,
        etag=page.etag if page and serves else None,
        last_modified=page.last_modified if page and serves else None,
        body_hash=page.body_hash if page and serves and page.text_hash else None,
        attempts=entry.attempts,
    )

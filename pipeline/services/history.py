"""What pages said before: their versions, their text on a day, and the way back to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from pipeline.db import (
    chunks,
    crawls,
    datasources,
    evaluations,
    held_changes,
    outbox,
    page_versions,
    pages,
    served_spans,
    site_blocks,
)
from pipeline.db.engine import Database, Session
from pipeline.db.page_versions import PageVersion
from pipeline.db.pages import Page
from pipeline.errors import CrawlUnfinished, NothingHeld, VersionNotFound
from pipeline.model import OrgScope, PageStatus, Reason
from pipeline.services import holding, sitewide
from pipeline.services.clock import Clock
from pipeline.services.hints import Hints, relay
from pipeline.services.pages import find_page
from pipeline.services.serving import make_live
from pipeline.settings import Settings
from pipeline.stages.chunk.repeats import repeatable

if TYPE_CHECKING:
    from pipeline.services.indexing import IndexService


@dataclass(frozen=True, slots=True)
class Said:
    """One text of a page: when it was fetched, and when it answered; `until` is None while it does."""

    number: int
    state: str
    title: str
    fetched_at: datetime
    words: int
    crawl_id: UUID | None
    served: tuple[tuple[datetime, datetime | None], ...]

    @property
    def is_live(self) -> bool:
        """Whether it answers now."""
        return any(until is None for _, until in self.served)


@dataclass(frozen=True, slots=True)
class PageHistory:
    """A page and all that it said, the newest first; `moved_from` are addresses that lead to it now."""

    page_id: UUID
    url: str
    versions: tuple[Said, ...]
    moved_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SaidOn:
    """What a page said at a moment. `markdown` is None when it did not answer then."""

    url: str
    moment: datetime
    number: int | None = None
    title: str = ""
    markdown: str | None = None
    fetched_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RolledBack:
    """What a roll-back changed, in pages. `waiting` ones serve as they did until their old text is indexed again."""

    changed: int = 0
    left: int = 0
    waiting: int = 0


class HistoryService:
    """Reads and brings back stored texts of one org, and decides about what crawls hold."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        hints: Hints,
        clock: Clock,
        *,
        index: Callable[[], IndexService],
    ) -> None:
        """Work on this database; `index` brings back texts whose vectors were swept."""
        self._database = database
        self._settings = settings
        self._hints = hints
        self._clock = clock
        self._index = index

    def of_page(self, url_or_id: str | UUID, *, scope: OrgScope) -> PageHistory:
        """All that a page said, by its id or its URL in any spelling.

        Raises:
            PageNotFound: If the org has no such page.
            InvalidUrl: If it is neither an id nor an address.
        """
        with self._database.read() as session:
            page = find_page(session, url_or_id, scope=scope)
            spans = served_spans.of_page(session, page.id)
            versions = tuple(
                Said(
                    number=version.number,
                    state=version.state,
                    title=version.title,
                    fetched_at=version.fetched_at,
                    words=len(version.markdown.split()),
                    crawl_id=version.crawl_id,
                    served=tuple((span.since, span.until) for span in spans if span.version_id == version.id),
                )
                for version in page_versions.history(session, page.id)
            )
            moved = tuple(pages.leading_to(session, page.datasource_id, page.url))
            return PageHistory(page_id=page.id, url=page.url, versions=versions, moved_from=moved)

    def said_on(self, url_or_id: str | UUID, moment: datetime, *, scope: OrgScope) -> SaidOn:
        """What a page answered with at a moment, from its stored text.

        Raises:
            PageNotFound: If the org has no such page.
            InvalidUrl: If it is neither an id nor an address.
        """
        with self._database.read() as session:
            page = find_page(session, url_or_id, scope=scope)
            version = served_spans.version_at(session, page.id, moment)
            if version is None:
                return SaidOn(url=page.url, moment=moment)
            return SaidOn(
                url=page.url,
                moment=moment,
                number=version.number,
                title=version.title,
                markdown=version.markdown,
                fetched_at=version.fetched_at,
            )

    def roll_back_page(
        self, url_or_id: str | UUID, number: int, *, scope: OrgScope, indexes: bool = True
    ) -> RolledBack:
        """Answer with an earlier version of a page from this commit on, until its website says something new.

        Args:
            url_or_id: The page.
            number: Of the version.
            scope: Whose page it is.
            indexes: Whether a text whose vectors were swept is indexed here and now; else workers do it.

        Raises:
            PageNotFound: If the org has no such page.
            VersionNotFound: If the page has no version of this number.
        """
        with self._database.write() as session:
            page = find_page(session, url_or_id, scope=scope)
            datasources.hold(session, [page.datasource_id])
            session.refresh(page)
            version = next((one for one in page_versions.history(session, page.id) if one.number == number), None)
            if version is None:
                raise VersionNotFound(page=page.url, version=number)
            waiting = self._bring_back(session, [(page, version)])
            changed = 1 if not waiting and page.live_version == version.id else 0
            sitewide.decide(session, page.datasource_id, self._settings, now=self._clock())
        return self._finish(RolledBack(changed=changed), waiting, scope=scope, indexes=indexes)

    def roll_back_to(self, crawl_id: UUID, *, scope: OrgScope, indexes: bool = True) -> RolledBack:
        """Answer as when this crawl ended, from this commit on: every page of its website with its text of then.

        Pages that did not answer then do not answer now. What a website says anew later goes live as ever. Texts whose
        vectors were swept are indexed here and now, or by workers if not `indexes`.

        Raises:
            CrawlNotFound: If the org has no such crawl.
            CrawlUnfinished: If it has not ended, or another runs: that one would go on changing pages.
        """
        now = self._clock()
        with self._database.write() as session:
            crawl = crawls.get(session, crawl_id, org_id=scope.org_id)
            datasources.hold(session, [crawl.datasource_id])
            if crawl.completed_at is None or crawls.running(session, crawl.datasource_id) is not None:
                raise CrawlUnfinished(crawl=crawl_id)
            then = served_spans.at(session, crawl.datasource_id, crawl.completed_at)
            known = {page.id: page for page in pages.known(session, crawl.datasource_id)}
            texts = page_versions.by_id(session, [*then.values()])
            back = [
                (known[page_id], texts[version_id])
                for page_id, version_id in then.items()
                if version_id in texts and known[page_id].live_version != version_id
            ]
            waiting = self._bring_back(session, back)
            away = [page for page in known.values() if page.live_version is not None and page.id not in then]
            for page in away:
                _take_away(session, page, crawl_id=crawl_id, now=now)
            sitewide.decide(session, crawl.datasource_id, self._settings, now=now)
        report = RolledBack(changed=len(back) - len(waiting), left=len(away))
        return self._finish(report, waiting, scope=scope, indexes=indexes)

    def approve(self, crawl_id: UUID, *, scope: OrgScope) -> int:
        """Carry out what a crawl holds. Returns how many pages that changes.

        Raises:
            CrawlNotFound: If the org has no such crawl.
            NothingHeld: If it holds nothing, or a later crawl replaced what it held.
        """
        return self._settle(crawl_id, scope=scope, is_approved=True)

    def reject(self, crawl_id: UUID, *, scope: OrgScope) -> int:
        """Keep what serves instead of what a crawl holds. Returns how many pages that keeps.

        Raises:
            CrawlNotFound: If the org has no such crawl.
            NothingHeld: If it holds nothing, or a later crawl replaced what it held.
        """
        return self._settle(crawl_id, scope=scope, is_approved=False)

    def _settle(self, crawl_id: UUID, *, scope: OrgScope, is_approved: bool) -> int:
        now = self._clock()
        with self._database.write() as session:
            crawl = crawls.get(session, crawl_id, org_id=scope.org_id)
            datasources.hold(session, [crawl.datasource_id])
            count = holding.approve(session, crawl, now=now) if is_approved else holding.reject(session, crawl)
            if not count:
                raise NothingHeld(crawl=crawl_id)
            crawl.updated_at = now
            if is_approved:
                evaluations.accept(session, crawl.id)
            holding.note_decision(session, crawl)
            sitewide.decide(session, crawl.datasource_id, self._settings, now=now)
        relay(self._database, self._hints)
        return count

    def _bring_back(self, session: Session, back: Sequence[tuple[Page, PageVersion]]) -> list[UUID]:
        """Let these versions serve: at once where their points are there. Returns those to be indexed first."""
        now = self._clock()
        waiting = []
        for page, version in back:
            if page.live_version == version.id:
                continue
            _keep_as_told(session, page, version, now=now)
            session.refresh(version)
            if version.indexed_at is not None and chunks.touch_whole(session, version, now=now):
                make_live(session, page, version, now=now)
            else:
                page_versions.cut_anew(session, version)
                outbox.put(session, outbox.INDEX, page.org_id, now=now)
                waiting.append(version.id)
        session.flush()
        return waiting

    def _finish(self, report: RolledBack, waiting: Sequence[UUID], *, scope: OrgScope, indexes: bool) -> RolledBack:
        """Index what waits here and now, so that the next answer has it; what others took follows by itself."""
        relay(self._database, self._hints)
        left = len(waiting)
        while left and indexes:
            done = self._index().index_waiting(scope.org_id, limit=self._settings.work.index_batch, owner="roll-back")
            with self._database.read() as session:
                left = page_versions.count_unindexed(session, waiting)
            if not done.pages:
                break
        return RolledBack(changed=report.changed + len(waiting) - left, left=report.left, waiting=left)


def _keep_as_told(session: Session, page: Page, version: PageVersion, *, now: datetime) -> None:
    """What waits of the page is taken back; the same text as before from its website does not undo a roll-back."""
    page_versions.supersede_waiting(session, page.id)
    holding.withdraw(session, page)
    if page.missing_since is not None and page.live_version is None:
        digest = page.missing_since.isoformat()
        made = version.crawl_id or page.last_crawl_id or version.id
        holding.reject_ahead(session, page, crawl_id=made, kind=held_changes.GONE, digest=digest, now=now)
    site_blocks.note_all(session, [(page, repeatable(version.markdown))])


def _take_away(session: Session, page: Page, *, crawl_id: UUID, now: datetime) -> None:
    page_versions.supersede_waiting(session, page.id)
    page_versions.leave_as_cut(session, [page.live_version])
    page.live_version, page.updated_at = None, now
    page.status, page.reason, page.detail = PageStatus.EXCLUDED, Reason.HELD, "taken back with a roll-back"
    digest = page.text_hash or ""
    holding.reject_ahead(session, page, crawl_id=crawl_id, kind=held_changes.REPLACED, digest=digest, now=now)

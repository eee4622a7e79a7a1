"""What may be done to pages, one or many: exclude, include, read again, delete. Many are one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

from pipeline.db import crawls, datasources, frontier, outbox, page_versions, pages, site_blocks, webhook_deliveries
from pipeline.db.datasources import Datasource
from pipeline.db.engine import Database, Session
from pipeline.db.pages import Page
from pipeline.errors import InvalidInput, PageNotFound
from pipeline.model import CrawlTrigger, DatasourceStatus, OrgScope, PageStatus, Reason
from pipeline.retrieval.languages import base
from pipeline.services import holding, sitewide
from pipeline.services.clock import Clock
from pipeline.services.hints import Hints, relay
from pipeline.services.serving import bring_back, rule_out
from pipeline.services.websites import rules_of
from pipeline.settings import Settings
from pipeline.urls import split

AT_ONCE = 1_000
"""Pages that one request may name."""


class PageAction(StrEnum):
    """What may be done to pages."""

    EXCLUDE = "exclude"
    INCLUDE = "include"
    RESYNC = "resync"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class PageChoice:
    """Pages of one website: those named, else those of a list as it is filtered."""

    ids: tuple[UUID, ...] = ()
    status: str | None = None
    search: str | None = None
    language: str | None = None


class PageActionService:
    """Acts on pages of one org."""

    def __init__(self, database: Database, settings: Settings, hints: Hints, clock: Clock) -> None:
        """Work on this database, and tell workers through these hints."""
        self._database = database
        self._settings = settings
        self._hints = hints
        self._clock = clock

    def act(self, action: PageAction, datasource_id: UUID, choice: PageChoice, *, scope: OrgScope) -> int:
        """Do this to these pages; all of it happens, or nothing. Returns how many pages were chosen.

        Raises:
            DatasourceNotFound: If the org has no such website.
            PageNotFound: If a page that is named is not one of its pages.
            InvalidInput: If too many pages are named.
        """
        if len(choice.ids) > AT_ONCE:
            raise InvalidInput(field="page_ids", given=f"{len(choice.ids)} pages", allowed=f"at most {AT_ONCE}")
        now = self._clock()
        with self._database.write() as session:
            datasources.hold(session, [datasource_id])
            source = datasources.get(session, datasource_id, org_id=scope.org_id)
            chosen = _chosen(session, source, choice)
            if chosen:
                self._act(session, action, source, chosen, now=now)
        relay(self._database, self._hints)
        return len(chosen)

    def _act(
        self, session: Session, action: PageAction, source: Datasource, chosen: Sequence[Page], *, now: datetime
    ) -> None:
        if action == PageAction.RESYNC:
            _read_again(session, source, chosen, now=now)
            return
        if action == PageAction.EXCLUDE:
            _exclude(chosen, now=now)
        elif action == PageAction.INCLUDE:
            _include(session, source, chosen, now=now)
        else:
            _delete(session, source, chosen, now=now)
        session.flush()
        pages.wake_folded(session, source.id, [page.url for page in chosen])
        sitewide.decide(session, source.id, self._settings, now=now)


def _chosen(session: Session, source: Datasource, choice: PageChoice) -> list[Page]:
    filters = pages.matching(
        source.id,
        org_id=source.org_id,
        status=choice.status,
        search=choice.search,
        language=choice.language and base(choice.language),
    )
    found = pages.chosen(session, filters, ids=list(dict.fromkeys(choice.ids)))
    missing = set(choice.ids) - {page.id for page in found}
    if missing:
        raise PageNotFound(page=min(missing))
    return found


def _exclude(chosen: Sequence[Page], *, now: datetime) -> None:
    for page in chosen:
        if not page.excluded:
            page.excluded, page.updated_at = True, now
            page.status, page.reason = PageStatus.EXCLUDED, Reason.EXCLUDED_MANUALLY


def _include(session: Session, source: Datasource, chosen: Sequence[Page], *, now: datetime) -> None:
    """Let pages answer again that were excluded by hand, unless a rule of their website leaves them out."""
    rules = rules_of(source)
    for page in chosen:
        if not page.excluded:
            continue
        page.excluded, page.updated_at = False, now
        detail = rules.excluded_by(split(page.url))
        if detail is not None:
            rule_out(session, page, now=now, detail=detail)
        elif page.live_version is not None:
            page.status, page.reason = PageStatus.SYNCED, Reason.SYNCED
        else:
            bring_back(session, [page], now=now)


def _read_again(session: Session, source: Datasource, chosen: Sequence[Page], *, now: datetime) -> None:
    """Have pages read anew, whatever they say of themselves: by the crawl that runs, else by one of its own."""
    pages.due_at_once(session, [page.id for page in chosen])
    running = crawls.running(session, source.id)
    if running is None:
        crawl = crawls.begin(session, source, trigger=CrawlTrigger.API, now=now, only_due=True)
        if crawl is not None:
            outbox.put(session, outbox.CRAWL, crawl.id, now=now)
    elif running.started_at is not None and running.scraped_at is None:
        frontier.reopen(session, running.id, [page.url_key for page in chosen])


def _delete(session: Session, source: Datasource, chosen: Sequence[Page], *, now: datetime) -> None:
    """Take pages out of their website, into one that is deleted: what removes that removes them.

    The website may show them to a later crawl, which then keeps them as new. They are moved past what notices changes
    of pages, so webhooks are told here of those that answered.
    """
    ids = [page.id for page in chosen]
    for page in chosen:
        if page.live_version is not None and not page.excluded:
            webhook_deliveries.announce_removal(session, page, reason=Reason.EXCLUDED_MANUALLY, now=now)
    frontier.forget_urls(session, source.id, [page.url_key for page in chosen])
    for page in chosen:
        holding.withdraw(session, page)
    session.flush()
    page_versions.supersede_all(session, org_id=source.org_id, page_ids=ids)
    site_blocks.forget(session, ids)
    grave = Datasource(
        id=uuid4(),
        org_id=source.org_id,
        url=source.url,
        url_key=source.url_key,
        display_name=source.display_name,
        status=DatasourceStatus.PAUSED,
        created_at=now,
        updated_at=now,
        deleted_at=now,
    )
    session.add(grave)
    session.flush()
    pages.move(session, ids, datasource_id=grave.id)
    page_versions.move(session, ids, datasource_id=grave.id)

"""How a crawl ends, whoever notices: its spider, the index task of its last page, or the tick."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from pipeline.db import crawls, datasources, frontier
from pipeline.db.crawls import Crawl
from pipeline.db.datasources import Datasource
from pipeline.db.engine import Session
from pipeline.model import CrawlStatus
from pipeline.services import gate, holding, revisiting, sitewide
from pipeline.services.dead_letters import note_crawl
from pipeline.services.webhooks import announce_end
from pipeline.settings import Settings

SPREAD = timedelta(hours=1)


def complete(session: Session, settings: Settings, *, now: datetime, crawl_ids: Sequence[UUID] = ()) -> list[Crawl]:
    """End crawls with nothing left to fetch or to index, all or those named. Twice is the same as once.

    Before that, every page is what it is to be now that all are known, and what an org's golden questions make of it
    is scored.
    """
    scraped = crawls.scraped(session, crawl_ids=crawl_ids)
    undecided = [] if crawl_ids else crawls.left_undecided(session)
    if not scraped and not undecided:
        return []
    datasources.hold(session, {*scraped.values(), *undecided})
    for datasource_id in sorted({*scraped.values(), *undecided}):
        sitewide.decide(session, datasource_id, settings, now=now)
    awaited = gate.awaited(session, list(scraped), settings, now=now)
    ended = crawls.complete_scraped(session, now=now, crawl_ids=[found for found in scraped if found not in awaited])
    for crawl in ended:
        recount(session, crawl)
        settle(session, crawl, now=now)
    return ended


def recount(session: Session, crawl: Crawl) -> None:
    """Twins folded, and pages set aside, after the spider was done change what its crawl counts.

    A crawl whose frontier a later one has replaced counts what it counted.
    """
    session.flush()
    progress = frontier.progress(session, crawl.id, page_limit=sys.maxsize)
    if not progress.found:
        return
    crawls.write_progress(crawl, replace(progress, limit_reached=crawl.limit_reached), url=None)


def settle(session: Session, crawl: Crawl, *, now: datetime) -> None:
    """Tell the datasource, deleted or not, that its crawl ended, when the next is due, and forget older frontiers."""
    holding.give_up(session, crawl)
    holding.recount(session, crawl.datasource_id)
    datasource = session.get_one(Datasource, crawl.datasource_id)
    if crawl.status == CrawlStatus.FAILED and datasource.deleted_at is None:
        note_crawl(session, crawl, datasource, now=now)
    datasource.last_crawl_completed_at = now
    datasource.error_message = crawl.error_message
    datasource.next_crawl_at = at = next_crawl_at(datasource, now=now)
    if crawl.status == CrawlStatus.COMPLETED and at is not None:
        revisiting.weigh(session, datasource)
        datasource.next_crawl_at = revisiting.next_crawl(session, datasource, at=at, now=now)
    frontier.forget(session, [old for old in crawls.ended(session, datasource.id) if old != crawl.id])
    announce_end(session, crawl, now=now)


def next_crawl_at(datasource: Datasource, *, now: datetime) -> datetime | None:
    """When a datasource is due next; None when its crawls are started by hand only.

    An interval from now, and up to an hour more so that not all are due at once: the spread comes
    from the datasource's id and is the same every time.
    """
    if datasource.crawl_interval_hours is None:
        return None
    spread = SPREAD * (zlib.crc32(datasource.id.bytes) / 2**32)
    return now + timedelta(hours=datasource.crawl_interval_hours) + spread

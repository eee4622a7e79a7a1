"""How a crawl ends, whoever notices: its spider, the index task of its last page, or the tick."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from pipeline.db import crawls, datasources, frontier
from pipeline.db.crawls import Crawl
from pipeline.db.datasources import Datasource
from pipeline.db.engine import Session

SPREAD = timedelta(hours=1)


def complete(session: Session, *, now: datetime, crawl_ids: Sequence[UUID] = ()) -> list[Crawl]:
    """End crawls with nothing left to fetch or to index, all or those named. Twice is the same as once."""
    ended = crawls.complete_scraped(session, now=now, crawl_ids=crawl_ids)
    for crawl in ended:
        settle(session, crawl, now=now)
    return ended


def settle(session: Session, crawl: Crawl, *, now: datetime) -> None:
    """Tell the datasource that its crawl ended, when the next is due, and forget older frontiers."""
    datasource = datasources.get(session, crawl.datasource_id, org_id=crawl.org_id)
    datasource.last_crawl_completed_at = now
    datasource.error_message = crawl.error_message
    datasource.next_crawl_at = next_crawl_at(datasource, now=now)
    frontier.forget(session, [old for old in crawls.ended(session, datasource.id) if old != crawl.id])


def next_crawl_at(datasource: Datasource, *, now: datetime) -> datetime | None:
    """When a datasource is due next; None when its crawls are started by hand only.

    An interval from now, and up to an hour more so that not all are due at once: the spread comes
    from the datasource's id and is the same every time.
    """
    if datasource.crawl_interval_hours is None:
        return None
    spread = SPREAD * (zlib.crc32(datasource.id.bytes) / 2**32)
    return now + timedelta(hours=datasource.crawl_interval_hours) + spread

"""Rows that repeat values come out as they do without being shared."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy import bindparam, insert, select

from pipeline.db.base import Repeating, columns
from pipeline.db.datasources import Datasource
from pipeline.db.orgs import Org
from pipeline.db.pages import Page
from pipeline.model import PageStatus, Reason
from tests.fakes.knowledge import Knowledge

_PAGES = select(Page.id, Page.datasource_id, Page.url, Page.fetched_at, Page.changed_at, Page.excluded).where(
    Page.org_id == bindparam("org_id")
)


def test_repeated_values_are_those_that_every_row_has(knowledge: Knowledge) -> None:
    """Ids, moments, booleans and what is not there: row for row as the session reads them."""
    org, source, now = uuid4(), uuid4(), datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC)
    times = {"created_at": now, "updated_at": now}
    owned = {"org_id": org, "datasource_id": source, "status": PageStatus.SYNCED, "reason": Reason.SYNCED, **times}
    site = {"id": source, "org_id": org, "url": "https://a.example/", "url_key": "a", "display_name": "a", **times}
    pages = [
        {"id": uuid4(), "url": f"https://a.example/{number}", "url_key": str(number), "fetched_at": now, **owned}
        for number in range(5)
    ]
    with knowledge.services.database.write() as session:
        session.execute(insert(Org), [{"id": org, "name": "a", "ai_instructions": "", **times}])
        session.execute(insert(Datasource), [site])
        session.execute(insert(Page), pages)

    with knowledge.services.database.read() as session:
        found = list(Repeating(_PAGES).rows(session, {"org_id": org}))
        whole = [tuple(row) for row in columns(session, _PAGES, {"org_id": org})]
        few = list(Repeating(_PAGES).where(Page.url == "https://a.example/3").rows(session, {"org_id": org}))
        none = list(Repeating(_PAGES).rows(session, {"org_id": uuid4()}))

    assert sorted(found) == sorted(whole)
    assert len(found) == len(pages)
    assert [row[0] for row in few] == [pages[3]["id"]]
    assert none == []

"""Texts that have served nobody for long, found and deleted across the tables that know of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, exists, select, text
from sqlalchemy.orm import Session

from pipeline.db.held_changes import HeldChange
from pipeline.db.page_versions import PageVersion
from pipeline.db.pages import Page
from pipeline.db.served_spans import ServedSpan


def find(session: Session, *, before: datetime, limit: int) -> list[PageVersion]:
    """Versions that stopped serving before then, or never served and are older; none that serves or is held.

    At most `limit` of each kind, the oldest first.
    """
    never_served = (
        text("page_versions.state IN ('superseded', 'poison')"),  # as its index says it: a bound value would miss that
        PageVersion.retired_at.is_(None),
        PageVersion.created_at < before,
    )
    serves = exists().where(Page.live_version == PageVersion.id)
    is_held = exists().where(HeldChange.version_id == PageVersion.id)
    free = select(PageVersion).where(~serves, ~is_held)
    retired = free.where(PageVersion.retired_at < before).order_by(PageVersion.retired_at).limit(limit)
    unserved = free.where(*never_served).order_by(PageVersion.created_at).limit(limit)
    return [*session.scalars(retired), *session.scalars(unserved)]


def drop(session: Session, version_ids: Sequence[UUID]) -> None:
    """Delete these versions, with when they served and which chunks they were cut into."""
    for statement in (
        delete(ServedSpan).where(ServedSpan.version_id.in_(version_ids)),
        delete(PageVersion).where(PageVersion.id.in_(version_ids)),
    ):
        session.execute(statement.execution_options(synchronize_session=False))

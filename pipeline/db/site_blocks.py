"""Site blocks: on how many pages of a website each block of text stands, and which one page keeps it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from math import ceil
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, ForeignKey, Index, delete, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db.base import Base, insert_new
from pipeline.db.pages import Page
from pipeline.model import PageStatus

ROWS_AT_A_TIME = 500


class PageBlock(Base):
    """The newest text of this page has this block. Whatever a whole site shows is counted from these rows alone."""

    __tablename__ = "page_blocks"
    __table_args__ = (Index("ix_page_blocks_fingerprint", "datasource_id", "fingerprint", "page_id"),)

    page_id: Mapped[UUID] = mapped_column(ForeignKey("pages.id", ondelete="CASCADE"), primary_key=True)
    fingerprint: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    datasource_id: Mapped[UUID]


@dataclass(frozen=True, slots=True)
class SiteBlocks:
    """The blocks that a whole website shows, each with the page that keeps it."""

    keepers: dict[int, UUID]

    def elsewhere(self, page_id: UUID) -> AbstractSet[int]:
        """Those that another page than this one keeps."""
        return {fingerprint for fingerprint, keeper in self.keepers.items() if keeper != page_id}


def note_all(session: Session, noted: Sequence[tuple[Page, AbstractSet[int]]]) -> None:
    """Write which blocks the newest text of each of these pages has."""
    known: dict[UUID, set[int]] = {page.id: set() for page, _ in noted}
    statement = select(PageBlock.page_id, PageBlock.fingerprint).where(PageBlock.page_id.in_(known))
    for page_id, fingerprint in session.execute(statement) if noted else ():
        known[page_id].add(fingerprint)
    rows = []
    for page, fingerprints in noted:
        for part in _parts(known[page.id] - fingerprints):
            session.execute(delete(PageBlock).where(PageBlock.page_id == page.id, PageBlock.fingerprint.in_(part)))
        new = sorted(fingerprints - known[page.id])
        rows += [{"page_id": page.id, "fingerprint": one, "datasource_id": page.datasource_id} for one in new]
    insert_new(session, PageBlock, rows)


def forget(session: Session, page_ids: Sequence[UUID]) -> None:
    """Count these pages no more."""
    for first in range(0, len(page_ids), ROWS_AT_A_TIME):
        statement = delete(PageBlock).where(PageBlock.page_id.in_(page_ids[first : first + ROWS_AT_A_TIME]))
        session.execute(statement.execution_options(synchronize_session=False))


def site_wide(
    session: Session,
    datasource_id: UUID,
    *,
    least_pages: int,
    least_share: float,
    among: Collection[int] | None = None,
) -> SiteBlocks:
    """The blocks on at least so many pages of the website, and on that share of them; `among` those, if given.

    The page that keeps a block is the one of the shortest address: the order in which pages came does not matter.
    """
    pages = select(func.count()).select_from(Page).where(Page.datasource_id == datasource_id, *_counts())
    least = max(least_pages, ceil(least_share * (session.scalar(pages) or 0)))
    counts = (
        select(PageBlock.fingerprint)
        .join(Page, Page.id == PageBlock.page_id)
        .where(PageBlock.datasource_id == datasource_id, *_counts())
        .group_by(PageBlock.fingerprint)
        .having(func.count() >= least)
    )
    if among is None:
        frequent = list(session.scalars(counts))
    else:
        frequent = [
            found for part in _parts(among) for found in session.scalars(counts.where(PageBlock.fingerprint.in_(part)))
        ]
    return SiteBlocks(_keepers(session, datasource_id, frequent))


def on_pages(session: Session, datasource_id: UUID, fingerprints: Collection[int]) -> dict[UUID, set[int]]:
    """Which of these blocks stand on which page of the website."""
    found: dict[UUID, set[int]] = {}
    for part in _parts(fingerprints):
        statement = select(PageBlock.page_id, PageBlock.fingerprint).where(
            PageBlock.datasource_id == datasource_id, PageBlock.fingerprint.in_(part)
        )
        for page_id, fingerprint in session.execute(statement):
            found.setdefault(page_id, set()).add(fingerprint)
    return found


def _keepers(session: Session, datasource_id: UUID, fingerprints: Collection[int]) -> dict[int, UUID]:
    keepers: dict[int, UUID] = {}
    for part in _parts(fingerprints):
        rank = (
            func.row_number()
            .over(partition_by=PageBlock.fingerprint, order_by=(func.length(Page.url_key), Page.url_key))
            .label("rank")
        )
        ranked = (
            select(PageBlock.fingerprint, PageBlock.page_id, rank)
            .join(Page, Page.id == PageBlock.page_id)
            .where(PageBlock.datasource_id == datasource_id, PageBlock.fingerprint.in_(part), *_counts())
            .subquery()
        )
        rows = session.execute(select(ranked.c.fingerprint, ranked.c.page_id).where(ranked.c.rank == 1))
        keepers.update((fingerprint, page_id) for fingerprint, page_id in rows)
    return keepers


def _counts() -> tuple[ColumnElement[bool], ...]:
    """Pages that answer, or are about to."""
    return (Page.excluded.is_(False), Page.status.in_((PageStatus.SYNCED, PageStatus.PENDING)))


def _parts(items: Iterable[int]) -> Iterable[list[int]]:
    everything = sorted(items)
    return (everything[first : first + ROWS_AT_A_TIME] for first in range(0, len(everything), ROWS_AT_A_TIME))

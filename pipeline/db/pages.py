"""Pages: what the knowledge base has, or has refused, of a datasource."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    UniqueConstraint,
    bindparam,
    delete,
    func,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db import datasources
from pipeline.db.base import Base, columns
from pipeline.db.datasources import Datasource
from pipeline.errors import PageNotFound
from pipeline.model import PageStatus, Reason

IDS_AT_A_TIME = 500
"""Ids named in one statement."""

TWINS = (PageStatus.SYNCED, PageStatus.PENDING)
"""Pages in these states are looked at for others that say the same."""


class Page(Base):
    """One page, known by its folded URL. `live_version` is what readers see; its flip is the update."""

    __tablename__ = "pages"
    __table_args__ = (
        UniqueConstraint("datasource_id", "url_key"),
        Index("ix_pages_text", "datasource_id", "text_hash"),
        Index("ix_pages_org_status", "org_id", "status"),
        Index("ix_pages_next_fetch", "datasource_id", "next_fetch_at"),
        Index(
            "ix_pages_languages",
            "org_id",
            "datasource_id",
            "language",
            sqlite_where=text("live_version IS NOT NULL"),
            postgresql_where=text("live_version IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"))
    datasource_id: Mapped[UUID] = mapped_column(ForeignKey("datasources.id", ondelete="CASCADE"))
    url: Mapped[str]
    url_key: Mapped[str]
    canonical_url: Mapped[str | None]
    title: Mapped[str] = mapped_column(default="")
    language: Mapped[str | None]
    status: Mapped[str]
    reason: Mapped[str]
    detail: Mapped[str | None]
    target: Mapped[str | None]
    """The URL this page folds into, for `duplicate_of` and `canonical_to`."""
    excluded: Mapped[bool] = mapped_column(default=False)
    live_version: Mapped[UUID | None] = mapped_column(index=True)
    text_hash: Mapped[str | None]
    fact_hash: Mapped[str | None]
    etag: Mapped[str | None]
    last_modified: Mapped[str | None]
    http_status: Mapped[int | None]
    depth: Mapped[int] = mapped_column(default=0)
    missing_since: Mapped[datetime | None]
    """When the site first answered 404 or 410; a second such answer later removes the page."""
    fetched_at: Mapped[datetime | None]
    changed_at: Mapped[datetime | None]
    next_fetch_at: Mapped[datetime | None]
    """When a scheduled crawl looks at it next; without a date, the next one does."""
    body_hash: Mapped[str | None]
    """SHA-256 of the HTML behind `text_hash`, hexadecimal: what is the same needs no parser."""
    changes_seen: Mapped[float] = mapped_column(default=0.0, server_default="0")
    """How often it changed, as far as looks tell, in the `hours_watched` between its first look and its last."""
    hours_watched: Mapped[float] = mapped_column(default=0.0, server_default="0")
    taken_on_trust: Mapped[int] = mapped_column(default=0, server_default="0")
    """How many times in a row it was due and its sitemap's word was taken that it is the same."""
    last_crawl_id: Mapped[UUID | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


def get(session: Session, page_id: UUID, *, org_id: UUID) -> Page:
    """The org's page.

    Raises:
        PageNotFound: If the org has none of this id.
    """
    mine = (Page.id == page_id, Page.org_id == org_id, Page.datasource_id.in_(datasources.kept(org_id)))
    found = session.scalars(select(Page).where(*mine)).one_or_none()
    if found is None:
        raise PageNotFound(page=page_id)
    return found


def behind(session: Session, page_id: UUID) -> Page:
    """The page of this id, which must exist, whatever became of its website."""
    return session.get_one(Page, page_id)


def find(session: Session, datasource_id: UUID, url_key: str) -> Page | None:
    """The datasource's page at this folded URL."""
    return session.scalars(
        select(Page).where(Page.datasource_id == datasource_id, Page.url_key == url_key)
    ).one_or_none()


def by_key(session: Session, datasource_id: UUID, url_keys: Sequence[str]) -> dict[str, Page]:
    """The datasource's pages at these folded URLs."""
    statement = select(Page).where(Page.datasource_id == datasource_id, Page.url_key.in_(url_keys))
    return {page.url_key: page for page in session.scalars(statement)}


def with_url_key(session: Session, url_key: str, *, org_id: UUID) -> list[Page]:
    """The org's pages at this folded URL, in any datasource."""
    mine = (Page.org_id == org_id, Page.url_key == url_key, Page.datasource_id.in_(datasources.kept(org_id)))
    return list(session.scalars(select(Page).where(*mine)))


def kept(session: Session, datasource_id: UUID) -> list[Page]:
    """Pages of the datasource that serve now: the next crawl looks at each, linked or not."""
    statement = select(Page).where(Page.datasource_id == datasource_id, Page.live_version.is_not(None))
    return list(session.scalars(statement.order_by(Page.url_key)))


def resting(session: Session, datasource_id: UUID, *, after: datetime) -> list[Page]:
    """Pages of the datasource that need no look before `after`."""
    statement = select(Page).where(Page.datasource_id == datasource_id, Page.next_fetch_at > after)
    return list(session.scalars(statement.order_by(Page.url_key)))


def next_due(session: Session, datasource_id: UUID, *, after: datetime) -> datetime | None:
    """The earliest date later than `after` that a page of the datasource is to be looked at."""
    statement = select(func.min(Page.next_fetch_at)).where(Page.datasource_id == datasource_id)
    return session.scalar(statement.where(Page.next_fetch_at > after))


def histories(session: Session, datasource_id: UUID) -> list[tuple[float, float]]:
    """What looks at the serving pages of the datasource told: changes seen, hours watched."""
    watched = (Page.live_version.is_not(None), Page.hours_watched > 0)
    statement = select(Page.changes_seen, Page.hours_watched).where(Page.datasource_id == datasource_id, *watched)
    return [(changes, hours) for changes, hours in session.execute(statement)]


def wake(session: Session, datasource_id: UUID, *, folded_into: str | None = None) -> None:
    """Have the next crawl read every page of the datasource anew, or those that lead to a URL: links and all."""
    statement = update(Page).where(Page.datasource_id == datasource_id)
    if folded_into is not None:
        statement = statement.where(Page.target == folded_into)
    unknown = {"next_fetch_at": None, "etag": None, "last_modified": None, "body_hash": None}
    session.execute(statement.values(**unknown).execution_options(synchronize_session="fetch"))


def wake_folded(session: Session, datasource_id: UUID, urls: Sequence[str]) -> None:
    """Have the next crawl read anew the pages that lead to one of these URLs."""
    unknown = {"next_fetch_at": None, "etag": None, "last_modified": None, "body_hash": None}
    for first in range(0, len(urls), IDS_AT_A_TIME):
        folded = (Page.datasource_id == datasource_id, Page.target.in_(urls[first : first + IDS_AT_A_TIME]))
        statement = update(Page).where(*folded).values(**unknown)
        session.execute(statement.execution_options(synchronize_session="fetch"))


def count_kept(session: Session, datasource_id: UUID) -> int:
    """How many pages of the datasource serve now, those excluded by hand left out."""
    serves = (Page.live_version.is_not(None), Page.excluded.is_(False))
    return session.scalar(select(func.count()).where(Page.datasource_id == datasource_id, *serves)) or 0


def by_id(session: Session, page_ids: Sequence[UUID]) -> list[Page]:
    """These pages."""
    return list(session.scalars(select(Page).where(Page.id.in_(page_ids))))


def known(session: Session, datasource_id: UUID) -> list[Page]:
    """Every page of the datasource, those included that serve no more."""
    return list(session.scalars(select(Page).where(Page.datasource_id == datasource_id).order_by(Page.url_key)))


def leading_to(session: Session, datasource_id: UUID, url: str) -> list[str]:
    """Addresses of pages of the datasource that fold into this one, in order."""
    statement = select(Page.url).where(Page.datasource_id == datasource_id, Page.target == url)
    return list(session.scalars(statement.order_by(Page.url_key)))


def moved(session: Session, datasource_id: UUID) -> list[Page]:
    """Pages of the datasource that serve although they lead elsewhere by now."""
    statement = select(Page).where(
        Page.datasource_id == datasource_id, Page.live_version.is_not(None), Page.target.is_not(None)
    )
    return list(session.scalars(statement))


def with_texts(session: Session, datasource_id: UUID, text_hashes: Sequence[str]) -> list[Page]:
    """Pages of the datasource with one of these main texts."""
    statement = select(Page).where(Page.datasource_id == datasource_id, Page.text_hash.in_(text_hashes))
    return list(session.scalars(statement))


def counts_as_twin(page: Page) -> bool:
    """Whether a page serves, or is about to, so that another with the same text need not.

    One that may be about to leave does not.
    """
    return not page.excluded and page.status in TWINS and page.reason != Reason.HELD


def twins(session: Session, page: Page, *, text_hash: str) -> list[Page]:
    """Other pages of the datasource with the same main text that serve, or are about to."""
    statement = select(Page).where(
        Page.datasource_id == page.datasource_id,
        Page.text_hash == text_hash,
        Page.id != page.id,
        Page.excluded.is_(False),
        Page.status.in_(TWINS),
        Page.reason != Reason.HELD,
    )
    return list(session.scalars(statement))


def listing(
    session: Session,
    *,
    org_id: UUID,
    datasource_id: UUID | None = None,
    status: str | None = None,
    search: str | None = None,
    language: str | None = None,
    limit: int = 20,
    after: tuple[str, UUID] | None = None,
) -> list[Page]:
    """The org's pages in URL order, those after the page of this folded URL and id: two websites may share a URL."""
    conditions = matching(datasource_id, org_id=org_id, status=status, search=search, language=language)
    if after:
        conditions.append(tuple_(Page.url_key, Page.id) > tuple_(*after))
    return list(session.scalars(select(Page).where(*conditions).order_by(Page.url_key, Page.id).limit(limit)))


def matching(
    datasource_id: UUID | None,
    *,
    org_id: UUID,
    status: str | None = None,
    search: str | None = None,
    language: str | None = None,
) -> list[ColumnElement[bool]]:
    """The conditions under which a page is of this list: of the datasource, or of any that the org keeps."""
    conditions: list[ColumnElement[bool]] = [Page.org_id == org_id]
    if datasource_id:
        conditions.append(Page.datasource_id == datasource_id)
    else:
        conditions.append(Page.datasource_id.in_(datasources.kept(org_id)))
    if status:
        conditions.append(Page.status == status)
    if search:
        conditions.append(
            or_(Page.url.icontains(search, autoescape=True), Page.title.icontains(search, autoescape=True))
        )
    if language:
        conditions.append(Page.language == language)
    return conditions


def chosen(session: Session, conditions: Sequence[ColumnElement[bool]], *, ids: Sequence[UUID] = ()) -> list[Page]:
    """Every page of a list in URL order; with `ids`, those among them."""
    statement = select(Page).where(*conditions).order_by(Page.url_key, Page.id)
    if not ids:
        return list(session.scalars(statement))
    parts = (ids[first : first + IDS_AT_A_TIME] for first in range(0, len(ids), IDS_AT_A_TIME))
    return [page for part in parts for page in session.scalars(statement.where(Page.id.in_(part)))]


def some(session: Session, datasource_id: UUID, *, limit: int) -> list[UUID]:
    """Some pages of the datasource, whatever became of them."""
    return list(session.scalars(select(Page.id).where(Page.datasource_id == datasource_id).limit(limit)))


def move(session: Session, page_ids: Sequence[UUID], *, datasource_id: UUID) -> None:
    """Give pages to another datasource of the org; what is counted of their old one is without them."""
    for first in range(0, len(page_ids), IDS_AT_A_TIME):
        part = page_ids[first : first + IDS_AT_A_TIME]
        statement = update(Page).where(Page.id.in_(part)).values(datasource_id=datasource_id)
        session.execute(statement.execution_options(synchronize_session=False))


def drop(session: Session, page_ids: Sequence[UUID]) -> None:
    """Delete pages, with their versions and all that hangs on them. Their points are gone before."""
    statement = delete(Page).where(Page.id.in_(page_ids))
    session.execute(statement.execution_options(synchronize_session=False))


def due_at_once(session: Session, page_ids: Sequence[UUID]) -> None:
    """Have the next crawl read these pages anew, whatever they looked like before."""
    unknown = {"next_fetch_at": None, "etag": None, "last_modified": None, "body_hash": None}
    statement = update(Page).where(Page.id.in_(page_ids)).values(**unknown)
    session.execute(statement.execution_options(synchronize_session="fetch"))


def count_by_status(session: Session, *, org_id: UUID, datasource_id: UUID | None = None) -> dict[str, int]:
    """How many pages stand where."""
    statement = select(Page.status, func.count()).where(*matching(datasource_id, org_id=org_id)).group_by(Page.status)
    counts = {str(status): count for status, count in session.execute(statement)}
    return {status.value: counts.get(status.value, 0) for status in PageStatus}


def counts_of(session: Session, datasource_ids: Sequence[UUID]) -> dict[UUID, dict[str, int]]:
    """How many pages of each of these datasources stand where."""
    counts = {one: dict.fromkeys((status.value for status in PageStatus), 0) for one in datasource_ids}
    statement = select(Page.datasource_id, Page.status, func.count()).where(Page.datasource_id.in_(datasource_ids))
    for datasource_id, status, count in session.execute(statement.group_by(Page.datasource_id, Page.status)):
        counts[datasource_id][status] = count
    return counts


_LANGUAGES = (
    select(Page.language)
    .where(Page.org_id == bindparam("org_id"), Page.live_version.is_not(None), Page.language.is_not(None))
    .where(
        Page.datasource_id.in_(
            select(Datasource.id).where(Datasource.org_id == bindparam("org_id"), Datasource.deleted_at.is_(None))
        )
    )
    .group_by(Page.language)
    .order_by(func.count().desc(), Page.language)
)
"""Built once, as every answer reads it."""


def count_answering(session: Session, *, org_id: UUID) -> int:
    """How many live pages an org has."""
    serving = select(Datasource.id).where(Datasource.org_id == org_id, Datasource.deleted_at.is_(None))
    live = Page.org_id == org_id, Page.live_version.is_not(None), Page.datasource_id.in_(serving)
    return session.scalar(select(func.count()).select_from(Page).where(*live)) or 0


def languages(session: Session, *, org_id: UUID) -> list[str]:
    """The languages of the org's live pages, the most frequent first."""
    return [row[0] for row in columns(session, _LANGUAGES, {"org_id": org_id}) if row[0]]


def is_retrievable() -> tuple[ColumnElement[bool], ...]:
    """The conditions under which a page answers now: live, not excluded, its datasource not deleted."""
    return (Page.live_version.is_not(None), Page.excluded.is_(False), Datasource.deleted_at.is_(None))

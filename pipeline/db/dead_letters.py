"""Dead letters: work that is not tried again by itself, one row for each page, URL or website it is about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, ForeignKey, Text, UniqueConstraint, and_, delete, exists, or_, select, update
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from pipeline.db.base import Base, insert_into
from pipeline.db.crawls import RUNNING, Crawl
from pipeline.db.page_versions import POISON, PageVersion
from pipeline.db.paging import Listed, Place, fetch
from pipeline.errors import DeadLetterNotFound
from pipeline.model import CrawlStatus

PAGE, CRAWL, URL = "page", "crawl", "url"


class DeadLetter(Base):
    """A page whose text ended its workers, a URL that ended its spiders, or a website whose crawl failed for good."""

    __tablename__ = "dead_letters"
    __table_args__ = (UniqueConstraint("kind", "subject_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), index=True)
    datasource_id: Mapped[UUID] = mapped_column(ForeignKey("datasources.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    subject_id: Mapped[UUID]
    """The page, the datasource, or a name for the datasource's URL."""
    work_id: Mapped[UUID]
    """The page version, or the crawl, that died last."""
    url: Mapped[str]
    cause: Mapped[str]
    fingerprint: Mapped[str]
    """The same for problems that differ only in numbers, names and addresses."""
    problem: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[int]
    deaths: Mapped[int]
    """How often it died: once, and once more for each time it was put back."""
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    redriven_at: Mapped[datetime | None]
    """When it was put back; None again once it dies again."""


def note(session: Session, letter: dict[str, object], *, now: datetime) -> None:
    """Write a death. Of the same page, or website, one row is kept: first seen stays."""
    first = {"id": uuid4(), "deaths": 1, "first_seen_at": now, "last_seen_at": now, "redriven_at": None}
    again = {name: letter[name] for name in ("work_id", "url", "cause", "fingerprint", "problem", "attempts")}
    died_again = {"deaths": DeadLetter.deaths + 1, "last_seen_at": now, "redriven_at": None}
    statement = insert_into(session, DeadLetter).values(**first, **letter)
    session.execute(
        statement.on_conflict_do_update(index_elements=["kind", "subject_id"], set_={**again, **died_again})
    )


def listing(session: Session, *, org_id: UUID, cause: str | None = None, limit: int | None = None) -> list[DeadLetter]:
    """The org's dead letters that stand, the latest first; with `cause`, those of that cause or fingerprint."""
    statement = select(DeadLetter).where(DeadLetter.org_id == org_id, is_standing())
    if cause is not None:
        statement = statement.where(or_(DeadLetter.cause == cause, DeadLetter.fingerprint == cause))
    return list(session.scalars(statement.order_by(DeadLetter.last_seen_at.desc(), DeadLetter.id.desc()).limit(limit)))


def page_through(
    session: Session, *, org_id: UUID, cause: str | None, limit: int, after: Place | None
) -> Listed[DeadLetter]:
    """Some of what `listing` gives."""
    statement = select(DeadLetter).where(DeadLetter.org_id == org_id, is_standing())
    if cause is not None:
        statement = statement.where(or_(DeadLetter.cause == cause, DeadLetter.fingerprint == cause))
    return fetch(
        session, statement, DeadLetter.last_seen_at, DeadLetter.id, limit=limit, after=after, newest_first=True
    )


def get(session: Session, letter_id: UUID, *, org_id: UUID) -> DeadLetter:
    """The org's dead letter, whether it stands or was put back.

    Raises:
        DeadLetterNotFound: If the org has none of this id.
    """
    statement = select(DeadLetter).where(DeadLetter.id == letter_id, DeadLetter.org_id == org_id)
    found = session.scalars(statement).one_or_none()
    if found is None:
        raise DeadLetterNotFound(letter=letter_id)
    return found


def stands(session: Session, letter: DeadLetter) -> bool:
    """Whether nothing has been done about it, and nothing newer has taken its place."""
    return session.scalar(select(DeadLetter.id).where(DeadLetter.id == letter.id, is_standing())) is not None


def count(session: Session, *, org_id: UUID) -> int:
    """How many of the org's dead letters stand."""
    return len(listing(session, org_id=org_id))


def redriven(session: Session, ids: Sequence[UUID], *, now: datetime) -> None:
    """Note that these were put back."""
    session.execute(update(DeadLetter).where(DeadLetter.id.in_(ids)).values(redriven_at=now))


def forget_datasource(session: Session, datasource_id: UUID) -> None:
    """Forget whatever died of a datasource."""
    statement = delete(DeadLetter).where(DeadLetter.datasource_id == datasource_id)
    session.execute(statement.execution_options(synchronize_session=False))


def forget(session: Session, *, before: datetime) -> None:
    """Forget letters that were put back before then, and did not die again."""
    session.execute(delete(DeadLetter).where(DeadLetter.redriven_at < before))


def is_standing() -> ColumnElement[bool]:
    """Not put back, and its page has no newer text, or its website no later crawl that went well or goes on."""
    newer, died = aliased(PageVersion), aliased(PageVersion)
    replaced = exists().where(died.id == DeadLetter.work_id, newer.page_id == died.page_id, newer.number > died.number)
    is_parked = exists().where(PageVersion.id == DeadLetter.work_id, PageVersion.state == POISON)
    later = exists().where(
        Crawl.datasource_id == DeadLetter.datasource_id,
        Crawl.created_at >= DeadLetter.last_seen_at,
        Crawl.status.in_((*RUNNING, CrawlStatus.COMPLETED)),
    )
    of_page = and_(DeadLetter.kind == PAGE, is_parked, ~replaced)
    return and_(DeadLetter.redriven_at.is_(None), or_(of_page, and_(DeadLetter.kind != PAGE, ~later)))

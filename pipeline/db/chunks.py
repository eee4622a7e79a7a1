"""Chunks: the text behind every point, and which version of a page is made of which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    Text,
    and_,
    bindparam,
    delete,
    event,
    exists,
    false,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Mapper, Session, attributes, mapped_column

from pipeline.db import datasources, generations
from pipeline.db.base import Base, Repeating, insert_into
from pipeline.db.crawls import RUNNING, Crawl
from pipeline.db.datasources import Datasource
from pipeline.db.golden_questions import GoldenQuestion
from pipeline.db.orgs import Org
from pipeline.db.page_versions import WAITING, PageVersion
from pipeline.db.pages import Page, is_retrievable
from pipeline.errors import BeingSwept
from pipeline.model import SearchFilter

ROWS_AT_A_TIME = 500
IDS_AT_A_TIME = 40
"""Candidates are looked up in multiples of so many."""

Item = TypeVar("Item")


class ChunkRow(Base):
    """One chunk. Its row is written before its point, so that no point is ever unknown.

    `stored` says that the vector store has acknowledged the point.
    """

    __tablename__ = "chunks"
    __table_args__ = (
        Index("ix_chunks_same_text", "org_id", "model", "text_hash"),
        Index("ix_chunks_spare", "touched_at", sqlite_where=text("spare = 1"), postgresql_where=text("spare")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"))
    page_id: Mapped[UUID] = mapped_column(ForeignKey("pages.id", ondelete="CASCADE"), index=True)
    datasource_id: Mapped[UUID]
    model: Mapped[str]
    heading_path: Mapped[list[str]]
    text: Mapped[str] = mapped_column(Text)
    text_hash: Mapped[str]
    tokens: Mapped[int]
    stored: Mapped[bool] = mapped_column(default=False)
    spare: Mapped[bool] = mapped_column(default=True, server_default=false())
    """Whether no text that serves is known to need it: the sweep looks at these alone."""
    touched_at: Mapped[datetime]
    """When an index task last wanted it: the sweep leaves young rows alone."""
    doomed_at: Mapped[datetime | None] = mapped_column(index=True)
    """When the sweep began to remove it: its point may go at any moment."""


class VersionChunk(Base):
    """A version of a page consists of these chunks, in this order: once for each model that it was cut for."""

    __tablename__ = "version_chunks"
    __table_args__ = (Index("ix_version_chunks_chunk_version", "chunk_id", "version_id"),)

    version_id: Mapped[UUID] = mapped_column(ForeignKey("page_versions.id", ondelete="CASCADE"), primary_key=True)
    chunk_id: Mapped[UUID] = mapped_column(ForeignKey("chunks.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    start: Mapped[int]
    end: Mapped[int]


def _is_of(org_id: UUID | BindParameter[Any]) -> ColumnElement[bool]:
    """The org of chunks named by their ids: without its index, which SQLite prefers, reading all that the org has."""
    return func.coalesce(ChunkRow.org_id, ChunkRow.org_id) == org_id


class LiveChunk(NamedTuple):
    """A chunk that answers now, with what a passage says of its page."""

    id: UUID
    page_id: UUID
    text: str
    heading_path: list[str]
    tokens: int
    position: int
    title: str
    url: str
    language: str | None
    number: int
    fetched_at: datetime
    changed_at: datetime | None = None


def intend(session: Session, rows: Sequence[Mapping[str, object]], *, now: datetime) -> None:
    """Write chunk rows ahead of their points; those that exist are only touched.

    Raises:
        BeingSwept: If a point that is wanted again is just being removed.
    """
    for first in range(0, len(rows), ROWS_AT_A_TIME):
        batch = [
            {**row, "stored": False, "spare": True, "touched_at": now} for row in rows[first : first + ROWS_AT_A_TIME]
        ]
        statement = insert_into(session, ChunkRow)
        session.execute(statement.on_conflict_do_update(index_elements=[ChunkRow.id], set_={"touched_at": now}), batch)
        ids = [row["id"] for row in batch]
        doomed = select(ChunkRow.id).where(ChunkRow.id.in_(ids), ChunkRow.doomed_at.is_not(None)).limit(1)
        if (chunk_id := session.scalar(doomed)) is not None:
            raise BeingSwept(chunk=chunk_id)


def stored(session: Session, ids: Iterable[UUID], *, org_id: UUID) -> set[UUID]:
    """Those of the chunks whose points the vector store has acknowledged."""
    return {
        chunk_id
        for part in _parts(ids)
        for chunk_id in session.scalars(
            select(ChunkRow.id).where(ChunkRow.id.in_(part), _is_of(org_id), ChunkRow.stored)
        )
    }


def same_text(session: Session, text_hashes: Iterable[str], *, model: str, org_id: UUID) -> dict[str, UUID]:
    """For each text the org already has a vector of: the chunk that has it."""
    found: dict[str, UUID] = {}
    for part in _parts(text_hashes):
        statement = select(ChunkRow.text_hash, ChunkRow.id).where(
            ChunkRow.org_id == org_id, ChunkRow.model == model, ChunkRow.text_hash.in_(part), ChunkRow.stored
        )
        found.update((text_hash, chunk_id) for text_hash, chunk_id in session.execute(statement))
    return found


def being_embedded(
    session: Session, text_hashes: Iterable[str], *, model: str, org_id: UUID, token: UUID, now: datetime
) -> set[str]:
    """Those of the texts that the holder of another lease is computing a vector of now, as far as is known."""
    busy: set[str] = set()
    for part in _parts(text_hashes):
        statement = (
            select(ChunkRow.text_hash)
            .join(PageVersion, PageVersion.page_id == ChunkRow.page_id)
            .where(
                ChunkRow.org_id == org_id,
                ChunkRow.model == model,
                ChunkRow.text_hash.in_(part),
                ChunkRow.stored.is_(False),
                PageVersion.state == WAITING,
                PageVersion.lease_token != token,
                PageVersion.lease_until > now,
                PageVersion.lease_owner.is_not(None),
            )
        )
        busy.update(session.scalars(statement))
    return busy


def mark_stored(session: Session, ids: Iterable[UUID], *, org_id: UUID) -> None:
    """Note that the vector store has these points."""
    for part in _parts(ids):
        session.execute(
            update(ChunkRow)
            .where(ChunkRow.id.in_(part), _is_of(org_id))
            .values(stored=True)
            .execution_options(synchronize_session=False)
        )


def compose(session: Session, version_id: UUID, parts: Sequence[tuple[UUID, int, int]], *, model: str) -> None:
    """Write what a version that serves from here on consists of under a model: chunk id, start and end, in order."""
    before = select(VersionChunk.chunk_id).where(VersionChunk.version_id == version_id)
    of_model = select(ChunkRow.id).where(ChunkRow.id.in_(before), ChunkRow.model == model)
    replaced = list(session.scalars(of_model))
    for part in _parts(replaced):
        _set_spare(session, ChunkRow.id.in_(part), spare=True)
    for part in _parts({chunk_id for chunk_id, _, _ in parts}):
        _set_spare(session, ChunkRow.id.in_(part), spare=False)
    for part in _parts(replaced):
        taken = (VersionChunk.version_id == version_id, VersionChunk.chunk_id.in_(part))
        session.execute(delete(VersionChunk).where(*taken))
    session.add_all(
        VersionChunk(version_id=version_id, position=position, chunk_id=chunk_id, start=start, end=end)
        for position, (chunk_id, start, end) in enumerate(parts)
    )


def touch_whole(session: Session, version: PageVersion, *, now: datetime) -> bool:
    """Keep the points of a version that is to serve from being swept, if all are there still. False when some are not.

    The sweep looks again at what was touched before it removes anything. Generations beside the one that serves are
    filled again.
    """
    held = generations.hold(session)
    serving = next((one for one in held if one.state == generations.SERVING), None)
    number = generations.FIRST if serving is None else serving.number
    count = generations.chunk_count(session, version, number)
    own = select(VersionChunk.chunk_id).where(VersionChunk.version_id == version.id)
    if serving is not None:
        own = own.join(ChunkRow, ChunkRow.id == VersionChunk.chunk_id).where(ChunkRow.model == serving.model)
    places = session.scalar(select(func.count()).select_from(own.subquery())) or 0
    statement = update(ChunkRow).where(ChunkRow.id.in_(own)).values(touched_at=now)
    there = session.execute(
        statement.returning(ChunkRow.stored, ChunkRow.doomed_at).execution_options(synchronize_session=False)
    ).all()
    is_whole = places == count and all(stored and doomed_at is None for stored, doomed_at in there)
    if is_whole:
        _set_spare(session, ChunkRow.id.in_(own), spare=False)
        version.generation, version.chunk_count = number, places
        if others := [one.number for one in held if one.number != number]:
            generations.note_cut(session, version, whole={}, others=others)
    return is_whole


def _set_spare(session: Session, which: ColumnElement[bool], *, spare: bool) -> None:
    statement = update(ChunkRow).where(which, ChunkRow.spare.is_(not spare)).values(spare=spare)
    session.execute(statement.execution_options(synchronize_session=False))


@event.listens_for(Page, "after_update")
def _spare_what_served(mapper: Mapper[Any], connection: Connection, page: Page) -> None:
    """Whoever makes a page say something else leaves the chunks of what it said to the sweep."""
    del mapper
    history = attributes.get_history(page, "live_version")
    if not history.has_changes() or list(history.deleted) == [None]:
        return
    serving = select(VersionChunk.chunk_id).where(VersionChunk.version_id == page.live_version)
    of_page = (ChunkRow.page_id == page.id, ChunkRow.spare.is_(False))
    connection.execute(update(ChunkRow).where(*of_page, ChunkRow.id.not_in(serving)).values(spare=True))


_LIVE = Repeating(
    select(
        ChunkRow.id,
        ChunkRow.page_id,
        ChunkRow.text,
        ChunkRow.heading_path,
        ChunkRow.tokens,
        VersionChunk.position,
        PageVersion.title,
        Page.url,
        PageVersion.language,
        PageVersion.number,
        Page.fetched_at,
        Page.changed_at,
    )
    .join(Page, Page.id == ChunkRow.page_id)
    .join(Datasource, Datasource.id == Page.datasource_id)
    .join(PageVersion, PageVersion.id == Page.live_version)
    .join(VersionChunk, (VersionChunk.version_id == PageVersion.id) & (VersionChunk.chunk_id == ChunkRow.id))
    .where(
        ChunkRow.id.in_(bindparam("ids", expanding=True)),
        _is_of(bindparam("org_id")),
        func.coalesce(Page.org_id, Page.org_id) == bindparam("org_id"),
        *is_retrievable(),
    )
)
"""Built once: putting it together took as long as running it."""


def live(
    session: Session, ids: Iterable[UUID], *, org_id: UUID, where: SearchFilter | None = None
) -> dict[UUID, LiveChunk]:
    """Those of the candidates that answer now, in one read. Everything else is not there."""
    statement = _LIVE
    if where is not None and where.url_prefix:
        statement = statement.where(func.substr(Page.url, 1, len(where.url_prefix)) == where.url_prefix)
    if where is not None and where.fetched_after:
        statement = statement.where(Page.fetched_at > where.fetched_after)
    given = {"ids": _filled_up(list(ids)), "org_id": org_id}
    found: dict[UUID, LiveChunk] = {}
    for chunk in map(LiveChunk._make, statement.rows(session, given)):
        other = found.get(chunk.id)
        if other is None or chunk.position < other.position:  # what stands twice on a page stands at its first place
            found[chunk.id] = chunk
    return found


def _filled_up(ids: list[UUID]) -> list[UUID]:
    """The ids, the last repeated up to a number that comes often: each number is planned as a statement of its own."""
    return ids + ids[-1:] * (-len(ids) % IDS_AT_A_TIME)


def why_not_live(session: Session, ids: Iterable[UUID], *, org_id: UUID) -> dict[UUID, tuple[str, str]]:
    """For candidates that do not answer: the URL of their page, and why. Those without a row have no entry."""
    statement = (
        select(ChunkRow.id, Page.url, Page.live_version, Page.excluded, Datasource.deleted_at, VersionChunk.chunk_id)
        .join(Page, Page.id == ChunkRow.page_id)
        .join(Datasource, Datasource.id == Page.datasource_id)
        .outerjoin(
            VersionChunk, (VersionChunk.version_id == Page.live_version) & (VersionChunk.chunk_id == ChunkRow.id)
        )
        .where(ChunkRow.id.in_(list(ids)), _is_of(org_id))
    )
    return {
        chunk_id: (url, _why_not_live(version, excluded=excluded, deleted=deleted is not None, current=current))
        for chunk_id, url, version, excluded, deleted, current in session.execute(statement)
    }


def _why_not_live(version: UUID | None, *, excluded: bool, deleted: bool, current: UUID | None) -> str:
    if deleted or (version is None and not excluded):
        return "removed"
    if excluded:
        return "excluded"
    return "stale" if current is None else "filtered"


def of_live_versions(session: Session, *, org_id: UUID, model: str | None = None) -> list[UUID]:
    """Every chunk that answers now, doubles included; of one model, or of every."""
    statement = (
        select(VersionChunk.chunk_id)
        .join(Page, Page.live_version == VersionChunk.version_id)
        .where(Page.org_id == org_id, Page.datasource_id.in_(datasources.kept(org_id)))
    )
    if model is not None:
        statement = statement.join(ChunkRow, ChunkRow.id == VersionChunk.chunk_id).where(ChunkRow.model == model)
    return list(session.scalars(statement))


def live_versions_with(session: Session, ids: Iterable[UUID]) -> list[UUID]:
    """The versions that answer with any of these chunks."""
    found: dict[UUID, None] = {}
    for part in _parts(ids):
        statement = select(VersionChunk.version_id).join(Page, Page.live_version == VersionChunk.version_id)
        found.update(dict.fromkeys(session.scalars(statement.where(VersionChunk.chunk_id.in_(part)).distinct())))
    return list(found)


def unstore(session: Session, ids: Iterable[UUID]) -> None:
    """Note that the vector store lacks these points."""
    for part in _parts(ids):
        lacking = update(ChunkRow).where(ChunkRow.id.in_(part)).values(stored=False)
        session.execute(lacking.execution_options(synchronize_session=False))


def drop_some_of_model(session: Session, model: str, *, limit: int) -> int:
    """Delete up to `limit` rows of a model whose points are gone, or are about to go whole. Returns how many."""
    first = select(ChunkRow.id).where(ChunkRow.org_id == Org.id, ChunkRow.model == model)
    org_id = session.scalar(select(Org.id).where(first.exists()).limit(1))
    if org_id is None:
        return 0
    some = select(ChunkRow.id).where(ChunkRow.org_id == org_id, ChunkRow.model == model).limit(limit)
    gone = list(session.scalars(some))
    for part in _parts(gone):
        session.execute(delete(VersionChunk).where(VersionChunk.chunk_id.in_(part)))
        session.execute(delete(ChunkRow).where(ChunkRow.id.in_(part)))
    return len(gone)


def of_pages(session: Session, page_ids: Sequence[UUID], *, limit: int) -> list[UUID]:
    """Some chunks of these pages, of whatever version."""
    return list(session.scalars(select(ChunkRow.id).where(ChunkRow.page_id.in_(page_ids)).limit(limit)))


def by_generation(session: Session, ids: Iterable[UUID]) -> dict[int, list[UUID]]:
    """Where the points of these chunks are; what is left of a generation that is gone, or being dropped, has none."""
    numbers = generations.by_model(session)
    found: dict[int, list[UUID]] = {}
    for part in _parts(ids):
        for chunk_id, model in session.execute(select(ChunkRow.id, ChunkRow.model).where(ChunkRow.id.in_(part))):
            number = numbers.get(model) if numbers else generations.FIRST
            if number is not None:
                found.setdefault(number, []).append(chunk_id)
    return found


def doom_all(session: Session, ids: Sequence[UUID], *, now: datetime) -> None:
    """Claim the removal of these chunks, whatever they serve: their website or page was deleted."""
    for part in _parts(ids):
        doomed = update(ChunkRow).where(ChunkRow.id.in_(part)).values(stored=False, doomed_at=now)
        session.execute(doomed.execution_options(synchronize_session=False))


def page_ids(session: Session, *, org_id: UUID, model: str | None = None) -> dict[UUID, UUID]:
    """The page of every chunk row of the org; of one model, or of every."""
    statement = select(ChunkRow.id, ChunkRow.page_id).where(ChunkRow.org_id == org_id)
    if model is not None:
        statement = statement.where(ChunkRow.model == model)
    return {row.id: row.page_id for row in session.execute(statement)}


def retired(session: Session, *, before: datetime, limit: int) -> list[UUID]:
    """Chunks in no live and no waiting version that nobody wanted, and whose page stood still, since `before`.

    Those whose removal began before then and never ended are among them.
    """
    began = select(ChunkRow.id).where(ChunkRow.doomed_at < before).order_by(ChunkRow.doomed_at)
    unfinished = list(session.scalars(began.limit(limit)))
    spare = select(ChunkRow.id).join(Page, Page.id == ChunkRow.page_id).where(ChunkRow.spare, *_is_retired(before))
    oldest = spare.order_by(ChunkRow.touched_at).limit(limit - len(unfinished))
    return unfinished + list(session.scalars(oldest))


def retired_ids(session: Session, *, org_id: UUID, before: datetime) -> list[UUID]:
    """The org's chunks that the sweep should have removed by now."""
    statement = select(ChunkRow.id).join(Page, Page.id == ChunkRow.page_id)
    return list(session.scalars(statement.where(ChunkRow.org_id == org_id, *_is_retired(before))))


def doubled(session: Session, *, org_id: UUID) -> int:
    """How many live chunks say the same as another one of the same page."""
    per_text = (
        select((func.count(ChunkRow.id.distinct()) - 1).label("spare"))
        .join(VersionChunk, VersionChunk.chunk_id == ChunkRow.id)
        .join(Page, Page.live_version == VersionChunk.version_id)
        .where(ChunkRow.org_id == org_id)
        .group_by(ChunkRow.page_id, ChunkRow.model, ChunkRow.text_hash)
        .subquery()
    )
    return session.scalar(select(func.coalesce(func.sum(per_text.c.spare), 0))) or 0


def _is_retired(before: datetime) -> tuple[ColumnElement[bool], ...]:
    is_live = exists().where(VersionChunk.chunk_id == ChunkRow.id, VersionChunk.version_id == Page.live_version)
    waits = exists().where(PageVersion.page_id == ChunkRow.page_id, PageVersion.state == WAITING)
    is_old = (ChunkRow.touched_at < before, Page.updated_at < before)
    return (*is_old, ChunkRow.doomed_at.is_(None), ~is_live, ~waits, ~_may_be_taken_back())


def _may_be_taken_back() -> ColumnElement[bool]:
    """Points of a website whose crawl is not judged yet: its pages may have to answer as before it."""
    is_judged = exists().where(GoldenQuestion.org_id == Crawl.org_id)
    return exists().where(Crawl.datasource_id == ChunkRow.datasource_id, Crawl.status.in_(RUNNING), is_judged)


def doom(session: Session, ids: Sequence[UUID], *, before: datetime, now: datetime) -> dict[UUID, list[UUID]]:
    """Claim the removal of those chunks that are retired still. Returns them by org.

    From here until their rows are dropped, whoever wants one of them has to wait.
    """
    statement = select(ChunkRow.org_id, ChunkRow.id).join(Page, Page.id == ChunkRow.page_id)
    statement = statement.where(
        ChunkRow.id.in_(ids), or_(ChunkRow.doomed_at < before, and_(*_is_retired(before)))
    ).with_for_update(of=ChunkRow, skip_locked=True)
    by_org: dict[UUID, list[UUID]] = {}
    for org_id, chunk_id in session.execute(statement):
        by_org.setdefault(org_id, []).append(chunk_id)
    doomed = [chunk_id for of_org in by_org.values() for chunk_id in of_org]
    session.execute(
        update(ChunkRow)
        .where(ChunkRow.id.in_(doomed))
        .values(stored=False, doomed_at=now)
        .execution_options(synchronize_session=False)
    )
    return by_org


def drop(session: Session, ids: Sequence[UUID]) -> None:
    """Delete the rows of doomed chunks: their points are gone."""
    gone = list(session.scalars(select(ChunkRow.id).where(ChunkRow.id.in_(ids), ChunkRow.doomed_at.is_not(None))))
    session.execute(delete(VersionChunk).where(VersionChunk.chunk_id.in_(gone)))
    session.execute(delete(ChunkRow).where(ChunkRow.id.in_(gone)))


def _parts(items: Iterable[Item]) -> Iterable[list[Item]]:
    everything = list(items)
    return (everything[first : first + ROWS_AT_A_TIME] for first in range(0, len(everything), ROWS_AT_A_TIME))

"""Generations: whose vectors answer, which others are kept beside them, and what each of them has whole.

A generation is a collection of the vector store with the points of one model. The row that says `serving` is what
readers go by: who changes it changes over every process at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    UniqueConstraint,
    delete,
    exists,
    func,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db import base, datasources, orgs
from pipeline.db.base import Base, insert_into, insert_new
from pipeline.db.leases import Leased, free
from pipeline.db.orgs import Org
from pipeline.db.page_versions import PageVersion
from pipeline.db.pages import Page

FIRST = 1
"""The number of the generation that a knowledge base begins with."""

SERVING = "serving"
FILLING = "filling"
"""Takes the serving one's place as soon as it is whole."""
KEPT = "kept"
"""Served before, and may be gone back to."""
DROPPING = "dropping"
GONE = "gone"

HELD = (SERVING, FILLING, KEPT)
"""What new texts are embedded for."""


class Generation(Base):
    """One model, and since when its vectors are there. Rows stay when their vectors are gone: no number comes twice."""

    __tablename__ = "generations"
    __table_args__ = (
        Index(
            "ix_generations_serving",
            "state",
            unique=True,
            sqlite_where=text("state = 'serving'"),
            postgresql_where=text("state = 'serving'"),
        ),
        Index(
            "ix_generations_filling",
            "state",
            unique=True,
            sqlite_where=text("state = 'filling'"),
            postgresql_where=text("state = 'filling'"),
        ),
    )

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    model: Mapped[str]
    """The model's fingerprint."""
    name: Mapped[str]
    """What people call it."""
    choice: Mapped[dict[str, Any]]
    """The settings that name the model, for processes that are set otherwise."""
    state: Mapped[str]
    is_paused: Mapped[bool] = mapped_column(default=False)
    problem: Mapped[str | None]
    """Why filling it did not go on, the last time."""
    started_at: Mapped[datetime]
    served_at: Mapped[datetime | None]
    """When it served first."""
    changed_at: Mapped[datetime]
    """Since when it is in its state."""


class VersionEmbedding(Leased, Base):
    """A live version that is being, or was, embedded for a generation that was not serving at the time."""

    __tablename__ = "version_embeddings"
    __table_args__ = (
        UniqueConstraint("version_id", "generation"),
        Index("ix_version_embeddings_org", "org_id", "generation"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    version_id: Mapped[UUID] = mapped_column(ForeignKey("page_versions.id", ondelete="CASCADE"))
    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"))
    generation: Mapped[int]
    chunk_count: Mapped[int | None]
    """How many chunks it has there; none while it is not whole."""
    problem: Mapped[str | None]


class OrgEmbedding(Base):
    """An org of which a generation had everything when it was last looked at, and nothing is missing since."""

    __tablename__ = "org_embeddings"

    generation: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), primary_key=True)


class Standing(NamedTuple):
    """A generation, as whoever reads or writes points needs to know it."""

    number: int
    model: str
    state: str
    changed_at: datetime
    choice: dict[str, Any]
    is_paused: bool


class Claimed(NamedTuple):
    """A version to embed, and the row that is leased for it."""

    id: UUID
    version: PageVersion


class Progress(NamedTuple):
    """How far a generation is. `left` pages failed too often, and are tried again when somebody says so."""

    pages: int
    missing: int
    left: int
    orgs: int
    orgs_missing: int


_STANDING = select(
    Generation.number,
    Generation.model,
    Generation.state,
    Generation.changed_at,
    Generation.choice,
    Generation.is_paused,
).order_by(Generation.number)


_HELD = _STANDING.where(Generation.state.in_(HELD))
"""Built once, as every answer reads it."""


def standing(session: Session) -> list[Standing]:
    """The generations that points are written to or read from, whichever order they came in; none before the first."""
    return [Standing(*row) for row in base.columns(session, _HELD, {})]


def hold(session: Session, *, to_change: bool = False) -> list[Standing]:
    """The same, and until the commit nobody changes them; `to_change`, nobody else publishes for them either."""
    rows = _STANDING.where(Generation.state.in_(HELD)).with_for_update(read=not to_change)
    return [Standing(*row) for row in session.execute(rows)]


def every(session: Session) -> list[Generation]:
    """Every generation there was, the newest first."""
    statement = select(Generation).order_by(Generation.number.desc())
    return list(session.scalars(statement.execution_options(populate_existing=True)))


def stored(session: Session) -> list[int]:
    """Those that may have points."""
    statement = select(Generation.number).where(Generation.state != GONE).order_by(Generation.number)
    return list(session.scalars(statement)) or [FIRST]


def by_model(session: Session) -> dict[str, int | None]:
    """The generation of each model whose points are removed one by one; none where nobody noted any yet.

    One that is being dropped has number None: its points go whole, or are gone.
    """
    statement = select(Generation.model, Generation.number, Generation.state).where(Generation.state != GONE)
    return {row.model: row.number if row.state != DROPPING else None for row in session.execute(statement)}


def add(
    session: Session, number: int, *, model: str, name: str, choice: Mapping[str, Any], state: str, now: datetime
) -> None:
    """Note a generation, unless one of this number or state is noted already."""
    row = {
        "number": number,
        "model": model,
        "name": name,
        "choice": dict(choice),
        "state": state,
        "is_paused": False,
        "problem": None,
        "started_at": now,
        "served_at": now if state == SERVING else None,
        "changed_at": now,
    }
    session.execute(insert_into(session, Generation).values(**row).on_conflict_do_nothing())


def set_state(session: Session, number: int, state: str, *, now: datetime) -> None:
    """Move a generation on."""
    values: dict[str, Any] = {"state": state, "changed_at": now, "is_paused": False, "problem": None}
    if state == SERVING:
        values["served_at"] = func.coalesce(Generation.served_at, now)
    session.execute(
        update(Generation)
        .where(Generation.number == number)
        .values(**values)
        .execution_options(synchronize_session=False)
    )


def set_paused(session: Session, number: int, *, is_paused: bool) -> None:
    """Fill a generation no more for now, or go on."""
    chosen = update(Generation).where(Generation.number == number)
    session.execute(chosen.values(is_paused=is_paused, problem=None).execution_options(synchronize_session=False))


def note_problem(session: Session, number: int, problem: str | None) -> None:
    """Say why filling it does not go on; None when it does."""
    changed = (Generation.number == number, Generation.problem.is_distinct_from(problem))
    noted = update(Generation).where(*changed).values(problem=problem)
    session.execute(noted.execution_options(synchronize_session=False))


# --- what is whole -------------------------------------------------------------------------


def _is_whole(number: int) -> ColumnElement[bool]:
    """Whether a version has all its chunks in a generation."""
    there = exists().where(
        VersionEmbedding.version_id == PageVersion.id,
        VersionEmbedding.generation == number,
        VersionEmbedding.chunk_count.is_not(None),
    )
    return (PageVersion.generation == number) | there


def _missing(number: int, org_id: UUID) -> tuple[ColumnElement[bool], ...]:
    """Versions that answer, or would if their page were not left out, and are not whole in a generation."""
    kept = Page.datasource_id.in_(datasources.kept(org_id))
    return (Page.org_id == org_id, Page.live_version == PageVersion.id, kept, ~_is_whole(number))


def is_missing_any(session: Session, number: int, org_id: UUID) -> bool:
    """Whether a version of the org is not whole in a generation."""
    statement = select(PageVersion.id).join(Page, Page.live_version == PageVersion.id)
    return session.scalar(statement.where(*_missing(number, org_id)).limit(1)) is not None


def note_whole(session: Session, number: int, org_id: UUID) -> None:
    """Note that a generation has all of an org."""
    row = {"generation": number, "org_id": org_id}
    session.execute(insert_into(session, OrgEmbedding).values(**row).on_conflict_do_nothing())


def note_all_whole(session: Session, number: int) -> None:
    """Note that a generation has all of everybody: it is the one that serves."""
    everybody = list(session.scalars(select(Org.id)))
    insert_new(session, OrgEmbedding, [{"generation": number, "org_id": org_id} for org_id in everybody])


def note_cut(session: Session, version: PageVersion, *, whole: Mapping[int, int], others: Collection[int]) -> None:
    """A version was cut anew. It is whole in the serving generation, and in those of `whole`, by their chunk counts.

    Of the `others`, those that lack it have to be filled again.
    """
    session.execute(delete(VersionEmbedding).where(VersionEmbedding.version_id == version.id))
    rows = [
        {
            "id": uuid4(),
            "version_id": version.id,
            "org_id": version.org_id,
            "generation": number,
            "chunk_count": count,
            "attempts": 0,
            "hints": 0,
        }
        for number, count in whole.items()
    ]
    if rows:
        session.execute(insert_into(session, VersionEmbedding), rows)
    reopen(session, version.org_id, [number for number in others if number not in whole])


def reopen(session: Session, org_id: UUID, numbers: Sequence[int]) -> None:
    """Something of the org may be missing in these generations."""
    if numbers:
        ours = (OrgEmbedding.org_id == org_id, OrgEmbedding.generation.in_(numbers))
        session.execute(delete(OrgEmbedding).where(*ours))


def chunk_count(session: Session, version: PageVersion, number: int) -> int | None:
    """How many chunks a version has in a generation; None where it is not whole there."""
    if version.generation == number:
        return version.chunk_count
    ours = (VersionEmbedding.version_id == version.id, VersionEmbedding.generation == number)
    return session.scalar(select(VersionEmbedding.chunk_count).where(*ours))


def _unfinished(number: int) -> ColumnElement[bool]:
    whole = exists().where(OrgEmbedding.generation == number, OrgEmbedding.org_id == Org.id)
    return Org.erased_at.is_(None) & ~whole


def org_in_turn(session: Session, number: int, *, without: Collection[UUID] = ()) -> UUID | None:
    """The org, among those of which something may be missing in a generation, that was served least lately."""
    statement = select(Org.id).where(_unfinished(number), Org.id.not_in(without))
    return session.scalar(statement.order_by(Org.turn, Org.id).limit(1))


def is_whole(session: Session, number: int) -> bool:
    """Whether a generation has all of everybody."""
    return session.scalar(select(Org.id).where(_unfinished(number)).limit(1)) is None


def orgs_left(session: Session) -> int | None:
    """Of how many orgs something may be missing in the generation that is filled; None where none is."""
    number = session.scalar(select(Generation.number).where(Generation.state == FILLING))
    if number is None:
        return None
    return session.scalar(select(func.count()).select_from(Org).where(_unfinished(number))) or 0


# --- filling -------------------------------------------------------------------------------


def claim(
    session: Session,
    number: int,
    org_id: UUID,
    *,
    limit: int,
    attempts: int,
    now: datetime,
    lease: timedelta,
    owner: str,
) -> tuple[UUID, list[Claimed]]:
    """Take up to `limit` versions that a generation lacks: those never tried together, one that failed alone.

    Returns the token they are held under, and the versions.
    """
    orgs.hold(session, org_id)
    session.execute(delete(VersionEmbedding).where(*_needless(number, org_id, now=now)))
    token, until = uuid4(), now + lease
    ours = (
        VersionEmbedding.org_id == org_id,
        VersionEmbedding.generation == number,
        VersionEmbedding.chunk_count.is_(None),
        free(VersionEmbedding, now=now),
    )
    ids = select(VersionEmbedding.id).where(*ours).order_by(VersionEmbedding.attempts, VersionEmbedding.id)
    chosen = list(session.scalars(ids.where(VersionEmbedding.attempts == 0).limit(limit)))
    chosen += _begin(session, number, org_id, limit=limit - len(chosen))
    if not chosen:
        chosen = list(session.scalars(ids.where(VersionEmbedding.attempts < attempts).limit(1)))
    session.execute(
        update(VersionEmbedding)
        .where(VersionEmbedding.id.in_(chosen))
        .values(lease_token=token, lease_until=until, lease_owner=owner, attempts=VersionEmbedding.attempts + 1)
        .execution_options(synchronize_session=False)
    )
    found = select(VersionEmbedding.id, PageVersion).join(PageVersion, PageVersion.id == VersionEmbedding.version_id)
    rows = session.execute(found.where(VersionEmbedding.id.in_(chosen)).order_by(VersionEmbedding.id))
    return token, [Claimed(*row) for row in rows]


def _needless(number: int, org_id: UUID, *, now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Rows that nobody holds, of versions that answer no more before they were whole."""
    ours = (VersionEmbedding.org_id == org_id, VersionEmbedding.generation == number)
    serves = exists().where(Page.live_version == VersionEmbedding.version_id)
    return (*ours, VersionEmbedding.chunk_count.is_(None), free(VersionEmbedding, now=now), ~serves)


def _begin(session: Session, number: int, org_id: UUID, *, limit: int) -> list[UUID]:
    """Rows for versions that have none yet."""
    if limit <= 0:
        return []
    known = exists().where(VersionEmbedding.version_id == PageVersion.id, VersionEmbedding.generation == number)
    missing = select(PageVersion.id).join(Page, Page.live_version == PageVersion.id).where(*_missing(number, org_id))
    made = [
        {
            "id": uuid4(),
            "version_id": version_id,
            "org_id": org_id,
            "generation": number,
            "attempts": 0,
            "hints": 0,
        }
        for version_id in session.scalars(missing.where(~known).order_by(PageVersion.id).limit(limit))
    ]
    if made:
        session.execute(insert_into(session, VersionEmbedding), made)
    return [row["id"] for row in made]  # type: ignore[misc] # the ids just made


def fenced(session: Session, ids: Sequence[UUID], *, token: UUID) -> list[VersionEmbedding]:
    """Those of the rows that are held under this token still, locked."""
    statement = select(VersionEmbedding).where(VersionEmbedding.id.in_(ids), VersionEmbedding.lease_token == token)
    return list(session.scalars(statement.with_for_update().execution_options(populate_existing=True)))


def still_held(session: Session, ids: Sequence[UUID], *, token: UUID, now: datetime) -> bool:
    """Whether the holder of `token` may write points for any of these rows now. Locks nothing."""
    ours = (VersionEmbedding.id.in_(ids), VersionEmbedding.lease_token == token, VersionEmbedding.lease_until >= now)
    return session.scalar(select(VersionEmbedding.id).where(*ours).limit(1)) is not None


def is_held(session: Session, *, now: datetime, org_id: UUID | None = None, number: int | None = None) -> bool:
    """Whether somebody may be writing points of this org, or of this generation, just now."""
    held = select(VersionEmbedding.id).where(VersionEmbedding.lease_until >= now)
    if org_id is not None:
        held = held.where(VersionEmbedding.org_id == org_id)
    if number is not None:
        held = held.where(VersionEmbedding.generation == number)
    return session.scalar(held.limit(1)) is not None


def live(session: Session, version_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the versions that answer."""
    serving = session.scalars(select(Page.live_version).where(Page.live_version.in_(version_ids)))
    return {version_id for version_id in serving if version_id is not None}


def note_failures(session: Session, ids: Sequence[UUID], *, token: UUID, problem: str | None) -> None:
    """Note why versions that are held under this token could not be embedded."""
    failed = (VersionEmbedding.id.in_(ids), VersionEmbedding.lease_token == token)
    noted = update(VersionEmbedding).where(*failed).values(problem=problem)
    session.execute(noted.execution_options(synchronize_session=False))


def forget_versions(session: Session, number: int, version_ids: Sequence[UUID]) -> None:
    """These versions are not whole in a generation after all."""
    for first in range(0, len(version_ids), base.ROWS_AT_A_TIME):
        part = version_ids[first : first + base.ROWS_AT_A_TIME]
        whole = (VersionEmbedding.generation == number, VersionEmbedding.version_id.in_(part))
        session.execute(delete(VersionEmbedding).where(*whole))
        cut = update(PageVersion).where(PageVersion.id.in_(part), PageVersion.generation == number)
        session.execute(cut.values(generation=literal(0)).execution_options(synchronize_session=False))


def try_again(session: Session, number: int) -> None:
    """Let what failed too often be tried anew."""
    failed = (VersionEmbedding.generation == number, VersionEmbedding.chunk_count.is_(None))
    anew = update(VersionEmbedding).where(*failed).values(attempts=0, problem=None)
    session.execute(anew.execution_options(synchronize_session=False))


def progress(session: Session, number: int, *, attempts: int) -> Progress:
    """How far a generation is. Reads every page."""
    live = (
        select(func.count())
        .select_from(Page)
        .join(PageVersion, Page.live_version == PageVersion.id)
        .where(Page.datasource_id.in_(datasources.kept_by_anybody()))
    )
    failed = (VersionEmbedding.generation == number, VersionEmbedding.chunk_count.is_(None))
    left = select(func.count()).where(*failed, VersionEmbedding.attempts >= attempts)
    everybody = select(func.count()).select_from(Org).where(Org.erased_at.is_(None))
    return Progress(
        pages=session.scalar(live) or 0,
        missing=session.scalar(live.where(~_is_whole(number))) or 0,
        left=session.scalar(left) or 0,
        orgs=session.scalar(everybody) or 0,
        orgs_missing=session.scalar(everybody.where(_unfinished(number))) or 0,
    )


# --- dropping ------------------------------------------------------------------------------


def forget_some(session: Session, number: int, *, limit: int) -> int:
    """Delete up to `limit` rows that say what a generation has. Returns how many."""
    some = select(VersionEmbedding.id).where(VersionEmbedding.generation == number).limit(limit)
    gone = session.execute(delete(VersionEmbedding).where(VersionEmbedding.id.in_(some)).returning(VersionEmbedding.id))
    count = len(gone.all())
    if count < limit:
        session.execute(delete(OrgEmbedding).where(OrgEmbedding.generation == number))
    return count

"""Hosts: what each bears, shared by every crawl of every org on every machine."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db.base import Base, insert_into


class Host(Base):
    """What one host asked for. Its row is locked while shares of it are dealt out."""

    __tablename__ = "hosts"

    host: Mapped[str] = mapped_column(primary_key=True)
    closed_until: Mapped[datetime | None]
    """Nobody asks it anything before."""
    backoff: Mapped[int] = mapped_column(default=0)
    """How often it was busy lately; good answers count it down again."""
    delay_ms: Mapped[int] = mapped_column(default=0)
    """Milliseconds between two requests, as its robots.txt asks."""
    next_start: Mapped[datetime | None]
    """The first moment nobody has reserved, where it has a delay."""


class HostStake(Base):
    """The share of a host that one holder of one crawl has, or waits for, until it runs out."""

    __tablename__ = "host_stakes"

    host: Mapped[str] = mapped_column(primary_key=True)
    holder: Mapped[UUID] = mapped_column(primary_key=True)
    """The token that a spider holds its crawl under."""
    requests: Mapped[int]
    """How many it may have in flight; none while it waits."""
    wants: Mapped[int]
    since: Mapped[datetime]
    """When it began to wait, or when its turn began."""
    last_start: Mapped[datetime | None]
    """The last moment it reserved."""
    until: Mapped[datetime]


def lock(session: Session, host: str) -> Host:
    """The row of a host, made if there is none, locked until the transaction ends."""
    new = insert_into(session, Host).values(host=host, backoff=0, delay_ms=0)
    statement = new.on_conflict_do_update(index_elements=[Host.host], set_={"host": host}).returning(Host)
    return session.scalars(statement, execution_options={"populate_existing": True}).one()


def stakes(session: Session, host: str, *, now: datetime) -> list[HostStake]:
    """Every stake in a host; those that ran out are deleted."""
    session.execute(
        delete(HostStake).where(HostStake.host == host, HostStake.until < now),
        execution_options={"synchronize_session": False},
    )
    return list(session.scalars(select(HostStake).where(HostStake.host == host)))


def leave(session: Session, holder: UUID) -> None:
    """Give every stake of a holder back."""
    session.execute(delete(HostStake).where(HostStake.holder == holder))


def forget(session: Session, *, now: datetime) -> None:
    """Delete stakes that ran out, and hosts that nobody asks and that ask for nothing any more."""
    session.execute(delete(HostStake).where(HostStake.until < now))
    is_asked = select(HostStake).where(HostStake.host == Host.host).exists()
    is_past = [or_(column.is_(None), column < now) for column in (Host.closed_until, Host.next_start)]
    session.execute(delete(Host).where(*is_past, ~is_asked))


def forget_sites(session: Session, sites: Collection[str], *, now: datetime) -> None:
    """Delete what is known of these hosts, but for those that somebody asks just now."""
    is_asked = select(HostStake).where(HostStake.host == Host.host, HostStake.until >= now).exists()
    session.execute(delete(Host).where(Host.host.in_(sites), ~is_asked))


def leave_all(session: Session) -> None:
    """Give every stake back, whoever holds it."""
    session.execute(delete(HostStake))

"""First answers, kept for a day: who asks again with the same key gets the same answer."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ForeignKey, LargeBinary, delete, func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db.base import Base, insert_into
from pipeline.errors import RequestInFlight

LOCK_NOT_AVAILABLE = "55P03"
"""What PostgreSQL says when another held a row for too long."""


class IdempotentAnswer(Base):
    """What was answered to one request of one API key. The body is sealed: only that API key's secret opens it."""

    __tablename__ = "idempotent_answers"

    key_id: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"), primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(primary_key=True)
    request_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int]
    nonce: Mapped[bytes] = mapped_column(LargeBinary)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(index=True)


def claim(
    session: Session,
    key_id: UUID,
    idempotency_key: str,
    *,
    request_sha256: bytes,
    nonce: bytes,
    now: datetime,
    patience: timedelta,
) -> bool:
    """Be the first to ask with this key. Waits for another who is just asking; False if that one was first.

    Raises:
        RequestInFlight: If that one takes longer than `patience`. SQLite waits as for any writer.
    """
    row = {
        "key_id": key_id,
        "idempotency_key": idempotency_key,
        "request_sha256": request_sha256,
        "status": 0,
        "nonce": nonce,
        "sealed": b"",
        "created_at": now,
    }
    insert = insert_into(session, IdempotentAnswer).values(**row).on_conflict_do_nothing()
    statement = insert.returning(IdempotentAnswer.key_id)
    if session.get_bind().dialect.name == "sqlite":
        return session.scalar(statement) is not None
    _wait_for_locks(session, patience)
    try:
        is_first = session.scalar(statement) is not None
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) == LOCK_NOT_AVAILABLE:
            raise RequestInFlight from error
        raise
    _wait_for_locks(session, timedelta(0))
    return is_first


def _wait_for_locks(session: Session, patience: timedelta) -> None:
    """From now on in this transaction, wait so long for another's; without end for none."""
    milliseconds = str(patience // timedelta(milliseconds=1))
    session.execute(select(func.set_config("lock_timeout", milliseconds, True)))  # noqa: FBT003 - PostgreSQL's own: for this transaction only


def find(session: Session, key_id: UUID, idempotency_key: str, *, since: datetime) -> IdempotentAnswer | None:
    """The answer given, unless that was too long ago."""
    found = session.get(IdempotentAnswer, (key_id, idempotency_key), populate_existing=True)
    return found if found is not None and found.created_at >= since else None


def forget_one(session: Session, key_id: UUID, idempotency_key: str, *, before: datetime) -> None:
    """Drop an answer that is too old, so that its key is free."""
    session.execute(
        delete(IdempotentAnswer).where(
            IdempotentAnswer.key_id == key_id,
            IdempotentAnswer.idempotency_key == idempotency_key,
            IdempotentAnswer.created_at < before,
        )
    )


def forget(session: Session, *, before: datetime) -> None:
    """Drop answers that are too old."""
    session.execute(delete(IdempotentAnswer).where(IdempotentAnswer.created_at < before))

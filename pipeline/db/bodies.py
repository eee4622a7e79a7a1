"""Bodies: the HTML of pages as it was served, once per content, compressed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import zstandard
from sqlalchemy import ForeignKey, LargeBinary, delete, exists
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db.base import Base, insert_new
from pipeline.db.page_versions import PageVersion


class Body(Base):
    """Raw HTML, so that a better extractor needs no new fetch."""

    __tablename__ = "bodies"

    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), primary_key=True)
    sha256: Mapped[str] = mapped_column(primary_key=True)
    compressed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]


class NewBody:
    """HTML to be stored, and its SHA-256, hexadecimal."""

    def __init__(self, html: bytes) -> None:
        self.html = html
        self.sha256 = hashlib.sha256(html).hexdigest()


def keep_all(session: Session, new: Sequence[NewBody], *, org_id: UUID, now: datetime) -> None:
    """Store HTML, Zstandard level 3; the same bytes are kept once per org."""
    rows = [
        {"org_id": org_id, "sha256": body.sha256, "compressed": zstandard.compress(body.html, 3), "created_at": now}
        for body in new
    ]
    insert_new(session, Body, rows)


def forget(session: Session, hashes: Iterable[str], *, org_id: UUID) -> None:
    """Delete those of the org's bodies that no version of any page refers to any more."""
    for sha256 in sorted(hashes):
        used = exists().where(PageVersion.org_id == org_id, PageVersion.body_sha256 == sha256)
        statement = delete(Body).where(Body.org_id == org_id, Body.sha256 == sha256, ~used)
        session.execute(statement.execution_options(synchronize_session=False))


def read(session: Session, sha256: str, *, org_id: UUID) -> bytes | None:
    """The HTML of this hash, as it was served."""
    body = session.get(Body, (org_id, sha256))
    return None if body is None else zstandard.decompress(body.compressed)

"""Bodies: the HTML of pages as it was served, once per content, compressed."""

from __future__ import annotations

import hashlib
import zlib
from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db.base import Base, insert_into


class Body(Base):
    """Raw HTML, so that a better extractor needs no new fetch."""

    __tablename__ = "bodies"

    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), primary_key=True)
    sha256: Mapped[str] = mapped_column(primary_key=True)
    compressed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]


def keep(session: Session, html: bytes, *, org_id: UUID, now: datetime) -> str:
    """Store HTML; the same bytes are kept once per org. Returns their SHA-256, hexadecimal."""
    sha256 = hashlib.sha256(html).hexdigest()
    row = {"org_id": org_id, "sha256": sha256, "compressed": zlib.compress(html, 6), "created_at": now}
    session.execute(insert_into(session, Body).values(**row).on_conflict_do_nothing())
    return sha256


def read(session: Session, sha256: str, *, org_id: UUID) -> bytes | None:
    """The HTML of this hash, as it was served."""
    body = session.get(Body, (org_id, sha256))
    return None if body is None else zlib.decompress(body.compressed)

"""What a page said is kept for a set time after it stopped serving; then its text and its HTML go."""

from __future__ import annotations

from datetime import datetime

from pipeline.db import bodies, outdated
from pipeline.db.engine import Session

AT_A_TIME = 500


def forget_texts(session: Session, *, before: datetime) -> int:
    """Delete some texts that have served nobody since `before`, the oldest first. Returns how many."""
    old = outdated.find(session, before=before, limit=AT_A_TIME)
    hashes = {(version.org_id, version.body_sha256) for version in old}
    outdated.drop(session, [version.id for version in old])
    for org_id in {org_id for org_id, _ in hashes}:
        bodies.forget(session, [sha256 for owner, sha256 in hashes if owner == org_id], org_id=org_id)
    return len(old)

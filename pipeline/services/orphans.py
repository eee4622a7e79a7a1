"""Work whose holder is dead: taken from it at once where its death can be seen, and not when its lease is over."""

from __future__ import annotations

from datetime import datetime

from pipeline import holders
from pipeline.db import orphaned
from pipeline.db.engine import Database
from pipeline.logs import get_logger
from pipeline.settings import WorkSettings

log = get_logger(__name__)


def take_from_dead(database: Database, work: WorkSettings, *, now: datetime) -> int:
    """End the leases of processes of this machine that are gone. Returns how many rows of work they held."""
    with database.read() as session:
        dead = sorted(holder for holder in orphaned.holders(session, now=now) if holders.has_ended(holder))
    if not dead:
        return 0
    with database.write() as session:
        taken = orphaned.end_of_dead(session, dead, delays=work.hint_delays, now=now)
    if taken:
        log.info("work taken from the dead", rows=taken, holders=len(dead))
    return taken

"""Hints: messages that say "look at this row". Losing, doubling or reordering them is harmless."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from pipeline import tracing
from pipeline.db import outbox
from pipeline.db.engine import Database
from pipeline.errors import BrokerUnavailable
from pipeline.logs import get_logger

RELAY_AT_A_TIME = 100

log = get_logger(__name__)


class Hints(Protocol):
    """Somewhere to send hints. All raise `BrokerUnavailable` when that cannot be done soon."""

    def crawl(self, crawl_id: UUID) -> None:
        """A crawl may need a spider."""
        ...

    def index(self, org_id: UUID) -> None:
        """Pages of this org may wait to be indexed."""
        ...

    def index_waits(self) -> bool:
        """Whether a hint to index lies in its queue, which no worker took yet."""
        ...


def nudge(hints: Hints, org_id: UUID | None) -> None:
    """Say that there is something to do for this org when nothing waits to be indexed.

    Not while a hint to index lies there: whoever takes it does this, too, and says it again while more is left. So each
    worker that waits is woken in its turn, and no queue grows however many orgs there are.
    """
    if org_id is None:
        return
    try:
        if not hints.index_waits():
            hints.index(org_id)
    except BrokerUnavailable:
        log.warning("broker away: hints wait")


def relay(database: Database, hints: Hints) -> int:
    """Send what waits in the outbox, each target once. Returns how many hints left.

    A broker that is away stops the relay; the hints stay, and the next tick sends them. Inside a transaction
    of several use cases nothing is sent before its commit, and 0 is returned.
    """
    if database.after_commit(lambda: relay(database, hints)):
        return 0
    with database.read() as session:
        waiting = outbox.unsent(session, limit=RELAY_AT_A_TIME)
    if not waiting:
        return 0
    send = {outbox.CRAWL: hints.crawl, outbox.INDEX: hints.index}
    sent = 0
    try:
        for (kind, target), came_from in _targets(waiting).items():
            with tracing.under(came_from):
                send[kind](target)
            sent += 1
    except BrokerUnavailable:
        return sent
    with database.write() as session:
        outbox.sent(session, [hint.id for hint in waiting])
    return sent


def _targets(waiting: Sequence[outbox.OutboxHint]) -> dict[tuple[str, UUID], str | None]:
    """Each target once, with the first trace that a hint to it came from."""
    found: dict[tuple[str, UUID], str | None] = {}
    for hint in waiting:
        target = hint.kind, hint.target_id
        found[target] = found.get(target) or hint.traceparent
    return found

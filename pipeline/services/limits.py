"""How much a key or an org may ask for: rates by token buckets in the database, quotas by counting.

A bucket is a row, so that every process draws from the same. A process takes a quarter of a second's tokens at a
time and spends them by itself: a busy key costs four small transactions a second, however many requests it makes.
Together the processes never spend more than the bucket held; what one took and did not spend within a second is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.db import orgs, rate_buckets
from pipeline.db.engine import Database
from pipeline.errors import InvalidInput, QuotaReached
from pipeline.model import OrgScope
from pipeline.services.clock import Clock
from pipeline.settings import LimitSettings

MINUTE = 60.0
TAKES_PER_SECOND = 4
QUOTA_RETRY_SECONDS = 3_600.0
"""When to look again whether there is room: nobody knows when somebody removes something."""


@dataclass(frozen=True, slots=True)
class Draw:
    """What a process wants of one bucket: `per_minute` is its size, and what flows in within a minute.

    `at_once` are the tokens of one request that needs so many, and takes all or none; without it, a portion is taken.
    """

    subject: str
    per_minute: int
    at_once: int | None = None

    @property
    def portion(self) -> int:
        """Tokens to take at a time."""
        return self.at_once or max(1, int(self.per_minute / MINUTE / TAKES_PER_SECOND))

    @property
    def least(self) -> int:
        """Fewer are of no use."""
        return self.at_once or 1


@dataclass(frozen=True, slots=True)
class Drawn:
    """Tokens taken, what is left for others, and the seconds until there is one more, or as many as were wanted."""

    had: int
    left: int
    next_in_seconds: float


class LimitService:
    """Keeps rates and quotas. The names of limits are those of the settings; an org may have its own."""

    def __init__(self, database: Database, settings: LimitSettings, clock: Clock) -> None:
        """Keep buckets in this database."""
        self._database = database
        self._settings = settings
        self._clock = clock

    def of(self, name: str, own: Mapping[str, int]) -> int:
        """The limit of this name: the org's own, else the one set. 0: none."""
        found: int = own.get(name, getattr(self._settings, name))
        return found

    def draw(self, wanted: Draw) -> Drawn:
        """Take a portion of a bucket, or what is left of one."""
        per_second = wanted.per_minute / MINUTE
        with self._database.write() as session:
            had, left = rate_buckets.take(
                session,
                wanted.subject,
                want=wanted.portion,
                least=wanted.least,
                capacity=float(wanted.per_minute),
                per_second=per_second,
                now=self._clock(),
            )
        missing = (1 if had else wanted.least) - left
        return Drawn(had, int(left), max(0.0, missing) / per_second)

    def check_room(self, name: str, count: Callable[[], int], *, scope: OrgScope) -> None:
        """Refuse one more where an org has as many as it may. Call it in the transaction that adds.

        Until the commit nobody else counts in this org, so of two who add the last one only one does.

        Raises:
            QuotaReached: If there are as many as may be.
        """
        with self._database.write() as session:
            own = orgs.get(session, scope.org_id).limits
            if self.of(name, own):
                orgs.hold(session, scope.org_id)
                self.check_count(name, count(), own=own)

    def check_count(self, name: str, have: int, *, own: Mapping[str, int]) -> None:
        """Likewise, where the org's own limits are known, or there are none."""
        limit = self.of(name, own)
        if limit and have >= limit:
            raise QuotaReached(quota=name, limit=limit, retry_after=QUOTA_RETRY_SECONDS)

    def set_own(self, limits: Mapping[str, int | None], *, scope: OrgScope) -> dict[str, int]:
        """Give an org limits of its own; None takes one away. Returns all it has then.

        Raises:
            InvalidInput: If there is no such limit, or it is negative.
            OrgNotFound: If there is no such org.
        """
        for name, value in limits.items():
            if name not in LimitSettings.model_fields or (value is not None and value < 0):
                raise InvalidInput(field=name, given=value, allowed=", ".join(LimitSettings.model_fields))
        with self._database.write() as session:
            org = orgs.get(session, scope.org_id)
            merged = {**org.limits, **limits}
            org.limits = {name: value for name, value in merged.items() if value is not None}
            org.updated_at = self._clock()
            return dict(org.limits)

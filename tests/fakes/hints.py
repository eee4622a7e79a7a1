"""Hints that go to a list, or nowhere when the broker is away."""

from __future__ import annotations

from uuid import UUID

from pipeline.errors import BrokerUnavailable


class RecordedHints:
    """Keeps what was sent. With `is_away` it refuses, as a broker that is down does."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, UUID]] = []
        self.is_away = False
        self.waits = False
        """Whether a hint to index lies there that no worker took."""
        self.goes_away_after: int | None = None
        """How many more hints it takes; all of them when None."""

    def crawl(self, crawl_id: UUID) -> None:
        """A crawl may need a spider."""
        self._send("crawl", crawl_id)

    def index(self, org_id: UUID) -> None:
        """Pages of an org may wait."""
        self._send("index", org_id)

    def index_waits(self) -> bool:
        """As it was told."""
        if self.is_away:
            raise BrokerUnavailable
        return self.waits

    def _send(self, kind: str, target: UUID) -> None:
        if self.is_away or self.goes_away_after == 0:
            raise BrokerUnavailable
        if self.goes_away_after is not None:
            self.goes_away_after -= 1
        self.sent.append((kind, target))

"""Hints that go to a list, or nowhere when the broker is away."""

from __future__ import annotations

from uuid import UUID

from pipeline.errors import BrokerUnavailable


class RecordedHints:
    """Keeps what was sent. With `is_away` it refuses, as a broker that is down does."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, UUID]] = []
        self.is_away = False

    def crawl(self, crawl_id: UUID) -> None:
        """A crawl may need a spider."""
        self._send("crawl", crawl_id)

    def index(self, org_id: UUID) -> None:
        """Pages of an org may wait."""
        self._send("index", org_id)

    def _send(self, kind: str, target: UUID) -> None:
        if self.is_away:
            raise BrokerUnavailable
        self.sent.append((kind, target))

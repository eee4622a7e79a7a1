"""A clock that goes when it is told to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class SetClock:
    """Starts on a fixed day."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        """The moment it stands at."""
        return self.now

    def forward(self, **span: float) -> None:
        """Go on by so many `hours`, `seconds` and so on."""
        self.now += timedelta(**span)

"""Outages: a part that did not answer is left alone for a moment, so that not everybody waits for it in turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

REST = timedelta(seconds=2)
"""How long a part that was away is not asked; then one caller tries it for all."""


class Outage:
    """Whether a part is taken to be away. Safe to use from many threads."""

    def __init__(self, *, rest: timedelta | None = None, seconds: Callable[[], float] = time.monotonic) -> None:
        """Nothing is away at first; `seconds` is a clock that never goes back."""
        self._rest = (REST if rest is None else rest).total_seconds()
        self._seconds = seconds
        self._until: float | None = None
        self._lock = threading.Lock()

    def is_on(self) -> bool:
        """Whether to do without the part now. Once its rest is over, one caller is told to try, the others not."""
        if self._until is None:
            return False
        with self._lock:
            if self._until is None:
                return False
            now = self._seconds()
            if now < self._until:
                return True
            self._until = now + self._rest
            return False

    def began(self) -> bool:
        """Note that the part did not answer. Returns whether that is news."""
        with self._lock:
            is_news = self._until is None
            self._until = self._seconds() + self._rest
            return is_news

    def ended(self) -> bool:
        """Note that the part answered. Returns whether that is news."""
        if self._until is None:
            return False
        with self._lock:
            is_news, self._until = self._until is not None, None
            return is_news

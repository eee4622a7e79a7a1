"""How long one page may keep us busy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic


class Allowance:
    """The time one visit has for all its requests and its parsing.

    It runs only inside `spending`: waiting for a host's turn or for a free parser is not the page's fault.
    """

    def __init__(self, span: timedelta, clock: Callable[[], float] = monotonic) -> None:
        """Start with all of `span`; `clock` tells seconds."""
        self._left = span.total_seconds()
        self._clock = clock

    @property
    def left(self) -> float:
        """Seconds that are left; never below zero."""
        return max(0.0, self._left)

    @contextmanager
    def spending(self) -> Iterator[float]:
        """Take the time inside off what is left, which is given."""
        began = self._clock()
        try:
            yield self.left
        finally:
            self._left -= self._clock() - began

"""Follows redirects, and refreshes of pages, from one to the next, so that circles and endless chains end."""

from __future__ import annotations

MAXIMUM_REDIRECTS = 5
_REMEMBERED = 10_000


class Redirects:
    """Which key leads to which, within one crawl; bounded, and forgetting is harmless."""

    def __init__(self) -> None:
        """Know of no redirect yet."""
        self._next: dict[str, str] = {}
        self._hops: dict[str, int] = {}

    def follow(self, source: str, target: str) -> bool:
        """Note that key `source` leads to key `target`; False when that makes a circle or a sixth hop."""
        if len(self._next) >= _REMEMBERED:
            self._next.clear()
            self._hops.clear()
        hops = self._hops.get(source, 0) + 1
        if hops > MAXIMUM_REDIRECTS or self._reaches(target, source):
            return False
        self._next[source] = target
        self._hops[target] = max(hops, self._hops.get(target, 0))
        return True

    def _reaches(self, key: str, goal: str) -> bool:
        for _ in range(MAXIMUM_REDIRECTS + 1):
            if key == goal:
                return True
            if key not in self._next:
                return False
            key = self._next[key]
        return True

"""Whether each part answers now: asked side by side, each within a limit, and never twice at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta

from pipeline.errors import SitewiseError
from pipeline.logs import get_logger

OK, SILENT = "ok", "no answer"
WITHIN = timedelta(seconds=1.5)
FRESH_SECONDS = 1.0
"""Who asks again so soon gets the same answer."""

log = get_logger(__name__)


class ReadinessService:
    """Asks parts whether they answer.

    Args:
        parts: By name, something to call; it raises where the part does not answer.
        within: How long to wait for all of them.
    """

    def __init__(self, parts: Mapping[str, Callable[[], object]], *, within: timedelta = WITHIN) -> None:
        self._within = within
        self._asked = {name: _Part(name, ask) for name, ask in parts.items()}

    def check(self) -> dict[str, str]:
        """Each part, and `ok` or in a few words why not."""
        deadline = time.monotonic() + self._within.total_seconds()
        for part in self._asked.values():
            part.begin()
        return {name: part.state(until=deadline) for name, part in self._asked.items()}


class _Part:
    """One part. Where it hangs, one thread hangs with it, not one for every question."""

    def __init__(self, name: str, ask: Callable[[], object]) -> None:
        self._name = name
        self._ask = ask
        self._lock = threading.Lock()
        self._answered = threading.Event()
        self._is_asking = False
        self._state = SILENT
        self._at = 0.0

    def begin(self) -> None:
        with self._lock:
            if self._is_asking or (self._answered.is_set() and time.monotonic() - self._at < FRESH_SECONDS):
                return
            self._is_asking = True
            self._answered.clear()
        threading.Thread(target=self._run, name=f"asks-{self._name}", daemon=True).start()

    def state(self, *, until: float) -> str:
        return self._state if self._answered.wait(max(0.0, until - time.monotonic())) else SILENT

    def _run(self) -> None:
        state = SILENT
        try:
            self._ask()
            state = OK
        except SitewiseError as error:
            log.warning("part does not answer", part=self._name, problem=str(error))
            state = str(type(error)()).partition(".")[0]
        finally:
            with self._lock:
                self._state, self._at, self._is_asking = state, time.monotonic(), False
                self._answered.set()

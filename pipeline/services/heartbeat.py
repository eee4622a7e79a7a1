"""A thread that keeps a lease while its holder works, and says when it was lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Self

from pipeline.errors import LeaseLost, TemporaryError
from pipeline.logs import get_logger

log = get_logger(__name__)


class Heartbeat:
    """Calls `beat` every so often until left. A lost lease ends it; the holder's next write is refused."""

    def __init__(self, beat: Callable[[], None], *, every: timedelta) -> None:
        """Beat at this pace; nothing runs before `with`."""
        self._beat = beat
        self._every = every.total_seconds()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        """Start beating."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop beating, and wait for the beat under way."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            try:
                self._beat()
            except LeaseLost:
                log.warning("lease lost")
                return
            except TemporaryError as error:
                log.warning("heartbeat missed", problem=str(error))

"""Work that nobody waits for, done soon by one thread of this process, once for each subject, however often asked."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import Condition, Thread

from pipeline.logs import get_logger

log = get_logger(__name__)

Work = Callable[[], object]


class Aside:
    """One thread, begun with the first work and ended by `close`. Work that raises is told of, and stops no other."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, Work] = {}
        self._changed = Condition()
        self._thread: Thread | None = None
        self._is_busy = self._is_closed = False

    def soon(self, subject: Hashable, work: Work) -> None:
        """Do this for a subject. What waits for the same subject is done once, as it was asked for last."""
        with self._changed:
            if self._is_closed:
                return
            self._waiting.pop(subject, None)
            self._waiting[subject] = work
            if self._thread is None:
                self._thread = Thread(target=self._run, name="aside", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is left to do; whether that came in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._is_busy, seconds)

    def close(self) -> None:
        """Begin nothing more, and wait for what is under way."""
        with self._changed:
            self._is_closed = True
            self._waiting.clear()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._is_busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting or self._is_closed)
                if self._is_closed:
                    return
                subject = next(iter(self._waiting))
                work = self._waiting.pop(subject)
                self._is_busy = True
            try:
                work()
            except Exception as error:  # noqa: BLE001 - a defect of one subject's; the thread is everybody's
                log.error("work aside failed", error=type(error).__name__)  # noqa: TRY400 - a trace may show customer text

"""The services of this worker process, opened once, in the process that uses them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import cache
from uuid import UUID

from pipeline.adapters.celery import CRAWL_QUEUE, INDEX_QUEUE
from pipeline.bootstrap import Services, open_services
from pipeline.services.space import shortage
from pipeline.settings import Settings, read_settings

_opening = threading.Lock()


@cache
def settings() -> Settings:
    """This process's settings."""
    return read_settings()


def services() -> Services:
    """The services, opened at first use and after the fork: models and stores do not survive one."""
    with _opening:
        return _opened(os.getpid())


class Backlog:
    """What is due for one queue, read and hinted through this process's services."""

    def __init__(self, queue: str, send: Callable[[UUID], None]) -> None:
        self._queue = queue
        self._send = send

    def oldest(self) -> UUID | None:
        """The crawl, or the org, that waits longest and is held by none; none while there is no room for its work."""
        if shortage(settings()):
            return None
        due = services().operations.oldest_due(self._queue)
        return None if due is None else due.target

    def hint(self, target: UUID) -> None:
        """Say that it waits."""
        self._send(target)


def due_rows(queue: str) -> Backlog | None:
    """The rows behind a queue's hints; None for upkeep, which has none."""
    hints = services().hints
    send = {CRAWL_QUEUE: hints.crawl, INDEX_QUEUE: hints.index}.get(queue)
    return None if send is None else Backlog(queue, send)


@cache
def _opened(pid: int) -> Services:
    del pid
    return open_services(settings())

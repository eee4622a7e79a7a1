"""Waits beside another command's owner, and becomes the owner when that one ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.errors import DataDirectoryBusy, SitewiseError
from pipeline.logs import get_logger
from pipeline.owner.lock import owner_of
from pipeline.owner.owner import Owner
from pipeline.settings import Settings

LOOK_EVERY_SECONDS = 0.5

log = get_logger(__name__)


class Standby:
    """While entered, somebody owns the data directory: whoever does now, or else this process.

    For a command whose work is done by the workers of another command, which may end first.

    Args:
        settings: What is set; the owner is made with these.
        log_dir: Where the children's lines go, should this process become the owner.
        on_taken: Called after it became the owner, from a thread of its own.
    """

    def __init__(
        self, settings: Settings, *, log_dir: Path | None = None, on_taken: Callable[[], object] | None = None
    ) -> None:
        self._settings = settings
        self._log_dir = log_dir
        self._on_taken = on_taken
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._wait, name="standby", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving.set()
        self._thread.join()

    def _wait(self) -> None:
        while not self._leaving.wait(LOOK_EVERY_SECONDS):
            if owner_of(self._settings.data_dir) is not None:
                continue
            try:
                self._own()
            except DataDirectoryBusy:
                continue
            except SitewiseError as error:
                log.warning("data directory not taken over", problem=str(error))

    def _own(self) -> None:
        with Owner(self._settings, log_dir=self._log_dir):
            log.info("data directory taken over")
            if self._on_taken is not None:
                self._on_taken()
            self._leaving.wait()

"""Ends this worker from inside: as if told to, and by force if that takes too long."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys

from pipeline.logs import get_logger

GRACE_SECONDS = 8

log = get_logger(__name__)


def end_with_parent() -> None:
    """Wait until standard input closes, which it does when the parent is gone, and end too."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    log.info("parent ended: ending too")
    end()


def end() -> None:
    """SIGTERM to this process. The limit runs outside the interpreter: even a held lock does not stop it."""
    faulthandler.dump_traceback_later(GRACE_SECONDS, exit=True)
    os.kill(os.getpid(), signal.SIGTERM)

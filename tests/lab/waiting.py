"""Waits for something to become true in another process, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event
from typing import TypeVar

Found = TypeVar("Found")

LOOK_EVERY_SECONDS = 0.02


def eventually(look: Callable[[], Found], *, seconds: float = 90, what: str = "") -> Found:
    """The first answer of `look` that is true.

    Raises:
        TimeoutError: If there was none in time.
    """
    deadline = time.monotonic() + seconds
    pause = Event()
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what or getattr(look, '__name__', look)}")
        pause.wait(LOOK_EVERY_SECONDS)
    return found

"""Ctrl-C, heard even where Python swallows it: in a finalizer, or while an object is let go."""

from __future__ import annotations

import signal
from types import FrameType


class _Heard:
    """Whether Ctrl-C came."""

    is_set = False


def listen() -> None:
    """From now on remember Ctrl-C, beside raising `KeyboardInterrupt` where the program stands."""
    _Heard.is_set = False
    signal.signal(signal.SIGINT, _hear)


def check() -> None:
    """Raise what a finalizer swallowed; a command that waits in a loop calls this in each round.

    Raises:
        KeyboardInterrupt: If Ctrl-C came since `listen`.
    """
    if _Heard.is_set:
        _Heard.is_set = False
        raise KeyboardInterrupt


def _hear(number: int, frame: FrameType | None) -> None:
    _Heard.is_set = True
    signal.default_int_handler(number, frame)

"""Ctrl-C, heard even where Python swallows it: in a finalizer, or while an object is let go."""

from __future__ import annotations

import signal
import sys
from types import FrameType


class _Heard:
    """Whether Ctrl-C came."""

    is_set = False


def listen() -> None:
    """From now on remember Ctrl-C, beside raising `KeyboardInterrupt` where the program stands."""
    _Heard.is_set = False
    signal.signal(signal.SIGINT, _hear)
    sys.unraisablehook = _tell_of_others


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


def _tell_of_others(unraisable: sys.UnraisableHookArgs) -> None:
    """Python prints a trace of what it drops; Ctrl-C is not lost, so nobody needs one."""
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)

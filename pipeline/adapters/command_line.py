"""What a forked process calls itself, so that `ps` tells what it does and not what it was forked from."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from pathlib import Path

_ARGUMENTS_BEGIN, _ARGUMENTS_END = 45, 46  # of /proc/self/stat, counted from what follows the name


def say_command_line(words: Sequence[str]) -> None:
    """Write these words over this process's own command line, as many as have room. Linux only; elsewhere nothing.

    They are written where the kernel put the arguments: Python has copied those long ago.
    """
    if sys.platform != "linux":
        return
    facts = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    begin, end = int(facts[_ARGUMENTS_BEGIN]), int(facts[_ARGUMENTS_END])
    if begin:
        text = "\0".join(words).encode()[: end - begin - 1]
        ctypes.memmove(begin, text.ljust(end - begin, b"\0"), end - begin)

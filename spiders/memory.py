"""Gives the memory of large pages back to the system as soon as they are done with."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # of <malloc.h>
_LARGE = 128 * 2**10


def give_back_large_blocks() -> None:
    """Tell glibc's allocator to map every large block by itself, and to keep none of them for later.

    Left alone it raises that limit to the size of the largest page freed so far, and bodies then lie between
    small things that stay. Elsewhere there is nothing to tell.
    """
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for option, value in ((_MMAP_THRESHOLD, _LARGE), (_TRIM_THRESHOLD, _LARGE), (_ARENA_MAX, 1)):
        set_option(option, value)

"""Python reads this at its start: in a parsing child, or what it is a copy of, pages that bear a mark do what it says.

In every process, `CHAOS_CLOCK_SECONDS` is how far its clock is ahead.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.model import Document


def _hoard() -> None:
    hoard = []
    while True:
        hoard.append(bytearray(1 << 24))


def _loop() -> None:
    while True:
        pass


def _break_extraction() -> None:
    from pipeline.stages import extract  # noqa: PLC0415 - where pages are parsed only
    from tests.chaos.broken.marks import MARKS  # noqa: PLC0415 - as above

    whole = extract.extract
    misdeeds = {
        "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
        "memory": _hoard,
        "loop": _loop,
    }

    def broken(html: bytes, **facts: Any) -> Document:  # noqa: ANN401 - handed on as it is
        for name, mark in MARKS.items():
            if mark.encode() in html:
                misdeeds[name]()
        return whole(html, **facts)

    extract.extract = broken


def _shift_clock(by: timedelta) -> None:
    from pipeline.services import clock  # noqa: PLC0415 - before anything else imports it

    true = clock.system_clock
    clock.system_clock = lambda: true() + by


if seconds := os.environ.get("CHAOS_CLOCK_SECONDS"):
    _shift_clock(timedelta(seconds=float(seconds)))
if any(word == "spiders.template" or "parser_child" in word for word in sys.orig_argv):
    _break_extraction()

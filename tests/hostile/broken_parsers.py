"""Parsers that misbehave in every way a page could make one misbehave."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from pipeline.model import Document


def misbehave(html: bytes, *, url: str, content_type: str | None = None) -> Document:
    """Do what the page says: loop, abort, exit, swallow memory, raise, print; else give a document."""
    if html in _MISDEEDS:
        _MISDEEDS[html]()
    if html == b"nonsense":
        return "no document"  # type: ignore[return-value]
    told = {b"environment": " ".join(os.environ), b"pid": str(os.getpid())}
    text = told[html] if html in told else html.decode()
    return Document(url=url, title=content_type or "", markdown=text, text_hash="", fact_hash="")


def _loop() -> None:
    while True:
        pass


def _hoard() -> None:
    hoard = [bytearray(1 << 24) for _ in range(1 << 20)]
    hoard.clear()


_MISDEEDS: dict[bytes, Callable[[], object]] = {
    b"loop": _loop,
    b"abort": os.abort,
    b"segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    b"exit": lambda: os._exit(3),
    b"memory": _hoard,
    b"raise": lambda: 1 / 0,
    b"print": lambda: print("{}" * 1_000, flush=True),  # noqa: T201 - a parser that prints is the point
}

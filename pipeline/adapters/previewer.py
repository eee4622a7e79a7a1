"""Looks at a website through a spider in a process of its own, guarded and bounded as a crawl is; nothing is stored."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from tempfile import TemporaryFile
from typing import IO, Any

from pipeline import errors
from pipeline.errors import SitewiseError, SpiderEnded
from pipeline.preview import Look
from pipeline.settings import Settings

_GRACE_SECONDS = 15.0
"""A look ends itself in time; one that does not is ended this much later."""

_LAST_WORDS = 300
_UNNEEDED = {"database", "broker", "upsert"}


class Previewer:
    """Starts a spider for each look, few at a time. Threads may share it."""

    def __init__(self, settings: Settings) -> None:
        """Look with these settings."""
        self._settings = settings.model_dump(mode="json", exclude=_UNNEEDED, exclude_unset=False)

    def look(
        self, plan: Mapping[str, object], *, visits: int, seconds: float, on_news: Callable[[Look], None] | None = None
    ) -> Look:
        """Read sitemaps and up to `visits` URLs of a site, for at most so many seconds.

        Args:
            plan: The fields of a `CrawlPlan` but its ids; `page_limit` is how many pages are wanted.
            visits: URLs that are fetched at most.
            seconds: Time for all of it.
            on_news: Told what was seen so far, again and again.

        Raises:
            SetupError: If a spider could not connect safely.
            SpiderEnded: If it ended with nothing to tell.
        """
        asked = {"plan": dict(plan), "settings": self._settings, "visits": visits, "seconds": seconds}
        with TemporaryFile() as said:
            child = subprocess.Popen(
                [sys.executable, "-m", "spiders.preview"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                start_new_session=True,
            )
            late = threading.Timer(seconds + _GRACE_SECONDS, _end, [child])
            late.daemon = True
            late.start()
            try:
                seen = _told(_lines(child, asked), on_news)
            finally:
                late.cancel()
                _end(child)
            if seen is None:
                raise SpiderEnded(status=child.returncode, last=_last_words(said))
            return seen


def _lines(child: subprocess.Popen[bytes], asked: Mapping[str, object]) -> Iterable[bytes]:
    if child.stdin is None or child.stdout is None:
        return ()
    with suppress(BrokenPipeError):
        child.stdin.write(json.dumps(asked).encode() + b"\n")
        child.stdin.flush()
    return child.stdout


def _told(lines: Iterable[bytes], on_news: Callable[[Look], None] | None) -> Look | None:
    """The last look of a child's lines."""
    seen: Look | None = None
    for line in lines:
        told: Mapping[str, Any] = json.loads(line)
        if "error" in told:
            raise _failure(told)
        seen = Look.from_json(told["look"])
        if on_news is not None:
            on_news(seen)
    return seen


def _failure(told: Mapping[str, Any]) -> SitewiseError:
    kind = getattr(errors, told["error"], SpiderEnded)
    error: SitewiseError = kind(**told["facts"])
    return error


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a spider with its parsers, and wait for it."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()


def _last_words(said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read().decode(errors="replace").strip().splitlines()
    return lines[-1][:_LAST_WORDS] if lines else "none"

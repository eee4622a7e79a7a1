"""The product as the evaluation sees it: crawl this address, answer this question."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipeline.adapters.qdrant.edge import EdgeStore
from pipeline.adapters.qdrant.opening import edge_path
from pipeline.bootstrap import Services
from pipeline.model import OrgScope
from pipeline.services.answers import Question
from pipeline.settings import read_settings

CRAWL_SECONDS = 1_800

Ask = Callable[[str], list[tuple[str, float]]]


class CrawlFailed(RuntimeError):
    """The product could not crawl the site."""


def crawl(url: str, *, data_dir: Path, page_limit: int) -> dict[str, Any]:
    """Crawl with the command line, as a person would; the finished job.

    Raises:
        CrawlFailed: With what the command said last.
    """
    environment = os.environ | {
        "SITEWISE_DATA_DIR": str(data_dir),
        "SITEWISE_CRAWL__ALLOWED_ADDRESSES": "127.0.0.0/8",
    }
    program = str(Path(sys.executable).with_name("sitewise"))
    command = [program, "crawl", url, "--json", "--page-limit", str(page_limit)]
    ended = subprocess.run(  # noqa: S603 - our own command
        command, env=environment, capture_output=True, text=True, timeout=CRAWL_SECONDS, check=False
    )
    if ended.returncode != 0:
        raise CrawlFailed(f"exit {ended.returncode}: {ended.stderr[-2_000:]}")
    job: dict[str, Any] = json.loads(ended.stdout)
    return job


class Answers:
    """What a crawl left, asked in this process: one model load for all questions."""

    def __init__(self, data_dir: Path, *, top_k: int = 50) -> None:
        """Open the data directory that no other process owns now."""
        settings = read_settings(data_dir=data_dir)
        self._store = EdgeStore(edge_path(settings))
        self._services = Services(settings, store=self._store)
        self._scope: OrgScope = self._services.orgs.find()
        self._top_k = top_k

    def ask(self, question: str) -> list[tuple[str, float]]:
        """The passages' addresses and scores, best first."""
        briefing = self._services.answers.brief(Question(question, top_k=self._top_k), scope=self._scope)
        return [(passage.url, passage.score) for passage in briefing.passages]

    def __enter__(self) -> Self:
        """Use as a context."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the store and the database."""
        self._services.close()
        self._store.close()

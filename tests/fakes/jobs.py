"""A crawl's job as the service shows it, with the counts a test is about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pipeline.services.crawls import CrawlJob

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)


def job(**counts: Any) -> CrawlJob:  # noqa: ANN401 - any field of a job
    """A crawl that runs, in which nothing has happened but these."""
    zero = dict.fromkeys(
        [
            *("total_pages", "completed_pages", "new_pages", "updated_pages", "removed_pages", "unchanged_pages"),
            *("failed_pages", "held_pages"),
        ],
        0,
    )
    facts: dict[str, Any] = {
        "id": UUID(int=1),
        "datasource_id": UUID(int=2),
        "status": "scraping",
        "trigger": "manual",
        "started_at": BEGAN,
        "completed_at": None,
        "limit_reached": False,
        "error_message": None,
        "created_at": BEGAN,
        "updated_at": BEGAN,
    }
    return CrawlJob(**(facts | zero | counts))

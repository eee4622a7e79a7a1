"""Everything that happens by the clock. Due work is rows, so a missed beat, or two beats, change nothing."""

from __future__ import annotations

from pipeline.adapters.celery import UPKEEP_QUEUE, UPKEEP_TASK
from pipeline.settings import Settings


def schedule(settings: Settings, *, crawls: bool = True) -> dict[str, dict[str, object]]:
    """What beat sends: one upkeep tick every `work.tick`; a tick not begun in time gives way to the next.

    Without `crawls`, ticks take back orphaned work but start no crawl that is due.
    """
    seconds = settings.work.tick.total_seconds()
    return {
        "upkeep": {
            "task": UPKEEP_TASK,
            "schedule": seconds,
            "kwargs": {"schedules": crawls},
            "options": {"queue": UPKEEP_QUEUE, "expires": 2 * seconds},
        },
    }

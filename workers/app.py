"""The Celery app. A message is a hint to look at a row: ids only, no results, no retries, no countdowns."""

from __future__ import annotations

from celery import Celery, Task
from kombu import Queue

from pipeline.adapters.celery import (
    CRAWL_QUEUE,
    CRAWL_TASK,
    INDEX_QUEUE,
    INDEX_TASK,
    UPKEEP_QUEUE,
    UPKEEP_TASK,
    broker_url,
)
from pipeline.settings import Settings
from workers.schedule import schedule

REDELIVER_AFTER_SECONDS = 60
"""Hints that a dead worker had fetched and not begun come back then. Begun ones are the reaper's."""


class Hint(Task):  # type: ignore[misc] # Celery has no types
    """A task that looks at rows. It is acknowledged before it begins, and never retried.

    A worker that dies loses its hint; the row's lease ends, and upkeep hints again. Acknowledging late
    would add nothing but a second start of every crawl that outlives Redis' visibility timeout.
    """

    abstract = True
    acks_late = False
    ignore_result = True
    max_retries = 0
    throws = ()


app = Celery("sitewise", task_cls=Hint, set_as_current=True)
app.conf.update(
    accept_content=["json"],
    task_serializer="json",
    event_serializer="json",
    result_backend=None,
    task_ignore_result=True,
    task_store_errors_even_if_ignored=False,
    task_acks_late=False,
    task_queues=[Queue(CRAWL_QUEUE), Queue(INDEX_QUEUE), Queue(UPKEEP_QUEUE)],
    task_routes={
        CRAWL_TASK: {"queue": CRAWL_QUEUE},
        INDEX_TASK: {"queue": INDEX_QUEUE},
        UPKEEP_TASK: {"queue": UPKEEP_QUEUE},
    },
    task_create_missing_queues=False,
    task_default_queue=UPKEEP_QUEUE,
    task_publish_retry=False,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    broker_connection_retry=True,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    timezone="UTC",
    enable_utc=True,
    imports=["workers.tasks"],
)


def configure(settings: Settings, *, scheduled_crawls: bool = True) -> None:
    """Point the app at its broker, and give beat its schedule."""
    url = broker_url(settings)
    is_redis = url.startswith(("redis", "rediss", "sentinel"))
    app.conf.update(
        broker_url=url,
        broker_transport_options=_redis_options() if is_redis else {},
        worker_disable_prefetch=is_redis,
        beat_schedule=schedule(settings, crawls=scheduled_crawls),
    )


def _redis_options() -> dict[str, object]:
    """Waits are bounded, so that a frozen server is noticed; fetched hints of the dead come back soon."""
    return {
        "visibility_timeout": REDELIVER_AFTER_SECONDS,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
        "socket_timeout": 10,
        "socket_connect_timeout": 5,
        "health_check_interval": 10,
    }

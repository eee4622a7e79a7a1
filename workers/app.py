"""The Celery app. A message is a hint to look at a row: ids only, no results, no retries, no countdowns."""

from __future__ import annotations

from celery import Celery, Task
from celery.worker.request import Request
from kombu import Queue

from pipeline import tracing
from pipeline.adapters.celery import (
    CRAWL_QUEUE,
    CRAWL_TASK,
    INDEX_QUEUE,
    INDEX_TASK,
    UPKEEP_QUEUE,
    UPKEEP_TASK,
    broker_url,
)
from pipeline.errors import SitewiseError
from pipeline.logs import get_logger
from pipeline.settings import Settings
from workers.schedule import schedule

log = get_logger(__name__)


class Unacknowledged(Request):  # type: ignore[misc] # Celery has no types
    """A message of a queue that keeps no account of what was fetched. Celery acknowledges those as well."""

    def acknowledge(self) -> None:
        """Say nothing to the broker: there is nothing to say, and a failure here stalls the consumer."""
        self.acknowledged = True


class Hint(Task):  # type: ignore[misc] # Celery has no types
    """A task that looks at rows. Its message is gone when it begins, and it is never retried.

    A worker that dies loses its hint; the row's lease ends, and upkeep hints again. Acknowledging late
    would add nothing but a second start of every crawl that outlives Redis' visibility timeout.
    """

    abstract = True
    acks_late = False
    ignore_result = True
    max_retries = 0
    throws = (SitewiseError,)

    def __call__(self, *args: object, **facts: object) -> object:
        """Run, and know what sent the message, if that was traced."""
        with tracing.woken((self.request.headers or {}).get(tracing.TRACEPARENT)):
            return super().__call__(*args, **facts)

    def again(self, **facts: object) -> None:
        """Send the same message once more, as coming from where this one came from."""
        traceparent = tracing.woken_by()
        self.apply_async(kwargs=facts, headers=None if traceparent is None else {tracing.TRACEPARENT: traceparent})

    def on_failure(self, error: BaseException, *_: object) -> None:
        """One line for what may happen, such as a store that is away; a defect has its trace from Celery."""
        if isinstance(error, SitewiseError):
            log.warning("hint not carried out", task=self.name, problem=str(error))


app = Celery("sitewise", task_cls=Hint, set_as_current=True)
app.conf.update(
    accept_content=["json"],
    task_serializer="json",
    event_serializer="json",
    result_backend=None,
    task_ignore_result=True,
    task_store_errors_even_if_ignored=False,
    task_acks_late=False,
    task_routes={
        CRAWL_TASK: {"queue": CRAWL_QUEUE},
        INDEX_TASK: {"queue": INDEX_QUEUE},
        UPKEEP_TASK: {"queue": UPKEEP_QUEUE},
        "sitewise.v1.*": {"queue": UPKEEP_QUEUE},
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
    """Point the app at its broker, and give beat its schedule.

    RabbitMQ hands a consumer that acknowledges nothing every hint there is, so there they are acknowledged.
    """
    url = broker_url(settings)
    is_redis = url.startswith(("redis", "rediss", "sentinel"))
    Hint.Request = Unacknowledged if is_redis else Request
    app.conf.update(
        broker_url=url,
        broker_transport_options=_redis_options() if is_redis else {},
        task_queues=[Queue(name, no_ack=is_redis) for name in (CRAWL_QUEUE, INDEX_QUEUE, UPKEEP_QUEUE)],
        worker_disable_prefetch=is_redis,
        beat_schedule=schedule(settings, crawls=scheduled_crawls),
    )


def _redis_options() -> dict[str, object]:
    """Waits are bounded, so that a frozen server is noticed.

    Nothing is acknowledged to Redis at all: a hint is gone once it is fetched, and one is fetched only
    when there is room. An acknowledgement that failed with its connection left workers stalled, and
    unacknowledged hints would only come back to find their row done.
    """
    return {"socket_timeout": 10, "socket_connect_timeout": 5, "health_check_interval": 10}

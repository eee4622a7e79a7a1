"""Sends hints through Celery's broker: two kinds of message, ids only, never a wait longer than its limit."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from pipeline import tracing
from pipeline.adapters.sockets import socket_path
from pipeline.errors import BrokerUnavailable
from pipeline.metrics import HINTS, Queue
from pipeline.settings import Settings

if TYPE_CHECKING:
    from celery import Celery

CRAWL_TASK, INDEX_TASK, UPKEEP_TASK = "crawl.run", "index.pages", "upkeep.tick"
ADD_WEBSITE_TASK, START_CRAWL_TASK = "sitewise.v1.add_website", "sitewise.v1.start_crawl"
"""What other services may send, to the upkeep queue. A change of their fields is another version."""

CRAWL_QUEUE: Final = "crawl"
INDEX_QUEUE: Final = "index"
UPKEEP_QUEUE: Final = "upkeep"

BROKER_SOCKET = "broker"


def broker_url(settings: Settings) -> str:
    """Where hints travel: the broker that is set, else the embedded one's socket."""
    if settings.broker.url is not None:
        return settings.broker.url.get_secret_value()
    return f"redis+socket://{socket_path(settings.data_dir, BROKER_SOCKET)}"


class CeleryHints:
    """Hints to workers, sent by name: nothing of the workers is imported.

    Args:
        url: The broker's address.
        timeout: Longest time one hint may take, against a frozen broker too.
    """

    def __init__(self, url: str, timeout: timedelta) -> None:
        self._url = url
        self._timeout = timeout
        self._celery: Celery | None = None
        self._lock = threading.Lock()
        self._silent_until = 0.0

    def crawl(self, crawl_id: UUID) -> None:
        """A crawl may need a spider.

        Raises:
            BrokerUnavailable: If the broker did not take the hint in time.
        """
        self._send(CRAWL_TASK, CRAWL_QUEUE, {"crawl_id": str(crawl_id)})

    def index(self, org_id: UUID) -> None:
        """Pages of this org may wait to be indexed.

        Raises:
            BrokerUnavailable: If the broker did not take the hint in time.
        """
        self._send(INDEX_TASK, INDEX_QUEUE, {"org_id": str(org_id)})

    def index_waits(self) -> bool:
        """Whether a hint to index lies in its queue, which no worker took yet.

        Raises:
            BrokerUnavailable: If the broker does not say so in time, or did not answer a moment ago.
        """
        self._check_heard()
        try:
            return bool(_waiting(self._app())[INDEX_QUEUE])
        except BrokerUnavailable:
            self._fall_silent()
            raise

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            if self._celery is not None:
                self._celery.close()
                self._celery = None

    def _send(self, task: str, queue: Queue, facts: dict[str, str]) -> None:
        """Publish once. After a failure none is tried for a while: a hundred hints do not wait a hundred times."""
        from kombu.exceptions import KombuError, OperationalError  # noqa: PLC0415 - Celery is slow to import

        self._check_heard()
        try:
            with tracing.span_inside("hint", queue=queue):
                self._app().send_task(
                    task, kwargs=facts, queue=queue, ignore_result=True, retry=False, headers=trace_headers()
                )
            HINTS.add(queue=queue, result="sent")
        except (OperationalError, KombuError, OSError) as error:
            self._fall_silent()
            HINTS.add(queue=queue, result="not_sent")
            raise BrokerUnavailable(problem=str(error) or type(error).__name__) from error

    def _check_heard(self) -> None:
        if time.monotonic() < self._silent_until:
            raise BrokerUnavailable(problem="it did not answer a moment ago")

    def _fall_silent(self) -> None:
        self._silent_until = time.monotonic() + self._timeout.total_seconds()

    def _app(self) -> Celery:
        with self._lock:
            if self._celery is None:
                self._celery = _sender(self._url, self._timeout.total_seconds())
            return self._celery


def trace_headers() -> dict[str, str] | None:
    """What a message carries beside its ids, so that whoever it wakes can say by what. None where nothing is traced."""
    traceparent = tracing.traceparent()
    return None if traceparent is None else {tracing.TRACEPARENT: traceparent}


def hints_waiting(url: str, timeout: timedelta) -> dict[str, int]:
    """How many hints lie in each queue; a queue that was never used has none.

    Raises:
        BrokerUnavailable: If the broker does not say so in time.
    """
    return _waiting(_sender(url, timeout.total_seconds()))


def _waiting(celery: Celery) -> dict[str, int]:
    from kombu.exceptions import KombuError, OperationalError  # noqa: PLC0415 - Celery is slow to import

    found = {}
    connection = celery.connection_for_write()
    try:
        with connection:
            for queue in (CRAWL_QUEUE, INDEX_QUEUE, UPKEEP_QUEUE):
                try:
                    declared = connection.default_channel.queue_declare(queue, passive=True)
                    found[queue] = int(declared.message_count)
                except connection.channel_errors:
                    found[queue] = 0
    except (OperationalError, KombuError, OSError, *connection.connection_errors) as error:
        raise BrokerUnavailable(problem=str(error) or type(error).__name__) from error
    return found


def load_celery() -> None:
    """Import what the first hint would, for a process that is to be copied before."""
    import kombu.transport.redis  # noqa: F401, PLC0415 - as said
    from celery import Celery  # noqa: F401, PLC0415 - as said


def _sender(url: str, seconds: float) -> Celery:
    """A Celery that only sends: no result backend, no retries, and a limit on every wait."""
    from celery import Celery  # noqa: PLC0415 - slow to import, and not needed by every command

    app = Celery("sitewise", broker=url, set_as_current=False)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_publish_retry=False,
        broker_connection_timeout=seconds / 2,
        broker_transport_options=publish_limits(url, seconds),
        broker_pool_limit=2,
    )
    return app


def publish_limits(url: str, seconds: float) -> dict[str, object]:
    """Transport options that keep a publish under `seconds`: one reconnect and one write, half of it each."""
    half = seconds / 2
    once: dict[str, object] = {"max_retries": 0, "connect_retries_timeout": half}
    if url.startswith(("redis", "rediss", "sentinel")):
        return once | {"socket_timeout": half, "socket_connect_timeout": half, "retry_on_timeout": False}
    if url.startswith(("amqp", "pyamqp")):
        return once | {"connect_timeout": half, "read_timeout": half, "write_timeout": half}
    return once

"""Every metric: its name, what it means, its unit and its labels. Nothing is measured that does not stand here.

Counts and histograms are of one process and begin at nothing with it. Gauges are read from the database, for the
whole installation, when somebody asks; whoever sums them over processes counts them twice.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, get_args, get_type_hints

if TYPE_CHECKING:
    from prometheus_client import Counter as ProcessCounter
    from prometheus_client import Histogram as ProcessHistogram

P = ParamSpec("P")
Labels = tuple[str, ...]

Queue = Literal["crawl", "index", "upkeep"]
Work = Literal["crawl", "index"]
CrawlState = Literal["pending", "scraping", "held"]
Letter = Literal["page", "crawl", "url"]
SpiderEnd = Literal["finished", "temporary", "lease_lost", "stopped", "died"]
Quantile = Literal["0.5", "0.9", "0.99", "1"]
QUEUES: tuple[Queue, ...] = get_args(Queue)
CRAWL_STATES: tuple[CrawlState, ...] = get_args(CrawlState)
LETTERS: tuple[Letter, ...] = get_args(Letter)
QUANTILES: tuple[Quantile, ...] = get_args(Quantile)

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper ends of the classes of a histogram of times."""


class Metric(Generic[P]):
    """One metric.

    Args:
        name: As Prometheus has it, with its unit; a counter's ends in `_total`.
        meaning: What it tells, in a sentence; it is the help text of the exposition.
        labels: A function whose parameters are the labels, each with the values it may take.
    """

    kind: Literal["counter", "histogram", "gauge"]

    def __init__(self, name: str, meaning: str, labels: Callable[P, Labels]) -> None:
        self.name = name
        self.meaning = meaning
        self.labels = tuple(inspect.signature(labels).parameters)
        self._values = labels

    def known_labels(self) -> list[Labels]:
        """Every combination of labels it can have; none where a label may be anything."""
        hints = get_type_hints(self._values)
        return list(product(*(get_args(hints[name]) for name in self.labels))) if self.labels else []


class Counter(Metric[P]):
    """What happened in this process, counted up."""

    kind = "counter"

    def add(self, *args: P.args, **labels: P.kwargs) -> None:
        """Count one."""
        self.add_many(1, *args, **labels)

    def add_many(self, amount: float, *args: P.args, **labels: P.kwargs) -> None:
        """Count so many."""
        if _process is not None:
            made: ProcessCounter = _process.made[self.name]
            values = self._values(*args, **labels)
            (made.labels(*values) if values else made).inc(amount)


class Histogram(Metric[P]):
    """How long, or how large, each of many was."""

    kind = "histogram"

    def __init__(
        self, name: str, meaning: str, labels: Callable[P, Labels], *, classes: tuple[float, ...] = SECONDS
    ) -> None:
        super().__init__(name, meaning, labels)
        self.classes = classes

    def observe(self, amount: float, *args: P.args, **labels: P.kwargs) -> None:
        """Take one in."""
        if _process is not None:
            made: ProcessHistogram = _process.made[self.name]
            values = self._values(*args, **labels)
            (made.labels(*values) if values else made).observe(amount)

    @contextmanager
    def time(self, *args: P.args, **labels: P.kwargs) -> Iterator[None]:
        """Take in how many seconds the block lasts, however it ends."""
        began = perf_counter()
        try:
            yield
        finally:
            self.observe(perf_counter() - began, *args, **labels)


class Gauge(Metric[P]):
    """How something stands now."""

    kind = "gauge"

    def at(self, amount: float, *args: P.args, **labels: P.kwargs) -> Sample:
        """A sample of it."""
        return Sample(self, self._values(*args, **labels), amount)


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a gauge."""

    metric: Gauge[Any]
    labels: Labels
    amount: float


def _plain() -> Labels:
    return ()


def _queue(queue: Queue) -> Labels:
    return (queue,)


def _work(work: Work) -> Labels:
    return (work,)


def _org(org: str, work: Work) -> Labels:
    return (org, work)


def _lease(work: Work, state: Literal["held", "expired"]) -> Labels:
    return (work, state)


def _crawl_status(status: CrawlState) -> Labels:
    return (status,)


def _outcome(outcome: str) -> Labels:
    return (outcome,)


def _quantile(quantile: Quantile) -> Labels:
    return (quantile,)


def _letter(kind: Letter) -> Labels:
    return (kind,)


def _chunk(how: Literal["embedded", "copied", "kept"]) -> Labels:
    return (how,)


def _indexed(result: Literal["indexed", "given_back", "failed"]) -> Labels:
    return (result,)


def _spider(end: SpiderEnd) -> Labels:
    return (end,)


def _hint(queue: Queue, result: Literal["sent", "not_sent"]) -> Labels:
    return (queue, result)


def _answer(result: Literal["whole", "degraded"]) -> Labels:
    return (result,)


def _request(method: str, route: str, status: str) -> Labels:
    return (method, route, status)


def _route(method: str, route: str) -> Labels:
    return (method, route)


# The installation, read from the database.

STATE_READ = Gauge("sitewise_state_read", "1 if the gauges below could be read from the database, else 0.", _plain)
STATE_READ_SECONDS = Gauge("sitewise_state_read_seconds", "Seconds that reading these gauges took.", _plain)
SCHEDULE_OVERDUE_SECONDS = Gauge(
    "sitewise_schedule_overdue_seconds", "Seconds since the time of the website whose crawl is most overdue.", _plain
)
QUEUE_WAITING = Gauge(
    "sitewise_queue_waiting",
    "Rows that a worker may take now: crawls, page versions, hints not sent. Counted up to 10,000.",
    _queue,
)
QUEUE_OLDEST_SECONDS = Gauge(
    "sitewise_queue_oldest_seconds", "Seconds that the oldest of these rows has waited; 0 if none waits.", _queue
)
ORG_OLDEST_SECONDS = Gauge(
    "sitewise_org_queue_oldest_seconds",
    "Seconds that the oldest row of an org has waited, for the ten orgs that wait longest.",
    _org,
)
CRAWLS = Gauge("sitewise_crawls", "Crawls that wait for a spider, that run, and that hold pages.", _crawl_status)
LEASES = Gauge("sitewise_leases", "Rows that a worker holds, and rows whose worker fell silent.", _lease)
WORKERS = Gauge("sitewise_workers", "Worker processes that said in the last 20 s that they live.", _queue)
BEATS = Gauge("sitewise_beats", "Those among them that send the schedule's ticks.", _plain)
TICK_AGE_SECONDS = Gauge(
    "sitewise_tick_age_seconds", "Seconds since a worker last began a tick; none if no such worker lives.", _plain
)
DEAD_LETTERS = Gauge("sitewise_dead_letters", "Work that died and that nobody put back. Counted up to 10,000.", _letter)
PAGES_LOOKED_AT = Gauge(
    "sitewise_crawled_pages",
    "URLs of the crawls that ended in the last 24 hours, of the newest 2,000 of them, by what a look at each found; "
    "`not_modified` are those among the `unchanged` that cost no body.",
    _outcome,
)
REEMBEDDING_ORGS_LEFT = Gauge(
    "sitewise_reembedding_orgs_left",
    "Orgs of which something is missing in the vectors of the model that is to take over; none if there is no such.",
    _plain,
)
STALENESS_SECONDS = Gauge(
    "sitewise_page_staleness_seconds",
    "Seconds since a page that serves was last looked at: quantiles over a sample of 1,000.",
    _quantile,
)

# One process.

LEASES_EXPIRED = Counter(
    "sitewise_leases_expired_total", "Rows taken over from a worker that fell silent while it held them.", _work
)
LEASES_LOST = Counter(
    "sitewise_leases_lost_total", "Times that this process found its row in another's hands; it wrote nothing.", _work
)
REDELIVERIES = Counter(
    "sitewise_hints_repeated_total", "Hints sent again, because their row still waited when its time was up.", _work
)
HINTS = Counter("sitewise_hints_total", "Hints handed to the broker, and those it did not take in time.", _hint)
TICK_SECONDS = Histogram("sitewise_tick_seconds", "Seconds of one round of upkeep.", _plain)
SWEPT = Counter("sitewise_points_swept_total", "Points removed because no text needs them any more.", _plain)
SPIDERS = Counter("sitewise_spiders_total", "Spider processes that ended, by how.", _spider)
PAGES_INDEXED = Counter(
    "sitewise_pages_indexed_total", "Page versions that an index worker took, by how it went.", _indexed
)
CHUNKS = Counter(
    "sitewise_chunks_total",
    "Chunks of indexed pages: embedded now, or saved by a copied vector of the same text or by a point there was.",
    _chunk,
)
PAGES_REEMBEDDED = Counter(
    "sitewise_pages_reembedded_total",
    "Pages embedded again for another model, from their stored text; no crawl counts them.",
    _plain,
)
CHUNKS_REEMBEDDED = Counter(
    "sitewise_chunks_reembedded_total", "Chunks embedded for a model that does not answer now.", _plain
)
EMBED_BATCH_SECONDS = Histogram("sitewise_embed_batch_seconds", "Seconds to embed the new texts of one batch.", _plain)
ANSWERS = Counter("sitewise_briefings_total", "Briefings given, whole or without a part that did not answer.", _answer)
ANSWER_SECONDS = Histogram("sitewise_briefing_seconds", "Seconds from a question to its briefing.", _plain)
HTTP_REQUESTS = Counter(
    "sitewise_http_requests_total", "HTTP requests, by route template; `(none)` where no route fits.", _request
)
HTTP_SECONDS = Histogram("sitewise_http_request_seconds", "Seconds from request to the end of its answer.", _route)

ALL: Mapping[str, Metric[Any]] = {
    metric.name: metric for metric in list(globals().values()) if isinstance(metric, Metric)
}

_lock = threading.Lock()


class _Process:
    """The counts of this process."""

    def __init__(self) -> None:
        import prometheus_client  # noqa: PLC0415 - 80 ms that most commands are spared

        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # theirs lacks annotations
        self.registry = prometheus_client.CollectorRegistry()
        prometheus_client.ProcessCollector(registry=self.registry)
        self.made: dict[str, Any] = {}
        for metric in ALL.values():
            labels = list(metric.labels)
            if isinstance(metric, Counter):
                made: Any = prometheus_client.Counter(metric.name, metric.meaning, labels, registry=self.registry)
            elif isinstance(metric, Histogram):
                classes = metric.classes
                made = prometheus_client.Histogram(
                    metric.name, metric.meaning, labels, registry=self.registry, buckets=classes
                )
            else:
                continue
            self.made[metric.name] = made
            for values in metric.known_labels():
                made.labels(*values)  # a series that begins at 0 shows its first increase


_process: _Process | None = None


def keep_counts() -> None:
    """Count from here on, in this process. One that nobody asks counts nothing, and loads nothing for it."""
    global _process  # noqa: PLW0603 - one a process
    with _lock:
        _process = _process or _Process()


def exposition(state: Iterable[Sample] = ()) -> bytes:
    """What a scrape reads: these samples, and this process's counts if it keeps any, in Prometheus' text format."""
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - as above

    read = CollectorRegistry()
    read.register(_Read(state))
    return generate_latest(read) + (generate_latest(_process.registry) if _process else b"")


class _Read:
    """A collector of samples that were read."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415 - as above

        self._families: dict[str, GaugeMetricFamily] = {}
        for sample in samples:
            metric = sample.metric
            family = GaugeMetricFamily(metric.name, metric.meaning, labels=list(metric.labels))
            self._families.setdefault(metric.name, family).add_metric(list(sample.labels), sample.amount)

    def collect(self) -> Iterable[Any]:
        """Every family."""
        return self._families.values()

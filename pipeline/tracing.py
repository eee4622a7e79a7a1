"""Every span: its name, what it covers, and all it may say. Nothing is traced until a tracer is put in.

A trace joins what one request, or one tick of the clock, led to: the request, the hint, the crawl with its spider,
and the indexing of its pages. What has to outlive a process, or a lost message, is kept in rows as a *traceparent*:
the one line of 55 characters by which W3C Trace Context names a span.

Spans say ids, counts and words of our own. No text, address, header or key of anybody's is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Final, Literal, Protocol, Self, TypedDict, get_args
from uuid import UUID

from typing_extensions import Unpack

TRACEPARENT = "traceparent"
"""The header that names a span, of HTTP requests and of messages; upper case, the environment variable of a child."""

SpanName = Literal[
    "request",
    "order",
    "start crawl",
    "hint",
    "crawl",
    "spider",
    "keep",
    "index",
    "chunk",
    "embed",
    "upsert",
    "publish",
    "retrieve",
    "retrieve.embed",
    "retrieve.read",
    "retrieve.search",
    "retrieve.scenarios",
    "retrieve.choose",
    "retrieve.prompt",
]
NAMES: tuple[SpanName, ...] = get_args(SpanName)

MEANINGS: Mapping[SpanName, str] = {
    "request": "one HTTP request; it is shown as its method and route template",
    "order": "a Celery message of another service",
    "start crawl": "a crawl is begun, by a request, a command or the clock",
    "hint": "a hint is handed to the broker",
    "crawl": "a worker holds a crawl while its spider works",
    "spider": "the spider's process, from its start to its end",
    "keep": "pages that were fetched are written, a batch at a time",
    "index": "a worker makes a batch of pages searchable",
    "chunk": "their texts are cut",
    "embed": "vectors are computed, or copied from equal texts",
    "upsert": "points are written to the vector store",
    "publish": "the pages go live, in one commit",
    "retrieve": "one briefing",
    "retrieve.embed": "the question's vector is waited for; it is computed beside the first read",
    "retrieve.read": "rows are read: of the org and its training, then of the passages found",
    "retrieve.search": "candidates from the vector store",
    "retrieve.scenarios": "which scenarios fire",
    "retrieve.choose": "candidates are weighed, joined and chosen",
    "retrieve.prompt": "the prompt is written",
}

Kind = Literal["server", "producer", "consumer", "internal"]
KINDS: Mapping[SpanName, Kind] = {
    "request": "server",
    "order": "consumer",
    "hint": "producer",
    "crawl": "consumer",
    "index": "consumer",
}
"""How a span stands to what others do; those not named are internal."""


class Facts(TypedDict, total=False):
    """All that spans may say."""

    method: str
    route: str
    status: int
    queue: Literal["crawl", "index", "upkeep"]
    trigger: Literal["api", "schedule", "manual"]
    end: Literal["finished", "temporary", "lease_lost", "stopped", "died"]
    org: UUID
    key: UUID
    crawl: UUID
    attempt: int
    pages: int
    pieces: int
    candidates: int
    passages: int
    is_degraded: bool


ATTRIBUTES: Mapping[str, str] = {
    "method": "http.request.method",
    "route": "http.route",
    "status": "http.response.status_code",
    "queue": "messaging.destination.name",
    "trigger": "sitewise.trigger",
    "end": "sitewise.spider.end",
    "org": "sitewise.org.id",
    "key": "sitewise.key.id",
    "crawl": "sitewise.crawl.id",
    "attempt": "sitewise.crawl.attempt",
    "pages": "sitewise.pages",
    "pieces": "sitewise.chunks",
    "candidates": "sitewise.candidates",
    "passages": "sitewise.passages",
    "is_degraded": "sitewise.degraded",
}
"""What each fact is called outside: by OpenTelemetry's conventions where they have a name for it."""


class Span(Protocol):
    """What goes on, while it does."""

    def say(self, **facts: Unpack[Facts]) -> None:
        """Add facts."""
        ...

    def call(self, name: str) -> None:
        """Show it under another name, made of words of ours."""
        ...

    def fail(self, kind: str) -> None:
        """Note that it failed, and by which kind of error."""
        ...


class Tracer(Protocol):
    """Keeps spans. What a thread does not know of, it takes from the process."""

    def span(
        self, name: SpanName, facts: Facts, *, parent: str | None, links: Sequence[str], is_process: bool
    ) -> AbstractContextManager[Span]:
        """A span under `parent`, a traceparent; without one, under what goes on here; else the first of a trace."""
        ...

    def under(self, parent: str) -> AbstractContextManager[None]:
        """What happens inside belongs to this traceparent."""
        ...

    def traceparent(self) -> str | None:
        """What goes on here."""
        ...


class _Nothing:
    """A span that tells nobody."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def say(self, **_: Unpack[Facts]) -> None:
        """Say nothing."""

    def call(self, name: str) -> None:
        """Do nothing."""

    def fail(self, kind: str) -> None:
        """Do nothing."""


NOTHING: Final = _Nothing()
"""The span of what is not traced."""

_tracer: Tracer | None = None
_woken_by: ContextVar[str | None] = ContextVar("woken_by", default=None)


def put_in(tracer: Tracer | None) -> None:
    """Trace with this from here on, in this process; with None, no more."""
    global _tracer  # noqa: PLW0603 - one a process
    _tracer = tracer


def is_on() -> bool:
    """Whether this process traces."""
    return _tracer is not None


def span(
    name: SpanName, *, parent: str | None = None, is_process: bool = False, **facts: Unpack[Facts]
) -> AbstractContextManager[Span]:
    """Trace what happens inside.

    Args:
        name: What it is, one of `NAMES`.
        parent: What it belongs to, as a traceparent; None: what goes on here.
        is_process: Whether all other threads of this process belong to it too.
        facts: What is known of it already.
    """
    if _tracer is None:
        return NOTHING
    woken_by = _woken_by.get() if KINDS.get(name) == "consumer" else None
    links = [woken_by] if woken_by and woken_by != parent else []
    return _tracer.span(name, facts, parent=parent, links=links, is_process=is_process)


def span_inside(name: SpanName, **facts: Unpack[Facts]) -> AbstractContextManager[Span]:
    """Trace what happens inside, if it is part of a trace: it begins none."""
    return NOTHING if traceparent() is None else span(name, **facts)


@contextmanager
def under(parent: str | None) -> Iterator[None]:
    """What happens inside belongs to this traceparent, if there is one."""
    if _tracer is None or parent is None:
        yield
        return
    with _tracer.under(parent):
        yield


@contextmanager
def woken(by: str | None) -> Iterator[None]:
    """What happens inside was brought about by a message that carried this traceparent. It may work for another row."""
    token = _woken_by.set(by)
    try:
        yield
    finally:
        _woken_by.reset(token)


def woken_by() -> str | None:
    """The traceparent that the message at hand carried."""
    return _woken_by.get()


def traceparent() -> str | None:
    """What goes on here, as other processes and rows are told of it; None where nothing is traced."""
    return None if _tracer is None else _tracer.traceparent()


def trace_id() -> str | None:
    """The trace that goes on here: 32 hexadecimal digits."""
    told = traceparent()
    return None if told is None else told.split("-")[1]

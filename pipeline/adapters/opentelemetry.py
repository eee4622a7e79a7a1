"""Traces, sent to an OpenTelemetry collector over HTTP. Off, and not even loaded, unless one is set.

Only our own spans are kept: the tracer is nobody's default, so no library that knows OpenTelemetry adds any. What an
error says is left out, because it may repeat what was sent: a failed span has the error's kind.
"""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from typing_extensions import Unpack

from pipeline import tracing
from pipeline.errors import TracingMissing
from pipeline.settings import Settings, TracingSettings
from pipeline.tracing import ATTRIBUTES, KINDS, Facts, SpanName

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.trace import Span as OpenSpan

PACKAGE = "opentelemetry.exporter.otlp.proto.http"
TRACES_PATH = "/v1/traces"
FAREWELL = timedelta(seconds=1)
"""How long a process that ends goes on to send what it has; what is on its way then may take its time-out, too."""


def require_tracing(settings: Settings) -> None:
    """Refuse to begin without what the settings ask for.

    Raises:
        TracingMissing: If a collector is set, and the packages are not installed.
    """
    if settings.tracing.endpoint is not None and not _is_installed():
        raise TracingMissing(setting="SITEWISE_TRACING__ENDPOINT")


def start_tracing(settings: Settings, part: str) -> None:
    """Trace this process from here on, if a collector is set; what is left is sent when it ends.

    Args:
        settings: Which collector, and how many traces.
        part: What kind of process this is, for those who read the traces.

    Raises:
        TracingMissing: If the packages are not installed.
    """
    if settings.tracing.endpoint is None:
        return
    require_tracing(settings)
    tracer = OpenTelemetryTracer(settings.tracing, settings.tracing.endpoint, part)
    tracing.put_in(tracer)
    atexit.register(tracer.close)


class OpenTelemetryTracer:
    """Our spans, through OpenTelemetry's SDK: sampled, batched and sent in a thread of their own.

    Args:
        settings: How many traces, and under which name.
        endpoint: The collector's address, to which the path for traces is added.
        part: What kind of process this is.
    """

    def __init__(self, settings: TracingSettings, endpoint: str, part: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - optional
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415 - likewise
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - likewise
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - likewise
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased  # noqa: PLC0415 - likewise
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        named = Resource.create(
            {"service.version": version("sitewise"), "sitewise.part": part, "process.pid": os.getpid()}
        )
        if settings.service_name is not None or str(named.attributes[SERVICE_NAME]).startswith("unknown_service"):
            named = named.merge(Resource({SERVICE_NAME: settings.service_name or "sitewise"}))
        ratio = TraceIdRatioBased(settings.sample_ratio)
        seconds = settings.timeout.total_seconds()
        self._exporter = _Leaving(OTLPSpanExporter(endpoint.rstrip("/") + TRACES_PATH, timeout=seconds))
        self._provider = TracerProvider(
            sampler=ParentBased(ratio, remote_parent_sampled=ratio), resource=named, shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(cast("SpanExporter", self._exporter)))
        self._tracer = self._provider.get_tracer("sitewise", version("sitewise"))
        self._propagator = TraceContextTextMapPropagator()
        self._process: Context | None = None

    @contextmanager
    def span(
        self, name: SpanName, facts: Facts, *, parent: str | None, links: Sequence[str], is_process: bool
    ) -> Iterator[_Told]:
        """A span under `parent`, a traceparent; without one, under what goes on here; else the first of a trace."""
        from opentelemetry import context, trace  # noqa: PLC0415 - optional

        opened = self._tracer.start_span(
            name,
            self._here() if parent is None else self._told(parent),
            trace.SpanKind[KINDS.get(name, "internal").upper()],
            attributes=_attributes(facts),
            links=[trace.Link(trace.get_current_span(self._told(link)).get_span_context()) for link in links],
            record_exception=False,
            set_status_on_exception=False,
        )
        inside = trace.set_span_in_context(opened)
        if is_process:
            self._process = inside
        token = context.attach(inside)
        told = _Told(opened)
        try:
            yield told
        except BaseException as error:
            told.fail(type(error).__name__)
            raise
        finally:
            context.detach(token)
            opened.end()

    @contextmanager
    def under(self, parent: str) -> Iterator[None]:
        """What happens inside belongs to this traceparent."""
        from opentelemetry import context  # noqa: PLC0415 - optional

        token = context.attach(self._told(parent))
        try:
            yield
        finally:
            context.detach(token)

    def traceparent(self) -> str | None:
        """What goes on here."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, self._here())
        return carrier.get("traceparent")

    def close(self) -> None:
        """Send what is left, for a moment; nothing is traced after."""
        tracing.put_in(None)
        self._exporter.leave(FAREWELL)
        self._provider.shutdown()

    def _here(self) -> Context:
        from opentelemetry import context, trace  # noqa: PLC0415 - optional

        here = context.get_current()
        is_known = trace.get_current_span(here).get_span_context().is_valid
        return here if is_known or self._process is None else self._process

    def _told(self, traceparent: str) -> Context:
        """The context that a traceparent names: an empty one, if it cannot be read."""
        from opentelemetry.context import Context  # noqa: PLC0415 - optional

        return self._propagator.extract({"traceparent": traceparent}, Context())


class _Told:
    """A span of OpenTelemetry's, which says what we may say."""

    def __init__(self, span: OpenSpan) -> None:
        self._span = span

    def say(self, **facts: Unpack[Facts]) -> None:
        """Add facts."""
        self._span.set_attributes(_attributes(facts))

    def call(self, name: str) -> None:
        """Show it under another name."""
        self._span.update_name(name)

    def fail(self, kind: str) -> None:
        """Note that it failed."""
        from opentelemetry.trace import StatusCode  # noqa: PLC0415 - optional

        self._span.set_status(StatusCode.ERROR)
        self._span.set_attribute("error.type", kind)


class _Leaving:
    """An exporter that sends nothing more once the process should have ended: nobody waits for a dead collector."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._until = float("inf")

    def leave(self, within: timedelta) -> None:
        """Begin nothing after that."""
        self._until = time.monotonic() + within.total_seconds()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send them."""
        from opentelemetry.sdk.trace.export import SpanExportResult  # noqa: PLC0415 - optional

        return self._exporter.export(spans) if time.monotonic() < self._until else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Let go of the connection."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is held back, which is nothing."""
        return self._exporter.force_flush(timeout_millis)


def _attributes(facts: Facts) -> dict[str, str | int | float | bool]:
    return {
        ATTRIBUTES[name]: value if isinstance(value, str | int | float | bool) else str(value)
        for name, value in facts.items()
        if value is not None
    }


def _is_installed() -> bool:
    try:
        return find_spec(PACKAGE) is not None and find_spec("opentelemetry.sdk.trace") is not None
    except ModuleNotFoundError:  # a package above it is not there
        return False

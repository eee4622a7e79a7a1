"""An OpenTelemetry collector on a loopback port: it takes traces as they travel, and remembers every span."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.lab.waiting import eventually

PATH = "/v1/traces"


@dataclass(frozen=True, slots=True)
class SeenSpan:
    """A span as it arrived. Ids are hexadecimal; `parent` is empty for the first of a trace."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    links: tuple[str, ...]
    facts: Mapping[str, object]
    resource: Mapping[str, object]
    is_failed: bool

    @property
    def part(self) -> str:
        """The kind of process it comes from."""
        return str(self.resource["sitewise.part"])


class Collector:
    """Takes whatever is sent to it while it is entered, by the protocol and in its own encoding."""

    def __init__(self) -> None:
        """Listen on a free port."""
        self.spans: list[SeenSpan] = []
        self.bodies: list[bytes] = []
        self._flowing = threading.Event()
        self._flowing.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="collector", daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def freeze(self) -> None:
        """Take connections, and answer none."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Answer again."""
        self._flowing.set()

    def named(self, name: str) -> list[SeenSpan]:
        """The spans of this name so far."""
        return [span for span in self.spans if span.name == name]

    def until_seen(self, *names: str, seconds: float = 90) -> None:
        """Wait until there is a span of each of these names."""
        eventually(lambda: set(names) <= {span.name for span in self.spans}, seconds=seconds, what=f"spans {names}")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                collector._flowing.wait()
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector._take(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
                self.send_response(200 if self.path == PATH else 404)
                self.send_header("Content-Length", "0")
                with suppress(OSError):  # whoever asked may have gone
                    self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

    def _take(self, body: bytes) -> None:
        told = ExportTraceServiceRequest.FromString(body)
        self.bodies.append(body)
        for group in told.resource_spans:
            resource = _facts(group.resource.attributes)
            for scope in group.scope_spans:
                self.spans += [_seen(span, resource) for span in scope.spans]


def _seen(span: Span, resource: Mapping[str, object]) -> SeenSpan:
    return SeenSpan(
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        links=tuple(link.span_id.hex() for link in span.links),
        facts=_facts(span.attributes),
        resource=resource,
        is_failed=span.status.code == Status.STATUS_CODE_ERROR,
    )


def _facts(attributes: Iterable[KeyValue]) -> dict[str, object]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value") or "string_value") for one in attributes}

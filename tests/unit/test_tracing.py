"""Spans: what they belong to, what they never say, and what they cost where nobody wants them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import get_type_hints
from uuid import UUID, uuid4

import pytest

from pipeline import tracing
from pipeline.adapters.opentelemetry import OpenTelemetryTracer
from pipeline.errors import InvalidSettings
from pipeline.settings import TracingSettings, read_settings
from tests.lab.collector import Collector, SeenSpan

SECRET = "what-nobody-may-see"  # noqa: S105 - a word to look for
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Traced:
    """This process, traced by a tracer of its own until it is closed."""

    def __init__(self, collector: Collector, **settings: object) -> None:
        """Trace from here on."""
        self.collector = collector
        self.tracer = OpenTelemetryTracer(TracingSettings.model_validate(settings), collector.url, "test")
        tracing.put_in(self.tracer)

    def spans(self) -> dict[str, SeenSpan]:
        """Every span so far, by name, once the tracer is closed."""
        self.tracer.close()
        return {span.name: span for span in self.collector.spans}


@contextmanager
def traced(**settings: object) -> Iterator[Traced]:
    """A process whose spans go to a collector."""
    with Collector() as collector:
        found = Traced(collector, **settings)
        try:
            yield found
        finally:
            found.tracer.close()


@pytest.fixture
def process() -> Iterator[Traced]:
    """Everything is traced."""
    with traced() as found:
        yield found


def test_a_span_belongs_to_what_goes_on(process: Traced) -> None:
    """Inside another it is its child; with a parent named, its child; after that, what went on goes on."""
    with tracing.span("retrieve"):
        with tracing.span("retrieve.embed", parent=CALLER):
            pass
        with tracing.span("retrieve.read"):
            pass

    spans = process.spans()
    assert spans["retrieve"].parent == ""
    assert spans["retrieve.read"].parent == spans["retrieve"].id
    assert (spans["retrieve.embed"].trace, spans["retrieve.embed"].parent) == tuple(CALLER.split("-")[1:3])


def test_threads_belong_to_what_their_process_is_for(process: Traced) -> None:
    """A thread that knows nothing of it takes part, as a spider's that sends hints."""

    def work() -> None:
        with tracing.span("keep", pages=3):
            pass

    with tracing.span("spider", is_process=True):
        thread = Thread(target=work)
        thread.start()
        thread.join()

    spans = process.spans()
    assert spans["keep"].parent == spans["spider"].id
    assert spans["keep"].facts == {"sitewise.pages": 3}


def test_what_is_woken_names_what_woke_it(process: Traced) -> None:
    """A consumer's span is linked to the message; its parent is what its row says."""
    with tracing.woken(CALLER), tracing.span("crawl"), tracing.span("keep"):
        pass

    spans = process.spans()
    assert spans["crawl"].links == (CALLER.split("-")[2],)
    assert spans["crawl"].parent == ""
    assert spans["keep"].links == ()


def test_a_hint_begins_no_trace(process: Traced) -> None:
    """What upkeep repeats for rows that nobody traced is no span."""
    with tracing.span_inside("hint", queue="crawl"):
        outside = tracing.traceparent()
    with tracing.under(CALLER), tracing.span_inside("hint", queue="index"):
        inside = tracing.traceparent()

    spans = process.spans()
    assert outside is None
    assert spans["hint"].facts == {"messaging.destination.name": "index"}
    assert spans["hint"].kind == "producer"
    assert inside == f"00-{spans['hint'].trace}-{spans['hint'].id}-01"


def test_a_span_that_broke_has_the_kind_of_error_and_not_its_words(process: Traced) -> None:
    """An error's message may repeat what was sent."""
    with pytest.raises(ValueError, match=SECRET), tracing.span("index", pages=1):
        raise ValueError(SECRET)

    spans = process.spans()
    assert spans["index"].is_failed
    assert spans["index"].facts["error.type"] == "ValueError"
    assert SECRET.encode() not in b"".join(process.collector.bodies)


@pytest.mark.parametrize(
    "given", ["", "nonsense", f"00-{0:032}-b7ad6b7169203331-01", "ff" + CALLER[2:], "é" * 90], ids=len
)
def test_a_traceparent_that_is_none_begins_a_trace(process: Traced, given: str) -> None:
    """Whatever a caller sends breaks nothing."""
    with tracing.span("request", parent=given):
        pass

    assert process.spans()["request"].parent == ""


def test_what_a_caller_keeps_is_sampled_as_ours_is() -> None:
    """A ratio of nothing sends nothing, however a caller flags its trace: but the trace goes on, and is told."""
    with traced(sample_ratio=0) as process:
        with tracing.span("request", parent=CALLER):
            told = tracing.traceparent() or ""

        assert process.spans() == {}
    assert told.split("-")[1] == CALLER.split("-")[1]
    assert told.endswith("-00")


def test_a_caller_that_keeps_nothing_is_followed(process: Traced) -> None:
    """A trace that its caller drops is not sent in part."""
    with tracing.span("request", parent=CALLER[:-2] + "00"):
        pass

    assert process.spans() == {}


def test_a_frozen_collector_holds_nobody_up() -> None:
    """Spans wait in a queue of their own, and a process that ends waits for a moment only."""
    with Collector() as collector:
        collector.freeze()
        tracer = OpenTelemetryTracer(TracingSettings(timeout="0.5"), collector.url, "test")
        tracing.put_in(tracer)
        began = time.monotonic()
        for _ in range(2_000):
            with tracing.span("retrieve", org=uuid4()):
                pass
        spent = time.monotonic() - began
        began = time.monotonic()
        tracer.close()
        ended = time.monotonic() - began
        collector.thaw()

    assert spent < 10, "what is traced goes on"
    assert ended < 20, "30 s is what the library would wait"


def test_nothing_is_traced_unless_asked_for() -> None:
    """Without a tracer a span is one object that does nothing, shared by all."""
    with tracing.span("retrieve", org=uuid4()) as span, tracing.span_inside("hint"), tracing.under(CALLER):
        span.say(passages=8)
        span.call("other")
        span.fail("Error")
        told = tracing.traceparent(), tracing.trace_id()

    assert tracing.span("index") is tracing.span("crawl") is tracing.NOTHING
    assert told == (None, None)
    assert not tracing.is_on()


def test_every_span_and_fact_is_described() -> None:
    """By one sentence, and one name outside."""
    facts = get_type_hints(tracing.Facts)

    assert tracing.MEANINGS.keys() == set(tracing.NAMES)
    assert tracing.ATTRIBUTES.keys() == facts.keys()
    assert len(set(tracing.ATTRIBUTES.values())) == len(facts)
    assert {name for name, kind in facts.items() if kind is str} == {"method", "route"}, "words of ours, not of others"
    assert UUID in facts.values()


@pytest.mark.parametrize(
    "address", ["collector:4318", "ftp://collector", "http://", "http://u:p@collector", "http://c/?k=v"]
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    """Nor one with a password in it, which log lines would repeat."""
    with pytest.raises(InvalidSettings, match="SITEWISE_TRACING__ENDPOINT"):
        read_settings(tracing={"endpoint": address})


@pytest.mark.parametrize(
    "module",
    ["pipeline.api.__main__", "workers.run", "spiders.run", "pipeline.cli"],
    ids=lambda name: name.split(".")[0],
)
def test_without_the_packages_the_start_says_what_to_install(module: str, tmp_path: object) -> None:
    """At once, and by name: nobody believes to be traced who is not."""
    ids = ["--crawl-id", "--org-id", "--token"]
    words = {
        "spiders.run": [word for name in ids for word in (name, str(uuid4()))],
        "pipeline.cli": ["org", "list"],
        "workers.run": ["--queues=crawl,index"],
    }
    script = f"import sys; sys.modules['opentelemetry.exporter'] = None; from {module} import main; sys.exit(main())"
    settings = {"SITEWISE_DATA_DIR": str(tmp_path), "SITEWISE_TRACING__ENDPOINT": "http://127.0.0.1:9"}

    ended = subprocess.run(  # noqa: S603 - the modules above
        [sys.executable, "-c", script, *words.get(module, [])],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert ended.returncode not in {0, None}
    assert "pip install 'sitewise[tracing]'" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr

"""Metrics are named as Prometheus wants them, each is measured somewhere, and a scrape can be read."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline import metrics
from pipeline.adapters.scraping import ScrapeServer
from pipeline.errors import PortInUse
from pipeline.metrics import Counter, Gauge, Histogram

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"^sitewise_[a-z]+(_[a-z]+)*$")
NOT_BASE_UNITS = {"ms", "milliseconds", "minutes", "hours", "days", "kb", "mb", "kilobytes", "megabytes", "percent"}


@pytest.fixture
def _counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process counts from 0, for one test."""
    monkeypatch.setattr(metrics, "_process", None)
    metrics.keep_counts()


def _read(page: bytes) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


@pytest.mark.parametrize("metric", metrics.ALL.values(), ids=list(metrics.ALL))
def test_a_metric_is_named_as_prometheus_wants_it(metric: metrics.Metric[...]) -> None:
    """A prefix, small letters, base units; a counter's name ends in `_total`, and no other's does."""
    parts = metric.name.split("_")

    assert NAME.match(metric.name)
    assert not set(parts) & NOT_BASE_UNITS
    assert (parts[-1] == "total") == isinstance(metric, Counter)
    assert ("seconds" in parts) == ("econds" in metric.meaning.split(" ")[0])
    assert metric.meaning.endswith(".")


def test_every_metric_is_measured_somewhere() -> None:
    """What stands in the file is recorded by the product, outside of it."""
    names = {name for name, value in vars(metrics).items() if isinstance(value, Counter | Gauge | Histogram)}
    code = "\n".join(
        path.read_text()
        for folder in ("pipeline", "workers", "spiders")
        for path in (ROOT / folder).rglob("*.py")
        if path != ROOT / "pipeline/metrics.py"
    )

    never = {name for name in names if not re.search(rf"\b{name}\.(add|add_many|at|observe|time)\(", code)}

    assert len(names) == len(metrics.ALL) > 25
    assert never == set()


def test_a_process_that_nobody_asks_counts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting is for who is scraped: elsewhere it is nothing, and the scrape has what was read alone."""
    monkeypatch.setattr(metrics, "_process", None)

    metrics.HINTS.add(queue="crawl", result="sent")
    page = _read(metrics.exposition([metrics.BEATS.at(2)]))

    assert page == {("sitewise_beats", ()): 2}


@pytest.mark.usefixtures("_counting")
def test_counts_begin_at_nothing_and_go_up() -> None:
    """A series is there before its first event, so that its first increase is seen."""
    before = _read(metrics.exposition())

    metrics.LEASES_EXPIRED.add(work="index")
    metrics.CHUNKS.add_many(3, how="kept")
    with metrics.EMBED_BATCH_SECONDS.time():
        pass
    after = _read(metrics.exposition())

    assert before["sitewise_leases_expired_total", ("index",)] == 0
    assert after["sitewise_leases_expired_total", ("index",)] == 1
    assert after["sitewise_chunks_total", ("kept",)] == 3
    assert after["sitewise_embed_batch_seconds_count", ()] == 1


@pytest.mark.usefixtures("_counting")
def test_gauges_and_counts_are_one_page() -> None:
    """Samples of one gauge stand together, each with its labels."""
    read = [metrics.QUEUE_WAITING.at(3, queue="crawl"), metrics.QUEUE_WAITING.at(4, queue="index")]

    page = _read(metrics.exposition(read))

    assert page["sitewise_queue_waiting", ("crawl",)] == 3
    assert page["sitewise_queue_waiting", ("index",)] == 4
    assert page["sitewise_spiders_total", ("died",)] == 0


@pytest.mark.usefixtures("_counting")
def test_a_scrape_is_answered_beside_the_work() -> None:
    """`/metrics` is the page, `/live` that the process is there, and nothing else is served."""
    with ScrapeServer(lambda: b"sitewise_beats 1\n", host="127.0.0.1", port=0) as server:
        at = f"http://127.0.0.1:{server.port}"
        page = urlopen(f"{at}/metrics").read()  # noqa: S310 - our own server
        alive = urlopen(f"{at}/live").read()  # noqa: S310 - as above
        with pytest.raises(HTTPError, match="404") as refused:
            urlopen(f"{at}/etc/passwd")  # noqa: S310 - as above
        refused.value.close()

    assert (page, alive) == (b"sitewise_beats 1\n", b"alive\n")


@pytest.mark.usefixtures("_counting")
def test_a_port_that_somebody_has_is_named() -> None:
    """Two on one port are told so at once."""
    with (
        ScrapeServer(bytes, host="127.0.0.1", port=0) as first,
        pytest.raises(PortInUse, match=str(first.port)),
    ):
        ScrapeServer(bytes, host="127.0.0.1", port=first.port)

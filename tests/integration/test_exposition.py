"""What Prometheus is told of the installation is what the rows say, and what `sitewise status` says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from pipeline import metrics
from pipeline.db import chunks
from pipeline.db.engine import Database
from pipeline.model import Discovered, Outcome
from pipeline.services.clock import system_clock
from pipeline.services.crawls import NewDatasource
from pipeline.services.exposition import ExpositionService
from pipeline.services.operations import BEAT_EVERY
from pipeline.settings import DatabaseSettings, Settings
from pipeline.urls import url_key
from tests.fakes.knowledge import SITE as ADDRESS
from tests.fakes.knowledge import Answer, Knowledge, at, paragraphs, walk

SITE: dict[str, Answer] = {
    "/": "<p>Welcome to the shop that sells lamps and chairs to everybody who asks.</p>",
    "/long": paragraphs(60),
    "/gone": 404,
}


@pytest.fixture
def _counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process counts from 0, for one test."""
    monkeypatch.setattr(metrics, "_process", None)
    metrics.keep_counts()
    yield
    monkeypatch.undo()


def _scrape(knowledge: Knowledge) -> dict[str, float]:
    """Every series by its name, with its labels' values, some seconds after the last scrape."""
    knowledge.clock.forward(seconds=10)
    page = knowledge.services.exposition.render().decode()
    return {
        "/".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def _say_unchanged(knowledge: Knowledge) -> None:
    """Crawl again a website that answers 304 to everything."""
    ledger, _ = knowledge.start(knowledge.add_site())
    ledger.seed([Discovered(url_key(at("/")), at("/"), depth=0)])
    while taken := ledger.take(8):
        ledger.record(
            [Outcome(url.url_key, url.url, knowledge.clock.now, http_status=304, not_modified=True) for url in taken]
        )
    ledger.finish()


def test_what_waits_is_told_as_status_tells_it(knowledge: Knowledge) -> None:
    """The same rows under the same rules: how many, and for how long."""
    knowledge.crawl(SITE, index=False)
    knowledge.clock.forward(minutes=3)
    org = knowledge.org

    told = _scrape(knowledge)
    seen = {queue.name: queue for queue in knowledge.services.operations.overview(scope=org).queues}

    assert told["sitewise_state_read"] == 1
    assert told["sitewise_queue_waiting/index"] == seen["index"].waiting == 2
    assert told["sitewise_queue_oldest_seconds/index"] == seen["index"].waiting_seconds == 190
    assert told[f"sitewise_org_queue_oldest_seconds/{org.org_id}/index"] == 190
    assert told["sitewise_queue_waiting/crawl"] == seen["crawl"].waiting == 0
    assert told["sitewise_crawls/scraping"] == 1


def test_what_crawls_found_is_told_by_outcome(knowledge: Knowledge) -> None:
    """Of the last day: new at first, then not modified; a day later nothing."""
    knowledge.crawl(SITE)
    first = _scrape(knowledge)
    knowledge.clock.forward(days=2)
    _say_unchanged(knowledge)

    second = _scrape(knowledge)
    knowledge.clock.forward(days=2)
    third = _scrape(knowledge)

    found = [
        {
            outcome: told[f"sitewise_crawled_pages/{outcome}"]
            for outcome in ("new", "unchanged", "not_modified", "removed", "failed")
        }
        for told in (first, second, third)
    ]
    assert found[0] == {"new": 2, "unchanged": 0, "not_modified": 0, "removed": 0, "failed": 1}
    assert (found[1]["new"], found[1]["unchanged"] >= 2) == (0, True)
    assert found[1]["not_modified"] == found[1]["unchanged"]
    assert set(found[2].values()) == {0}


def test_staleness_is_told_by_quantile(knowledge: Knowledge) -> None:
    """How long ago pages that serve were looked at; nothing where none serves."""
    before = _scrape(knowledge)
    knowledge.crawl(SITE)
    knowledge.clock.forward(hours=5)

    told = _scrape(knowledge)

    assert [name for name in before if "staleness" in name] == []
    assert told["sitewise_page_staleness_seconds/0.5"] == pytest.approx(5 * 3_600, abs=60)
    assert told["sitewise_page_staleness_seconds/1"] == pytest.approx(5 * 3_600, abs=60)


def test_workers_beats_and_overdue_websites_are_told(knowledge: Knowledge) -> None:
    """A website whose time came an hour ago, one worker that lives, and one tick."""
    source = NewDatasource(ADDRESS, crawl_interval_hours=24)
    knowledge.services.crawls.add(source, scope=knowledge.org)
    knowledge.services.schedules.pause(ADDRESS, scope=knowledge.org)
    knowledge.services.schedules.resume(ADDRESS, scope=knowledge.org)
    due = knowledge.services.schedules.upcoming(scope=knowledge.org)[0].next_crawl_at
    assert due is not None
    knowledge.clock.forward(seconds=(due - knowledge.clock.now).total_seconds() + 3_600)
    operations = knowledge.services.operations
    me = operations.enter("upkeep", sends_ticks=True)
    operations.beat(me.at("upkeep.tick", knowledge.clock.now - BEAT_EVERY))

    told = _scrape(knowledge)

    assert told["sitewise_schedule_overdue_seconds"] == pytest.approx(3_610, abs=1)
    assert (told["sitewise_workers/upkeep"], told["sitewise_workers/index"], told["sitewise_beats"]) == (1, 0, 1)
    assert told["sitewise_tick_age_seconds"] == 15


@pytest.mark.usefixtures("_counting")
def test_what_indexing_cost_and_saved_is_counted(knowledge: Knowledge) -> None:
    """Chunks that were there are kept, equal texts are copied, the rest is embedded."""
    knowledge.crawl(SITE)
    first = _scrape(knowledge)
    knowledge.crawl({**SITE, "/long": paragraphs(61)})

    second = _scrape(knowledge)

    embedded = second["sitewise_chunks_total/embedded"] - first["sitewise_chunks_total/embedded"]
    assert first["sitewise_chunks_total/embedded"] == len(knowledge.embedder.encoded) - embedded
    assert second["sitewise_chunks_total/kept"] >= 1
    assert second["sitewise_pages_indexed_total/indexed"] == 3
    assert second["sitewise_embed_batch_seconds_count"] >= 2


@pytest.mark.usefixtures("_counting")
def test_a_lease_that_ran_out_is_counted_when_its_row_is_taken_over(knowledge: Knowledge) -> None:
    """Not when it was given back."""
    ledger, claim = knowledge.start(knowledge.add_site())
    walk(ledger, SITE, knowledge.clock, most=1)
    knowledge.services.crawls.release(claim, burn=True)
    knowledge.services.crawls.claim_in_turn(claim.crawl_id, owner="second")
    given_back = _scrape(knowledge)
    knowledge.clock.forward(seconds=60)
    knowledge.services.crawls.claim_in_turn(claim.crawl_id, owner="third")

    ran_out = _scrape(knowledge)

    assert given_back["sitewise_leases_expired_total/crawl"] == 0
    assert ran_out["sitewise_leases_expired_total/crawl"] == 1
    assert ran_out["sitewise_leases/held/crawl"] == 1


def test_two_scrapes_at_once_ask_the_database_once(knowledge: Knowledge) -> None:
    """How often it is asked does not depend on who scrapes."""
    knowledge.crawl(SITE)
    exposition = knowledge.services.exposition

    first, second = exposition.state(), exposition.state()
    knowledge.clock.forward(seconds=6)
    third = exposition.state()

    assert first is second
    assert first is not third


def test_a_sweep_looks_only_at_what_a_page_said_before(knowledge: Knowledge) -> None:
    """Chunks are spare from the moment that their page says something else, and until it says so again."""
    knowledge.crawl(SITE)

    def spare() -> int:
        with knowledge.services.database.read() as session:
            rows = session.query(chunks.ChunkRow.spare).all()
        return sum(row.spare for row in rows)

    at_first = spare()
    knowledge.crawl({**SITE, "/long": paragraphs(6, about="other")})
    after = spare()
    knowledge.crawl(SITE)
    again = spare()
    knowledge.clock.forward(hours=1)
    swept = [knowledge.services.upkeep.tick().swept, knowledge.services.upkeep.tick().swept]

    assert at_first == 0
    assert after > again > 0
    assert sum(swept) == again
    assert spare() == 0
    assert knowledge.services.verification.verify(scope=knowledge.org).is_clean


def test_a_database_that_is_away_is_said(tmp_path: Path) -> None:
    """The page is there, and says that it could not be read."""
    settings = Settings(database=DatabaseSettings(url=SecretStr("postgresql+psycopg://nobody@127.0.0.1:1/none")))
    database = Database(settings.database, data_dir=tmp_path)

    told = ExpositionService(database, settings, system_clock).state()

    assert [(sample.metric.name, sample.amount) for sample in told] == [("sitewise_state_read", 0)]

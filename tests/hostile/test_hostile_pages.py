"""One site where most pages are out to hurt: each ends with its own reason, and costs no other page anything."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.model import CrawlProgress, Outcome, Reason
from tests.fakes.ledger import FakeLedger, make_plan
from tests.fakes.spider_child import PEAKS
from tests.hostile.pages import SMUGGLED, circle, hostile, sitemaps
from tests.lab import LabRequest, LabSite, Reply
from tests.lab.crawl import crawl
from tests.lab.site import HTML, make_page

FINE = 40
PAGES = hostile()
MEMORY = 400 * 2**20
SECONDS = 20.0
SETTINGS = {"SITEWISE_CRAWL__REQUEST_TIMEOUT": "PT5S", "SITEWISE_EXTRACT__TIMEOUT": "PT15S"}


@dataclass
class Watched(FakeLedger):
    """A ledger that notes how long each visit took, in seconds."""

    seconds: dict[str, float] = field(default_factory=dict)

    def record(self, outcomes: Sequence[Outcome]) -> CrawlProgress:
        """Write what became of leased URLs."""
        now = datetime.now(UTC)
        for outcome in outcomes:
            took = (now - outcome.fetched_at).total_seconds()
            self.seconds[outcome.url] = max(took, self.seconds.get(outcome.url, 0))
        return super().record(outcomes)


@dataclass(frozen=True, slots=True)
class Crawled:
    """The hostile site as it was crawled. `peaks` are bytes: the spider's, and the largest of its children's."""

    url: str
    ledger: Watched
    peaks: tuple[int, int]

    def reason(self, path: str) -> Reason | None:
        """Why a path was left out; None when it was kept."""
        assert self.url + path in {row.taken.url for row in self.ledger.rows.values()}
        return self.ledger.reasons().get(self.url + path)


def fine(request: LabRequest) -> Reply | None:
    """The pages a customer wants."""
    if request.path.startswith("/fine/"):
        return Reply(200, make_page(f"Fine {request.path}").encode(), (HTML,))
    return None


def is_flood(reply: Reply) -> bool:
    """Whether an answer is so long that sending it takes its time."""
    return reply.pieces is not None or len(reply.body) > 2**20


def build(site: LabSite) -> None:
    """Serve hostile pages among good ones, and hostile sitemaps before them."""
    links = [path for number, path in enumerate(PAGES) for path in (path, f"/fine/{number % FINE}")]
    site.page("/", links=[*links, "/circle/0", "/chain/0", "/" + "u" * 65_536, "http://[bad", "http://\0/"])
    for path, page in PAGES.items():
        site.answers(path, page.reply)
    site.serve(fine)
    site.serve(circle)
    maps = sitemaps(site.url)
    site.robots("\n".join(f"Sitemap: {site.url}{path}" for path in maps))
    for path, body in maps.items():
        site.respond(path, body=body)


@pytest.fixture(scope="module")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crawled]:
    """The hostile site, crawled once with a short patience."""
    peaks = Path(tmp_path_factory.mktemp("hostile") / "peaks")
    with LabSite() as site:
        build(site)
        ledger = Watched(make_plan(f"{site.url}/"))
        assert crawl(ledger, settings=SETTINGS | {PEAKS: str(peaks)}, seconds=200) == 0
        spider, child = json.loads(peaks.read_text())
        yield Crawled(site.url, ledger, (spider, child))


@pytest.mark.parametrize("path", PAGES)
def test_a_hostile_page_ends_with_its_own_reason(crawled: Crawled, path: str) -> None:
    """Bombs, drips, floods and lies each have a word, or are read without harm."""
    expected = {PAGES[path].reason}
    if is_flood(PAGES[path].reply):
        expected.add(Reason.TOO_SLOW)  # where the machine is too busy to send it all in time

    assert crawled.reason(path) in expected


def test_redirects_that_lead_nowhere_end(crawled: Crawled) -> None:
    """A circle is found out, and a chain is followed five times."""
    ends = {crawled.ledger.reasons().get(f"{crawled.url}/circle/{number}") for number in range(3)}

    assert Reason.REDIRECT_LOOP in ends
    assert crawled.reason("/chain/5") is Reason.REDIRECT_LOOP
    assert not any("/chain/6" in row.taken.url for row in crawled.ledger.rows.values())


def test_the_pages_beside_them_are_all_there(crawled: Crawled) -> None:
    """Nothing a hostile page does costs a good one."""
    assert {f"{crawled.url}/fine/{number}" for number in range(FINE)} <= crawled.ledger.kept()


def test_no_page_takes_long(crawled: Crawled) -> None:
    """From the first byte asked for to the word written down."""
    assert {url: took for url, took in crawled.ledger.seconds.items() if took > SECONDS} == {}


def test_no_process_takes_much_memory(crawled: Crawled) -> None:
    """Neither the spider nor any child it had, at its highest."""
    assert max(crawled.peaks) < MEMORY


def test_no_answer_gets_into_another_page(crawled: Crawled) -> None:
    """What follows an answer on its connection is not the answer to the next question."""
    outcomes = [row.outcome for row in crawled.ledger.rows.values() if row.outcome is not None]
    texts = [outcome.document.markdown for outcome in outcomes if outcome.document is not None]

    assert texts
    assert not any(SMUGGLED in text for text in texts)


def test_nothing_of_this_machine_is_read(crawled: Crawled) -> None:
    """Entities that name files stand for nothing, in pages and in sitemaps."""
    document = crawled.ledger.outcome(f"{crawled.url}/external").document

    assert document is not None
    assert "PATH=" not in document.markdown
    assert not any("/lol/" in key or "/external/" in key or "/long/" in key for key in crawled.ledger.rows)

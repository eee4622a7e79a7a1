"""How near an org's knowledge is to whatever is asked is measured aside, kept, and measured again when that changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from pipeline.db import nearness_scales
from pipeline.db.nearness_scales import NearnessScale
from pipeline.errors import VectorStoreUnavailable
from pipeline.retrieval import nearness
from pipeline.retrieval.nearness import SHIPPED
from pipeline.services.answers import Question
from pipeline.services.nearness_scales import LEAST_PAGES, LOOK_AGAIN
from tests.fakes.knowledge import Knowledge
from tests.fakes.vector_store import MemoryStore

QUESTION = "How do I return a lamp?"
SOON = 30.0


def site(pages: int) -> dict[str, str]:
    """So many pages, each about another thing, in words that generic questions have too."""
    asked = nearness.QUESTIONS
    return {f"/{place}": f"<p>{asked[place]} Lamp number {place} tells you all.</p>" for place in range(pages)} | {
        "/": "<p>Return a lamp within 45 days.</p>" + "".join(f'<a href="/{place}">x</a>' for place in range(pages))
    }


@pytest.fixture
def knowledge(sqlite_template: Path, tmp_path: Path) -> Iterator[Knowledge]:
    """Services on an empty database."""
    (tmp_path / "sitewise.db").write_bytes((sqlite_template / "sitewise.db").read_bytes())
    opened = Knowledge(tmp_path)
    yield opened
    opened.services.close()


def unavailable(*asked: object, **limits: object) -> NoReturn:
    """A store that does not answer."""
    del asked, limits
    raise VectorStoreUnavailable(url="nowhere")


def usual(knowledge: Knowledge) -> float:
    """What the next briefing takes for usual."""
    briefing = knowledge.services.answers.brief(Question(QUESTION, trace=True), scope=knowledge.org)
    assert briefing.trace is not None
    answerable: Any = briefing.trace["answerable"]
    assert knowledge.services.nearness_scales.aside.wait(SOON)
    told: float = answerable["usual"]
    return told


def stored(knowledge: Knowledge) -> list[NearnessScale]:
    """What is kept of every org."""
    with knowledge.services.database.read() as session:
        return list(session.query(NearnessScale))


def test_the_first_question_is_answered_at_once_and_the_next_on_the_orgs_own_scale(knowledge: Knowledge) -> None:
    """Nobody waits for the measurement, and it is kept for every process."""
    knowledge.crawl(site(2 * LEAST_PAGES))

    first, second = usual(knowledge), usual(knowledge)
    knowledge.services.close()
    knowledge.services = knowledge.open()
    elsewhere = usual(knowledge)

    (row,) = stored(knowledge)
    assert first == round(SHIPPED.usual, 4)
    assert second == elsewhere == round(row.usual, 4) != first
    assert row.pages == 2 * LEAST_PAGES + 1


def test_an_org_of_a_few_pages_keeps_the_shipped_scale(knowledge: Knowledge) -> None:
    """A page more would change everything."""
    knowledge.crawl(site(LEAST_PAGES - 2))

    assert [usual(knowledge), usual(knowledge)] == [round(SHIPPED.usual, 4)] * 2
    assert stored(knowledge) == []


def test_it_is_measured_again_when_the_knowledge_has_changed_enough(knowledge: Knowledge) -> None:
    """A page more is no reason, half as many more are; and it is not looked at each question."""
    knowledge.crawl(site(20))
    usual(knowledge)
    (first,) = stored(knowledge)

    knowledge.crawl(site(21))
    knowledge.clock.forward(seconds=LOOK_AGAIN.total_seconds())
    usual(knowledge)
    (same,) = stored(knowledge)
    knowledge.crawl(site(32))
    usual(knowledge)
    (not_looked,) = stored(knowledge)
    knowledge.clock.forward(seconds=LOOK_AGAIN.total_seconds())
    usual(knowledge)
    (again,) = stored(knowledge)

    assert first.measured_at == same.measured_at == not_looked.measured_at < again.measured_at
    assert [first.pages, again.pages] == [21, 33]


def test_another_version_of_the_measure_measures_anew(knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier version measured is not taken for what this one would."""
    knowledge.crawl(site(20))
    usual(knowledge)
    monkeypatch.setattr(nearness, "VERSION", "another")
    knowledge.services.close()
    knowledge.services = knowledge.open()

    before = usual(knowledge)

    (row,) = stored(knowledge)
    assert before == round(SHIPPED.usual, 4)
    assert row.version == "another"


def test_what_cannot_be_measured_now_is_measured_later(knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is away while it is measured is asked again."""
    knowledge.crawl(site(20))
    with monkeypatch.context() as away:
        away.setattr(MemoryStore, "search", unavailable)
        model = knowledge.embedder.identity.fingerprint
        with knowledge.services.database.read() as session:
            knowledge.services.nearness_scales.current(session, scope=knowledge.org, model=model)
        assert knowledge.services.nearness_scales.aside.wait(SOON)
    before = stored(knowledge)

    knowledge.clock.forward(seconds=LOOK_AGAIN.total_seconds())
    usual(knowledge)

    assert before == []
    assert len(stored(knowledge)) == 1


def test_scales_of_a_model_that_is_gone_go_with_it(knowledge: Knowledge) -> None:
    """What was measured of another model stays."""
    knowledge.crawl(site(20))
    usual(knowledge)
    (row,) = stored(knowledge)

    with knowledge.services.database.write() as session:
        nearness_scales.forget(session, model="another")
    kept = stored(knowledge)
    with knowledge.services.database.write() as session:
        nearness_scales.forget(session, model=row.model)

    assert len(kept) == 1
    assert stored(knowledge) == []

"""Another model takes the place of the one that answers: beside it, in the background, and in one moment."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from pipeline.db import chunks
from pipeline.db.chunks import ChunkRow
from pipeline.db.generations import DROPPING, KEPT, SERVING, Generation
from pipeline.db.page_versions import PageVersion
from pipeline.errors import GenerationChanged, NothingToReembed, VectorStoreUnavailable
from pipeline.model import OrgScope, Verification
from pipeline.services import generation_change
from pipeline.services.answers import Question
from tests.fakes.knowledge import SITE
from tests.fakes.two_models import (
    DEARER,
    NEW,
    OLD,
    QUESTION,
    SCENARIO,
    SHOP,
    THIRD,
    TWIN,
    Changing,
    change,
    model_of,
    said,
    states,
)
from tests.fakes.vector_store import MemoryStore

AT_ONCE = timedelta(minutes=1)


class KeepsPoints(MemoryStore):
    """A store that removes nothing, while it can forget an org of which it has nothing."""

    def delete(self, ids: object, *, scope: OrgScope) -> None:
        """Refuse."""
        raise VectorStoreUnavailable(problem="away", org=scope.org_id, points=ids)

    def erase(self, *, scope: OrgScope) -> None:
        """There is none."""


def expire(changing: Changing) -> None:
    """Let the time pass in which there is a way back, and let upkeep see to it."""
    for wait in (changing.settings.work.keep_generation, changing.settings.work.sweep_after):
        changing.clock.forward(seconds=wait.total_seconds() + 1)
        changing.services.reembedding.settle(lasting=AT_ONCE)


def test_another_model_takes_over_and_nothing_is_missing(changing: Changing) -> None:
    """Every page answers as before, from vectors of the new model, and rows and points agree in both generations."""
    before = {passage.url for passage in changing.ask(QUESTION).passages}

    change(changing)

    after = {passage.url for passage in changing.ask(QUESTION).passages}
    verification = changing.services.verification
    assert states(changing) == {2: SERVING, 1: KEPT}
    assert model_of(changing) == NEW
    assert before == after
    assert verification.verify(scope=changing.org) == Verification()
    assert verification.verify(scope=changing.org, generation=1) == Verification()
    assert changing.store.at(2).count(scope=changing.org) == changing.store.count(scope=changing.org) > 0


def test_what_the_kept_model_lacks_is_told(changing: Changing) -> None:
    """Verification looks at the way back too: whoever went it would miss what is missing there."""
    change(changing)
    with changing.services.database.read() as session:
        live = chunks.of_live_versions(session, org_id=changing.org.org_id, model=None)
    kept, serving = changing.store.at(1), changing.store.at(2)
    lost = kept.scan(scope=changing.org, after=None, limit=1)[0].id

    kept.delete([lost], scope=changing.org)

    assert lost in live
    assert changing.services.verification.verify(scope=changing.org) == Verification(missing=1)
    assert changing.services.verification.verify(scope=changing.org, generation=2) == Verification()
    assert serving.count(scope=changing.org) == kept.count(scope=changing.org) + 1


def test_no_counter_moves_and_nothing_is_fetched(changing: Changing) -> None:
    """No version is made, no page changed, and the crawl counts what it counted."""
    listed = changing.services.crawls.list_jobs(scope=changing.org)[0]
    job = changing.services.crawls.job(listed.id, scope=changing.org)
    with changing.services.database.read() as session:
        before = [(row.id, row.number, row.fetched_at) for row in session.query(PageVersion).order_by(PageVersion.id)]
    dates = [passage.changed_at for passage in changing.ask(QUESTION).passages]

    change(changing)

    with changing.services.database.read() as session:
        after = [(row.id, row.number, row.fetched_at) for row in session.query(PageVersion).order_by(PageVersion.id)]
    assert changing.services.crawls.job(job.id, scope=changing.org) == job
    assert before == after
    assert [passage.changed_at for passage in changing.ask(QUESTION).passages] == dates


def test_until_the_change_the_old_model_answers_and_the_new_one_is_not_opened_by_readers(changing: Changing) -> None:
    """Filling goes on beside the answers."""
    changing.process(NEW).reembedding.start()
    changing.models.opened.clear()

    answered = model_of(changing)

    assert answered == OLD
    assert changing.models.opened == [OLD]


def test_processes_set_to_either_model_answer_alike(changing: Changing) -> None:
    """What is set names the model to change over to; the row says which answers."""
    with changing.process(NEW) as set_anew:
        assert set_anew.answers.brief(Question(QUESTION), scope=changing.org).passages
        assert set_anew.index.index_waiting(limit=4, owner="worker").pages == 0
    change(changing)
    with changing.process(OLD) as set_as_before:
        briefing = set_as_before.answers.brief(Question(QUESTION, trace=True), scope=changing.org)

    assert briefing.trace is not None
    assert briefing.trace["model"] == changing.models.installed[NEW].identity.fingerprint


def test_a_process_that_has_not_opened_the_new_model_answers_from_the_old_one(changing: Changing) -> None:
    """Nobody waits for a model to be opened; the next question finds it there."""
    changing.ask(QUESTION)
    before = changing.services.generations.seen()
    worker = changing.process(NEW)
    worker.reembedding.start()
    while worker.reembedding.work(owner="worker"):
        pass

    first = changing.services.generations.now()
    changing.services.generations.now().embedder.open()
    opened = threading.Event()
    for _ in range(500):
        if changing.services.generations.now().number == 2:
            opened.set()
            break
        changing.ask(QUESTION)

    assert first is before
    assert opened.is_set()


def test_what_was_asked_with_the_old_model_is_asked_anew(changing: Changing) -> None:
    """A change between a question's vector and its search is noticed in the same read: nothing is mixed."""
    changing.ask(QUESTION)
    asked_with = changing.services.generations.seen()
    change(changing)

    with changing.services.database.read() as session, pytest.raises(GenerationChanged):
        changing.services.generations.check(session, asked_with)

    assert changing.services.generations.seen().number == 2
    assert "nine euros" in said(changing)


@pytest.mark.parametrize("model", [NEW, TWIN])
def test_a_reader_that_never_stops_asking_sees_no_gap(changing: Changing, model: str) -> None:
    """Two processes ask during the whole change, one of them set to the new model: every answer has the passage."""
    changing.services.training.add(SCENARIO, scope=changing.org)
    readers = [changing.process(OLD), changing.process(model)]
    ended, answers, failures = threading.Event(), [0, 0], []

    def ask(place: int) -> None:
        while not ended.is_set():
            found = readers[place].answers.brief(Question(QUESTION), scope=changing.org)
            answers[place] += 1
            texts = [passage.text for passage in found.passages]
            fired = [scenario.title for scenario in found.scenarios]
            if not any("nine euros" in text for text in texts) or fired != ["Shipping"]:
                failures.append((texts, fired))

    threads = [threading.Thread(target=ask, args=(place,)) for place in (0, 1)]
    for thread in threads:
        thread.start()
    change(changing, model)
    changing.services.reembedding.roll_back()
    change(changing, model)
    seen = list(answers)
    while min(now - then for now, then in zip(answers, seen, strict=True)) < 3:
        assert all(thread.is_alive() for thread in threads)
    ended.set()
    for thread in threads:
        thread.join()

    assert failures == []
    assert states(changing) == {2: SERVING, 1: KEPT}
    assert min(answers) > 3


def test_what_is_crawled_meanwhile_reaches_both(changing: Changing) -> None:
    """A page that changes during and after the change answers with what it says now, whichever model answers."""
    changing.process(NEW).reembedding.start()
    changing.crawl(DEARER)
    during = said(changing)
    while changing.services.reembedding.work(owner="worker"):
        pass
    changed = said(changing)
    changing.crawl({**DEARER, "/shipping": "<p>Shipping a chair costs fifty euros and takes four days.</p>"})
    after = said(changing)
    changing.services.reembedding.roll_back()
    back = said(changing)

    assert "twelve" in during
    assert "twelve" in changed
    assert "fifty" in after
    assert "fifty" in back
    assert states(changing) == {2: KEPT, 1: SERVING}
    for generation in (1, 2):
        assert changing.services.verification.verify(scope=changing.org, generation=generation) == Verification()


def test_a_page_of_another_models_worker_is_published_for_the_one_that_answers(changing: Changing) -> None:
    """Pages cut before the change are not made live after it: they would be missing from every answer."""
    changing.crawl(DEARER, index=False)
    worker = changing.process(OLD)
    written = worker.generations.written()
    change(changing)
    worker.generations.written = lambda: written  # type: ignore[method-assign] # as it was read before the change

    with pytest.raises(GenerationChanged):
        worker.index.index_waiting(limit=16, owner="late")
    before = said(changing)
    changing.clock.forward(seconds=61)
    changing.index()

    assert "nine" in before
    assert "twelve" in said(changing)


def test_going_back_is_at_once_and_needs_no_embedding(changing: Changing) -> None:
    """What was kept was kept current."""
    change(changing)
    embedded = changing.embedded_by(OLD)

    changing.services.reembedding.roll_back()

    assert model_of(changing) == OLD
    assert states(changing) == {2: KEPT, 1: SERVING}
    assert changing.embedded_by(OLD) == embedded


def test_what_is_kept_is_dropped_later(changing: Changing) -> None:
    """Points, rows and what was learnt of the old model go; the new one goes on, and so does crawling."""
    changing.services.training.add(SCENARIO, scope=changing.org)
    change(changing)

    expire(changing)

    changing.crawl(DEARER)
    assert states(changing) == {2: SERVING}
    assert "twelve" in said(changing)
    assert [scenario.title for scenario in changing.ask(QUESTION).scenarios] == ["Shipping"]
    assert changing.services.verification.verify(scope=changing.org) == Verification()
    with pytest.raises(NothingToReembed):
        changing.services.reembedding.roll_back()
    change(changing, THIRD)
    assert model_of(changing) == THIRD
    assert changing.services.verification.verify(scope=changing.org) == Verification()


def test_what_is_kept_can_be_dropped_now(changing: Changing) -> None:
    """Whoever is sure need not wait."""
    change(changing)

    changing.services.reembedding.finish()
    changing.clock.forward(seconds=changing.settings.work.sweep_after.total_seconds() + 1)
    changing.services.reembedding.settle(lasting=AT_ONCE)

    assert states(changing) == {2: SERVING}


def test_what_is_deleted_goes_while_old_vectors_are_dropped(
    changing: Changing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A collection that is gone before its rows is in the way of no website, no org and no sweep."""
    monkeypatch.setattr(generation_change, "ROWS_AT_A_TIME", 1)
    other = changing.services.orgs.ensure("another")
    changing.crawl(SHOP, scope=other)
    change(changing)
    changing.crawl(DEARER)
    old_rows = _chunks_of_generation(changing, 1)
    work = changing.settings.work
    for wait in (work.keep_generation, work.sweep_after):
        changing.clock.forward(seconds=wait.total_seconds() + 1)
        changing.services.reembedding.settle(lasting=timedelta(0))
    left = _chunks_of_generation(changing, 1), states(changing)[1]
    with pytest.raises(VectorStoreUnavailable):
        changing.store.at(1).count(scope=changing.org)

    swept = changing.services.upkeep.tick(schedules=False).swept
    for scope in (changing.org, other):
        source = changing.services.datasources.page_through(scope=scope).items[0].id
        changing.services.datasources.delete(source, scope=scope)
    changing.services.erasure.request(other)
    changing.services.upkeep.tick(schedules=False)

    assert left == (old_rows - 1, DROPPING)
    assert swept > 0
    assert changing.services.datasources.page_through(scope=changing.org).items == ()
    assert changing.services.erasure.waiting() == []
    assert _chunks_of_generation(changing, 1) == 0


def test_an_erasure_is_tried_while_removal_waits(changing: Changing) -> None:
    """What stops one of the two does not stop the other."""
    other = changing.services.orgs.ensure("another")

    changing.use_store(KeepsPoints())
    source = changing.services.datasources.page_through(scope=changing.org).items[0].id
    changing.services.datasources.delete(source, scope=changing.org)
    changing.services.erasure.request(other)

    tick = changing.services.upkeep.tick(schedules=False)

    assert tick.removed == 1
    assert changing.services.erasure.waiting() == []


def _chunks_of_generation(changing: Changing, number: int) -> int:
    with changing.services.database.read() as session:
        model = select(Generation.model).where(Generation.number == number).scalar_subquery()
        return session.scalar(select(func.count()).select_from(ChunkRow).where(ChunkRow.model == model)) or 0


def test_what_is_learnt_from_triggers_moves_with_the_model(changing: Changing) -> None:
    """At the change every org's matcher is learnt under the new model, and nobody waits for it."""
    changing.services.training.add(SCENARIO, scope=changing.org)
    change(changing)
    queries = len(changing.models.installed[NEW].questions)

    fired = changing.ask(QUESTION).scenarios

    assert [scenario.title for scenario in fired] == ["Shipping"]
    assert changing.models.installed[NEW].questions[queries:] == [QUESTION]


def test_orgs_are_filled_in_turn(changing: Changing) -> None:
    """One org's many pages do not keep another's from being filled; both are there at the change."""
    other = changing.services.orgs.ensure("other")
    changing.crawl(SHOP, scope=other)
    changing.process(NEW).reembedding.start()

    changing.services.reembedding.work(owner="worker")

    assert states(changing) == {2: SERVING, 1: KEPT}
    for scope in (changing.org, other):
        assert changing.services.verification.verify(scope=scope) == Verification()


def test_a_new_page_comes_first(changing: Changing) -> None:
    """Texts are embedded again until one waits, and no longer; what is left is done after it."""
    changing.crawl(SHOP, scope=changing.services.orgs.ensure("other"))
    changing.process(NEW).reembedding.start()
    index = changing.services.index
    was_waiting = index.is_waiting()

    is_more = changing.services.reembedding.work(owner="worker", until=lambda: not index.is_waiting())
    during = states(changing)
    while changing.services.reembedding.work(owner="worker", until=index.is_waiting):
        pass

    assert not was_waiting
    assert is_more
    assert during[1] == SERVING
    assert changing.embedded_by(NEW) > 0
    assert states(changing) == {2: SERVING, 1: KEPT}


def test_a_page_that_is_removed_goes_from_both(changing: Changing) -> None:
    """So does what a change of text leaves over."""
    change(changing)
    changing.crawl(DEARER)
    changing.clock.forward(seconds=3 * changing.settings.work.sweep_after.total_seconds())
    changing.services.upkeep.tick(schedules=False)
    before = [changing.store.at(number).count(scope=changing.org) for number in (1, 2)]

    source = changing.services.crawls.list_jobs(scope=changing.org)[0].datasource_id
    changing.services.datasources.delete(source, scope=changing.org)
    changing.services.upkeep.tick(schedules=False)

    assert before[0] == before[1] > 0
    assert [changing.store.at(number).count(scope=changing.org) for number in (1, 2)] == [0, 0]


def test_an_earlier_text_is_brought_back_after_the_change(changing: Changing) -> None:
    """Whether its vectors of the new model are there or not."""
    changing.crawl(DEARER)
    change(changing)

    changing.services.history.roll_back_page(f"{SITE}shipping", 1, scope=changing.org)
    back = said(changing)
    changing.services.reembedding.work(owner="worker")
    changing.services.reembedding.roll_back()

    assert "nine" in back
    assert "nine" in said(changing)
    assert states(changing) == {2: KEPT, 1: SERVING}
    for generation in (1, 2):
        assert changing.services.verification.verify(scope=changing.org, generation=generation) == Verification()


def test_a_new_org_does_not_hold_up_the_way_back(changing: Changing) -> None:
    """What has no pages is whole."""
    change(changing)
    changing.services.orgs.ensure(f"new {uuid4()}")

    changing.services.reembedding.work(owner="worker")
    changing.services.reembedding.roll_back()

    assert states(changing) == {2: KEPT, 1: SERVING}

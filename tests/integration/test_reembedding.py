"""Another model takes the place of the one that answers: beside it, in the background, and in one moment."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pytest

from pipeline.db import generations
from pipeline.db.generations import FILLING, KEPT, SERVING, VersionEmbedding
from pipeline.db.page_versions import PageVersion
from pipeline.errors import (
    DiskFull,
    GenerationChanged,
    ModelMismatch,
    ModelNotFound,
    NothingToReembed,
    ReembeddingUnderWay,
)
from pipeline.model import OrgScope, Verification
from pipeline.services.answers import Question
from pipeline.services.training import NewScenario
from tests.fakes.knowledge import SITE, Answer, paragraphs
from tests.fakes.two_models import NEW, OLD, THIRD, TWIN, Changing
from tests.fakes.vector_store import MemoryStore

QUESTION = "What does shipping a chair cost?"
SHOP: dict[str, Answer] = {
    "/": "<p>Welcome to the shop that sells lamps and chairs to everybody.</p>",
    "/shipping": "<p>Shipping a chair costs nine euros and takes four days.</p>",
    "/lamps": "<p>A lamp of brass costs forty euros with its shade.</p>",
    "/long": paragraphs(12),
}
DEARER: dict[str, Answer] = {**SHOP, "/shipping": "<p>Shipping a chair costs twelve euros and takes four days.</p>"}
SCENARIO = NewScenario("Shipping", "Offer the express way.", triggers=(QUESTION, "how much is delivery of a chair"))
AT_ONCE = timedelta(minutes=1)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.needs("postgres"))])
def shop(request: pytest.FixtureRequest, sqlite_template: Path, tmp_path: Path) -> Iterator[Changing]:
    """A shop that was crawled with the old model."""
    shutil.copytree(sqlite_template, tmp_path, dirs_exist_ok=True)
    url = request.getfixturevalue("migrated_postgres_url") if request.param == "postgres" else None
    base = Changing(tmp_path, database_url=url)
    base.crawl(SHOP)
    yield base
    base.close()


def states(shop: Changing) -> dict[int, str]:
    """Every generation that is not gone, and how it stands."""
    return {view.number: view.state for view in shop.services.reembedding.status()}


def model_of(shop: Changing) -> str:
    """Whose vectors answer, as a process sees it that asks for the first time."""
    with shop.process() as fresh:
        briefing = fresh.answers.brief(Question(QUESTION, trace=True), scope=shop.org)
    fingerprints = {model.identity.fingerprint: name for name, model in shop.models.installed.items()}
    assert briefing.trace is not None
    assert briefing.passages
    return fingerprints[str(briefing.trace["model"])]


def change(shop: Changing, model: str = NEW) -> None:
    """Start with this model set, and work until nothing is left."""
    shop.process(model).reembedding.start()
    while shop.services.reembedding.work(owner="worker"):
        pass


def expire(shop: Changing) -> None:
    """Let the time pass in which there is a way back, and let upkeep see to it."""
    for wait in (shop.settings.work.keep_generation, shop.settings.work.sweep_after):
        shop.clock.forward(seconds=wait.total_seconds() + 1)
        shop.services.reembedding.settle(lasting=AT_ONCE)


def said(shop: Changing) -> str:
    """The best passage for the question."""
    return shop.ask(QUESTION).passages[0].text


def test_another_model_takes_over_and_nothing_is_missing(shop: Changing) -> None:
    """Every page answers as before, from vectors of the new model, and rows and points agree in both generations."""
    before = {passage.url for passage in shop.ask(QUESTION).passages}

    change(shop)

    after = {passage.url for passage in shop.ask(QUESTION).passages}
    verification = shop.services.verification
    assert states(shop) == {2: SERVING, 1: KEPT}
    assert model_of(shop) == NEW
    assert before == after
    assert verification.verify(scope=shop.org) == Verification()
    assert verification.verify(scope=shop.org, generation=1) == Verification()
    assert shop.store.at(2).count(scope=shop.org) == shop.store.count(scope=shop.org) > 0


def test_no_counter_moves_and_nothing_is_fetched(shop: Changing) -> None:
    """No version is made, no page changed, and the crawl counts what it counted."""
    listed = shop.services.crawls.list_jobs(scope=shop.org)[0]
    job = shop.services.crawls.job(listed.id, scope=shop.org)
    with shop.services.database.read() as session:
        before = [(row.id, row.number, row.fetched_at) for row in session.query(PageVersion).order_by(PageVersion.id)]
    dates = [passage.changed_at for passage in shop.ask(QUESTION).passages]

    change(shop)

    with shop.services.database.read() as session:
        after = [(row.id, row.number, row.fetched_at) for row in session.query(PageVersion).order_by(PageVersion.id)]
    assert shop.services.crawls.job(job.id, scope=shop.org) == job
    assert before == after
    assert [passage.changed_at for passage in shop.ask(QUESTION).passages] == dates


def test_until_the_change_the_old_model_answers_and_the_new_one_is_not_opened_by_readers(shop: Changing) -> None:
    """Filling goes on beside the answers."""
    shop.process(NEW).reembedding.start()
    shop.models.opened.clear()

    answered = model_of(shop)

    assert answered == OLD
    assert shop.models.opened == [OLD]


def test_processes_set_to_either_model_answer_alike(shop: Changing) -> None:
    """What is set names the model to change over to; the row says which answers."""
    with shop.process(NEW) as set_anew:
        assert set_anew.answers.brief(Question(QUESTION), scope=shop.org).passages
        assert set_anew.index.index_waiting(limit=4, owner="worker").pages == 0
    change(shop)
    with shop.process(OLD) as set_as_before:
        briefing = set_as_before.answers.brief(Question(QUESTION, trace=True), scope=shop.org)

    assert briefing.trace is not None
    assert briefing.trace["model"] == shop.models.installed[NEW].identity.fingerprint


def test_a_process_that_has_not_opened_the_new_model_answers_from_the_old_one(shop: Changing) -> None:
    """Nobody waits for a model to be opened; the next question finds it there."""
    shop.ask(QUESTION)
    before = shop.services.generations.seen()
    worker = shop.process(NEW)
    worker.reembedding.start()
    while worker.reembedding.work(owner="worker"):
        pass

    first = shop.services.generations.now()
    shop.services.generations.now().embedder.open()
    opened = threading.Event()
    for _ in range(500):
        if shop.services.generations.now().number == 2:
            opened.set()
            break
        shop.ask(QUESTION)

    assert first is before
    assert opened.is_set()


def test_what_was_asked_with_the_old_model_is_asked_anew(shop: Changing) -> None:
    """A change between a question's vector and its search is noticed in the same read: nothing is mixed."""
    shop.ask(QUESTION)
    asked_with = shop.services.generations.seen()
    change(shop)

    with shop.services.database.read() as session, pytest.raises(GenerationChanged):
        shop.services.generations.check(session, asked_with)

    assert shop.services.generations.seen().number == 2
    assert "nine euros" in said(shop)


@pytest.mark.parametrize("model", [NEW, TWIN])
def test_a_reader_that_never_stops_asking_sees_no_gap(shop: Changing, model: str) -> None:
    """Two processes ask during the whole change, one of them set to the new model: every answer has the passage."""
    shop.services.training.add(SCENARIO, scope=shop.org)
    readers = [shop.process(OLD), shop.process(model)]
    ended, answers, failures = threading.Event(), [0, 0], []

    def ask(place: int) -> None:
        while not ended.is_set():
            found = readers[place].answers.brief(Question(QUESTION), scope=shop.org)
            answers[place] += 1
            texts = [passage.text for passage in found.passages]
            fired = [scenario.title for scenario in found.scenarios]
            if not any("nine euros" in text for text in texts) or fired != ["Shipping"]:
                failures.append((texts, fired))

    threads = [threading.Thread(target=ask, args=(place,)) for place in (0, 1)]
    for thread in threads:
        thread.start()
    change(shop, model)
    shop.services.reembedding.roll_back()
    change(shop, model)
    seen = list(answers)
    while min(now - then for now, then in zip(answers, seen, strict=True)) < 3:
        assert all(thread.is_alive() for thread in threads)
    ended.set()
    for thread in threads:
        thread.join()

    assert failures == []
    assert states(shop) == {2: SERVING, 1: KEPT}
    assert min(answers) > 3


def test_what_is_crawled_meanwhile_reaches_both(shop: Changing) -> None:
    """A page that changes during and after the change answers with what it says now, whichever model answers."""
    shop.process(NEW).reembedding.start()
    shop.crawl(DEARER)
    during = said(shop)
    while shop.services.reembedding.work(owner="worker"):
        pass
    changed = said(shop)
    shop.crawl({**DEARER, "/shipping": "<p>Shipping a chair costs fifty euros and takes four days.</p>"})
    after = said(shop)
    shop.services.reembedding.roll_back()
    back = said(shop)

    assert "twelve" in during
    assert "twelve" in changed
    assert "fifty" in after
    assert "fifty" in back
    assert states(shop) == {2: KEPT, 1: SERVING}
    for generation in (1, 2):
        assert shop.services.verification.verify(scope=shop.org, generation=generation) == Verification()


def test_a_page_of_another_models_worker_is_published_for_the_one_that_answers(shop: Changing) -> None:
    """Pages cut before the change are not made live after it: they would be missing from every answer."""
    shop.crawl(DEARER, index=False)
    worker = shop.process(OLD)
    written = worker.generations.written()
    change(shop)
    worker.generations.written = lambda: written  # type: ignore[method-assign] # as it was read before the change

    with pytest.raises(GenerationChanged):
        worker.index.index_waiting(limit=16, owner="late")
    before = said(shop)
    shop.clock.forward(seconds=61)
    shop.index()

    assert "nine" in before
    assert "twelve" in said(shop)


def test_going_back_is_at_once_and_needs_no_embedding(shop: Changing) -> None:
    """What was kept was kept current."""
    change(shop)
    embedded = shop.embedded_by(OLD)

    shop.services.reembedding.roll_back()

    assert model_of(shop) == OLD
    assert states(shop) == {2: KEPT, 1: SERVING}
    assert shop.embedded_by(OLD) == embedded


def test_what_is_kept_is_dropped_later(shop: Changing) -> None:
    """Points, rows and what was learnt of the old model go; the new one goes on, and so does crawling."""
    shop.services.training.add(SCENARIO, scope=shop.org)
    change(shop)

    expire(shop)

    shop.crawl(DEARER)
    assert states(shop) == {2: SERVING}
    assert "twelve" in said(shop)
    assert [scenario.title for scenario in shop.ask(QUESTION).scenarios] == ["Shipping"]
    assert shop.services.verification.verify(scope=shop.org) == Verification()
    with pytest.raises(NothingToReembed):
        shop.services.reembedding.roll_back()
    change(shop, THIRD)
    assert model_of(shop) == THIRD
    assert shop.services.verification.verify(scope=shop.org) == Verification()


def test_what_is_kept_can_be_dropped_now(shop: Changing) -> None:
    """Whoever is sure need not wait."""
    change(shop)

    shop.services.reembedding.finish()
    shop.clock.forward(seconds=shop.settings.work.sweep_after.total_seconds() + 1)
    shop.services.reembedding.settle(lasting=AT_ONCE)

    assert states(shop) == {2: SERVING}


def test_a_cancelled_one_leaves_nothing(shop: Changing) -> None:
    """Its points and rows go, the old model answers all the while, and the same may be started again."""
    shop.process(NEW).reembedding.start()
    worker = shop.services.reembedding
    with shop.services.database.read() as session:
        first = generations.standing(session)[1]
    worker._fill_some(shop.services.generations.target(first), shop.org, owner="worker")  # noqa: SLF001 - a part of the work

    worker.cancel()
    with pytest.raises(ReembeddingUnderWay):
        shop.process(NEW).reembedding.start()
    shop.clock.forward(seconds=shop.settings.work.sweep_after.total_seconds() + 1)
    worker.settle(lasting=AT_ONCE)

    assert states(shop) == {1: SERVING}
    assert model_of(shop) == OLD
    with shop.services.database.read() as session:
        assert session.query(VersionEmbedding).count() == 0
    assert shop.services.verification.verify(scope=shop.org) == Verification()
    change(shop)
    assert states(shop) == {3: SERVING, 1: KEPT}


def test_a_paused_one_waits(shop: Changing) -> None:
    """Nothing is embedded for it, and nobody changes over."""
    shop.process(NEW).reembedding.start()
    shop.services.reembedding.pause(is_paused=True)

    shop.services.reembedding.work(owner="worker")
    shop.crawl(DEARER)
    paused = shop.embedded_by(NEW)
    shop.services.reembedding.pause(is_paused=False)
    shop.services.reembedding.work(owner="worker")

    assert paused == 0
    assert states(shop) == {2: SERVING, 1: KEPT}
    assert "twelve" in said(shop)


def test_starting_twice_is_the_same_as_once(shop: Changing) -> None:
    """Of two who start at once, one begins it; who asks for a third model meanwhile is refused."""
    services = [shop.process(NEW), shop.process(NEW)]
    gate = threading.Barrier(2)

    def start(place: int) -> None:
        gate.wait()
        services[place].reembedding.start()

    threads = [threading.Thread(target=start, args=(place,)) for place in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert states(shop) == {2: FILLING, 1: SERVING}
    with pytest.raises(ReembeddingUnderWay):
        shop.process(THIRD).reembedding.start()


def test_the_model_that_answers_is_not_started(shop: Changing) -> None:
    """There is nothing to do, and it is said."""
    with pytest.raises(NothingToReembed):
        shop.services.reembedding.start()
    with pytest.raises(NothingToReembed):
        shop.services.reembedding.cancel()


def test_a_model_that_is_not_there_is_refused_before_anything_begins(shop: Changing) -> None:
    """No row is made for it."""
    with pytest.raises(ModelNotFound):
        shop.process("nowhere").reembedding.start()

    assert states(shop) == {1: SERVING}


def test_a_worker_without_the_new_model_says_so_and_indexes_on(shop: Changing) -> None:
    """The old model goes on answering; with the model there, it is made good."""
    shop.process(NEW).reembedding.start()
    missing = shop.models.installed.pop(NEW)

    shop.services.reembedding.work(owner="worker")
    shop.crawl(DEARER)
    answered = said(shop)
    problem = shop.services.reembedding.status()[0].problem
    shop.models.installed[NEW] = missing
    shop.services.reembedding.work(owner="worker")

    assert "twelve" in answered
    assert problem is not None
    assert NEW in problem
    assert states(shop) == {2: SERVING, 1: KEPT}
    assert shop.services.verification.verify(scope=shop.org) == Verification()


def test_a_model_whose_weights_were_changed_in_place_is_refused(shop: Changing) -> None:
    """The same name with other vectors is another model."""
    shop.models.installed[OLD] = shop.models.installed[TWIN]

    with shop.process() as changed, pytest.raises(ModelMismatch):
        changed.answers.brief(Question(QUESTION), scope=shop.org)


class Full(MemoryStore):
    """A store without room while it is full."""

    is_full = True

    def upsert(self, points: object, *, scope: OrgScope) -> None:
        """Points, if there is room."""
        if self.is_full and self._identity is not None and self._identity.name == NEW:
            raise DiskFull(free_bytes=0)
        super().upsert(points, scope=scope)  # type: ignore[arg-type] # handed on


def test_a_full_disk_stops_filling_and_not_the_answers(shop: Changing) -> None:
    """No attempt is counted; with room again it goes on by itself."""
    full = Full()
    vars(full).update({**vars(shop.store), "_family": {1: full}})
    shop.use_store(full)
    shop.process(NEW).reembedding.start()
    for _ in range(7):
        shop.services.reembedding.work(owner="worker")
    problem, answered = shop.services.reembedding.status()[0], said(shop)
    full.at(2).is_full = False  # type: ignore[attr-defined] # a copy of this kind

    shop.services.reembedding.work(owner="worker")

    assert "No space" in str(problem.problem)
    assert problem.left == 0
    assert "nine" in answered
    assert states(shop) == {2: SERVING, 1: KEPT}


def test_a_worker_that_was_killed_loses_its_pages_to_another(shop: Changing) -> None:
    """Its lease runs out; what it wrote late is refused."""
    shop.process(NEW).reembedding.start()
    with shop.services.database.write() as session:
        token, held = generations.claim(
            session,
            2,
            shop.org.org_id,
            limit=16,
            attempts=5,
            now=shop.clock.now,
            lease=shop.settings.work.index_lease,
            owner="killed",
        )
    shop.services.reembedding.work(owner="second")
    meanwhile = states(shop)
    shop.clock.forward(seconds=61)
    shop.services.reembedding.work(owner="second")

    with shop.services.database.read() as session:
        is_held = generations.still_held(session, [one.id for one in held], token=token, now=shop.clock.now)
    assert len(held) == 4
    assert meanwhile == {2: FILLING, 1: SERVING}
    assert states(shop) == {2: SERVING, 1: KEPT}
    assert not is_held


def test_a_page_that_always_fails_is_told_of_and_holds_up_the_change_alone(shop: Changing) -> None:
    """All others are whole; once it can be embedded, whoever resumes has it tried again."""
    new = shop.models.installed[NEW]
    encode = new.encode_documents

    def refuse(texts: object) -> np.ndarray:
        if any("brass" in text for text in texts):  # type: ignore[attr-defined] # a list of texts
            raise ValueError("brass")
        return encode(texts)  # type: ignore[arg-type] # handed on

    new.encode_documents = refuse  # type: ignore[assignment] # fails at one page
    shop.process(NEW).reembedding.start()
    for _ in range(9):
        shop.services.reembedding.work(owner="worker")
    stuck = shop.services.reembedding.status()[0]
    new.encode_documents = encode  # type: ignore[method-assign] # as it was
    shop.services.reembedding.pause(is_paused=False)
    shop.services.reembedding.work(owner="worker")

    assert (stuck.state, stuck.missing, stuck.left) == (FILLING, 1, 1)
    assert "brass" in str(stuck.problem)
    assert states(shop) == {2: SERVING, 1: KEPT}


def test_points_that_are_lost_are_made_again_before_the_change(shop: Changing) -> None:
    """Rows alone are not believed: the change waits until the store has every point."""
    shop.process(NEW).reembedding.start()
    with shop.services.database.read() as session:
        row = generations.standing(session)[1]
    target = shop.services.generations.target(row)
    shop.services.reembedding._fill_some(target, shop.org, owner="worker")  # noqa: SLF001 - a part of the work
    lost = [record.id for record in shop.store.at(2).scan(scope=shop.org)][:3]
    shop.store.at(2).delete(lost, scope=shop.org)

    shop.services.reembedding.work(owner="worker")

    assert states(shop) == {2: SERVING, 1: KEPT}
    assert shop.services.verification.verify(scope=shop.org) == Verification()


def test_what_is_learnt_from_triggers_moves_with_the_model(shop: Changing) -> None:
    """At the change every org's matcher is learnt under the new model, and nobody waits for it."""
    shop.services.training.add(SCENARIO, scope=shop.org)
    change(shop)
    queries = len(shop.models.installed[NEW].questions)

    fired = shop.ask(QUESTION).scenarios

    assert [scenario.title for scenario in fired] == ["Shipping"]
    assert shop.models.installed[NEW].questions[queries:] == [QUESTION]


def test_orgs_are_filled_in_turn(shop: Changing) -> None:
    """One org's many pages do not keep another's from being filled; both are there at the change."""
    other = shop.services.orgs.ensure("other")
    shop.crawl(SHOP, scope=other)
    shop.process(NEW).reembedding.start()

    shop.services.reembedding.work(owner="worker")

    assert states(shop) == {2: SERVING, 1: KEPT}
    for scope in (shop.org, other):
        assert shop.services.verification.verify(scope=scope) == Verification()


def test_erasing_an_org_during_the_change_erases_both(shop: Changing) -> None:
    """No generation keeps a point of it, and the change goes on without it."""
    other = shop.services.orgs.ensure("other")
    shop.crawl(SHOP, scope=other)
    shop.process(NEW).reembedding.start()
    with shop.services.database.read() as session:
        row = generations.standing(session)[1]
    target = shop.services.generations.target(row)
    shop.services.reembedding._fill_some(target, other, owner="worker")  # noqa: SLF001 - a part of the work
    there = [shop.store.at(number).count(scope=other) for number in (1, 2)]

    shop.services.erasure.request(other)
    shop.clock.forward(seconds=61)
    gone = shop.services.erasure.go_on(lasting=AT_ONCE)
    shop.services.reembedding.work(owner="worker")

    assert min(there) > 0
    assert gone == 1
    assert [shop.store.at(number).count(scope=other) for number in (1, 2)] == [0, 0]
    assert states(shop) == {2: SERVING, 1: KEPT}


def test_a_page_that_is_removed_goes_from_both(shop: Changing) -> None:
    """So does what a change of text leaves over."""
    change(shop)
    shop.crawl(DEARER)
    shop.clock.forward(seconds=3 * shop.settings.work.sweep_after.total_seconds())
    shop.services.upkeep.tick(schedules=False)
    before = [shop.store.at(number).count(scope=shop.org) for number in (1, 2)]

    source = shop.services.crawls.list_jobs(scope=shop.org)[0].datasource_id
    shop.services.datasources.delete(source, scope=shop.org)
    shop.services.upkeep.tick(schedules=False)

    assert before[0] == before[1] > 0
    assert [shop.store.at(number).count(scope=shop.org) for number in (1, 2)] == [0, 0]


def test_an_earlier_text_is_brought_back_after_the_change(shop: Changing) -> None:
    """Whether its vectors of the new model are there or not."""
    shop.crawl(DEARER)
    change(shop)

    shop.services.history.roll_back_page(f"{SITE}shipping", 1, scope=shop.org)
    back = said(shop)
    shop.services.reembedding.work(owner="worker")
    shop.services.reembedding.roll_back()

    assert "nine" in back
    assert "nine" in said(shop)
    assert states(shop) == {2: KEPT, 1: SERVING}
    for generation in (1, 2):
        assert shop.services.verification.verify(scope=shop.org, generation=generation) == Verification()


def test_a_knowledge_base_of_before_knows_its_model_once_it_is_asked(shop: Changing) -> None:
    """Without a row, the model that is set is believed if the store was made with it, and refused if not."""
    with shop.services.database.write() as session:
        session.query(generations.Generation).delete()

    with pytest.raises(ModelMismatch):
        shop.process(NEW).reembedding.start()
    shop.services.reembedding.status()
    change(shop)

    assert states(shop) == {2: SERVING, 1: KEPT}
    assert model_of(shop) == NEW


def test_a_new_org_does_not_hold_up_the_way_back(shop: Changing) -> None:
    """What has no pages is whole."""
    change(shop)
    shop.services.orgs.ensure(f"new {uuid4()}")

    shop.services.reembedding.work(owner="worker")
    shop.services.reembedding.roll_back()

    assert states(shop) == {2: KEPT, 1: SERVING}
    assert isinstance(shop.org.org_id, UUID)

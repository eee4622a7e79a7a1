"""What goes wrong while another model takes over: somebody is told, answers go on, and it is made good."""

from __future__ import annotations

import threading
from datetime import timedelta

import numpy as np
import pytest

from pipeline.db import generations
from pipeline.db.generations import FILLING, KEPT, SERVING, VersionEmbedding
from pipeline.errors import DiskFull, ModelMismatch, ModelNotFound, NothingToReembed, ReembeddingUnderWay
from pipeline.model import OrgScope, Verification
from pipeline.services.answers import Question
from tests.fakes.two_models import (
    DEARER,
    NEW,
    OLD,
    QUESTION,
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


class Full(MemoryStore):
    """A store without room while it is full."""

    is_full = True

    def upsert(self, points: object, *, scope: OrgScope) -> None:
        """Points, if there is room."""
        if self.is_full and self._identity is not None and self._identity.name == NEW:
            raise DiskFull(free_bytes=0)
        super().upsert(points, scope=scope)  # type: ignore[arg-type] # handed on


def test_starting_twice_is_the_same_as_once(changing: Changing) -> None:
    """Of two who start at once, one begins it; who asks for a third model meanwhile is refused."""
    services = [changing.process(NEW), changing.process(NEW)]
    gate = threading.Barrier(2)

    def start(place: int) -> None:
        gate.wait()
        services[place].reembedding.start()

    threads = [threading.Thread(target=start, args=(place,)) for place in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert states(changing) == {2: FILLING, 1: SERVING}
    with pytest.raises(ReembeddingUnderWay):
        changing.process(THIRD).reembedding.start()


def test_the_model_that_answers_is_not_started(changing: Changing) -> None:
    """There is nothing to do, and it is said."""
    with pytest.raises(NothingToReembed):
        changing.services.reembedding.start()
    with pytest.raises(NothingToReembed):
        changing.services.reembedding.cancel()


def test_a_model_that_is_not_there_is_refused_before_anything_begins(changing: Changing) -> None:
    """No row is made for it."""
    with pytest.raises(ModelNotFound):
        changing.process("nowhere").reembedding.start()

    assert states(changing) == {1: SERVING}


def test_a_worker_without_the_new_model_says_so_and_indexes_on(changing: Changing) -> None:
    """The old model goes on answering; with the model there, it is made good."""
    changing.process(NEW).reembedding.start()
    missing = changing.models.installed.pop(NEW)

    changing.services.reembedding.work(owner="worker")
    changing.crawl(DEARER)
    answered = said(changing)
    problem = changing.services.reembedding.status()[0].problem
    changing.models.installed[NEW] = missing
    changing.services.reembedding.work(owner="worker")

    assert "twelve" in answered
    assert problem is not None
    assert NEW in problem
    assert states(changing) == {2: SERVING, 1: KEPT}
    assert changing.services.verification.verify(scope=changing.org) == Verification()


def test_a_model_whose_weights_were_changed_in_place_is_refused(changing: Changing) -> None:
    """The same name with other vectors is another model."""
    changing.models.installed[OLD] = changing.models.installed[TWIN]

    with changing.process() as changed, pytest.raises(ModelMismatch):
        changed.answers.brief(Question(QUESTION), scope=changing.org)


def test_a_full_disk_stops_filling_and_not_the_answers(changing: Changing) -> None:
    """No attempt is counted; with room again it goes on by itself."""
    full = Full()
    vars(full).update({**vars(changing.store), "_family": {1: full}})
    changing.use_store(full)
    changing.process(NEW).reembedding.start()
    for _ in range(7):
        changing.services.reembedding.work(owner="worker")
    problem, answered = changing.services.reembedding.status()[0], said(changing)
    full.at(2).is_full = False  # type: ignore[attr-defined] # a copy of this kind

    changing.services.reembedding.work(owner="worker")

    assert "No space" in str(problem.problem)
    assert problem.left == 0
    assert "nine" in answered
    assert states(changing) == {2: SERVING, 1: KEPT}


def test_a_worker_that_was_killed_loses_its_pages_to_another(changing: Changing) -> None:
    """Its lease runs out; what it wrote late is refused."""
    changing.process(NEW).reembedding.start()
    with changing.services.database.write() as session:
        token, held = generations.claim(
            session,
            2,
            changing.org.org_id,
            limit=16,
            attempts=5,
            now=changing.clock.now,
            lease=changing.settings.work.index_lease,
            owner="killed",
        )
    changing.services.reembedding.work(owner="second")
    meanwhile = states(changing)
    changing.clock.forward(seconds=61)
    changing.services.reembedding.work(owner="second")

    with changing.services.database.read() as session:
        is_held = generations.still_held(session, [one.id for one in held], token=token, now=changing.clock.now)
    assert len(held) == 4
    assert meanwhile == {2: FILLING, 1: SERVING}
    assert states(changing) == {2: SERVING, 1: KEPT}
    assert not is_held


def test_a_page_that_always_fails_is_told_of_and_holds_up_the_change_alone(changing: Changing) -> None:
    """All others are whole; once it can be embedded, whoever resumes has it tried again."""
    new = changing.models.installed[NEW]
    encode = new.encode_documents

    def refuse(texts: object) -> np.ndarray:
        if any("brass" in text for text in texts):  # type: ignore[attr-defined] # a list of texts
            raise ValueError("brass")
        return encode(texts)  # type: ignore[arg-type] # handed on

    new.encode_documents = refuse  # type: ignore[method-assign] # fails at one page
    changing.process(NEW).reembedding.start()
    for _ in range(9):
        changing.services.reembedding.work(owner="worker")
    stuck = changing.services.reembedding.status()[0]
    new.encode_documents = encode  # type: ignore[method-assign] # as it was
    changing.services.reembedding.pause(is_paused=False)
    changing.services.reembedding.work(owner="worker")

    assert (stuck.state, stuck.missing, stuck.left) == (FILLING, 1, 1)
    assert "brass" in str(stuck.problem)
    assert states(changing) == {2: SERVING, 1: KEPT}


def test_points_that_are_lost_are_made_again_before_the_change(changing: Changing) -> None:
    """Rows alone are not believed: the change waits until the store has every point."""
    changing.process(NEW).reembedding.start()
    with changing.services.database.read() as session:
        row = generations.standing(session)[1]
    target = changing.services.generations.target(row)
    changing.services.reembedding._fill_some(target, changing.org, owner="worker")  # noqa: SLF001 - a part of the work
    lost = [record.id for record in changing.store.at(2).scan(scope=changing.org)][:3]
    changing.store.at(2).delete(lost, scope=changing.org)

    changing.services.reembedding.work(owner="worker")

    assert states(changing) == {2: SERVING, 1: KEPT}
    assert changing.services.verification.verify(scope=changing.org) == Verification()


def test_erasing_an_org_during_the_change_erases_both(changing: Changing) -> None:
    """No generation keeps a point of it, and the change goes on without it."""
    other = changing.services.orgs.ensure("other")
    changing.crawl(SHOP, scope=other)
    changing.process(NEW).reembedding.start()
    with changing.services.database.read() as session:
        row = generations.standing(session)[1]
    target = changing.services.generations.target(row)
    changing.services.reembedding._fill_some(target, other, owner="worker")  # noqa: SLF001 - a part of the work
    there = [changing.store.at(number).count(scope=other) for number in (1, 2)]

    changing.services.erasure.request(other)
    changing.clock.forward(seconds=61)
    gone = changing.services.erasure.go_on(lasting=AT_ONCE)
    changing.services.reembedding.work(owner="worker")

    assert min(there) > 0
    assert gone == 1
    assert [changing.store.at(number).count(scope=other) for number in (1, 2)] == [0, 0]
    assert states(changing) == {2: SERVING, 1: KEPT}


def test_a_knowledge_base_of_before_knows_its_model_once_it_is_asked(changing: Changing) -> None:
    """Without a row, the model that is set is believed if the store was made with it, and refused if not."""
    with changing.services.database.write() as session:
        session.query(generations.Generation).delete()

    with pytest.raises(ModelMismatch):
        changing.process(NEW).reembedding.start()
    changing.services.reembedding.status()
    change(changing)

    assert states(changing) == {2: SERVING, 1: KEPT}
    assert model_of(changing) == NEW


def test_a_paused_one_waits(changing: Changing) -> None:
    """Nothing is embedded for it, and nobody changes over."""
    changing.process(NEW).reembedding.start()
    changing.services.reembedding.pause(is_paused=True)

    changing.services.reembedding.work(owner="worker")
    changing.crawl(DEARER)
    paused = changing.embedded_by(NEW)
    changing.services.reembedding.pause(is_paused=False)
    changing.services.reembedding.work(owner="worker")

    assert paused == 0
    assert states(changing) == {2: SERVING, 1: KEPT}
    assert "twelve" in said(changing)


def test_a_cancelled_one_leaves_nothing(changing: Changing) -> None:
    """Its points and rows go, the old model answers all the while, and the same may be started again."""
    changing.process(NEW).reembedding.start()
    worker = changing.services.reembedding
    with changing.services.database.read() as session:
        first = generations.standing(session)[1]
    worker._fill_some(changing.services.generations.target(first), changing.org, owner="worker")  # noqa: SLF001 - a part of the work

    worker.cancel()
    with pytest.raises(ReembeddingUnderWay):
        changing.process(NEW).reembedding.start()
    changing.clock.forward(seconds=changing.settings.work.sweep_after.total_seconds() + 1)
    worker.settle(lasting=AT_ONCE)

    assert states(changing) == {1: SERVING}
    assert model_of(changing) == OLD
    with changing.services.database.read() as session:
        assert session.query(VersionEmbedding).count() == 0
    assert changing.services.verification.verify(scope=changing.org) == Verification()
    change(changing)
    assert states(changing) == {3: SERVING, 1: KEPT}

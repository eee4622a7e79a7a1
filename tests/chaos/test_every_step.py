"""A worker stops at every step of an update, in turn: whoever asks hears the old page or the new one, whole."""

from __future__ import annotations

import multiprocessing
import shutil
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pipeline.adapters.qdrant.serve import StoreServer
from pipeline.model import Verification
from tests.chaos.steps import index_until_killed, stepped_services
from tests.fakes.knowledge import Knowledge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PARAGRAPHS = 5
MOST_STEPS = 60
LOOK_EVERY_SECONDS = 0.05
PATIENCE = timedelta(seconds=30)


class Fault(Exception):
    """What an index worker dies of here."""


@pytest.fixture
def knowledge(sqlite_template: Path, tmp_path: Path) -> Iterator[Knowledge]:
    """A knowledge base that answers with whole pages, holding the first edition of one."""
    shutil.copytree(sqlite_template, tmp_path, dirs_exist_ok=True)
    base = Knowledge(tmp_path, retrieve={"per_page": 50, "top_k": 20})
    base.crawl(_edition(1))
    yield base
    base.services.close()


def test_an_update_that_fails_at_any_step_is_seen_whole_or_not_at_all(knowledge: Knowledge) -> None:
    """An exception at each step in turn; a reader asks after each, and between all steps of the one that succeeds."""
    failed = 0
    for last in range(1, MOST_STEPS):
        knowledge.crawl(_edition(last + 1), index=False)
        seen: list[str] = []

        def step(name: str, *, last: int = last, seen: list[str] = seen) -> None:
            seen.append(name)
            if len(seen) == last:
                raise Fault(name)

        worker = stepped_services(knowledge.settings, knowledge.store, knowledge.clock, step)
        with suppress(Fault):
            worker.index.index_waiting(limit=16, owner="failing")
        worker.close()
        failed += len(seen) >= last
        assert _editions(knowledge) in ({last}, {last + 1})

        knowledge.clock.forward(seconds=61)
        knowledge.index()

        assert _editions(knowledge) == {last + 1}
        if len(seen) < last:
            break

    knowledge.crawl(_edition(last + 2), index=False)
    answers: list[set[int]] = []
    worker = stepped_services(
        knowledge.settings, knowledge.store, knowledge.clock, lambda _: answers.append(_editions(knowledge))
    )
    worker.index.index_waiting(limit=16, owner="undisturbed")
    worker.close()

    assert failed > 10
    assert answers == sorted(answers, key=max)
    assert {frozenset(answer) for answer in answers} == {frozenset({last + 1}), frozenset({last + 2})}
    assert knowledge.services.verification.verify(scope=knowledge.org) == Verification()


def test_an_update_whose_worker_is_killed_at_any_step_is_seen_whole_or_not_at_all(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    """SIGKILL at each step in turn, and a reader that asks all the time until the process is gone, and after."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.chaos.steps", "pipeline.services.indexing"])
    killed = 0
    with StoreServer(knowledge.store, tmp_path / "store.sock"):
        for last in range(1, MOST_STEPS):
            knowledge.crawl(_edition(last + 1), index=False)
            worker = processes.Process(
                target=index_until_killed,
                args=(tmp_path, tmp_path / "store.sock", knowledge.clock.now, PATIENCE, last),
            )
            worker.start()
            while worker.is_alive():
                assert _editions(knowledge) in ({last}, {last + 1})
                worker.join(LOOK_EVERY_SECONDS)
            killed += worker.exitcode == -9

            knowledge.clock.forward(seconds=61)
            knowledge.index()

            assert _editions(knowledge) == {last + 1}
            assert worker.exitcode in {0, -9}
            if worker.exitcode == 0:
                break

    assert killed > 10
    assert knowledge.services.verification.verify(scope=knowledge.org) == Verification()


def _edition(number: int) -> dict[str, str]:
    """A website of one page that says in every paragraph which edition it is."""
    text = "".join(
        f"<h2>Kettle {place}</h2><p>The copper kettle {place} of edition{number} is sold with a lid, a spout, a handle "
        f"and a guarantee of five years in every branch{place}.</p>"
        for place in range(PARAGRAPHS)
    )
    return {"/": "<p>A shop for whoever likes tea and warm water.</p>", "/kettles": text}


def _editions(knowledge: Knowledge) -> set[int]:
    """The editions that an answer is made of; it is made of every paragraph of the page."""
    found = knowledge.ask("Which copper kettle is sold with a lid and a guarantee?").passages
    said = [word for passage in found for word in passage.text.split() if word.startswith("edition")]
    assert len(said) == PARAGRAPHS
    return {int(word.removeprefix("edition")) for word in said}

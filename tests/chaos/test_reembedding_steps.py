"""A worker that fills another model's vectors is killed at every step in turn: answers go on, and nothing is lost."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pipeline.adapters.qdrant.remote import RemoteStore
from pipeline.adapters.qdrant.serve import StoreServer
from pipeline.db.generations import SERVING
from pipeline.model import Verification
from pipeline.settings import Settings
from tests.chaos.steps import stepped_services
from tests.fakes.clock import SetClock
from tests.fakes.two_models import NEW, OLD, QUESTION, SCENARIO, Changing, WordModels, states

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

MOST_STEPS = 80
LOOK_EVERY_SECONDS = 0.05
PATIENCE = timedelta(seconds=30)
AT_ONCE = timedelta(minutes=1)


class Fault(Exception):
    """What a worker dies of here."""


@pytest.fixture
def shop(sqlite_template: Path, tmp_path: Path) -> Iterator[Changing]:
    """A shop with a scenario, crawled with the old model."""
    shutil.copytree(sqlite_template, tmp_path, dirs_exist_ok=True)
    base = Changing(tmp_path)
    base.crawl(
        {"/": "<p>Welcome to the shop that sells lamps and chairs.</p>", "/shipping": "<p>Nine euros a chair.</p>"}
    )
    base.services.training.add(SCENARIO, scope=base.org)
    yield base
    base.close()


def answers_whole(shop: Changing) -> bool:
    """Whether an answer has every page and the scenario, and says that nothing was lacking."""
    found = shop.ask(QUESTION)
    is_whole = len(found.passages) == 2 and [fired.title for fired in found.scenarios] == ["Shipping"]
    return is_whole and not found.degraded


def other(shop: Changing) -> str:
    """The model that does not answer."""
    serving = next(view for view in shop.services.reembedding.status() if view.state == SERVING)
    return OLD if serving.model.startswith(NEW) else NEW


def complete(shop: Changing) -> None:
    """Let another worker finish it when the leases of the dead one are over, and drop the model before."""
    shop.clock.forward(seconds=61)
    while shop.services.reembedding.work(owner="second"):
        pass
    shop.services.reembedding.finish()
    shop.clock.forward(seconds=shop.settings.work.sweep_after.total_seconds() + 1)
    shop.services.reembedding.settle(lasting=AT_ONCE)


def test_a_failure_at_any_step_of_filling_costs_no_answer_and_no_point(shop: Changing) -> None:
    """An exception at each step in turn; a reader asks at that step and after, and the change is carried out."""
    failed = 0
    for last in range(1, MOST_STEPS):
        shop.process(other(shop)).reembedding.start()
        seen: list[str] = []

        def step(name: str, *, last: int = last, seen: list[str] = seen) -> None:
            seen.append(name)
            if len(seen) == last:
                assert answers_whole(shop)
                raise Fault

        worker = stepped_services(shop.settings, shop.store, shop.clock, step, models=shop.models)
        with suppress(Fault):
            worker.reembedding.work(owner="failing")
        worker.close()
        failed += len(seen) >= last
        assert answers_whole(shop)

        complete(shop)

        assert list(states(shop).values()) == [SERVING]
        assert answers_whole(shop)
        assert shop.services.verification.verify(scope=shop.org) == Verification()
        if len(seen) < last:
            break

    assert failed > 20


def test_a_kill_at_any_step_of_filling_costs_no_answer_and_no_point(shop: Changing, tmp_path: Path) -> None:
    """SIGKILL at each third step in turn, and a reader that asks all the time until the process is gone, and after."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.chaos.steps", "pipeline.services.reembedding"])
    killed = 0
    with StoreServer(shop.store, tmp_path / "store.sock"):
        for last in range(1, MOST_STEPS, 3):
            shop.process(other(shop)).reembedding.start()
            arguments = (tmp_path, tmp_path / "store.sock", shop.clock.now, last)
            worker = processes.Process(target=work_until_killed, args=arguments)
            worker.start()
            while worker.is_alive():
                assert answers_whole(shop)
                worker.join(LOOK_EVERY_SECONDS)
            killed += worker.exitcode == -signal.SIGKILL

            complete(shop)

            assert worker.exitcode in {0, -signal.SIGKILL}
            assert list(states(shop).values()) == [SERVING]
            assert answers_whole(shop)
            if worker.exitcode == 0:
                break

    assert killed > 7
    assert shop.services.verification.verify(scope=shop.org) == Verification()


def work_until_killed(data_dir: Path, socket: Path, now: datetime, last: int) -> None:
    """In a process of its own: fill what there is to fill, and end by SIGKILL at this step."""
    seen = 0

    def step(_: str) -> None:
        nonlocal seen
        seen += 1
        if seen == last:
            os.kill(os.getpid(), signal.SIGKILL)

    _work(data_dir, socket, now, step)


def _work(data_dir: Path, socket: Path, now: datetime, step: Callable[[str], None]) -> None:
    clock = SetClock()
    clock.now = now
    settings = Settings(data_dir=data_dir, embed={"model": OLD})
    store = RemoteStore(socket, timeout=PATIENCE)
    stepped_services(settings, store, clock, step, models=WordModels()).reembedding.work(owner="killed")

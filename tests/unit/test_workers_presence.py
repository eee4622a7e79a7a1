"""A worker's row: written again and again, with what it does."""

from __future__ import annotations

import os
from dataclasses import dataclass
from threading import Event
from uuid import uuid4

from celery import signals

from pipeline.errors import DatabaseUnavailable
from pipeline.services.clock import system_clock
from pipeline.services.operations import Present
from tests.lab.waiting import eventually
from workers.presence import Presence


class Rows:
    """Keeps what was said; `is_away` as a database is that does not answer."""

    def __init__(self) -> None:
        self.said: list[Present] = []
        self.left: list[Present] = []
        self.is_away = False
        self.spoken = Event()

    def enter(self, queue: str, *, sends_ticks: bool) -> Present:
        """Begin."""
        self._answer()
        return Present(uuid4(), "here", os.getpid(), queue, sends_ticks, started_at=system_clock())

    def beat(self, me: Present) -> None:
        """Note it."""
        self._answer()
        self.said.append(me)

    def leave(self, me: Present) -> None:
        """Note it."""
        self.left.append(me)

    def _answer(self) -> None:
        self.spoken.set()
        if self.is_away:
            raise DatabaseUnavailable


@dataclass
class Task:
    """A Celery task, as far as its signals tell."""

    name: str


def test_what_a_worker_does_is_said_while_it_does_it() -> None:
    """Named with its crawl; afterwards it waits, and the time it took the hint stays."""
    rows = Rows()
    with Presence("crawl", sends_ticks=False, operations=rows, every=0.005):
        signals.task_prerun.send(None, task_id="1", task=Task("crawl.run"), kwargs={"crawl_id": "c1"})
        eventually(lambda: rows.said and rows.said[-1].job == "crawl.run c1", what="its job is said")
        signals.task_postrun.send(None, task_id="1", task=Task("crawl.run"))
        eventually(lambda: rows.said[-1].job is None, what="it waits")

    assert rows.said[-1].took_at is not None
    assert [gone.id for gone in rows.left] == [rows.said[0].id]


def test_a_database_that_is_away_is_waited_for() -> None:
    """The worker goes on, and is seen once the database is back."""
    rows = Rows()
    rows.is_away = True
    with Presence("index", sends_ticks=True, operations=rows, every=0.005):
        assert rows.spoken.wait(60)
        rows.is_away = False
        eventually(lambda: rows.said, what="it is seen")

    assert (rows.said[0].queue, rows.said[0].sends_ticks) == ("index", True)

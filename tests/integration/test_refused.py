"""Whoever was told that nothing was accepted finds nothing, however late the database came back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest

from pipeline.db.engine import unless_refused
from pipeline.errors import DatabaseUnavailable
from pipeline.services.training import NewScenario
from tests.fakes.knowledge import Knowledge


@pytest.mark.parametrize("is_together", [False, True], ids=["alone", "together"])
def test_what_was_refused_meanwhile_is_not_committed(knowledge: Knowledge, *, is_together: bool) -> None:
    """Neither of one use case nor of several, in a thread that was begun for whoever asked; all else is as ever."""
    database, org, refused = knowledge.services.database, knowledge.org, [False]

    def write(title: str) -> None:
        knowledge.services.training.add(NewScenario(title, "Words."), scope=org)

    def slow(title: str) -> None:
        if not is_together:
            refused[0] = True
            write(title)
            return
        with database.together():
            write(title)
            refused[0] = True

    with ThreadPoolExecutor(1) as threads:
        with unless_refused(lambda: refused[0]):
            in_time, late = copy_context(), copy_context()
        threads.submit(in_time.run, write, "In time").result()
        with pytest.raises(DatabaseUnavailable):
            threads.submit(late.run, slow, "Late").result()
        threads.submit(write, "Another").result()

    assert {row.title for row in knowledge.services.training.list_scenarios(scope=org)} == {"In time", "Another"}

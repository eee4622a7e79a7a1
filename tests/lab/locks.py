"""Two transactions on PostgreSQL that meet where a test says, in the same order every time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import event, text

from pipeline.db.engine import Database
from tests.lab.waiting import eventually

Result = TypeVar("Result")

_WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


@contextmanager
def meeting(database: Database, other: Callable[[], Result], *, before: str) -> Iterator[Future[Result]]:
    """Before the first statement with these words, `other` begins in a thread, and goes on until it waits for a lock.

    What is done inside goes on then, with its locks; the future has what became of `other`.
    """
    with ThreadPoolExecutor(1) as threads:
        outcome: Future[Result] = Future()
        left = [outcome]

        def meet(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            if before in statement and left:
                left.pop()
                threads.submit(_run, other, outcome)
                eventually(lambda: outcome.done() or _somebody_waits(database), what="the other one waits for a lock")

        event.listen(database.engine, "before_cursor_execute", meet)
        try:
            yield outcome
        finally:
            event.remove(database.engine, "before_cursor_execute", meet)
    assert outcome.done(), f"no statement said {before!r}"


def _run(other: Callable[[], Result], outcome: Future[Result]) -> None:
    try:
        outcome.set_result(other())
    except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
        outcome.set_exception(error)


def _somebody_waits(database: Database) -> bool:
    with database.read() as session:
        return bool(session.scalar(_WAITING))

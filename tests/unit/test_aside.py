"""What nobody waits for is done once for each subject, by a thread that ends when it is told to."""

from __future__ import annotations

from functools import partial
from threading import Event

from pipeline.services.aside import Aside

PATIENCE_SECONDS = 30.0


def test_what_is_asked_often_is_done_once_as_it_was_asked_last() -> None:
    """While the thread is busy, a subject waits in one place, whoever asks."""
    aside, begun, go_on = Aside(), Event(), Event()
    done: list[str] = []

    def first() -> None:
        begun.set()
        go_on.wait(PATIENCE_SECONDS)

    aside.soon("first", first)
    begun.wait(PATIENCE_SECONDS)
    for words in ("old", "older", "new"):
        aside.soon("second", partial(done.append, words))
    go_on.set()

    assert aside.wait(PATIENCE_SECONDS)
    assert done == ["new"]
    aside.close()


def test_what_is_under_way_is_finished_and_nothing_else_begins() -> None:
    """Closing waits for it; what is asked afterwards is dropped."""
    aside, begun, go_on = Aside(), Event(), Event()
    done: list[str] = []

    def work() -> None:
        begun.set()
        go_on.wait(PATIENCE_SECONDS)
        done.append("under way")

    aside.soon("one", work)
    begun.wait(PATIENCE_SECONDS)
    go_on.set()
    aside.close()
    aside.soon("three", lambda: done.append("late"))

    assert done == ["under way"]
    assert aside.wait(0)


def test_nothing_to_do_is_done() -> None:
    """Without a thread."""
    aside = Aside()

    assert aside.wait(0)
    aside.close()


def test_work_that_fails_stops_no_other() -> None:
    """Its thread goes on with the next."""
    aside = Aside()
    done: list[str] = []

    def fails() -> None:
        raise ZeroDivisionError

    aside.soon("one", fails)
    aside.soon("two", lambda: done.append("two"))

    assert aside.wait(PATIENCE_SECONDS)
    assert done == ["two"]
    aside.close()

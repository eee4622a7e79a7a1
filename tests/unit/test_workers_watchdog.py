"""When a worker counts as stalled."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Event
from uuid import UUID, uuid4

import pytest

from pipeline.errors import BrokerUnavailable
from tests.fakes.broken_broker import broken_broker
from workers.app import app
from workers.watchdog import NEGLECT_SECONDS, STALLED_SECONDS, Neglect, Stall, Step, Watchdog


@dataclass
class Moment:
    """What is seen of a worker at one look."""

    at: float
    waiting: int = 1
    has_room: bool = True
    takes: bool = False


def _stalled(*moments: Moment) -> bool:
    stall = Stall()
    found = False
    for moment in moments:
        if moment.takes:
            stall.over()
        found = stall.look(moment.at, waiting=moment.waiting, has_room=moment.has_room)
    return found


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        ([Moment(0)], False),
        ([Moment(0), Moment(STALLED_SECONDS - 1)], False),
        ([Moment(0), Moment(STALLED_SECONDS + 1)], True),
        ([Moment(0), Moment(5, takes=True), Moment(STALLED_SECONDS + 1)], False),
        ([Moment(0), Moment(5, waiting=0), Moment(STALLED_SECONDS + 1)], False),
        ([Moment(0, has_room=False), Moment(STALLED_SECONDS + 1, has_room=False)], False),
    ],
    ids=["first look", "not long", "long", "took one", "queue was empty", "busy"],
)
def test_a_worker_is_stalled_when_it_takes_no_hint_for_long(moments: list[Moment], *, expected: bool) -> None:
    """Hints must wait, there must be room, and none may have been taken all the while."""
    assert _stalled(*moments) is expected


LATE = NEGLECT_SECONDS + 1


@pytest.mark.parametrize(
    ("due", "taken_at", "expected"),
    [
        ([(0, True), (LATE - 2, True)], None, Step.NOTHING),
        ([(0, True), (LATE, True)], None, Step.HINT),
        ([(0, True), (LATE, True), (2 * LATE, True)], None, Step.HINT),
        ([(0, True), (LATE, True), (2 * LATE, True), (3 * LATE, True)], None, Step.END),
        ([(0, True), (LATE, True), (2 * LATE, True), (3 * LATE, True)], LATE, Step.HINT),
        ([(0, True), (LATE, True), (2 * LATE, False), (3 * LATE, True)], None, Step.NOTHING),
    ],
    ids=["not long", "long", "missed one hint", "missed two", "took one", "nothing was due"],
)
def test_an_idle_worker_hints_itself_before_it_is_ended(
    due: list[tuple[float, bool]], taken_at: float | None, expected: Step
) -> None:
    """Rows must be due all the while, and it must have missed its own hints twice."""
    neglect = Neglect()

    for second, is_due in due:
        step = neglect.look(second, is_due=is_due, has_room=True)
        if second == taken_at:
            neglect.over()

    assert step is expected


def test_a_busy_worker_is_never_neglectful() -> None:
    """It has no room: others take what is due."""
    neglect = Neglect(seconds=0)

    steps = {neglect.look(second, is_due=True, has_room=False) for second in range(9)}

    assert steps == {Step.NOTHING}


@dataclass
class Idle:
    """A Celery worker with room."""

    concurrency: int = 1


@dataclass
class Waiting:
    """A row that is due for ever; its hints go nowhere, or cannot leave."""

    broker_is_away: bool = False
    hints: int = 0
    target: UUID = field(default_factory=uuid4)
    asked: Event = field(default_factory=Event)

    def oldest(self) -> UUID:
        """The row."""
        return self.target

    def hint(self, target: UUID) -> None:
        """Lose it."""
        assert target == self.target
        self.hints += 1
        if self.hints > 9:
            self.asked.set()
        if self.broker_is_away:
            raise BrokerUnavailable


def _watch(rows: Waiting, ended: Event) -> Watchdog:
    return Watchdog("index", Idle(), rows, neglect=Neglect(seconds=0), look_every=0.001, ends=ended.set)


def test_a_worker_that_is_deaf_beside_due_work_is_ended() -> None:
    """Its queue is empty, its own hints reach it no more than others'."""
    rows, ended = Waiting(), Event()

    with _watch(rows, ended):
        is_ended = ended.wait(60)

    assert (is_ended, rows.hints) == (True, 2)


def test_a_broker_that_is_away_is_not_the_workers_fault() -> None:
    """Hints that do not leave prove nothing."""
    rows, ended = Waiting(broker_is_away=True), Event()

    with _watch(rows, ended):
        tried = rows.asked.wait(60)

    assert (tried, ended.is_set()) == (True, False)


def test_a_broker_that_breaks_off_while_it_is_asked_ends_no_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it did not say counts as nothing waiting; rows are looked at all the same, and the next look follows."""
    rows, ended = Waiting(), Event()

    with broken_broker() as url:
        monkeypatch.setattr(app.conf, "broker_write_url", url)
        with _watch(rows, ended):
            is_ended = ended.wait(60)

    assert (is_ended, rows.hints) == (True, 2)


def test_a_look_that_fails_ends_no_watch() -> None:
    """Whatever it failed of: a worker without a watchdog would never be known to be deaf."""

    class Failing(Waiting):
        looks = 0

        def oldest(self) -> UUID:
            """Fail the first time, as a defect might."""
            self.looks += 1
            if self.looks == 1:
                raise RuntimeError
            return super().oldest()

    rows, ended = Failing(), Event()

    with _watch(rows, ended):
        is_ended = ended.wait(60)

    assert (is_ended, rows.hints) == (True, 2)

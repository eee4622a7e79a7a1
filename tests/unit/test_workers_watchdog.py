"""When a worker counts as stalled."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from workers.watchdog import STALLED_SECONDS, Stall


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

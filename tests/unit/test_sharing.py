"""How one limit is dealt out: equal parts, never more than there is, and every crawl comes to its turn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from pipeline.services.sharing import TURN, Stake, allotted, backoff_wait, deal

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@st.composite
def stakes(draw: st.DrawFn, limit: int = 8) -> list[Stake]:
    """Stakes that together have no more than the limit."""
    left, found = limit, []
    for number in range(draw(st.integers(1, 12))):
        has = draw(st.integers(0, left))
        left -= has
        since = NOW - timedelta(seconds=draw(st.integers(0, 10)))
        found.append(Stake(UUID(int=number), has, draw(st.integers(0, limit)), since))
    return found


@given(stakes())
def test_no_more_is_dealt_than_there_is_nor_than_is_wanted(given_stakes: list[Stake]) -> None:
    """And all of it, where enough is wanted."""
    due = deal(8, given_stakes, now=NOW)

    wants = {stake.holder: stake.wants for stake in given_stakes}
    assert sum(due.values()) == min(8, sum(wants.values()))
    assert all(due[holder] <= wants[holder] for holder in due)


@given(stakes())
def test_parts_are_equal_but_for_one(given_stakes: list[Stake]) -> None:
    """Whoever has less wants no more, or came later to the last one left."""
    due = deal(8, given_stakes, now=NOW)

    hungry = [due.get(stake.holder, 0) for stake in given_stakes if due.get(stake.holder, 0) < stake.wants]
    assert all(part <= least + 1 for least in hungry for part in due.values())


@given(stakes(), st.data())
def test_whoever_asks_next_the_limit_holds(given_stakes: list[Stake], data: st.DataObject) -> None:
    """A part grows only by what is free; one that is too large is to shrink, and counts until it has."""
    mine = data.draw(st.sampled_from(given_stakes))
    others = [stake for stake in given_stakes if stake is not mine]

    may = allotted(8, mine, others, now=NOW)

    assert max(may, mine.requests) + sum(other.requests for other in others) <= 8


def test_whose_turn_is_over_gives_way_to_who_waited_longest() -> None:
    """But not before, and not while a moment it reserved is still to come."""
    old, young = NOW - 2 * TURN, NOW - TURN / 2
    waiting = Stake(UUID(int=1), 0, 1, young)
    waited = Stake(UUID(int=2), 0, 1, old)

    assert deal(1, [Stake(UUID(int=3), 1, 1, old), waiting, waited], now=NOW)[waited.holder] == 1
    assert deal(1, [Stake(UUID(int=3), 1, 1, young), waiting, waited], now=NOW)[UUID(int=3)] == 1
    assert deal(1, [Stake(UUID(int=3), 1, 1, old, NOW + TURN), waiting, waited], now=NOW)[UUID(int=3)] == 1


def test_waits_double_to_a_minute_and_end_in_rest() -> None:
    """Seconds."""
    waits = [backoff_wait(times).total_seconds() for times in range(1, 12)]

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60, 600, 600]

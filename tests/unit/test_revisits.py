"""When pages are looked at next, and what a sitemap's word is worth."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.lastmods import Word, claims_no_change
from pipeline.revisits import LEAST_WEIGHT, History, expected_age, fair_weight, hours_until_next

DAY = 24.0
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def looked(told: str) -> History:
    """The history of a page that was looked at daily; each `x` is a change, each `.` none."""
    history = History()
    for look in told:
        history = history.seen(has_changed=look == "x", gap=DAY, interval=DAY)
    return history


def gap(history: History, *, weight: float = 1 / 8) -> float:
    """Days until the next look at a page of a website that is crawled daily."""
    return hours_until_next(history, weight=weight, interval=DAY, shortest=0.25, longest=8) / DAY


def test_a_page_that_never_changes_is_looked_at_ever_less() -> None:
    """Every look that finds nothing new puts the next one off, to eight intervals and no further."""
    gaps = [gap(looked("." * looks)) for looks in range(1, 200)]

    assert gaps == sorted(gaps)
    assert gaps[0] > 1
    assert gaps[-1] <= 8


def test_a_change_brings_the_next_look_forward() -> None:
    """A page that changed is looked at sooner than one that did not."""
    assert gap(looked("..x")) < gap(looked("..."))
    assert gap(looked("xxx")) < 1


def test_no_date_leaves_its_bounds() -> None:
    """However a page behaves and whatever a look is worth, the bounds hold."""
    gaps = [gap(looked("x" * 50), weight=weight) for weight in (1e-6, 1e-3, 1, 64)]

    assert min(gaps) == 0.25
    assert max(gaps) == 8


def test_a_page_that_begins_to_change_is_soon_looked_at_often() -> None:
    """What a page did long ago does not outweigh what it does now."""
    quiet = looked("." * 365)

    awake = quiet
    for _ in range(10):
        awake = awake.seen(has_changed=True, gap=gap(awake) * DAY, interval=DAY)

    assert gap(awake) < gap(quiet) / 2


@pytest.mark.parametrize("days", [0.5, 1, 4, 30])
def test_a_rate_is_found_from_looks_that_tell_no_number(days: float) -> None:
    """Looks at a page tell only whether it changed; its rate is found all the same."""
    chance, history = random.Random(4), History()  # noqa: S311 - chance, no secret
    for _ in range(400):
        step = DAY * chance.choice([0.5, 1, 2])
        gone = chance.expovariate(1 / (days * DAY))
        history = history.seen(has_changed=gone < step, gap=step, interval=DAY)

    found = 1 / history.rate(DAY) / DAY

    assert found == pytest.approx(days, rel=0.5)


def test_the_age_of_a_copy_is_what_a_simulation_says() -> None:
    """The formula agrees with copies that are renewed every two days of a page that changes daily."""
    chance, total, looks = random.Random(7), 0.0, 20_000  # noqa: S311 - chance, no secret
    for _ in range(looks):
        lost = 2 * DAY - chance.expovariate(1 / DAY)
        total += lost**2 / 2 if lost > 0 else 0

    assert expected_age(1 / DAY, 2 * DAY) == pytest.approx(total / (looks * 2 * DAY), rel=0.03)


@given(
    st.lists(st.tuples(st.floats(0, 300), st.floats(1, 9_000)), min_size=1, max_size=12),
)
def test_a_website_is_no_older_than_its_schedule_would_have_it_unless_that_is_fresh_enough(
    seen: list[tuple[float, float]],
) -> None:
    """Above the least weight, looks are so shared that the mean age is that of the schedule, for no more requests."""
    histories = [History(changes, hours) for changes, hours in seen]
    weight = fair_weight(histories, interval=DAY)
    gaps = [hours_until_next(one, weight=weight, interval=DAY, shortest=1e-9, longest=1e9) for one in histories]

    age = sum(expected_age(one.rate(DAY), gap) for one, gap in zip(histories, gaps, strict=True))

    assert sum(DAY / gap for gap in gaps) <= 1.25 * len(gaps) or weight > LEAST_WEIGHT * 1.001
    if weight > LEAST_WEIGHT * 1.001:
        assert age <= 1.05 * sum(expected_age(one.rate(DAY), DAY) for one in histories)


@pytest.mark.parametrize(
    ("lastmod", "says"),
    [
        ("2026-02-27", True),
        ("2026-03-01", None),
        ("2026-02-28", None),
        ("2026-03-02T12:00:00Z", False),
        ("2026-03-01T11:59:59Z", True),
        ("2026-03-01T13:59+02:00", True),
        ("2026-03-01T14:30:00+02:00", False),
        ("2026-02-27 10:00:00", True),
        ("2026-03-09", None),
        ("2026-13-45", None),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_what_a_lastmod_says(lastmod: str | None, *, says: bool | None) -> None:
    """It says something where it is a date that is past, and all of the day it names is before or after the look."""
    told = claims_no_change(lastmod, since=NOON, now=NOON + timedelta(days=2))

    assert told is says


@pytest.mark.parametrize(
    ("word", "is_trusted"),
    [
        (Word(), False),
        (Word(kept=99), False),
        (Word(kept=100), True),
        (Word(kept=19, told=5), False),
        (Word(kept=20, told=1), True),
        (Word(kept=10_000, told=100, broken=1), False),
    ],
)
def test_trust_is_earned_and_lost_once(word: Word, *, is_trusted: bool) -> None:
    """Many claims that held make a word good, and one that was broken makes it worthless for good."""
    assert word.is_trusted is is_trusted

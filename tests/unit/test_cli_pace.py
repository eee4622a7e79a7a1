"""How fast a crawl goes, and when a guess at what is left is honest."""

from __future__ import annotations

import pytest

from pipeline.cli.pace import Pace, Phase
from pipeline.services.crawls import CrawlJob
from tests.fakes.jobs import job


def test_a_pace_counts_only_the_time_something_was_done() -> None:
    """Waiting for the first result and for others after the last is not the phase's time."""
    phase = Phase()

    for count, now in [(0, 0.0), (0, 10.0), (8, 11.0), (20, 12.0), (20, 99.0)]:
        phase.look(count, now)

    assert phase.per_second == pytest.approx(10.0)


@pytest.mark.parametrize("looks", [[(0, 0.0), (3, 1.0), (7, 2.0)], [(0, 0.0), (16, 0.2)]])
def test_a_few_pages_say_nothing(looks: list[tuple[int, float]]) -> None:
    """No guess is made from less than eight pages, or from one batch whose beginning nobody saw."""
    phase = Phase()

    for count, now in looks:
        phase.look(count, now)

    assert phase.seconds_for(100) is None


def test_what_was_done_before_is_no_part_of_the_pace() -> None:
    """A crawl that goes on is as fast as it is now, not as what it finds done."""
    phase = Phase()

    for count, now in [(100, 5.0), (110, 6.0)]:
        phase.look(count, now)

    assert phase.per_second == pytest.approx(10.0)


def watched(*counts: CrawlJob, page_limit: int = 5_000) -> Pace:
    """A pace that looked at these states, a second apart."""
    pace = Pace(page_limit)
    for second, state in enumerate(counts):
        pace.look(state, float(second))
    return pace


def test_the_page_limit_bounds_the_guess() -> None:
    """With more pages waiting than may be kept, what is left is what may be kept."""
    first = job(total_pages=500, fetched_pages=10, new_pages=10, waiting_pages=490)
    now = job(total_pages=600, fetched_pages=20, new_pages=20, waiting_pages=580)

    pace = watched(job(total_pages=400), first, now, page_limit=40)

    assert pace.seconds_left(now) == pytest.approx(2.0)


def test_a_growing_frontier_allows_no_guess() -> None:
    """Where every page still names new ones, nobody knows the end."""
    first = job(total_pages=50, fetched_pages=10, new_pages=10, waiting_pages=40)
    now = job(total_pages=90, fetched_pages=20, new_pages=20, waiting_pages=70)

    pace = watched(job(total_pages=1), first, now)

    assert pace.seconds_left(now) is None


def test_a_frontier_that_stopped_growing_allows_one() -> None:
    """After a sitemap, or when all links are known, the waiting pages are all there is."""
    first = job(total_pages=40, fetched_pages=10, new_pages=10, waiting_pages=30)
    now = job(total_pages=40, fetched_pages=20, new_pages=20, waiting_pages=20)

    pace = watched(job(total_pages=40), first, now)

    assert pace.seconds_left(now) == pytest.approx(2.0)


def test_indexing_decides_where_it_is_slower() -> None:
    """What is fetched but not yet indexed counts: the slower phase says when all is done."""
    states = [job(total_pages=40, fetched_pages=40, new_pages=40, pending_pages=left) for left in (40, 35, 30)]

    pace = watched(*states)

    assert pace.seconds_left(states[-1]) == pytest.approx(6.0)

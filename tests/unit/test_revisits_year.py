"""A year of looks in small: dates of their own against one date for all pages."""

from __future__ import annotations

import pytest

from tests.benchmarks.revisits import DAILY, MONTHLY, NEVER, Website, by_dates, by_schedule
from tests.benchmarks.revisits_plot import draw


@pytest.mark.unmeasured  # a year of arithmetic, that test_revisits reaches too
def test_dates_of_their_own_save_most_looks_and_keep_copies_as_fresh() -> None:
    """Pages that change daily, monthly and never, crawled daily: much less is asked for, and nothing is older."""
    website = Website.of({DAILY: 0.1, MONTHLY: 0.3, NEVER: 0.6}, pages=40, seed=5)

    fixed, own = by_schedule(website, 24.0), by_dates(website, 24.0)

    assert own.requests <= 0.6 * fixed.requests
    assert own.age(website) <= fixed.age(website)
    assert own.outdated(website) <= fixed.outdated(website)


def test_the_year_can_be_drawn() -> None:
    """The plot names every website, and shows both numbers."""
    row: dict[str, str | float] = {"mix": "some & others", "hours": 24.0, "fixed requests": 1_000, "own requests": 400}
    row |= {"least requests": 350}

    drawn = draw([row | {"fixed age": 2.0, "own age": 1.5}])

    assert drawn.startswith("<svg")
    assert all(text in drawn for text in ("some &amp; others", "1,000", "400", "1.50"))

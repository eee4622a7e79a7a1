"""A year of a website on a clock that is set: pages looked at by their own dates, beside one date for all.

Pages change by chance at a steady rate: some daily, some monthly, some never. Both ways of looking see the same
changes. What is counted is requests for pages, and for each copy its age: the time since the first change it lacks.
The policy is the product's, with its spacing of crawls; nothing is fetched. Beside both stands the least that any
policy needs for the schedule's age, if it knows from the first day how often every page changes.
"""

from __future__ import annotations

import argparse
import random
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pipeline.revisits import History, best_gap, expected_age, fair_weight, hours_until_next
from pipeline.services.revisiting import ALMOST, FIRST_WEIGHT, SPACING
from pipeline.settings import CrawlSettings
from tests.benchmarks.revisits_plot import draw

YEAR_HOURS = 365 * 24.0
DAILY, MONTHLY, NEVER = 1 / 24, 1 / (30 * 24), 0.0
MIXES: Mapping[str, Mapping[float, float]] = {
    "a third of each": {DAILY: 1 / 3, MONTHLY: 1 / 3, NEVER: 1 / 3},
    "10 % daily, 30 % monthly": {DAILY: 0.1, MONTHLY: 0.3, NEVER: 0.6},
}
INTERVALS = (24.0, 72.0, 168.0)
PLOT = Path("deploy/plots/a-year-of-looks.svg")


@dataclass(frozen=True, slots=True)
class Website:
    """Pages with the hours of the year in which they change."""

    rates: Sequence[float]
    changes: Sequence[Sequence[float]]

    @staticmethod
    def of(mix: Mapping[float, float], *, pages: int, seed: int) -> Website:
        """A website of so many pages, by chance."""
        chance = random.Random(seed)  # noqa: S311 - chance, no secret
        rates = [rate for rate, share in mix.items() for _ in range(round(share * pages))]
        return Website(rates, [_changes(rate, chance) for rate in rates])


@dataclass(slots=True)
class Year:
    """When each page was looked at, in hours of the year, and how many crawls that took."""

    looks: list[list[float]]
    crawls: int = 0

    @property
    def requests(self) -> int:
        """Requests for pages after the first crawl."""
        return sum(len(page) - 1 for page in self.looks)

    def age(self, website: Website) -> float:
        """The mean age of a copy, in hours, over all pages and the whole year."""
        return self._mean(website, lambda lost: lost**2 / 2)

    def outdated(self, website: Website) -> float:
        """The share of copies that are out of date, over all pages and the whole year."""
        return self._mean(website, lambda lost: lost)

    def _mean(self, website: Website, cost: Callable[[float], float]) -> float:
        total = 0.0
        for changes, looks in zip(website.changes, self.looks, strict=True):
            for look, following in pairwise([*looks, YEAR_HOURS]):
                first = bisect_right(changes, look)
                if first < len(changes) and changes[first] < following:
                    total += cost(following - changes[first])
        return total / YEAR_HOURS / len(self.looks)


def by_schedule(website: Website, interval: float) -> Year:
    """Every page at every interval."""
    looks = [number * interval for number in range(int(-(-YEAR_HOURS // interval)))]
    return Year([looks for _ in website.rates], crawls=len(looks))


def by_dates(website: Website, interval: float) -> Year:
    """Each page when it is due."""
    bounds = CrawlSettings()
    pages = range(len(website.rates))
    year, histories, due = Year([[] for _ in pages]), [History()] * len(pages), [0.0] * len(pages)
    weight, now = FIRST_WEIGHT, 0.0
    while now < YEAR_HOURS:
        for page in (page for page in pages if due[page] <= now + ALMOST * interval):
            looks = year.looks[page]
            if looks:
                has_changed = _has_changed(website.changes[page], looks[-1], now)
                histories[page] = histories[page].seen(has_changed=has_changed, gap=now - looks[-1], interval=interval)
            looks.append(now)
            due[page] = now + _gap(histories[page], weight, interval, bounds)
        if year.crawls:
            weight = fair_weight(histories, interval=interval)
        year.crawls += 1
        now = min(max(min(due), now + SPACING * interval), now + interval)
    return year


def least_requests(website: Website, interval: float) -> float:
    """Requests in a year that keep the schedule's mean age, with every rate known and every look at the best time.

    A page that never changes is asked for as seldom as the product allows. That is the optimum of `pipeline.revisits`
    without its guesses, its margin and its crawls: what is left of the difference is what not knowing costs.
    """
    longest = CrawlSettings().longest_revisit
    rates = [rate * interval for rate in website.rates]
    allowed = sum(expected_age(rate, 1.0) for rate in rates)

    def gaps(weight: float) -> list[float]:
        return [min(best_gap(rate, weight), longest) if rate else longest for rate in rates]

    low, high = 1e-4, 64.0
    for _ in range(40):
        weight = (low + high) / 2
        is_too_old = sum(map(expected_age, rates, gaps(weight))) > allowed
        low, high = (low, weight) if is_too_old else (weight, high)
    return sum(YEAR_HOURS / interval / gap for gap in gaps(low))


def _has_changed(changes: Sequence[float], since: float, now: float) -> bool:
    return bisect_right(changes, since) < bisect_right(changes, now)


def _gap(history: History, weight: float, interval: float, bounds: CrawlSettings) -> float:
    if not history.hours:
        return interval
    shortest, longest = bounds.shortest_revisit, bounds.longest_revisit
    return hours_until_next(history, weight=weight, interval=interval, shortest=shortest, longest=longest)


def rows(*, pages: int, seed: int) -> list[dict[str, str | float]]:
    """What both ways cost and gave, for every mix and interval."""
    found: list[dict[str, str | float]] = []
    for name, mix in MIXES.items():
        website = Website.of(mix, pages=pages, seed=seed)
        for interval in INTERVALS:
            fixed, own = by_schedule(website, interval), by_dates(website, interval)
            row: dict[str, str | float] = {
                "mix": name,
                "hours": interval,
                "fixed requests": fixed.requests,
                "own requests": own.requests,
                "least requests": least_requests(website, interval),
                "saved": 1 - own.requests / fixed.requests,
                "fixed age": fixed.age(website),
                "own age": own.age(website),
                "fixed outdated": fixed.outdated(website),
                "own outdated": own.outdated(website),
                "fixed crawls": fixed.crawls,
                "own crawls": own.crawls,
            }
            found.append(row)
            print(_line(row), flush=True)  # noqa: T201 - what it is for
    return found


def _line(row: Mapping[str, str | float]) -> str:
    return (
        f"{row['mix']:>26}, every {row['hours']:.0f} h: {row['fixed requests']} -> {row['own requests']} requests "
        f"({row['saved']:.1%} fewer; at least {row['least requests']:.0f} are needed), "
        f"mean age {row['fixed age']:.2f} -> {row['own age']:.2f} h, "
        f"out of date {row['fixed outdated']:.1%} -> {row['own outdated']:.1%}, "
        f"crawls {row['fixed crawls']} -> {row['own crawls']}"
    )


def _changes(rate: float, chance: random.Random) -> list[float]:
    found, hour = [], 0.0
    while rate and (hour := hour + chance.expovariate(rate)) < YEAR_HOURS:
        found.append(hour)
    return found


def main() -> None:
    """Simulate, print the table, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=300)
    parser.add_argument("--seed", type=int, nargs="+", default=[1], help="the first is drawn, all are printed")
    parser.add_argument("--plot", type=Path, default=PLOT)
    given = parser.parse_args()
    first, *_ = [rows(pages=given.pages, seed=seed) for seed in given.seed]
    given.plot.write_text(draw(first))


if __name__ == "__main__":
    main()

"""When a page is looked at next: as fresh as a fixed schedule would keep a website, with as few requests as that takes.

A page changes like a Poisson process of its own rate. Its rate is estimated from every look: whether the page had
changed, and how long after the look before. A copy's age is the time since the first change that it lacks. The
requests of a website are shared so that one more would lower the mean age by the same amount on whatever page it was
spent: the optimum of J. Cho and H. Garcia-Molina, "Effective page refresh policies for Web crawlers", ACM TODS 28(4),
2003, for age. What one request is worth, the weight, is set for each website so that its expected mean age is that of
the fixed schedule. Looks that come at any time, and tell only whether there was a change, are what the same authors
estimate from in "Estimating frequency of change", ACM TOIT 3(3), 2003.

Times are hours; a weight is in squared intervals, so that it means the same at every interval.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

LEAST_WEIGHT = 1 / 20
"""A website where nothing changes is not asked as often as it would take to be that fresh: pages that change all the
time are looked at every `sqrt(2 / 20)` = 0.32 intervals at most."""

MOST_WEIGHT = 64.0

_AIM = 0.86
"""The share of the schedule's mean age that is aimed at: rates are guessed, looks wait for a crawl, and one year is not
like another."""

_PRIOR_CHANGES = 1 / 16
_PRIOR_INTERVALS = 1 / 4
"""A page nobody knows is expected to change once in four intervals; one look is enough to outweigh that."""

_MEMORY = 128.0
"""Intervals that are remembered: what a page did longer ago fades."""

_ROUNDING = 4
"""Rates are told apart by a quarter of an octave where a website's pages are weighed together."""

_SMALL = 1e-3
_CLOSE = 1e-7
_STEPS = 24


@dataclass(frozen=True, slots=True)
class History:
    """What the looks at one page told: changes, with those expected in between, in so many hours."""

    changes: float = 0.0
    hours: float = 0.0

    def seen(self, *, has_changed: bool, gap: float, interval: float) -> History:
        """The history after another look, `gap` hours after the one before.

        That there was a change says that there was at least one: as many are counted as a page of
        this rate has in such a gap if it has any.
        """
        expected = self.rate(interval) * gap
        changes = self.changes + (_given_any(expected) if has_changed else 0.0)
        hours = self.hours + gap
        fade = min(1.0, _MEMORY * interval / hours) if hours else 1.0
        return History(changes * fade, hours * fade)

    def rate(self, interval: float) -> float:
        """Changes an hour, expected of a page of a website that is crawled every `interval` hours."""
        return (self.changes + _PRIOR_CHANGES) / (self.hours + _PRIOR_INTERVALS * interval)


def hours_until_next(history: History, *, weight: float, interval: float, shortest: float, longest: float) -> float:
    """Hours until a page is to be looked at again; `shortest` and `longest` are in intervals."""
    gap = best_gap(history.rate(interval) * interval, weight)
    return interval * min(max(gap, shortest), longest)


def expected_age(rate: float, gap: float) -> float:
    """Mean age, in hours, of a copy that is renewed every `gap` hours, of a page that changes `rate` times an hour."""
    changes = rate * gap
    if changes < _SMALL:
        return gap * changes / 6
    return gap * (0.5 - 1 / changes - math.expm1(-changes) / changes**2)


def fair_weight(histories: Iterable[History], *, interval: float) -> float:
    """What a request is worth on a website of these pages: as much as keeps its mean age where the schedule has it."""
    pages = Counter(round(_ROUNDING * math.log2(history.rate(interval) * interval)) for history in histories)
    rates = {2 ** (step / _ROUNDING): count for step, count in pages.items()}
    allowed = _AIM * sum(count * expected_age(rate, 1.0) for rate, count in rates.items())

    def is_too_old(weight: float) -> bool:
        return sum(count * expected_age(rate, best_gap(rate, weight)) for rate, count in rates.items()) > allowed

    return _first(is_too_old, LEAST_WEIGHT, MOST_WEIGHT)


def best_gap(rate: float, weight: float) -> float:
    """The gap at which one more look lowers the age by `weight`: all in intervals.

    Looks come 1 / gap times an interval, and with each more the age falls by gap² h(rate x gap), which grows with
    the gap. It is gap² / 2 for a page that changes all the time, and rate x gap³ / 3 for one that hardly does. It grows
    by gap (1 - exp(-rate x gap)), ever faster: from above, Newton's method comes down to the gap in a few steps.
    """
    gap = max(math.sqrt(2 * weight), math.cbrt(3 * weight / rate)) * 2
    for _ in range(_STEPS):
        too_long = (_worth(rate, gap) - weight) / (gap * -math.expm1(-rate * gap))  # Newton's step: never too far
        gap -= too_long
        if too_long < _CLOSE * gap:
            break
    return gap


def _worth(rate: float, gap: float) -> float:
    changes = rate * gap
    if changes < _SMALL:
        return gap**2 * changes / 3
    return gap**2 * (0.5 - (1 - math.exp(-changes) * (1 + changes)) / changes**2)


def _given_any(expected: float) -> float:
    """How many changes there were, of `expected`, given that there was one."""
    return 1.0 if expected < _SMALL else expected / -math.expm1(-expected)


def _first(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Where a condition begins to hold that holds from there on; `high` where it never does."""
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if holds(middle):
            high = middle
        else:
            low = middle
    return low

"""Outages: one caller tries a part that was away, the others do without it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline.services.outages import Outage


class Seconds:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The second it stands at."""
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    """A clock."""
    return Seconds()


@pytest.fixture
def outage(seconds: Seconds) -> Outage:
    """A part that rests for two seconds."""
    return Outage(rest=timedelta(seconds=2), seconds=seconds)


def test_a_part_that_answers_is_asked(outage: Outage) -> None:
    """Nothing is away to begin with, and to hear so is no news."""
    assert not outage.is_on()
    assert not outage.ended()


def test_a_part_that_did_not_answer_is_left_alone_for_a_moment(outage: Outage, seconds: Seconds) -> None:
    """Then one caller tries it while the others go on without."""
    assert outage.began()

    assert outage.is_on()
    seconds.now = 2
    assert not outage.is_on()
    assert outage.is_on()


def test_one_answer_ends_an_outage(outage: Outage) -> None:
    """From then on everybody asks again; only the first to notice has news."""
    outage.began()

    assert not outage.began()
    assert outage.ended()
    assert not outage.ended()
    assert not outage.is_on()

"""Asking parts whether they answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from threading import Event

import pytest

from pipeline.errors import BrokerUnavailable
from pipeline.services.readiness import OK, SILENT, ReadinessService

PATIENT = timedelta(seconds=30)


@pytest.fixture
def released() -> Iterator[Event]:
    """What a part that hangs waits for; let go at the end."""
    event = Event()
    yield event
    event.set()


def test_each_part_is_told_of() -> None:
    """One that answers, and one that does not, in words without addresses."""

    def away() -> None:
        raise BrokerUnavailable(problem="10.0.0.7 refused")

    service = ReadinessService({"database": lambda: None, "broker": away}, within=PATIENT)

    assert service.check() == {"database": OK, "broker": "The message broker did not answer"}


def test_a_part_that_hangs_holds_up_nobody(released: Event) -> None:
    """The others are told of, and it is said of it that it does not answer."""
    parts = {"database": lambda: None, "vectors": lambda: released.wait(60)}
    service = ReadinessService(parts, within=timedelta(milliseconds=500))

    assert service.check()["vectors"] == SILENT


def test_a_part_that_hangs_is_asked_once(released: Event) -> None:
    """However often somebody asks meanwhile; and its answer counts when it comes."""
    asked: list[int] = []

    def ask() -> None:
        asked.append(1)
        released.wait(60)

    impatient = ReadinessService({"vectors": ask}, within=timedelta(milliseconds=10))
    states = [impatient.check()["vectors"] for _ in range(5)]

    assert states == [SILENT] * 5
    assert asked == [1]


def test_an_answer_is_good_for_a_moment() -> None:
    """Ten who watch cost one question."""
    asked: list[int] = []
    service = ReadinessService({"database": lambda: asked.append(1)}, within=PATIENT)

    states = {service.check()["database"] for _ in range(10)}

    assert states == {OK}
    assert len(asked) < 10

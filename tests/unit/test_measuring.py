"""Which tests are measured for coverage."""

from __future__ import annotations

import os
import sys
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from tests.measuring import VARIABLE, as_measured, unmeasured

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


def tracer(frame: FrameType, event: str, argument: object) -> None:
    """Stands for the one of coverage."""


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This thread and those that begin are traced, and processes are told to be."""
    monkeypatch.setenv(VARIABLE, "of the tests")
    before, of_others = sys.gettrace(), threading.gettrace()
    threading.settrace(tracer)
    sys.settrace(tracer)
    yield
    sys.settrace(before)
    threading.settrace(of_others)


def item(where: str, *, parameters: str | None = None, marker: str | None = None) -> pytest.Item:
    """A test there."""
    facts = SimpleNamespace(nodeid=f"{where}::test", get_closest_marker=lambda name: name if name == marker else None)
    if parameters is not None:
        facts.callspec = SimpleNamespace(id=parameters)
    return cast("pytest.Item", facts)


@pytest.mark.parametrize(
    ("test", "is_traced", "is_told"),
    [
        (item("tests/unit/test_chunk.py"), True, True),
        (item("tests/unit/test_chunk.py", marker="unmeasured"), False, False),
        (item("tests/end_to_end/test_demo.py"), True, True),
        (item("tests/chaos/test_kills.py"), False, False),
        (item("tests/integration/test_traces.py"), True, False),
        (item("tests/integration/test_gate.py", parameters="sqlite-1"), True, False),
        (item("tests/integration/test_gate.py", parameters="postgres-1"), False, False),
    ],
)
@pytest.mark.usefixtures("traced")
def test_what_repeats_others_is_not_measured(test: pytest.Item, *, is_traced: bool, is_told: bool) -> None:
    """Storms and a second database are not traced; processes that tests of many parts start are not told to be."""
    with as_measured(test):
        seen = sys.gettrace() is tracer, threading.gettrace() is tracer, VARIABLE in os.environ

    assert seen == (is_traced, is_traced, is_told)
    assert (sys.gettrace(), threading.gettrace(), os.environ[VARIABLE]) == (tracer, tracer, "of the tests")


@pytest.mark.usefixtures("traced")
def test_a_test_that_fails_is_measured_no_longer_than_it_runs() -> None:
    """What follows is measured as before."""
    with pytest.raises(ZeroDivisionError), unmeasured():
        raise ZeroDivisionError

    assert (sys.gettrace(), os.environ[VARIABLE]) == (tracer, "of the tests")


def test_without_coverage_nothing_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    """A debugger may trace: it goes on."""
    monkeypatch.delenv(VARIABLE, raising=False)
    before = sys.gettrace()
    sys.settrace(tracer)

    with as_measured(item("tests/chaos/test_kills.py")):
        seen = sys.gettrace()
    sys.settrace(before)

    assert seen is tracer

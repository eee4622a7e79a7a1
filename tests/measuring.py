"""What is measured for coverage: all that tests reach once, not all that they repeat.

Being traced costs a process half of its time again, even where nothing of ours runs. A floor holds if fewer tests
show it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import pytest

VARIABLE = "COVERAGE_PROCESS_CONFIG"
"""Where it is set, processes that begin measure themselves; only where coverage is measured is there any."""

REPEATING = ("tests/architecture/", "tests/chaos/", "tests/evaluation/", "tests/fuzz/", "tests/hostile/")
"""Storms and malice go through lines that the other tests reach."""

STARTING = ("tests/integration/",)
"""Tests that start the processes of tests/end_to_end again, to see how they stand together."""

TWIN = "postgres"
"""The second of two databases that a test runs on."""


def as_measured(item: pytest.Item) -> AbstractContextManager[None]:
    """Run a test, with what it needs made ready, measured as it is to be."""
    if VARIABLE not in os.environ:
        return nullcontext()
    callspec = getattr(item, "callspec", None)
    parameters = callspec.id.split("-") if callspec is not None else []
    repeats = item.nodeid.startswith(REPEATING) or TWIN in parameters
    if repeats or item.get_closest_marker("unmeasured") is not None:
        return unmeasured()
    return unmeasured_children() if item.nodeid.startswith(STARTING) else nullcontext()


@contextmanager
def unmeasured_children() -> Iterator[None]:
    """Processes that begin meanwhile are not measured."""
    configuration = os.environ.pop(VARIABLE)
    try:
        yield
    finally:
        os.environ[VARIABLE] = configuration


@contextmanager
def unmeasured() -> Iterator[None]:
    """Nothing that runs meanwhile is measured, but threads that ran before.

    The tracer is taken out and put back, as `sys.settrace` allows. Coverage is not stopped: each time that it
    starts, it has processes that are forked start it once more.
    """
    of_this, of_others = sys.gettrace(), threading.gettrace()
    with unmeasured_children():
        sys.settrace(None)
        threading.settrace(None)
        try:
            yield
        finally:
            threading.settrace(of_others)
            sys.settrace(of_this)

"""Ctrl-C at any moment: nothing is lost, and the same command goes on to the same end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.command import Finished, Running, Sitewise
from tests.lab.site import LabSite
from tests.lab.waiting import eventually
from tests.lab.wire import LabRequest, Reply

INTERRUPTED = 130
PAGES = 40


@pytest.fixture
def site() -> Iterator[LabSite]:
    """Forty pages in a row of lists; the second half waits until the gate opens."""
    with LabSite() as lab:
        lab.page("/", links=[f"/page-{number}" for number in range(PAGES)])
        for number in range(PAGES):
            lab.page(f"/page-{number}")
        yield lab

"""A short look for requests that the API does not survive; `make api-fuzz` looks for longer."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.api import SLOWEST_SECONDS, ask_everything
from tests.lab.api import ApiLab, served


@pytest.fixture(scope="module")
def lab(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiLab]:
    """A served API."""
    data_dir = tmp_path_factory.mktemp("fuzz")
    shutil.copytree(sqlite_template, data_dir, dirs_exist_ok=True)
    with served(data_dir) as opened:
        yield opened


def test_every_operation_answers_as_its_document_says(lab: ApiLab) -> None:
    """What it allows, or what it forbids, of things that are there: no 500, no answer that is not foreseen."""
    findings = ask_everything(lab, examples=1, thoroughly=False)

    assert findings.problems == {}
    assert findings.asked >= 40
    assert findings.slowest < 4 * SLOWEST_SECONDS

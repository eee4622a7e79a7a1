"""No route shows or changes what is another org's, whatever id, cursor or word it is given."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.cross_org import CrossOrg, attacked

CALLS = 110


@pytest.fixture(scope="module")
def tried(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrossOrg]:
    """Every documented route with another org's ids, and some calls more."""
    data_dir = tmp_path_factory.mktemp("cross")
    shutil.copytree(sqlite_template, data_dir, dirs_exist_ok=True)
    with attacked(data_dir, seed=3) as made:
        made.calls(max(CALLS, len(made.documented)))
        yield made


def test_no_answer_holds_anything_foreign(tried: CrossOrg) -> None:
    """Neither an id nor a word of another org's, in bodies and headers, beyond what was sent."""
    assert tried.foreign == []
    assert tried.documented <= tried.routes


def test_nothing_of_another_org_is_changed(tried: CrossOrg) -> None:
    """Every row of the others is what it was."""
    assert tried.changed() == []


def test_what_is_another_orgs_is_not_there(tried: CrossOrg) -> None:
    """Asking for it is answered with 404, and nothing with a 500."""
    assert tried.broken == []
    assert tried.statuses[404] > len(tried.documented) / 4


def test_the_search_for_foreign_things_finds_them(tried: CrossOrg) -> None:
    """The same calls with the victim's own key do show what is looked for."""
    victim = tried.victims[0]

    shown = victim.org.http.get("/training").text

    assert victim.unsaid in shown
    assert tried.marks.search(shown)

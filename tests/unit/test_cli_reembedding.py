"""What `sitewise reembed` prints."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from pipeline.cli.reembedding import _print, told
from pipeline.services.reembedding import GenerationView

SINCE = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SERVING = GenerationView(1, "old@1 64 float", "serving", SINCE)
FILLING = GenerationView(2, "new@1 96 float", "filling", SINCE, pages=40, missing=10, orgs=3, orgs_missing=2)


def test_one_model_alone_has_nothing_under_way() -> None:
    """`sitewise status` says nothing of it."""
    assert told([SERVING]) == []


def test_how_far_it_is_stands_in_a_line() -> None:
    """Pages, orgs, and whether it is paused."""
    assert told([FILLING, SERVING]) == ["new@1 96 float: 30 of 40 pages embedded, 2 orgs to go"]


def test_what_holds_it_up_is_told() -> None:
    """Pages that failed, with the way to try them again, and the last problem."""
    stuck = GenerationView(2, "new", "filling", SINCE, pages=4, missing=1, left=1, orgs_missing=1, problem="no model")

    lines = told([stuck])

    assert lines[1:] == ["1 pages failed too often; `sitewise reembed resume` tries them again", "waits: no model"]


def test_the_way_back_is_told_with_its_end() -> None:
    """Until when, and by which command."""
    (line,) = told([GenerationView(1, "old", "kept", SINCE, until=SINCE)])

    assert "2026-03-01" in line
    assert "sitewise reembed rollback" in line


def test_generations_are_a_table_for_people_and_json_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """The same in both."""
    _print([FILLING, SERVING], as_json=False)
    table = capsys.readouterr().out
    _print([FILLING, SERVING], as_json=True)
    items = json.loads(capsys.readouterr().out)["items"]

    assert table.splitlines()[1].split()[0] == "2"
    assert [(item["number"], item["state"]) for item in items] == [(2, "filling"), (1, "serving")]

"""Batches of points."""

from __future__ import annotations

from uuid import UUID

from pipeline.model import OrgScope
from pipeline.stages.upsert import batches
from tests.fakes.points import make_point

SCOPE = OrgScope(UUID(int=1))


def test_batches_keep_every_point_in_order() -> None:
    """Only the last batch is shorter, and nothing is left out or repeated."""
    points = [make_point(number, SCOPE) for number in range(1, 11)]

    cut = list(batches(points, 4))

    assert [len(batch) for batch in cut] == [4, 4, 2]
    assert [point for batch in cut for point in batch] == points


def test_nothing_makes_no_batch() -> None:
    """No points, no call to the store."""
    assert list(batches([], 4)) == []

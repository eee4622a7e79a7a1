"""How much is written at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.model import Point


def batches(points: Sequence[Point], size: int) -> Iterator[Sequence[Point]]:
    """The points in their order, `size` at a time, the last batch shorter."""
    for start in range(0, len(points), size):
        yield points[start : start + size]

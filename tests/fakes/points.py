"""Points with small round numbers, for tests of whatever stores or finds them."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import numpy as np

from pipeline.model import ModelIdentity, OrgScope, Point, SparseVector

DIMENSION = 8
IDENTITY = ModelIdentity(
    name="tiny",
    revision="1",
    dimension=DIMENSION,
    max_tokens=256,
    pooling="mean",
    normalised=True,
    query_prompt="",
    document_prompt="",
    backend="torch",
    precision="fp32",
)


def make_point(
    number: int,
    scope: OrgScope,
    *,
    axis: int = 0,
    terms: Mapping[int, float] | None = None,
    datasource: UUID | None = None,
    language: str = "en",
) -> Point:
    """The point whose id is `number`, pointing along one axis, holding these terms (one of its own, if none)."""
    words = {1_000 + number % 1_000: 1.0} if terms is None else terms
    return Point(
        id=UUID(int=number),
        org_id=scope.org_id,
        datasource_id=datasource or UUID(int=0xD),
        page_id=UUID(int=0xE000 + number % 1_000),
        language=language,
        dense=np.eye(DIMENSION, dtype=np.float32)[axis],
        sparse=SparseVector(tuple(words), tuple(words.values())),
    )

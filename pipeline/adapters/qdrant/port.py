"""What every vector store can do: Qdrant Edge in this process, its owner over a socket, or a server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol
from uuid import UUID

from pipeline.model import (
    Candidates,
    ModelIdentity,
    OrgScope,
    Point,
    PointRecord,
    SearchFilter,
    SparseVector,
    Vector,
)


class VectorStore(Protocol):
    """Vectors and filterable ids of every org's chunks. Every call names its tenant.

    A store holds generations beside each other, each a collection of its own with vectors of one model. Opened, it is
    that of the first.
    """

    def at(self, generation: int) -> VectorStore:
        """The same store, at another of its generations: 1 is the first. Nothing is made by it."""
        ...

    def prepare(self, identity: ModelIdentity) -> None:
        """Make the collection and its payload indexes, or check that they were made for this model.

        Raises:
            ModelMismatch: If the collection holds vectors of another model.
            VectorStoreUnavailable: If the store does not answer.
        """
        ...

    def upsert(self, points: Sequence[Point], *, scope: OrgScope) -> None:
        """Write points, each whole, all durable when this returns. Writing twice is the same as once.

        Raises:
            ForeignPoint: If a point belongs to another org.
            InvalidVector: If a vector has another dimension, no length, or a value that is not finite.
        """
        ...

    def vectors(self, ids: Iterable[UUID], *, scope: OrgScope) -> dict[UUID, Vector]:
        """The dense vectors of those points of the org that exist, as stored."""
        ...

    def search(
        self,
        dense: Vector | None,
        sparse: SparseVector | None,
        *,
        limit: int,
        scope: OrgScope,
        where: SearchFilter | None = None,
    ) -> Candidates:
        """The org's nearest points by cosine and by BM25, each list best first, ties by id."""
        ...

    def delete(self, ids: Iterable[UUID], *, scope: OrgScope) -> None:
        """Remove points of the org; ids that do not exist are ignored."""
        ...

    def scan(self, *, scope: OrgScope, after: UUID | None = None, limit: int = 1_000) -> list[PointRecord]:
        """The org's points in id order, those after `after`, at most `limit`."""
        ...

    def count(self, *, scope: OrgScope) -> int:
        """How many points the org has, exactly."""
        ...

    def erase(self, *, scope: OrgScope) -> None:
        """Remove every point of the org. A store that was never prepared has none."""
        ...

    def drop(self) -> None:
        """Remove this generation, every org's points and all. One that was never made is gone already."""
        ...

    def close(self) -> None:
        """Let go of the store, all its generations; what was acknowledged is on disk."""
        ...

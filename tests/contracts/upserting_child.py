"""A process that writes points until it is killed, saying after each call how many were acknowledged."""

from __future__ import annotations

import sys
from pathlib import Path
from uuid import UUID

from pipeline.adapters.qdrant.edge import EdgeStore
from pipeline.model import OrgScope
from tests.fakes.points import IDENTITY, make_point

SCOPE = OrgScope(UUID(int=0xA))
BATCH = 20


def main(path: Path) -> None:
    """Write forever."""
    store = EdgeStore(path)
    store.prepare(IDENTITY)
    written = store.count(scope=SCOPE)
    while True:
        store.upsert([make_point(written + offset, SCOPE) for offset in range(1, BATCH + 1)], scope=SCOPE)
        written += BATCH
        print(written, flush=True)  # noqa: T201 - its parent reads this


if __name__ == "__main__":
    main(Path(sys.argv[1]))

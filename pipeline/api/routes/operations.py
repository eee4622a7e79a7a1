"""Is it up, and can it work."""

from __future__ import annotations

from fastapi import APIRouter

from pipeline.api.models.operations import Health

router = APIRouter(tags=["operations"])


@router.get("/healthz", summary="Is the process up")
async def health() -> Health:
    """The process answers. It asks nothing of the parts it works with."""
    return Health()

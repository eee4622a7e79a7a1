"""Is it up, and can it work."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Response

from pipeline.api.caller import AServices
from pipeline.api.models.operations import Health, Readiness
from pipeline.services.readiness import OK

router = APIRouter(tags=["operations"])


@router.get("/healthz", summary="Is the process up")
async def health() -> Health:
    """The process answers. It asks nothing of the parts it works with."""
    return Health()


@router.get("/readyz", summary="Can it work", responses={503: {"model": Readiness, "description": "It cannot."}})
async def ready(services: AServices, response: Response) -> Readiness:
    """Whether each part answers, within two seconds. Without its database it is unavailable, else at worst degraded."""
    parts = await asyncio.to_thread(services.readiness.check)  # not the threads of requests: those may all hang
    if parts["database"] != OK:
        response.status_code = 503
        return Readiness(status="unavailable", parts=parts)
    return Readiness(status="ok" if set(parts.values()) == {OK} else "degraded", parts=parts)

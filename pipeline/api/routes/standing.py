"""How an org's own work stands, and what its owner may do about it. Nothing here tells of other orgs or of machines."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from pipeline.api.acts import AChange
from pipeline.api.caller import AServices, org_caller, org_of
from pipeline.api.models.standing import (
    DeadLetterBody,
    RedriveBody,
    RedrivenBody,
    RereadingBody,
    ScheduleBody,
    StatusBody,
)
from pipeline.api.paging import MOST, APiece, Page, page_of
from pipeline.services.dead_letters import LetterView
from pipeline.services.keys import Caller
from pipeline.services.rereading import Rereading
from pipeline.services.schedules import ScheduleView

router = APIRouter(tags=["standing"])

Reader = Annotated[Caller, Depends(org_caller("crawl:read"))]
Writer = Annotated[Caller, Depends(org_caller("crawl:write"))]

REDRIVEN_AT_ONCE = 1_000
"""Dead letters that one request puts back."""


@router.get("/status", summary="Tell how the org's work stands")
def show_status(caller: Reader, services: AServices) -> StatusBody:
    """What waits and for how long, which crawls run or are held, what comes next, and what died."""
    return StatusBody.model_validate(services.org_overview.overview(scope=org_of(caller)))


@router.get("/schedules", summary="List when websites are crawled")
def list_schedules(caller: Reader, services: AServices, piece: APiece) -> Page[ScheduleBody]:
    """The org's websites, oldest first. `PATCH /crawl/{id}` changes one: its interval, and `status` to pause it."""
    return page_of(
        services.schedules.page_through(scope=org_of(caller), limit=piece.limit, after=piece.after), _schedule
    )


@router.get("/schedules/next", summary="List what is crawled next")
def list_upcoming(
    caller: Reader,
    services: AServices,
    limit: Annotated[int, Query(ge=1, le=MOST, description="How many at most.")] = 20,
) -> Page[ScheduleBody]:
    """What the clock crawls next, the first one first. `next` is always null: ask for more with `limit`."""
    found = services.schedules.upcoming(scope=org_of(caller), limit=limit)
    return Page(items=[_schedule(view) for view in found], next=None)


@router.get("/dead-letters", summary="List dead letters")
def list_dead_letters(
    caller: Reader,
    services: AServices,
    piece: APiece,
    cause: Annotated[
        str | None, Query(min_length=1, max_length=200, description="Only of this cause or fingerprint.")
    ] = None,
) -> Page[DeadLetterBody]:
    """What is not tried again by itself, and why, the latest first."""
    found = services.dead_letters.page_through(scope=org_of(caller), cause=cause, limit=piece.limit, after=piece.after)
    return page_of(found, _letter)


@router.post("/dead-letters/redrive", summary="Put dead letters back")
def redrive_all(body: RedriveBody, caller: Writer, act: AChange, services: AServices) -> RedrivenBody:
    """Let work that died be tried again: all of it, or what died of one cause; at most 1,000 letters a request."""
    scope = org_of(caller)
    done = act.change(
        lambda: services.dead_letters.redrive_all(scope=scope, cause=body.cause, limit=REDRIVEN_AT_ONCE),
        action="dead_letters.redrive",
        object_id=scope.org_id,
    )
    return RedrivenBody.model_validate(done)


@router.get("/dead-letters/{letter_id}", summary="Show a dead letter")
def show_dead_letter(letter_id: UUID, caller: Reader, services: AServices) -> DeadLetterBody:
    """One dead letter, also when it was put back."""
    return _letter(services.dead_letters.show(letter_id, scope=org_of(caller)))


@router.post("/dead-letters/{letter_id}/redrive", summary="Put a dead letter back")
def redrive(letter_id: UUID, caller: Writer, act: AChange, services: AServices) -> RedrivenBody:
    """Let this work be tried again. Twice is the same as once."""
    scope = org_of(caller)
    done = act.change(
        lambda: services.dead_letters.redrive(letter_id, scope=scope),
        action="dead_letter.redrive",
        object_id=letter_id,
    )
    return RedrivenBody.model_validate(done)


@router.get("/rederive", summary="Tell how far reading again is")
def show_rereading(caller: Reader, services: AServices) -> RereadingBody:
    """How many stored pages were read again by a newer extractor, and how many are left."""
    return _rereading(services.rereading.status(scope=org_of(caller)))


@router.post("/rederive", status_code=202, summary="Read stored pages again")
def start_rereading(caller: Writer, act: AChange, services: AServices) -> RereadingBody:
    """Let workers make texts anew from stored pages, in the background; nothing is fetched. Twice is as once."""
    scope = org_of(caller)
    return _rereading(
        act.change(lambda: services.rereading.start(scope=scope), action="rereading.start", object_id=scope.org_id)
    )


@router.delete("/rederive", summary="Stop reading again")
def cancel_rereading(caller: Writer, act: AChange, services: AServices) -> RereadingBody:
    """Read no more of them. What was read stays."""
    scope = org_of(caller)
    return _rereading(
        act.change(lambda: services.rereading.cancel(scope=scope), action="rereading.cancel", object_id=scope.org_id)
    )


def _schedule(view: ScheduleView) -> ScheduleBody:
    return ScheduleBody.model_validate(view)


def _letter(view: LetterView) -> DeadLetterBody:
    return DeadLetterBody.model_validate(view)


def _rereading(found: Rereading) -> RereadingBody:
    return RereadingBody.model_validate(found)

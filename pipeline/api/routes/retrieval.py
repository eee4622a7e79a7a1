"""Retrieval: what the AI responder asks on every message."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import TypeAdapter

from pipeline.api.caller import AServices, org_caller, org_of
from pipeline.api.failures import JSON
from pipeline.api.limits import per_org
from pipeline.api.models.retrieval import BriefingBody, RetrieveBody, StoredBriefingBody
from pipeline.model import Briefing, SearchFilter
from pipeline.retrieval.follow_up import Turn
from pipeline.services.answers import Question
from pipeline.services.keys import Caller

router = APIRouter(prefix="/retrieve", tags=["retrieval"])

Asker = Annotated[Caller, Depends(org_caller("search:read"))]

WRITTEN: TypeAdapter[Briefing] = TypeAdapter(Briefing)
"""Writes a briefing as it is: what comes from our own service is not checked field by field on every message."""


@router.post(
    "",
    response_model=BriefingBody,
    summary="Brief a responder",
    dependencies=[Depends(per_org("retrievals_per_minute"))],
)
def retrieve(body: RetrieveBody, caller: Asker, services: AServices) -> Response:
    """How to behave, the scenarios that apply, and passages of the website, for one message.

    A model or a vector store that is away does not fail it: the briefing says in `degraded` what it lacks.
    """
    briefing = services.answers.brief(_question(body), scope=org_of(caller), degrades=True)
    return Response(WRITTEN.dump_json(briefing), media_type=JSON)


@router.get("/{briefing_id}", summary="Read a briefing again")
def show_briefing(briefing_id: UUID, caller: Asker, services: AServices) -> StoredBriefingBody:
    """A briefing as it was given, with its trace; readable after its pages are gone, for a set number of days."""
    stored = services.briefings.get(briefing_id, scope=org_of(caller))
    return StoredBriefingBody.model_validate(
        {
            **WRITTEN.dump_python(stored.briefing),
            "message": stored.message,
            "asked_at": stored.asked_at,
            "kept_until": stored.kept_until,
        }
    )


def _question(body: RetrieveBody) -> Question:
    filters = body.filters
    return Question(
        message=body.message,
        top_k=body.top_k,
        max_tokens=body.max_tokens,
        where=SearchFilter(
            datasource_ids=frozenset(filters.datasource_ids),
            languages=frozenset(filters.languages),
            url_prefix=filters.url_prefix,
            fetched_after=filters.fetched_after,
        ),
        channel=body.channel,
        segments=tuple(body.segments),
        history=tuple(Turn(turn.role, turn.content) for turn in body.history),
        language=body.language,
        trace=body.trace,
    )

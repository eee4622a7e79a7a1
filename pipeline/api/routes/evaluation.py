"""Golden questions: kept, asked, and scored beside the last time."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from pipeline.api.acts import AChange, ACreation
from pipeline.api.caller import AServices, org_caller, org_of
from pipeline.api.limits import spend_many
from pipeline.api.models.evaluation import (
    AT_ONCE,
    EvaluateBody,
    ImportedBody,
    NewQuestionBody,
    PointBody,
    QuestionBody,
    QuestionsBody,
    ReportBody,
)
from pipeline.api.paging import APiece, Page, page_of
from pipeline.errors import InvalidInput
from pipeline.retrieval.scoring import Expected
from pipeline.services.evaluation import Golden
from pipeline.services.golden_files import NewGolden, check
from pipeline.services.keys import Caller

router = APIRouter(prefix="/evaluation", tags=["evaluation"])

Reader = Annotated[Caller, Depends(org_caller("training:read"))]
Writer = Annotated[Caller, Depends(org_caller("training:write"))]


@router.post("", summary="Ask golden questions")
def evaluate(body: EvaluateBody, request: Request, caller: Writer, act: AChange, services: AServices) -> ReportBody:
    """Ask the stored questions, or these, one after the other, and compare with what they scored before.

    Some 50 ms each: it answers when all are asked. At most 500 at a time. Each is one of the org's
    `retrievals_per_minute`: where fewer are left, none is asked, and 429 says when there are enough. Of an org that may
    ask for fewer in a minute than these, it takes a whole minute's.
    """
    scope = org_of(caller)
    asked = None if body.questions is None else [check(_new(one), place=at) for at, one in _placed(body.questions)]
    stored = services.evaluation.count(scope=scope) if asked is None else 0
    if stored > AT_ONCE:
        raise InvalidInput(questions=stored, allowed=f"{AT_ONCE} at a time; send some of them in `questions`")
    questions = services.evaluation.stored(scope=scope) if asked is None else asked
    spend_many(request, "retrievals_per_minute", len(questions), caller)
    report = services.evaluation.ask(questions, scope=scope)
    kept = act.change(
        lambda: services.evaluation.keep(report, scope=scope, is_of_stored=asked is None),
        action="evaluation.run",
        object_id=scope.org_id,
    )
    return ReportBody.model_validate(kept)


@router.get("/history", summary="List evaluations")
def list_evaluations(caller: Reader, services: AServices) -> Page[PointBody]:
    """The last 100 evaluations, oldest first. `next` is always null: no more are kept."""
    found = services.evaluation.history(scope=org_of(caller))
    return Page(items=[PointBody.model_validate(point) for point in found], next=None)


@router.get("/questions", summary="List golden questions")
def list_questions(caller: Reader, services: AServices, piece: APiece) -> Page[QuestionBody]:
    """The org's golden questions, oldest first."""
    found = services.evaluation.page_through(scope=org_of(caller), limit=piece.limit, after=piece.after)
    return page_of(found, _shown)


@router.post("/questions", status_code=201, response_model=QuestionBody, summary="Store a golden question")
def add_question(body: NewQuestionBody, caller: Writer, act: ACreation, services: AServices) -> Response:
    """Store a question with what a good answer has; of one that is there, that is replaced."""
    scope, new = org_of(caller), _new(body)
    return act.create(lambda: _shown(services.evaluation.add(new, scope=scope)), action="question.create")


@router.post("/questions/import", summary="Store many golden questions")
def import_questions(body: QuestionsBody, caller: Writer, act: AChange, services: AServices) -> ImportedBody:
    """Store questions, all or none. Twice is the same as once."""
    scope = org_of(caller)
    questions = [check(_new(one), place=at) for at, one in _placed(body.questions)]
    report = act.change(
        lambda: services.evaluation.import_all(questions, scope=scope, replaces=body.replace),
        action="questions.import",
        object_id=scope.org_id,
    )
    return ImportedBody.model_validate(report)


@router.delete("/questions/{question_id}", status_code=204, summary="Forget a golden question")
def remove_question(question_id: UUID, caller: Writer, act: AChange, services: AServices) -> None:
    """Ask it no more."""
    scope = org_of(caller)
    act.change(
        lambda: services.evaluation.remove(question_id, scope=scope), action="question.delete", object_id=question_id
    )


def _placed(questions: list[NewQuestionBody]) -> list[tuple[int, NewQuestionBody]]:
    return list(enumerate(questions, start=1))


def _new(body: NewQuestionBody) -> NewGolden:
    expected = Expected(tuple(body.urls), tuple(body.texts), body.scenario, body.no_answer)
    return NewGolden(body.question, expected, tuple(body.before))


def _shown(one: Golden) -> QuestionBody:
    return QuestionBody(
        id=one.id,
        question=one.message,
        urls=list(one.urls),
        texts=list(one.texts),
        scenario=one.scenario,
        no_answer=one.no_answer,
        before=list(one.before),
        created_at=one.created_at,
    )

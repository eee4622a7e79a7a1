"""Briefings and golden questions, elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pipeline.cli.remote.views import Remote, view_of
from pipeline.client import evaluation, retrieval
from pipeline.client.answers import GoldenQuestion
from pipeline.errors import BriefingNotFound, QuestionNotFound
from pipeline.model import Briefing
from pipeline.services.evaluation import Golden, Imported, Point, Report

if TYPE_CHECKING:
    from pipeline.services.answers import Question
    from pipeline.services.golden_files import NewGolden


@dataclass(frozen=True, slots=True)
class RemoteStored:
    """A briefing as it was given, the message it answered, and when."""

    message: str
    asked_at: datetime
    kept_until: datetime
    briefing: Briefing


class RemoteAnswers(Remote):
    """Briefings for the org."""

    def brief(self, question: Question, *, scope: object) -> Briefing:
        """What an agent is told for a question."""
        del scope
        where = question.where
        filters = {"url_prefix": where.url_prefix} if where and where.url_prefix else {}
        asked: dict[str, Any] = {
            "channel": question.channel,
            "segments": list(question.segments),
            "language": question.language,
            "top_k": question.top_k,
            "trace": question.trace,
            "history": [{"role": str(turn.role), "content": turn.content} for turn in question.history],
            "filters": filters,
        }
        given = {name: value for name, value in asked.items() if value is not None}
        return view_of(Briefing, self._client.send(retrieval.retrieve(question.message, **given)))

    def get(self, briefing_id: UUID, *, scope: object) -> RemoteStored:
        """A briefing as it was given.

        Raises:
            BriefingNotFound: If the org has none of this id.
        """
        del scope
        missing = BriefingNotFound(briefing=briefing_id)
        answer = self._sent(retrieval.briefing(str(briefing_id)), missing)
        return view_of(RemoteStored, {**answer, "briefing": answer})


class RemoteEvaluation(Remote):
    """Golden questions of the org."""

    def add(self, new: NewGolden, *, scope: object) -> Golden:
        """Store one."""
        del scope
        body = _body(new)
        stored = self._client.send(evaluation.add(body.pop("question"), **body))
        return _golden(stored)

    def import_all(self, questions: Sequence[NewGolden], *, scope: object, replaces: bool = False) -> Imported:
        """Store many."""
        del scope
        given = [_body(new) for new in questions]
        return view_of(Imported, self._client.send(evaluation.import_all(given, replace=replaces)))

    def listing(self, *, scope: object) -> list[Golden]:
        """The stored ones, oldest first."""
        del scope
        return [_golden(one) for one in self._client.each(evaluation.questions())]

    def remove(self, question_id: UUID, *, scope: object) -> None:
        """Forget one.

        Raises:
            QuestionNotFound: If the org has none of this id.
        """
        del scope
        self._sent(evaluation.remove(str(question_id)), QuestionNotFound(question=question_id))

    def evaluate(self, questions: Sequence[NewGolden] | None = None, *, scope: object) -> Report:
        """Ask these, or the stored ones."""
        del scope
        given = None if questions is None else [_body(new) for new in questions]
        return view_of(Report, self._client.send(evaluation.evaluate(given)))

    def history(self, *, scope: object) -> list[Point]:
        """What was scored before, oldest first."""
        del scope
        return [view_of(Point, one) for one in self._client.each(evaluation.history())]


def _body(new: NewGolden) -> dict[str, Any]:
    """A question as the routes take it."""
    expected = new.expected
    return {
        "question": new.message,
        "urls": list(expected.urls),
        "texts": list(expected.texts),
        "scenario": expected.scenario,
        "no_answer": expected.no_answer,
        "before": list(new.before),
    }


def _golden(answer: GoldenQuestion) -> Golden:
    return view_of(Golden, dict(answer), message=answer["question"])

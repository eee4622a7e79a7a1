"""Evaluation: an org's golden questions, asked and scored, and beside them what they scored before."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from pipeline.db import crawls, evaluations, golden_questions
from pipeline.db.engine import Database
from pipeline.db.evaluations import Evaluation
from pipeline.db.golden_questions import GoldenQuestion, digest_of
from pipeline.db.paging import Listed, Place
from pipeline.model import Briefing, OrgScope
from pipeline.retrieval import scoring
from pipeline.retrieval.follow_up import Role, Turn
from pipeline.retrieval.scoring import Expected, Scored
from pipeline.services.answers import AnswerService
from pipeline.services.clock import Clock
from pipeline.services.golden_files import NewGolden, check
from pipeline.services.questions import Question

SHOWN = 5
"""Pages that are told of a question whose own were not found."""

KEPT = 100
"""Evaluations of an org that are kept."""

DIGITS = 4

FIGURES = ("ndcg", "recall", "reciprocal_rank", "hit", "scenario", "refusal")


@dataclass(frozen=True, slots=True)
class Golden:
    """A stored question."""

    id: UUID
    message: str
    before: tuple[str, ...]
    urls: tuple[str, ...]
    texts: tuple[str, ...]
    scenario: str | None
    no_answer: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of a report: how well it was answered, with what, and how well before."""

    digest: str
    message: str
    scored: Scored
    found: tuple[str, ...]
    fired: tuple[str, ...]
    is_answerable: bool
    before: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """An evaluation. `means` are over the questions that each figure was asked of.

    `now` and `then` are the scores over the questions that the last evaluation of what serves had as well; `since` is
    when that was. Without one, they are None.
    """

    at: datetime
    score: float
    means: Mapping[str, float]
    questions: tuple[Asked, ...]
    now: float | None = None
    then: float | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """An evaluation in a row of them. What was not accepted was held."""

    at: datetime
    score: float
    is_accepted: bool
    crawl_id: UUID | None


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file changed."""

    added: int
    changed: int
    removed: int


class EvaluationService:
    """Keeps golden questions and asks them as a responder would. Nothing it asks is kept as a briefing."""

    def __init__(self, database: Database, clock: Clock, *, answers: Callable[[], AnswerService]) -> None:
        """Ask through these answers, made at first use."""
        self._database = database
        self._clock = clock
        self._answers = answers

    def add(self, new: NewGolden, *, scope: OrgScope) -> Golden:
        """Store a question; of one that is there, what is expected is replaced.

        Raises:
            InvalidGoldenQuestion: If it cannot be asked or scored.
        """
        new = check(new)
        with self._database.write() as session:
            row, _ = golden_questions.put(session, _row(new), org_id=scope.org_id, now=self._clock())
            return _golden(row)

    def import_all(self, questions: Sequence[NewGolden], *, scope: OrgScope, replaces: bool = False) -> Imported:
        """Store the questions of a file, all or none; twice is the same as once.

        Args:
            questions: What the file holds.
            scope: Whose they are.
            replaces: Whether questions that are not in the file are removed.
        """
        now = self._clock()
        with self._database.write() as session:
            before = {row.digest: row.id for row in golden_questions.listing(session, org_id=scope.org_id)}
            rows = [_row(check(new)) for new in questions]
            stored = [golden_questions.put(session, row, org_id=scope.org_id, now=now) for row in rows]
            added = sum(is_new for _, is_new in stored)
            gone = before.keys() - {row.digest for row, _ in stored} if replaces else set()
            for digest in gone:
                golden_questions.remove(session, before[digest], org_id=scope.org_id)
        return Imported(added=added, changed=len(stored) - added, removed=len(gone))

    def listing(self, *, scope: OrgScope) -> list[Golden]:
        """The org's questions, oldest first."""
        with self._database.read() as session:
            return [_golden(row) for row in golden_questions.listing(session, org_id=scope.org_id)]

    def page_through(self, *, scope: OrgScope, limit: int = 20, after: Place | None = None) -> Listed[Golden]:
        """Some of the org's questions, oldest first."""
        with self._database.read() as session:
            return golden_questions.page_through(session, org_id=scope.org_id, limit=limit, after=after).each(_golden)

    def count(self, *, scope: OrgScope) -> int:
        """How many questions the org has."""
        with self._database.read() as session:
            return golden_questions.count(session, org_id=scope.org_id)

    def remove(self, question_id: UUID, *, scope: OrgScope) -> None:
        """Forget a question.

        Raises:
            QuestionNotFound: If the org has none of this id.
        """
        with self._database.write() as session:
            golden_questions.remove(session, question_id, org_id=scope.org_id)

    def evaluate(self, questions: Sequence[NewGolden] | None = None, *, scope: OrgScope) -> Report:
        """Ask the questions given, else the stored ones, and compare with the last time what serves was scored.

        An evaluation of stored questions is kept; unless a crawl was just changing what serves, the next one is
        compared with it.

        Raises:
            InvalidQuestion: If a question cannot be asked.
            TemporaryError: If the database, the store or the model is away.
        """
        report = self.ask(questions if questions is not None else self.stored(scope=scope), scope=scope)
        return self.keep(report, scope=scope, is_of_stored=questions is None)

    def keep(self, report: Report, *, scope: OrgScope, is_of_stored: bool) -> Report:
        """A report beside the last time what serves was scored; one of stored questions is kept for the next."""
        with self._database.write() as session:
            last = evaluations.accepted(session, org_id=scope.org_id)
            compared = compare(report, last[0] if last else None)
            if is_of_stored and report.questions:
                is_still = not crawls.any_running(session, org_id=scope.org_id)
                row = Evaluation(id=uuid4(), org_id=scope.org_id, created_at=report.at, is_accepted=is_still)
                session.add(row)
                note(row, compared)
                session.flush()
                evaluations.forget_older(session, org_id=scope.org_id, keep=KEPT)
        return compared

    def history(self, *, scope: OrgScope, limit: int = KEPT) -> list[Point]:
        """The org's evaluations, oldest first."""
        with self._database.read() as session:
            rows = evaluations.scored(session, org_id=scope.org_id, limit=limit)
            return [
                Point(row.scored_at or row.created_at, row.score or 0.0, row.is_accepted, row.crawl_id)
                for row in reversed(rows)
            ]

    def stored(self, *, scope: OrgScope) -> list[NewGolden]:
        """The org's questions, as a file would hold them."""
        return [_new(one) for one in self.listing(scope=scope)]

    def ask(self, questions: Sequence[NewGolden], *, scope: OrgScope) -> Report:
        """Ask these questions now, one after the other, and compare with nothing."""
        answers = self._answers()
        asked = [
            _asked(new, answers.brief(Question(new.message, top_k=scoring.DEPTH, history=_turns(new)), scope=scope))
            for new in questions
        ]
        means = {name: _mean(getattr(one.scored, name) for one in asked) for name in FIGURES}
        return Report(
            at=self._clock(),
            score=_mean(one.scored.score for one in asked) or 0.0,
            means={name: mean for name, mean in means.items() if mean is not None},
            questions=tuple(asked),
        )


def compare(report: Report, last: Evaluation | None) -> Report:
    """The report beside the evaluation before it, over the questions that both have."""
    if last is None or last.body is None:
        return report
    before = {one["digest"]: one["score"] for one in json.loads(last.body)["questions"]}
    questions = tuple(replace(one, before=before.get(one.digest)) for one in report.questions)
    both = [(one.scored.score, one.before) for one in questions if one.before is not None]
    return replace(
        report,
        questions=questions,
        now=_mean(now for now, _ in both),
        then=_mean(then for _, then in both),
        since=last.scored_at if both else None,
    )


def note(row: Evaluation, report: Report) -> None:
    """Write a report into its row."""
    row.state, row.score, row.compared_with, row.scored_at = evaluations.SCORED, report.score, report.then, report.at
    questions = [
        {"digest": one.digest, "message": one.message, "score": one.scored.score, **_figures(one)}
        for one in report.questions
    ]
    row.body = json.dumps({"score": report.score, "questions": questions}, ensure_ascii=False)
    row.lease_token = row.lease_until = row.lease_owner = None


def _figures(one: Asked) -> dict[str, Any]:
    figures = {name: value for name, value in asdict(one.scored).items() if name != "score" and value not in (None, ())}
    return figures | {"found": one.found, "fired": one.fired, "answerable": one.is_answerable}


def _asked(new: NewGolden, briefing: Briefing) -> Asked:
    return Asked(
        digest=digest_of(f"{new.message}\n{_told(new.expected)}", new.before),
        message=new.message,
        scored=scoring.score(new.expected, briefing),
        found=tuple(dict.fromkeys(passage.url for passage in briefing.passages))[:SHOWN],
        fired=tuple(fired.title for fired in briefing.scenarios),
        is_answerable=briefing.answerable,
    )


def _told(expected: Expected) -> str:
    """What is expected, in one order: a question of which something else is expected is another one."""
    return json.dumps(asdict(expected), sort_keys=True)


def _turns(new: NewGolden) -> tuple[Turn, ...]:
    """The conversation before a question: it ended with the agent."""
    roles = (Role.ASSISTANT, Role.USER)
    return tuple(Turn(roles[(len(new.before) - 1 - place) % 2], text) for place, text in enumerate(new.before))


def _row(new: NewGolden) -> dict[str, object]:
    expected = new.expected
    return {
        "message": new.message,
        "before": list(new.before),
        "urls": list(expected.urls),
        "texts": list(expected.texts),
        "scenario": expected.scenario,
        "no_answer": expected.no_answer,
    }


def _golden(row: GoldenQuestion) -> Golden:
    return Golden(
        id=row.id,
        message=row.message,
        before=tuple(row.before),
        urls=tuple(row.urls),
        texts=tuple(row.texts),
        scenario=row.scenario,
        no_answer=row.no_answer,
        created_at=row.created_at,
    )


def _new(one: Golden) -> NewGolden:
    return NewGolden(one.message, Expected(one.urls, one.texts, one.scenario, one.no_answer), one.before)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), DIGITS) if known else None

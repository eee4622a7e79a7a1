"""Gatekeeping: scores what a crawl made of an org's knowledge before the crawl may end."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from pipeline.db import crawls, datasources, evaluations
from pipeline.db import leases as row_leases
from pipeline.db.engine import Database
from pipeline.db.evaluations import Evaluation
from pipeline.errors import LeaseLost, SetupError, TemporaryError
from pipeline.logs import get_logger
from pipeline.model import CrawlStatus, OrgScope
from pipeline.services import endings, gate
from pipeline.services.clock import Clock
from pipeline.services.evaluation import KEPT, EvaluationService, Report, compare, note
from pipeline.services.heartbeat import Heartbeat
from pipeline.services.hints import Hints, relay
from pipeline.settings import Settings

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Claim:
    id: UUID
    crawl_id: UUID
    token: UUID
    scope: OrgScope


class Gatekeeper:
    """Takes crawls that wait for their score, one at a time, under a lease."""

    def __init__(
        self, database: Database, settings: Settings, hints: Hints, clock: Clock, *, evaluation: EvaluationService
    ) -> None:
        """Score by this evaluation."""
        self._database = database
        self._settings = settings
        self._hints = hints
        self._clock = clock
        self._evaluation = evaluation

    def judge_waiting(self, org_id: UUID | None = None, *, owner: str) -> bool:
        """Score a crawl that waits for it, of this org if one is given, and end it or hold it. False when none waits.

        Raises:
            TemporaryError: If the model, the store or the database is away; the crawl waits on.
            SetupError: If the model is another than the store's, or cannot be loaded.
        """
        claim = self._claim(org_id, owner=owner)
        if claim is None:
            return False
        try:
            with Heartbeat(lambda: self._renew(claim), every=self._settings.work.index_lease / 3):
                report = self._evaluation.ask(self._evaluation.stored(scope=claim.scope), scope=claim.scope)
        except (TemporaryError, SetupError):
            self._give_back(claim, burn=False)
            raise
        except Exception as error:  # noqa: BLE001 - a question that cannot be asked must not keep a crawl from ending
            self._give_back(claim, burn=True)
            log.error("crawl not scored", crawl=str(claim.crawl_id), error=type(error).__name__)  # noqa: TRY400 - a trace shows customer text
            return True
        self._decide(claim, report)
        relay(self._database, self._hints)
        return True

    def _claim(self, org_id: UUID | None, *, owner: str) -> _Claim | None:
        work = self._settings.work
        with self._database.read() as session:
            if not evaluations.any_due(session, org_id=org_id):
                return None
        with self._database.write() as session:
            row = evaluations.claim(
                session,
                org_id=org_id,
                now=self._clock(),
                lease=work.index_lease,
                owner=owner,
                attempts=work.attempts,
            )
            if row is None or row.lease_token is None or row.crawl_id is None:
                return None
            return _Claim(id=row.id, crawl_id=row.crawl_id, token=row.lease_token, scope=OrgScope(row.org_id))

    def _renew(self, claim: _Claim) -> None:
        with self._database.write() as session:
            until = self._clock() + self._settings.work.index_lease
            if not row_leases.renew(session, Evaluation, [claim.id], token=claim.token, until=until):
                raise LeaseLost(evaluation=claim.id)

    def _give_back(self, claim: _Claim, *, burn: bool) -> None:
        with self._database.write() as session:
            row_leases.release(session, Evaluation, [claim.id], token=claim.token, burn=burn)

    def _decide(self, claim: _Claim, report: Report) -> None:
        """Let the crawl end, with what it brought or without, in one commit."""
        now = self._clock()
        with self._database.write() as session:
            crawl = crawls.get(session, claim.crawl_id, org_id=claim.scope.org_id)
            datasources.hold(session, [crawl.datasource_id])
            session.refresh(crawl)
            row = evaluations.held(session, claim.id, token=claim.token)
            if row is None:
                return
            last = evaluations.accepted(session, org_id=claim.scope.org_id)
            compared = compare(report, last[0] if last else None)
            note(row, compared)
            row.is_accepted = crawl.status == CrawlStatus.SCRAPING
            if row.is_accepted and self._is_worse(compared):
                told = f"the golden questions score {compared.now:.2f} instead of {compared.then:.2f}"
                row.is_accepted = gate.take_back(session, crawl, told=told, now=now) == 0
            session.flush()
            evaluations.forget_older(session, org_id=claim.scope.org_id, keep=KEPT)
            endings.complete(session, self._settings, now=now, crawl_ids=[crawl.id])
            log.info("crawl scored", crawl=str(crawl.id), score=report.score, accepted=row.is_accepted)

    def _is_worse(self, report: Report) -> bool:
        if report.now is None or report.then is None:
            return False
        return report.then - report.now > self._settings.evaluate.tolerance

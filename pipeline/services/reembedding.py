"""Embedding again: stored texts get vectors of another model, beside those that answer, and then take their place.

Nothing is fetched, no version is made, and readers go on. What one model lacks is rows: whoever is killed leaves some,
and whoever comes next takes them. The change itself is one commit, made when nothing is missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from pipeline import flow, metrics
from pipeline.adapters.qdrant.port import VectorStore
from pipeline.adapters.qdrant.sparse import Bm25Encoder
from pipeline.db import chunks, datasources, generations, orgs, scenarios
from pipeline.db import leases as row_leases
from pipeline.db.engine import Database, Session
from pipeline.db.generations import DROPPING, FILLING, GONE, KEPT, SERVING, Claimed, Standing, VersionEmbedding
from pipeline.errors import (
    LeaseLost,
    NothingToReembed,
    ReembeddingUnderWay,
    SetupError,
    TemporaryError,
)
from pipeline.flow import CutPage
from pipeline.logs import get_logger
from pipeline.model import OrgScope, ScenarioType
from pipeline.services.clock import Clock
from pipeline.services.generation_change import GenerationChange, in_state
from pipeline.services.generations import Generations, Target, choice_of, name_of
from pipeline.services.heartbeat import Heartbeat
from pipeline.services.hints import Hints, nudge
from pipeline.services.indexing import compose, rows_of, text_of
from pipeline.services.space import shortage
from pipeline.services.training_vectors import vectors_of
from pipeline.services.verification import VerificationService
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.services.training_matchers import Matchers

WORK_SECONDS = 10.0
"""How long one hint's worth of filling takes: what waits to be indexed comes first again after it."""

NONE_THERE = {FILLING: "nothing is being filled", KEPT: "no vectors of an earlier model are kept"}

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class GenerationView:
    """One model's vectors. What is missing is counted while they are filled, in pages that answer and in orgs.

    `left` pages failed too often, and need somebody to look.
    """

    number: int
    model: str
    state: str
    since: datetime
    is_paused: bool = False
    pages: int = 0
    missing: int = 0
    left: int = 0
    orgs: int = 0
    orgs_missing: int = 0
    problem: str | None = None
    until: datetime | None = None
    """When one that is kept is dropped."""


@dataclass(frozen=True, slots=True)
class _Batch:
    number: int
    scope: OrgScope
    token: UUID
    claimed: Sequence[Claimed]

    @property
    def ids(self) -> list[UUID]:
        return [one.id for one in self.claimed]


class ReembeddingService:
    """Fills generations beside the one that answers, and does what an operator says about them."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        hints: Hints,
        clock: Clock,
        *,
        generations: Generations,
        store: Callable[[], VectorStore],
        sparse: Callable[[], Bm25Encoder],
        matchers: Matchers,
    ) -> None:
        """Use these parts; models and the store are opened at first use."""
        self._database = database
        self._settings = settings
        self._hints = hints
        self._clock = clock
        self._generations = generations
        self._store = store
        self._sparse = sparse
        self._matchers = matchers
        self._verification = VerificationService(database, settings, clock, store=store)
        self._change = GenerationChange(database, settings, clock, store=store)

    # --- what an operator says -------------------------------------------------------------

    def start(self) -> list[GenerationView]:
        """Let workers embed everything with the model that is set, and change over to it when nothing is missing.

        Twice is the same as once. The model that answered before is the way back, so it is no new one.

        Raises:
            NothingToReembed: If the model that is set answers already.
            ReembeddingUnderWay: If another one is being filled, or vectors of this one are just being removed.
            ModelNotFound: If the model that is set is not there.
            ModelMismatch: If nobody noted yet which model answers, and it is not the one that is set.
        """
        identity = self._generations.identify()
        self._generations.registered()
        now = self._clock()
        with self._database.write() as session:
            standing = generations.hold(session, to_change=True)
            known = {one.model: one for one in generations.every(session) if one.state != GONE}
            mine = known.get(identity.fingerprint)
            filling = in_state(standing, FILLING)
            if mine is not None and mine.state == SERVING:
                raise NothingToReembed(model=name_of(identity), problem="it is the one that answers")
            if mine is not None and mine.state == DROPPING:
                raise ReembeddingUnderWay(model=name_of(identity), problem="its earlier vectors are being removed")
            if filling is not None and (mine is None or mine.number != filling.number):
                raise ReembeddingUnderWay(asked=name_of(identity), filling=filling.number)
            if mine is None:
                self._begin(session, standing, now=now)
            elif mine.state == KEPT:
                generations.set_state(session, mine.number, FILLING, now=now)
        self.hint()
        return self.status()

    def _begin(self, session: Session, standing: Sequence[Standing], *, now: datetime) -> None:
        """Note the model that is set as the one to fill; what was kept of an earlier one goes."""
        if (kept := in_state(standing, KEPT)) is not None:
            generations.set_state(session, kept.number, DROPPING, now=now)
        identity = self._generations.identify()
        number = generations.every(session)[0].number + 1
        choice = choice_of(self._settings.embed)
        generations.add(
            session,
            number,
            model=identity.fingerprint,
            name=name_of(identity),
            choice=choice,
            state=FILLING,
            now=now,
        )
        log.info("embedding again begins", generation=number, model=name_of(identity))

    def pause(self, *, is_paused: bool) -> list[GenerationView]:
        """Fill no more for now; or go on, and try again what failed too often.

        Raises:
            NothingToReembed: If nothing is being filled.
        """
        with self._database.write() as session:
            filling = _held(session, FILLING)
            generations.set_paused(session, filling.number, is_paused=is_paused)
            if not is_paused:
                generations.try_again(session, filling.number)
        if not is_paused:
            self.hint()
        return self.status()

    def cancel(self) -> list[GenerationView]:
        """Change over to no other model; what was filled goes. What answered before stays kept.

        Raises:
            NothingToReembed: If nothing is being filled.
        """
        with self._database.write() as session:
            filling = session.get_one(generations.Generation, _held(session, FILLING).number)
            state = DROPPING if filling.served_at is None else KEPT
            generations.set_state(session, filling.number, state, now=self._clock())
        log.info("embedding again was cancelled", generation=filling.number)
        return self.status()

    def roll_back(self) -> list[GenerationView]:
        """Go back to the model that answered before: at once if its vectors are whole, else as soon as they are.

        Raises:
            NothingToReembed: If none is kept.
        """
        with self._database.write() as session:
            generations.set_state(session, _held(session, KEPT).number, FILLING, now=self._clock())
        self._change.carry_out()
        self.hint()
        return self.status()

    def finish(self) -> list[GenerationView]:
        """Drop what is kept of the model before, now: there is no way back from here.

        Raises:
            NothingToReembed: If none is kept.
        """
        with self._database.write() as session:
            generations.set_state(session, _held(session, KEPT).number, DROPPING, now=self._clock())
        return self.status()

    def status(self) -> list[GenerationView]:
        """Every generation that is not gone, the newest first.

        Raises:
            ModelMismatch: If nobody noted yet which model answers, and it is not the one that is set.
        """
        self._generations.registered()
        return self.under_way()

    def under_way(self) -> list[GenerationView]:
        """The same, from rows alone; nothing where nobody noted yet which model answers."""
        with self._database.read() as session:
            rows = [one for one in generations.every(session) if one.state != GONE]
            return [self._view(session, one) for one in rows]

    def _view(self, session: Session, one: generations.Generation) -> GenerationView:
        attempts = self._settings.work.attempts
        counts = generations.progress(session, one.number, attempts=attempts) if one.state == FILLING else None
        return GenerationView(
            number=one.number,
            model=one.name,
            state=one.state,
            since=one.changed_at,
            is_paused=one.is_paused,
            problem=one.problem,
            until=one.changed_at + self._settings.work.keep_generation if one.state == KEPT else None,
            **({} if counts is None else counts._asdict()),
        )

    def settle(self, *, lasting: timedelta) -> None:
        """Change over if nothing is missing; drop, for about so long, what is used up.

        Raises:
            TemporaryError: If the database or the store is away; the next call goes on.
        """
        self._change.settle(lasting=lasting)

    # --- what workers do -------------------------------------------------------------------

    def hint(self) -> None:
        """Say that there is something to fill, to whoever listens."""
        with self._database.read() as session:
            waiting = [generations.org_in_turn(session, one.number) for one in _to_fill(session)]
        nudge(self._hints, next(filter(None, waiting), None))

    def work(self, *, owner: str, until: Callable[[], bool] = lambda: False) -> bool:
        """Fill for some seconds, org by org in turn; change over when nothing is missing. Whether more is left.

        Args:
            owner: Who works.
            until: Asked after each batch: whether something comes first now.

        Raises:
            TemporaryError: If the model, the store or the database is away.
        """
        if shortage(self._settings):
            return False
        with self._database.read() as session:
            to_fill = _to_fill(session)
        deadline = time.monotonic() + WORK_SECONDS
        is_more = False
        for one in to_fill:
            try:
                is_more |= self._fill(one, owner=owner, deadline=deadline, until=until)
            except (SetupError, TemporaryError) as error:
                self._note(one.number, str(error))
                log.warning("embedding again waits", generation=one.number, problem=str(error))
        self._change.carry_out()
        return is_more

    def _fill(self, one: Standing, *, owner: str, deadline: float, until: Callable[[], bool]) -> bool:
        tried: set[UUID] = set()
        target: Target | None = None
        while True:
            with self._database.read() as session:
                is_open = one.number in {other.number for other in _to_fill(session)}
                org_id = generations.org_in_turn(session, one.number, without=tried)
            if org_id is None or not is_open:
                return False
            target = target or self._generations.target(one)
            if not self._fill_some(target, OrgScope(org_id), owner=owner) and not self._finish_org(target, org_id):
                tried.add(org_id)
            if time.monotonic() > deadline or until():
                return True

    def _fill_some(self, target: Target, scope: OrgScope, *, owner: str) -> bool:
        """Embed a batch of one org. Whether there was one that could be taken."""
        work, now = self._settings.work, self._clock()
        with self._database.write() as session:
            token, claimed = generations.claim(
                session,
                target.number,
                scope.org_id,
                limit=work.index_batch,
                attempts=work.attempts,
                now=now,
                lease=work.index_lease,
                owner=owner,
            )
            orgs.took_turn(session, scope.org_id, now=now)
        if not claimed:
            return False
        batch = _Batch(target.number, scope, token, claimed)
        try:
            with Heartbeat(lambda: self._renew(batch), every=work.index_lease / 3):
                self._embed(batch, target)
        except LeaseLost:
            metrics.LEASES_LOST.add(work="index")
        except (TemporaryError, SetupError):
            self._give_back(batch, burn=False)
            raise
        except Exception as error:  # noqa: BLE001 - one page must not stop the others: it is logged, and tried alone
            self._give_back(batch, burn=True, problem=f"{type(error).__name__}: {error}")
            log.error("pages not embedded again", pages=len(claimed), error=type(error).__name__)  # noqa: TRY400 - a trace shows customer text
        else:
            self._note(target.number, None)
        return True

    def _embed(self, batch: _Batch, target: Target) -> None:
        cut = [
            flow.cut(
                text_of(one.version, left_out=one.version.left_out),
                target.embedder.tokenizer,
                self._settings,
                model=target.model,
                model_limit=target.identity.max_tokens,
            )
            for one in batch.claimed
        ]
        rows = rows_of(cut, model=target.model)
        org_id = batch.scope.org_id
        with self._database.write() as session:
            self._check_open(session, batch)
            orgs.hold(session, org_id)
            chunks.intend(session, list(rows.values()), now=self._clock())
            stored = chunks.stored(session, rows, org_id=org_id)
            missing = {str(row["text_hash"]) for chunk_id, row in rows.items() if chunk_id not in stored}
            same_text = chunks.same_text(session, missing, model=target.model, org_id=org_id)
        pieces = flow.wanted(cut, stored=stored)
        dense, computed = flow.vectors(
            pieces, same_text=same_text, embedder=target.embedder, store=target.store, scope=batch.scope
        )
        with self._database.read() as session:
            self._check_open(session, batch)
        flow.upsert(
            pieces,
            dense,
            sparse=self._sparse(),
            store=target.store,
            scope=batch.scope,
            batch=self._settings.upsert.batch,
        )
        self._keep(batch, target, cut)
        metrics.PAGES_REEMBEDDED.add_many(len(cut))
        metrics.CHUNKS_REEMBEDDED.add_many(len(computed))

    def _check_open(self, session: Session, batch: _Batch) -> None:
        """Write nothing for a generation that is filled no more, or for rows that are another's.

        Raises:
            LeaseLost: If that is so.
        """
        is_held = generations.still_held(session, batch.ids, token=batch.token, now=self._clock())
        if not is_held or batch.number not in {one.number for one in generations.standing(session)}:
            raise LeaseLost(pages=len(batch.ids))

    def _keep(self, batch: _Batch, target: Target, cut: Sequence[CutPage]) -> None:
        """Note what is whole, of versions that answer still; readers of the generation see it from here on."""
        by_version = {page.page.version_id: page for page in cut}
        with self._database.write() as session:
            datasources.hold(session, {page.page.datasource_id for page in cut})
            if batch.number not in {one.number for one in generations.hold(session)}:
                raise LeaseLost(pages=len(batch.ids))
            found = generations.fenced(session, batch.ids, token=batch.token)
            live = generations.live(session, [row.version_id for row in found])
            for row in found:
                page = by_version[row.version_id]
                if row.version_id not in live:
                    session.delete(row)
                    continue
                compose(session, page, model=target.model)
                row.chunk_count, row.problem, row.attempts = len(page.chunks), None, 0
                row.lease_token = row.lease_until = row.lease_owner = None

    def _finish_org(self, target: Target, org_id: UUID) -> bool:
        """Where no page of an org is missing: have what is learnt from its training, verify, and note it. Whether done.

        Points that are not there after all are filled again.
        """
        scope = OrgScope(org_id)
        with self._database.read() as session:
            if generations.is_missing_any(session, target.number, org_id):
                return False
        self._train(target, scope)
        if lacking := self._verification.missing(scope=scope, generation=target.number):
            with self._database.write() as session:
                chunks.unstore(session, lacking)
                versions = chunks.live_versions_with(session, lacking)
                generations.forget_versions(session, target.number, versions)
            log.warning("points are missing and are made again", generation=target.number, points=len(lacking))
            return True
        with self._database.write() as session:
            standing = {one.number for one in generations.hold(session, to_change=True)}
            if target.number not in standing or generations.is_missing_any(session, target.number, org_id):
                return False
            generations.note_whole(session, target.number, org_id)
        return True

    def _train(self, target: Target, scope: OrgScope) -> None:
        """Vectors of the org's triggers, and what is learnt from them, under this model."""
        with self._database.read() as session:
            specific = scenarios.published(session, org_id=scope.org_id, kind=ScenarioType.SCENARIO_SPECIFIC)
            there = scenarios.trigger_vectors(session, [row.version_id for row in specific], model=target.model)
        if not specific:
            return
        for row in specific:
            if row.version_id not in there:
                vectors = vectors_of((row.title, *row.triggers), target.embedder)
                with self._database.write() as session:
                    scenarios.keep_trigger_vectors(session, row.version_id, vectors)
        self._matchers.refresh(scope=scope, embedder=target.embedder)

    def _renew(self, batch: _Batch) -> None:
        with self._database.write() as session:
            until = self._clock() + self._settings.work.index_lease
            row_leases.renew(session, VersionEmbedding, batch.ids, token=batch.token, until=until)

    def _give_back(self, batch: _Batch, *, burn: bool, problem: str | None = None) -> None:
        with self._database.write() as session:
            generations.note_failures(session, batch.ids, token=batch.token, problem=problem)
            row_leases.release(session, VersionEmbedding, batch.ids, token=batch.token, burn=burn)
            if problem is not None:
                generations.note_problem(session, batch.number, problem)

    def _note(self, number: int, problem: str | None) -> None:
        with self._database.write() as session:
            generations.note_problem(session, number, problem)


def _to_fill(session: Session) -> list[Standing]:
    """What is filled now: the generation that is to answer, and the one that is kept current."""
    return [one for one in generations.standing(session) if one.state != SERVING and not one.is_paused]


def _held(session: Session, state: str) -> Standing:
    """The generation in this state, which nobody changes or publishes for until the commit.

    Raises:
        NothingToReembed: If there is none.
    """
    found = in_state(generations.hold(session, to_change=True), state)
    if found is None:
        raise NothingToReembed(problem=NONE_THERE[state])
    return found

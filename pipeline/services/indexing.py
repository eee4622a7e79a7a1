"""Indexing: what waits is cut, embedded, stored, and made live in one commit a page."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from pipeline import flow, metrics, tracing
from pipeline.adapters.qdrant.sparse import Bm25Encoder
from pipeline.db import chunks, crawls, datasources, generations, index_queue, orgs, page_versions, pages
from pipeline.db import leases as row_leases
from pipeline.db.engine import Database, Session
from pipeline.db.page_versions import PageVersion
from pipeline.errors import GenerationChanged, LeaseLost, SetupError, TemporaryError
from pipeline.flow import CutPage, PageText, Wanted
from pipeline.logs import get_logger
from pipeline.model import OrgScope, PageStatus, Reason
from pipeline.services import endings, sitewide
from pipeline.services.clock import Clock
from pipeline.services.generations import Generations, Target
from pipeline.services.heartbeat import Heartbeat
from pipeline.services.hints import Hints, relay
from pipeline.services.keeping import fold_twins, retire_moved
from pipeline.services.space import shortage
from pipeline.settings import Settings

LOOK_AGAIN_SECONDS = 0.02

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What one call did. `more` says that claimable pages are left, of whatever org."""

    pages: int = 0
    chunks: int = 0
    embedded: int = 0
    more: bool = False


@dataclass(frozen=True, slots=True)
class _Claim:
    scope: OrgScope
    token: UUID
    texts: tuple[PageText, ...]
    traces: Mapping[str, int]
    """How many of the texts belong to each trace, by traceparent, that of the first one first."""

    @property
    def ids(self) -> list[UUID]:
        return [text.version_id for text in self.texts]


@dataclass(frozen=True, slots=True)
class _Stored:
    """Pages cut for one model, all their points written: the pieces that were missing, the texts computed for them."""

    model: str
    cut: Sequence[CutPage]
    pieces: Sequence[Wanted]
    computed: set[str]

    @property
    def chunk_count(self) -> int:
        return sum(len(page.chunks) for page in self.cut)


@dataclass(frozen=True, slots=True)
class _Plan:
    stored: set[UUID]
    """Chunks that have their point."""
    same_text: dict[str, UUID]
    """For texts that the org has a vector of: the chunk that has it."""
    elsewhere: set[str]
    """Texts that another worker is computing a vector of."""


class IndexService:
    """Turns waiting versions into points, and flips pages to them."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        hints: Hints,
        clock: Clock,
        *,
        generations: Generations,
        sparse: Callable[[], Bm25Encoder],
    ) -> None:
        """Use these parts; the model and the store are opened at first use."""
        self._database = database
        self._settings = settings
        self._hints = hints
        self._clock = clock
        self._generations = generations
        self._sparse = sparse
        self._is_open = False

    def index_waiting(self, org_id: UUID | None = None, *, limit: int, owner: str) -> IndexReport:
        """Index up to `limit` waiting pages of the org whose turn it is.

        A hint names an org, but the claim decides whose pages are next: `org_id` is used only
        when nobody waits longer. An error that may pass, or that a person has to mend, gives the
        pages back unharmed; any other counts as an attempt, and a page that failed before is tried alone.

        Raises:
            TemporaryError: If the model, the store or the database is away.
            SetupError: If the model is another than the store's, or cannot be loaded.
        """
        if shortage(self._settings):
            return IndexReport()
        self._open()
        claim = self._claim(org_id, limit=limit, owner=owner)
        if claim is None:
            return IndexReport()
        lease = self._settings.work.index_lease
        try:
            with Heartbeat(lambda: self._renew(claim), every=lease / 3), self._traced(claim, hinted=org_id):
                chunk_count, embedded = self._index(claim)
        except LeaseLost:
            metrics.LEASES_LOST.add(work="index")
            raise
        except (TemporaryError, SetupError):
            self._give_back(claim, burn=False)
            metrics.PAGES_INDEXED.add_many(len(claim.texts), result="given_back")
            raise
        except Exception as error:  # noqa: BLE001 - one page must not stop the others: it is logged, tried alone, parked
            self._give_back(claim, burn=True, problem=f"{type(error).__name__}: {error}")
            log.error("pages not indexed", pages=len(claim.texts), error=type(error).__name__)  # noqa: TRY400 - a trace shows customer text
            metrics.PAGES_INDEXED.add_many(len(claim.texts), result="failed")
            return IndexReport(more=self.is_waiting())
        metrics.PAGES_INDEXED.add_many(len(claim.texts), result="indexed")
        return IndexReport(pages=len(claim.texts), chunks=chunk_count, embedded=embedded, more=self.is_waiting())

    def _open(self) -> None:
        """Load the model before a page is in hand, once something waits: who dies while it loads tells against no page.

        What cannot be opened fails again with the pages in hand, and they are given back.
        """
        if self._is_open or not self.is_waiting():
            return
        with suppress(TemporaryError, SetupError):
            self._generations.written()
            self._is_open = True

    def is_first(self) -> bool:
        """Whether no text of anybody is indexed yet."""
        with self._database.read() as session:
            return not page_versions.any_indexed(session)

    def is_needed(self) -> bool:
        """Whether texts wait, or will soon, as none of anybody is indexed yet."""
        return self.is_first() or self.is_waiting()

    def is_waiting(self) -> bool:
        """Whether a page of anybody waits to be indexed."""
        with self._database.read() as session:
            return self._in_turn(session, now=self._clock()) is not None

    def _in_turn(self, session: Session, *, now: datetime) -> UUID | None:
        return index_queue.org_in_turn(session, now=now, attempts=self._settings.work.attempts)

    def _claim(self, org_id: UUID | None, *, limit: int, owner: str) -> _Claim | None:
        now = self._clock()
        with self._database.write() as session:
            in_turn = self._in_turn(session, now=now) or org_id
            if in_turn is None:
                return None
            work = self._settings.work
            taken = index_queue.claim(
                session, in_turn, limit=limit, now=now, lease=work.index_lease, owner=owner, attempts=work.attempts
            )
            orgs.took_turn(session, in_turn, now=now)
            if not taken or taken[0].lease_token is None:
                return None
            return _Claim(
                scope=OrgScope(in_turn),
                token=taken[0].lease_token,
                texts=tuple(text_of(version) for version in taken),
                traces=_traces(session, taken),
            )

    @contextmanager
    def _traced(self, claim: _Claim, *, hinted: UUID | None) -> Iterator[None]:
        """A span in the trace of each crawl that these texts are of; what is done for all of them is told in the first.

        Texts that no traced crawl brought belong to what the hint came from, if it was of their org.
        """
        traces = claim.traces
        if not traces and hinted == claim.scope.org_id and (woken_by := tracing.woken_by()) is not None:
            traces = {woken_by: len(claim.texts)}
        with ExitStack() as spans:
            for parent, pages in reversed([*traces.items()]) if traces else [(None, len(claim.texts))]:
                spans.enter_context(tracing.span("index", parent=parent, org=claim.scope.org_id, pages=pages))
            yield

    def _renew(self, claim: _Claim) -> None:
        with self._database.write() as session:
            until = self._clock() + self._settings.work.index_lease
            row_leases.renew(session, PageVersion, claim.ids, token=claim.token, until=until)

    def _give_back(self, claim: _Claim, *, burn: bool, problem: str | None = None) -> None:
        now = self._clock()
        with self._database.write() as session:
            row_leases.release(session, PageVersion, claim.ids, token=claim.token, burn=burn)
            again = row_leases.next_hint(0, now=now, delays=self._settings.work.hint_delays)
            index_queue.put_off(session, claim.ids, until=now if burn else again, problem=problem)

    def _index(self, claim: _Claim) -> tuple[int, int]:
        """Cut, embed and store the claimed texts, then flip their pages. Returns chunks and embeddings."""
        targets = self._generations.written()
        texts = self._without_repeats(claim)
        stored = {targets[0].number: self._store_all(claim, texts, targets[0])}
        for target in targets[1:]:
            try:
                stored[target.number] = self._store_all(claim, texts, target)
            except LeaseLost:
                raise
            except Exception as error:  # noqa: BLE001 - it is filled in later; what answers must not wait for it
                log.warning("pages not embedded for another model", pages=len(texts), problem=str(error))
        with tracing.span("publish", pages=len(texts)):
            self._publish(claim, stored)
        relay(self._database, self._hints)
        first = stored[targets[0].number]
        metrics.CHUNKS.add_many(len(first.computed), how="embedded")
        metrics.CHUNKS.add_many(len(first.pieces) - len(first.computed), how="copied")
        metrics.CHUNKS.add_many(first.chunk_count - len(first.pieces), how="kept")
        for number in stored.keys() - {targets[0].number}:
            metrics.CHUNKS_REEMBEDDED.add_many(len(stored[number].computed))
        return first.chunk_count, len(first.computed)

    def _store_all(self, claim: _Claim, texts: Sequence[PageText], target: Target) -> _Stored:
        """Cut the claimed texts for a model, and have all their points in its collection."""
        model = target.model
        with tracing.span("chunk", pages=len(texts)):
            cut = [
                flow.cut(
                    text,
                    target.embedder.tokenizer,
                    self._settings,
                    model=model,
                    model_limit=target.identity.max_tokens,
                )
                for text in texts
            ]
        plan = self._intend(claim, cut, model=model)
        pieces = flow.wanted(cut, stored=plan.stored)
        mine = [piece for piece in pieces if piece.chunk.text_hash not in plan.elsewhere]
        computed = self._write(claim, mine, target, same_text=plan.same_text)
        if theirs := [piece for piece in pieces if piece.chunk.text_hash in plan.elsewhere]:
            self._note_stored(claim, mine)
            same_text = self._computed_elsewhere(claim, plan.elsewhere, model=model)
            computed |= self._write(claim, theirs, target, same_text=same_text)
        return _Stored(model, cut, pieces, computed)

    def _without_repeats(self, claim: _Claim) -> list[PageText]:
        """The claimed texts, each with what it leaves to another page of its website."""
        with self._database.read() as session:
            left_out = sitewide.left_out(session, claim.texts, self._settings)
        return [replace(text, left_out=left_out[text.version_id]) for text in claim.texts]

    def _write(
        self, claim: _Claim, pieces: Sequence[Wanted], target: Target, *, same_text: Mapping[str, UUID]
    ) -> set[str]:
        """Write the points of these chunks. Returns the texts whose vectors were computed for that."""
        store, scope, embedder = target.store, claim.scope, target.embedder
        with tracing.span("embed", pieces=len(pieces)):
            dense, computed = flow.vectors(pieces, same_text=same_text, embedder=embedder, store=store, scope=scope)
        self._check_held(claim)
        with tracing.span("upsert", pieces=len(pieces)):
            batch = self._settings.upsert.batch
            flow.upsert(pieces, dense, sparse=self._sparse(), store=store, scope=scope, batch=batch)
        return computed

    def _check_held(self, claim: _Claim) -> None:
        """Write no point for pages that were deleted, or given to another, while their vectors were computed.

        Raises:
            LeaseLost: If none of them is held any more.
        """
        with self._database.read() as session:
            if not index_queue.still_held(session, claim.ids, token=claim.token, now=self._clock()):
                raise LeaseLost(pages=len(claim.ids))

    def _note_stored(self, claim: _Claim, pieces: Sequence[Wanted]) -> None:
        """Let others copy these vectors before the pages are live: one of them may be waiting."""
        with self._database.write() as session:
            chunks.mark_stored(session, [piece.id for piece in pieces], org_id=claim.scope.org_id)

    def _computed_elsewhere(self, claim: _Claim, texts: set[str], *, model: str) -> dict[str, UUID]:
        """Where the vectors are that others were computing, once they are done, or have lost their lease.

        Whoever waits has stored its own first, so two never wait for each other.
        """
        org_id = claim.scope.org_id
        patience = self._clock() + self._settings.work.index_lease
        while True:
            now = self._clock()
            with self._database.read() as session:
                found = chunks.same_text(session, texts, model=model, org_id=org_id)
                missing = texts - found.keys()
                busy = chunks.being_embedded(session, missing, model=model, org_id=org_id, token=claim.token, now=now)
            if not busy or now > patience:
                return found
            time.sleep(LOOK_AGAIN_SECONDS)

    def _intend(self, claim: _Claim, cut: Sequence[CutPage], *, model: str) -> _Plan:
        """Write chunk rows ahead of their points, and see which texts have a vector or are getting one.

        The org is held before its versions are locked, as whoever claims them for another model does.
        """
        now = self._clock()
        rows = rows_of(cut, model=model)
        org_id = claim.scope.org_id
        with self._database.write() as session:
            orgs.hold(session, org_id)
            if index_queue.held(session, claim.ids, token=claim.token) == set():
                raise LeaseLost(pages=len(claim.ids))
            chunks.intend(session, list(rows.values()), now=now)
            stored = chunks.stored(session, rows, org_id=org_id)
            missing = {str(row["text_hash"]) for chunk_id, row in rows.items() if chunk_id not in stored}
            same_text = chunks.same_text(session, missing, model=model, org_id=org_id)
            elsewhere = chunks.being_embedded(
                session, missing - same_text.keys(), model=model, org_id=org_id, token=claim.token, now=now
            )
            return _Plan(stored=stored, same_text=same_text, elsewhere=elsewhere)

    def _publish(self, claim: _Claim, stored: Mapping[int, _Stored]) -> None:
        """The update itself, in one commit: readers see the new text of these pages from here on.

        Raises:
            GenerationChanged: If these pages were not cut for the model whose vectors answer now.
            LeaseLost: If none of them is held any more.
        """
        now = self._clock()
        crawl_ids: set[UUID] = set()
        with self._database.write() as session:
            datasources.hold(session, {text.datasource_id for text in claim.texts})
            standing = generations.hold(session)
            serving = next(one.number for one in standing if one.state == generations.SERVING)
            if serving not in stored:
                raise GenerationChanged(serves=serving)
            others = [one.number for one in standing if one.number != serving]
            computed = flow.owners(stored[serving].pieces, stored[serving].computed)
            held = index_queue.held(session, claim.ids, token=claim.token)
            for place, page in enumerate(stored[serving].cut):
                version = page_versions.get(session, page.page.version_id)
                if version.id not in held or version.state != page_versions.WAITING:
                    continue
                compose(session, page, model=stored[serving].model)
                _compose_beside(session, version, stored, place, others)
                embedded = computed.get(version.page_id, 0)
                _make_live(session, version, page, generation=serving, now=now, embedded=embedded)
                if version.crawl_id:
                    crawl_ids.add(version.crawl_id)
            session.flush()
            for crawl_id in crawl_ids:
                endings.recount(session, crawls.get(session, crawl_id, org_id=claim.scope.org_id))
            if crawl_ids:
                endings.complete(session, self._settings, now=now, crawl_ids=sorted(crawl_ids))
            for datasource_id in sorted({text.datasource_id for text in claim.texts}):
                sitewide.decide_when_still(session, datasource_id, self._settings, org_id=claim.scope.org_id, now=now)
            if not held:
                raise LeaseLost(pages=len(claim.ids))


def _traces(session: Session, versions: Sequence[PageVersion]) -> dict[str, int]:
    """Traceparents of the crawls that brought these texts, each with how many it brought."""
    if not tracing.is_on():
        return {}
    known = crawls.traceparents(session, {version.crawl_id for version in versions if version.crawl_id})
    return Counter(known[version.crawl_id] for version in versions if version.crawl_id in known)


def text_of(version: PageVersion, *, left_out: Iterable[int] = ()) -> PageText:
    """A version as it is cut, without the blocks of these fingerprints."""
    return PageText(
        version_id=version.id,
        page_id=version.page_id,
        org_id=version.org_id,
        datasource_id=version.datasource_id,
        title=version.title,
        language=version.language,
        markdown=version.markdown,
        left_out=frozenset(left_out),
    )


def rows_of(cut: Sequence[CutPage], *, model: str) -> dict[UUID, dict[str, object]]:
    """The rows of all chunks of pages that were cut for a model, by their ids."""
    return {
        chunk_id: {
            "id": chunk_id,
            "org_id": page.page.org_id,
            "page_id": page.page.page_id,
            "datasource_id": page.page.datasource_id,
            "model": model,
            "heading_path": list(piece.heading_path),
            "text": piece.text,
            "text_hash": piece.text_hash,
            "tokens": piece.tokens,
        }
        for page in cut
        for chunk_id, piece in zip(page.ids, page.chunks, strict=True)
    }


def compose(session: Session, cut: CutPage, *, model: str) -> None:
    """Note that the vector store has all chunks of a page, and what its version consists of."""
    chunks.mark_stored(session, cut.ids, org_id=cut.page.org_id)
    spans = ((chunk_id, piece.start, piece.end) for chunk_id, piece in zip(cut.ids, cut.chunks, strict=True))
    chunks.compose(session, cut.page.version_id, list(spans), model=model)


def _compose_beside(
    session: Session, version: PageVersion, stored: Mapping[int, _Stored], place: int, others: Sequence[int]
) -> None:
    """The same for the generations that do not answer; those that lack the version are filled later."""
    if not others:
        return
    there = {number: stored[number] for number in others if number in stored}
    for one in there.values():
        compose(session, one.cut[place], model=one.model)
    whole = {number: len(one.cut[place].chunks) for number, one in there.items()}
    generations.note_cut(session, version, whole=whole, others=others)


def _make_live(
    session: Session, version: PageVersion, cut: CutPage, *, generation: int, now: datetime, embedded: int
) -> None:
    page = pages.behind(session, version.page_id)
    version.left_out = sorted(cut.page.left_out)
    page_versions.finish(session, version, generation=generation, now=now, chunks=len(cut.chunks), embedded=embedded)
    if page.live_version != version.id:
        page_versions.leave_as_cut(session, [page.live_version])
    page.live_version = version.id
    page.status, page.reason, page.target, page.updated_at = PageStatus.SYNCED, Reason.SYNCED, None, now
    if page.excluded:
        page.status, page.reason = PageStatus.EXCLUDED, Reason.EXCLUDED_MANUALLY
    session.flush()
    retire_moved(session, page)
    if not page.excluded:
        fold_twins(session, page, crawl_id=version.crawl_id)

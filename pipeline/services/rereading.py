"""Reading again: what a better extractor makes of pages that are stored, in the background, without a fetch.

Each text is replaced as an update is: indexed beside the old one, then live in one commit. No crawl counts it, and the
page did not change by it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID, uuid4

from pipeline.db import bodies, datasources, orgs, outbox, page_versions, pages, rereading, site_blocks
from pipeline.db import leases as row_leases
from pipeline.db.datasources import Datasource
from pipeline.db.engine import Database, Session
from pipeline.db.page_versions import PageVersion
from pipeline.errors import ExtractionFailed, TemporaryError
from pipeline.logs import get_logger
from pipeline.model import Document, OrgScope
from pipeline.services.clock import Clock
from pipeline.services.harm import Replaced
from pipeline.services.heartbeat import Heartbeat
from pipeline.services.hints import Hints, nudge, relay
from pipeline.services.space import shortage
from pipeline.settings import Settings
from pipeline.stages.chunk.repeats import repeatable

WORK_SECONDS = 10.0
"""How long one hint's worth of reading takes: what waits to be indexed comes first again after it."""

log = get_logger(__name__)


class Parser(Protocol):
    """What turns HTML into a document."""

    def extract(self, html: bytes, *, url: str) -> Document:
        """The document of a page. Raises `ExtractionFailed`."""
        ...


@dataclass(frozen=True, slots=True)
class Rereading:
    """How far it is. Counts are live pages: `left` could not be read again and stay as they are."""

    extractor: str
    since: datetime | None
    live: int
    outdated: int
    left: int
    derived: int

    @property
    def is_running(self) -> bool:
        """Whether workers are at it."""
        return self.since is not None


@dataclass(frozen=True, slots=True)
class _Stored:
    """A text, and the HTML it was made from; `html` is None where that is not there any more."""

    version_id: UUID
    url: str
    html: bytes | None


class RereadingService:
    """Replaces texts that another extractor made."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        hints: Hints,
        clock: Clock,
        *,
        parsers: Callable[[], AbstractContextManager[Parser]],
        extractor: Callable[[], str],
    ) -> None:
        """Read with these parsers, whose documents are by this extractor; they are opened when there is work."""
        self._database = database
        self._settings = settings
        self._hints = hints
        self._clock = clock
        self._parsers = parsers
        self._extractor = extractor

    def start(self, *, scope: OrgScope) -> Rereading:
        """Let workers read the org's pages again, where another extractor made their text.

        Twice is the same as once.
        """
        with self._database.write() as session:
            orgs.get(session, scope.org_id)
            rereading.begin(session, scope.org_id, extractor=self._extractor(), now=self._clock())
            outbox.put(session, outbox.INDEX, scope.org_id, now=self._clock())
        relay(self._database, self._hints)
        return self.status(scope=scope)

    def cancel(self, *, scope: OrgScope) -> Rereading:
        """Read no more. What was read stays."""
        with self._database.write() as session:
            rereading.end(session, scope.org_id)
        return self.status(scope=scope)

    def status(self, *, scope: OrgScope) -> Rereading:
        """How far it is."""
        with self._database.read() as session:
            found = rereading.standing(
                session, scope.org_id, extractor=self._extractor(), attempts=self._settings.work.attempts
            )
            return Rereading(
                extractor=self._extractor(),
                since=rereading.since(session, scope.org_id),
                live=found.live,
                outdated=found.outdated,
                left=found.left,
                derived=found.derived,
            )

    def work(self, *, owner: str) -> bool:
        """Read for some seconds, for whoever is next in turn. Whether more is left."""
        with self._database.read() as session:
            waiting = rereading.orgs(session)
        if not waiting or shortage(self._settings):
            return False
        deadline = time.monotonic() + WORK_SECONDS
        with self._parsers() as parser:
            for org_id in waiting:
                while self._read_some(org_id, parser, owner=owner):
                    if time.monotonic() > deadline:
                        return True
        return False

    def hint(self) -> None:
        """Say that there is something to read, to whoever listens."""
        with self._database.read() as session:
            waiting = rereading.orgs(session, limit=1)
        nudge(self._hints, waiting[0] if waiting else None)

    def _read_some(self, org_id: UUID, parser: Parser, *, owner: str) -> bool:
        """Read a batch of one org. Whether there was one; the last one ends it."""
        work = self._settings.work
        with self._database.write() as session:
            taken = rereading.claim(
                session,
                org_id,
                extractor=self._extractor(),
                limit=work.index_batch,
                attempts=work.attempts,
                now=self._clock(),
                lease=work.index_lease,
                owner=owner,
            )
            orgs.took_turn(session, org_id, now=self._clock())
            if not taken:
                known, now = self._extractor(), self._clock()
                if not rereading.in_work(session, org_id, extractor=known, attempts=work.attempts, now=now):
                    rereading.end(session, org_id)
                    log.info("pages read again", org=str(org_id))
                return False
            stored = [_stored(session, version) for version in taken]
            token = taken[0].lease_token
        if token is None:
            return False
        ids = [one.version_id for one in stored]
        try:
            with Heartbeat(lambda: self._renew(ids, token), every=work.index_lease / 3):
                self._keep(ids, token, dict(self._documents(stored, parser)), org_id=org_id)
        except Exception as error:
            self._give_back(ids, token, burn=not isinstance(error, TemporaryError))
            raise
        relay(self._database, self._hints)
        return True

    def _renew(self, ids: Sequence[UUID], token: UUID) -> None:
        with self._database.write() as session:
            until = self._clock() + self._settings.work.index_lease
            row_leases.renew(session, PageVersion, ids, token=token, until=until)

    def _give_back(self, ids: Sequence[UUID], token: UUID, *, burn: bool) -> None:
        with self._database.write() as session:
            row_leases.release(session, PageVersion, ids, token=token, burn=burn)

    @staticmethod
    def _documents(stored: Iterable[_Stored], parser: Parser) -> Iterable[tuple[UUID, Document | str]]:
        """What the extractor makes of each page, or why nothing."""
        from pipeline.stages.extract.decoding import tells_its_charset  # noqa: PLC0415 - a second, where there is work

        for one in stored:
            if one.html is None or not tells_its_charset(one.html):
                why = "not stored any more" if one.html is None else "in an encoding that only its website told"
                yield one.version_id, f"its HTML is {why}"
                continue
            try:
                yield one.version_id, parser.extract(one.html, url=one.url)
            except TemporaryError:
                raise
            except ExtractionFailed as error:
                yield one.version_id, str(error)

    def _keep(self, ids: Sequence[UUID], token: UUID, read: dict[UUID, Document | str], *, org_id: UUID) -> None:
        """Write what came of a batch, under its lease."""
        now, attempts = self._clock(), self._settings.work.attempts
        with self._database.write() as session:
            datasources.hold(session, self._datasources(session, ids))
            found = rereading.fenced(session, ids, token=token)
            for version in found:
                rereading.let_go(version)
                document = read[version.id]
                problem = document if isinstance(document, str) else self._refusal(version, document)
                if problem is not None or isinstance(document, str):
                    rereading.keep_as_it_is(version, attempts=attempts, problem=problem or "")
                else:
                    _replace(session, version, document, now=now)
            if found:
                outbox.put(session, outbox.INDEX, org_id, now=now)

    @staticmethod
    def _datasources(session: Session, ids: Sequence[UUID]) -> set[UUID]:
        return {version.datasource_id for version in page_versions.by_id(session, ids).values()}

    def _refusal(self, version: PageVersion, document: Document) -> str | None:
        """Why a text shall not take the place of the one that serves: it would lose most of what that says."""
        words = len(document.markdown.split())
        emptied = Replaced.of(version.markdown, document.markdown).is_emptied(self._settings.crawl.held_text_share)
        if words < self._settings.extract.minimum_words or emptied:
            return f"read again it would have {words} words instead of {len(version.markdown.split())}"
        return None


def _stored(session: Session, version: PageVersion) -> _Stored:
    page = pages.behind(session, version.page_id)
    return _Stored(version.id, page.url, bodies.read(session, version.body_sha256, org_id=version.org_id))


def _replace(session: Session, version: PageVersion, document: Document, *, now: datetime) -> None:
    """Let the new text wait to be indexed, unless it is the old one, or its website was deleted meanwhile."""
    version.attempts, version.problem = 0, None
    page = pages.behind(session, version.page_id)
    if session.get_one(Datasource, version.datasource_id, populate_existing=True).deleted_at is not None:
        return
    if page.live_version != version.id or page_versions.is_waiting(session, page.id):
        return
    same = (version.text_hash, version.fact_hash, version.title) == (
        document.text_hash,
        document.fact_hash,
        document.title,
    )
    if same:
        version.extractor = document.extractor
        return
    session.add(
        PageVersion(
            id=uuid4(),
            page_id=page.id,
            org_id=page.org_id,
            datasource_id=page.datasource_id,
            crawl_id=None,
            derived_from=version.id,
            number=page_versions.next_number(session, page.id),
            state=page_versions.WAITING,
            title=document.title,
            language=document.language,
            markdown=document.markdown,
            text_hash=document.text_hash,
            fact_hash=document.fact_hash,
            body_sha256=version.body_sha256,
            extractor=document.extractor,
            dropped=[[dropped.reason, dropped.text] for dropped in document.dropped],
            fetched_at=version.fetched_at,
            created_at=now,
        )
    )
    page.title, page.language = document.title, document.language
    page.text_hash, page.fact_hash = document.text_hash, document.fact_hash
    session.flush()
    site_blocks.note_all(session, [(page, repeatable(document.markdown))])

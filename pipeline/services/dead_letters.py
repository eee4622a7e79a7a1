"""Dead letters: what died and why, and how it is put back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from uuid import UUID, uuid5

from pipeline.db import crawls, dead_letters, outbox, page_versions, pages
from pipeline.db.crawls import Crawl
from pipeline.db.datasources import Datasource
from pipeline.db.dead_letters import CRAWL, PAGE, URL, DeadLetter
from pipeline.db.engine import Database, Session
from pipeline.db.frontier import FrontierEntry
from pipeline.db.page_versions import PageVersion
from pipeline.db.paging import Listed, Place
from pipeline.model import CrawlTrigger, OrgScope, PageStatus, Reason
from pipeline.services.clock import Clock
from pipeline.services.hints import Hints, relay

WORKER_ENDED, SPIDER_ENDED, UNREADABLE = "worker_ended", "spider_ended", "unreadable"
"""Causes, beside the names of errors: the worker died without a word, the spider did, the website did not answer."""

_VARIABLE = re.compile(r"https?://\S+|'[^']*'|\"[^\"]*\"|0x[0-9a-f]+|[0-9a-f]{8}-[0-9a-f-]{27}|\d+", re.IGNORECASE)
_ERROR = re.compile(r"([A-Z]\w+)(?::|$)")


@dataclass(frozen=True, slots=True)
class LetterView:
    """One dead letter as the outside sees it. `stands` says that nothing has been done about it, and should be."""

    id: UUID
    kind: str
    url: str
    cause: str
    fingerprint: str
    problem: str | None
    attempts: int
    deaths: int
    first_seen_at: datetime
    last_seen_at: datetime
    redriven_at: datetime | None
    datasource_id: UUID
    work_id: UUID
    stands: bool


@dataclass(frozen=True, slots=True)
class Redriven:
    """What was put back: texts that wait to be indexed again, and websites whose crawl began anew."""

    pages: int = 0
    crawls: int = 0
    passed_over: int = 0
    """Letters about what works again, runs already, or is no more."""


class DeadLetterService:
    """Lists what died, and puts it back."""

    def __init__(self, database: Database, hints: Hints, clock: Clock) -> None:
        """Work on this database, and tell workers through these hints."""
        self._database = database
        self._hints = hints
        self._clock = clock

    def list_letters(self, *, scope: OrgScope, cause: str | None = None, limit: int | None = None) -> list[LetterView]:
        """The org's dead letters that stand, the latest first; those of one cause or fingerprint, if named."""
        with self._database.read() as session:
            found = dead_letters.listing(session, org_id=scope.org_id, cause=cause, limit=limit)
            return [_view(letter, stands=True) for letter in found]

    def page_through(
        self, *, scope: OrgScope, cause: str | None = None, limit: int = 20, after: Place | None = None
    ) -> Listed[LetterView]:
        """One piece of `list_letters`."""
        with self._database.read() as session:
            found = dead_letters.page_through(session, org_id=scope.org_id, cause=cause, limit=limit, after=after)
            return found.each(lambda letter: _view(letter, stands=True))

    def show(self, letter_id: UUID, *, scope: OrgScope) -> LetterView:
        """One dead letter, also when it was put back.

        Raises:
            DeadLetterNotFound: If the org has none of this id.
        """
        with self._database.read() as session:
            letter = dead_letters.get(session, letter_id, org_id=scope.org_id)
            return _view(letter, stands=dead_letters.stands(session, letter))

    def redrive(self, letter_id: UUID, *, scope: OrgScope) -> Redriven:
        """Put one back. Doing it twice is the same as once.

        Raises:
            DeadLetterNotFound: If the org has none of this id.
        """
        letter = self.show(letter_id, scope=scope)
        return self._redrive([letter] if letter.stands else [], passed_over=0 if letter.stands else 1, scope=scope)

    def redrive_all(self, *, scope: OrgScope, cause: str | None = None, limit: int | None = None) -> Redriven:
        """Put back every letter that stands, or every one of this cause or fingerprint; at most `limit` of them."""
        return self._redrive(self.list_letters(scope=scope, cause=cause, limit=limit), passed_over=0, scope=scope)

    def _redrive(self, letters: Sequence[LetterView], *, passed_over: int, scope: OrgScope) -> Redriven:
        """One transaction a letter: of many, one that cannot be put back does not stop the others."""
        put_back = {PAGE: 0, CRAWL: 0, URL: 0}
        for letter in letters:
            with self._database.write() as session:
                if not dead_letters.stands(session, dead_letters.get(session, letter.id, org_id=scope.org_id)):
                    passed_over += 1
                    continue
                restart = _restart_page if letter.kind == PAGE else _restart_crawl
                if restart(session, letter, now=self._clock(), scope=scope):
                    dead_letters.redriven(session, [letter.id], now=self._clock())
                    put_back[letter.kind] += 1
                else:
                    passed_over += 1
        relay(self._database, self._hints)
        return Redriven(pages=put_back[PAGE], crawls=put_back[CRAWL] + put_back[URL], passed_over=passed_over)


def note_page(session: Session, version: PageVersion, *, now: datetime) -> None:
    """Write a dead letter for a text that was set aside."""
    page = pages.behind(session, version.page_id)
    letter = {
        "org_id": version.org_id,
        "datasource_id": version.datasource_id,
        "kind": PAGE,
        "subject_id": page.id,
        "work_id": version.id,
        "url": page.url,
        "attempts": version.taken,
    }
    dead_letters.note(session, letter | _diagnosis(PAGE, version.problem), now=now)


def note_crawl(session: Session, crawl: Crawl, datasource: Datasource, *, now: datetime) -> None:
    """Write a dead letter for a crawl that failed for good."""
    letter = {
        "org_id": crawl.org_id,
        "datasource_id": datasource.id,
        "kind": CRAWL,
        "subject_id": datasource.id,
        "work_id": crawl.id,
        "url": datasource.url,
        "attempts": crawl.attempts,
    }
    dead_letters.note(session, letter | _diagnosis(CRAWL, crawl.error_message), now=now)


def note_url(
    session: Session, crawl: Crawl, entry: FrontierEntry, *, now: datetime, problem: str | None = None
) -> None:
    """Write a dead letter for a URL that ended its parsers, or that one spider after the other died of."""
    letter = {
        "org_id": crawl.org_id,
        "datasource_id": crawl.datasource_id,
        "kind": URL,
        "subject_id": uuid5(crawl.datasource_id, entry.url_key),
        "work_id": crawl.id,
        "url": entry.url,
        "attempts": entry.attempts,
    }
    dead_letters.note(session, letter | _diagnosis(URL, problem or crawl.error_message), now=now)


def cause_of(kind: str, problem: str | None) -> str:
    """A word for why work died: the error's name where there was one."""
    if kind == CRAWL:
        return SPIDER_ENDED if (problem or "").startswith("its spider") else UNREADABLE
    named = _ERROR.match(problem or "")
    if named:
        return named.group(1)
    return SPIDER_ENDED if kind == URL else WORKER_ENDED


def fingerprint_of(kind: str, cause: str, problem: str | None) -> str:
    """Twelve digits that are the same for problems which differ in numbers, quoted words, ids and addresses."""
    shape = _VARIABLE.sub("?", problem or "")
    return blake2b(f"{kind}\n{cause}\n{shape}".encode(errors="replace"), digest_size=6).hexdigest()


def _diagnosis(kind: str, problem: str | None) -> dict[str, object]:
    cause = cause_of(kind, problem)
    return {"cause": cause, "fingerprint": fingerprint_of(kind, cause, problem), "problem": problem}


def _restart_page(session: Session, letter: LetterView, *, now: datetime, scope: OrgScope) -> bool:
    """Let the text wait again as if it were new."""
    version = page_versions.get(session, letter.work_id)
    page_versions.cut_anew(session, version)
    page = pages.get(session, version.page_id, org_id=scope.org_id)
    if page.live_version is None and page.reason == Reason.POISON:
        page.status, page.reason, page.detail = PageStatus.PENDING, Reason.PENDING, None
    outbox.put(session, outbox.INDEX, scope.org_id, now=now)
    return True


def _restart_crawl(session: Session, letter: LetterView, *, now: datetime, scope: OrgScope) -> bool:
    """Begin a new crawl: it knows every URL that the one which died had seen."""
    datasource = session.get_one(Datasource, letter.datasource_id)
    if datasource.deleted_at is not None or datasource.org_id != scope.org_id:
        return False
    crawl = crawls.begin(session, datasource, trigger=CrawlTrigger.MANUAL, now=now)
    if crawl is None:
        return False
    outbox.put(session, outbox.CRAWL, crawl.id, now=now)
    return True


def _view(letter: DeadLetter, *, stands: bool) -> LetterView:
    return LetterView(
        id=letter.id,
        kind=letter.kind,
        url=letter.url,
        cause=letter.cause,
        fingerprint=letter.fingerprint,
        problem=letter.problem,
        attempts=letter.attempts,
        deaths=letter.deaths,
        first_seen_at=letter.first_seen_at,
        last_seen_at=letter.last_seen_at,
        redriven_at=letter.redriven_at,
        datasource_id=letter.datasource_id,
        work_id=letter.work_id,
        stands=stands,
    )

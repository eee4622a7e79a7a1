"""What a spider brings home becomes rows: a new text, the same text, a twin, a refusal, a failure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from uuid import UUID, uuid4

from pipeline.db import frontier, held_changes, index_queue, page_versions, pages
from pipeline.db.crawls import Crawl
from pipeline.db.datasources import Datasource
from pipeline.db.engine import Session
from pipeline.db.frontier import FrontierEntry
from pipeline.db.page_versions import PageVersion
from pipeline.db.pages import Page
from pipeline.model import Discovered, Document, Outcome, PageStatus, Reason
from pipeline.rules import CrawlRules
from pipeline.services import holding
from pipeline.services.batch import Batch
from pipeline.services.dead_letters import note_url
from pipeline.services.harm import Replaced
from pipeline.services.revisiting import Looks
from pipeline.services.sitewide import may_be_site_wide
from pipeline.services.websites import rules_of
from pipeline.settings import Settings
from pipeline.stages.chunk.repeats import arrangement, repeatable
from pipeline.urls import split, url_key
from pipeline.words import count_words

GONE = (404, 410)
TEMPORARY = (Reason.HTTP_ERROR, Reason.TOO_SLOW, Reason.ADDRESS_REFUSED, Reason.REDIRECT_LOOP, Reason.POISON)
"""Reasons that count as failures; every other refusal is a decision about the page."""
FOLDS = (Reason.CANONICAL_TO, Reason.DUPLICATE_OF)
"""Reasons that lead to another URL, which is kept instead."""
WITHDRAWN = (Reason.NOINDEX, Reason.EXCLUDED_RULE)
"""Reasons that end a page at once: the site, or its owner, no longer lets us keep it."""


class Keeper:
    """Writes the outcomes of one batch, inside the transaction that fences it."""

    def __init__(
        self,
        session: Session,
        crawl: Crawl,
        settings: Settings,
        outcomes: Sequence[Outcome],
        *,
        now: datetime,
        page_limit: int,
    ) -> None:
        """Write these outcomes of this crawl."""
        self._session = session
        self._crawl = crawl
        self._settings = settings
        self._now = now
        self._page_limit = page_limit
        self._kept = frontier.count_done(session, crawl.id)[0]
        self._outcomes = outcomes
        self._batch = Batch(session, crawl, outcomes, now=now)
        self._looks = Looks(session, crawl, settings, self._batch, now=now)
        self._new_rules = _rules_since(session, crawl)
        self.kept_versions = 0

    def keep_all(self) -> None:
        """Write them in order. A URL that is done already stays as it is: writing twice is the same as once."""
        for outcome in self._outcomes:
            before = self._looks.before(outcome)
            self._keep(outcome)
            self._looks.after(outcome, before)
        self._batch.write()

    def _keep(self, outcome: Outcome) -> None:
        entry = self._batch.entry(outcome.url_key)
        if entry is None or entry.state != frontier.LEASED or entry.lease_token != self._crawl.lease_token:
            return
        self._batch.discover(outcome.discovered)
        if self._new_rules is not None and outcome.retry_at is None:
            is_out = any(self._new_rules.excludes(split(url)) for url in (outcome.url, outcome.final_url) if url)
            if not is_out and outcome.reason == Reason.EXCLUDED_RULE:
                self._close(entry, frontier.DECLINED, Reason.EXCLUDED_RULE)
                return
            if is_out:
                outcome = Outcome(outcome.url_key, outcome.url, outcome.fetched_at, reason=Reason.EXCLUDED_RULE)
        self._keep_by_kind(entry, outcome)

    def _keep_by_kind(self, entry: FrontierEntry, outcome: Outcome) -> None:
        if outcome.retry_at is not None and (outcome.untried or entry.attempts < self._settings.work.attempts):
            self._put_back(entry, outcome)
        elif outcome.document is not None and outcome.reason is None:
            self._keep_document(entry, outcome, outcome.document)
        elif outcome.not_modified:
            self._keep_unmodified(entry, outcome)
        else:
            self._refuse(entry, outcome)

    def _put_back(self, entry: FrontierEntry, outcome: Outcome) -> None:
        entry.state = frontier.WAITING
        entry.lease_token = None
        entry.retry_at = outcome.retry_at
        entry.attempts -= outcome.untried
        entry.reason, entry.detail, entry.http_status = outcome.reason, outcome.detail, outcome.http_status

    def _keep_document(self, entry: FrontierEntry, outcome: Outcome, document: Document) -> None:
        final_url = outcome.final_url or outcome.url
        if url_key(final_url) != entry.url_key:
            moved = self._move(entry, final_url)
            if moved is None:
                return
            entry = moved
        page = self._page(entry, url=final_url)
        page.http_status, page.detail, page.missing_since = outcome.http_status, None, None
        page.canonical_url = document.canonical
        if count_words(document.markdown) < self._settings.extract.minimum_words:
            self._doubt_or_decline(entry, page, Reason.THIN, outcome)
        elif page.live_version is None and self._kept >= self._page_limit:
            self._decline(entry, page, Reason.PAGE_LIMIT)
        elif (winner := self._winning_twin(page, document)) is not None:
            self._fold_page(entry, page, Reason.DUPLICATE_OF, target=winner.url)
        elif self._is_unchanged(page, document) or self._is_rearranged(page, document):
            holding.withdraw(self._session, page)
            page.text_hash = document.text_hash
            self._note_fetch(page, outcome)
            self._done(entry, page, frontier.UNCHANGED, Reason.UNCHANGED)
        elif self._was_taken_back(page, document) or self._was_worse(page, document):
            page.fetched_at = outcome.fetched_at
            self._close(entry, frontier.DECLINED, Reason.HELD)
        else:
            self._add_version(entry, page, outcome, document)

    def _was_taken_back(self, page: Page, document: Document) -> bool:
        """Whether somebody said that this text of the page shall not serve."""
        if page.live_version is not None or page.reason != Reason.HELD:
            return False
        return holding.known_text(self._session, page, document.text_hash) is not None

    def _was_worse(self, page: Page, document: Document) -> bool:
        """Whether this very text served already and answered worse: it waits for a decision, or was rejected."""
        if page.live_version is None:
            return False
        known = holding.known_text(self._session, page, document.text_hash)
        return known is not None and known.kind == held_changes.WORSE

    def _move(self, entry: FrontierEntry, final_url: str) -> FrontierEntry | None:
        """Fold a redirected URL into where it led. None when that page is dealt with already."""
        key = url_key(final_url)
        step = Discovered(url_key=key, url=final_url, depth=entry.depth, found_on=entry.url)
        self._batch.discover([step])
        self._batch.write_discovered()
        self._fold(entry, Reason.CANONICAL_TO, target=final_url)
        target = self._batch.entry(key)
        return target if target is not None and target.state == frontier.WAITING else None

    def _page(self, entry: FrontierEntry, *, url: str) -> Page:
        page = self._batch.page(entry.url_key)
        if page is None:
            page = Page(
                id=uuid4(),
                org_id=self._crawl.org_id,
                datasource_id=self._crawl.datasource_id,
                url=url,
                url_key=entry.url_key,
                status=PageStatus.PENDING,
                reason=Reason.PENDING,
                depth=entry.depth,
                created_at=self._now,
                updated_at=self._now,
            )
            self._batch.make(page)
        page.updated_at, page.last_crawl_id = self._now, self._crawl.id
        return page

    def _winning_twin(self, page: Page, document: Document) -> Page | None:
        """The page with the same text that is kept instead of this one: the canonical, else the shortest URL."""
        others = self._batch.twins(page, text_hash=document.text_hash)
        return next((other for other in others if _precedence(other) < _precedence(page)), None)

    def _is_unchanged(self, page: Page, document: Document) -> bool:
        if (page.text_hash, page.fact_hash, page.title) != (document.text_hash, document.fact_hash, document.title):
            return False
        return page.live_version is not None or page_versions.is_waiting(self._session, page.id)

    def _is_rearranged(self, page: Page, document: Document) -> bool:
        """Whether whole paragraphs or sections changed places and nothing else: its chunks say all of it already."""
        if page.live_version is None or (page.fact_hash, page.title) != (document.fact_hash, document.title):
            return False
        live = page_versions.get(self._session, page.live_version)
        is_newest = live.state == page_versions.INDEXED and not page_versions.is_waiting(self._session, page.id)
        return is_newest and arrangement(live.markdown) == arrangement(document.markdown)

    def _add_version(self, entry: FrontierEntry, page: Page, outcome: Outcome, document: Document) -> None:
        """Store a new text to be indexed. What readers see changes when that is done, not now."""
        is_new = page.live_version is None
        state = self._state(page, document)
        if state == page_versions.HELD:
            self._stage_text(entry, page, outcome, document)
            return
        holding.withdraw(self._session, page)
        if page.text_hash not in {None, document.text_hash}:
            self._reopen_twins(page)
        if not self._batch.is_made(page):
            page_versions.supersede_waiting(self._session, page.id)
        self._batch.keep_version(self._version(page, outcome, document, state=state))
        self._batch.note_blocks(page, repeatable(document.markdown))
        page.title, page.language = document.title, document.language
        page.text_hash, page.fact_hash = document.text_hash, document.fact_hash
        self._note_fetch(page, outcome)
        if state == page_versions.LATER:
            self._done(entry, page, frontier.UNCHANGED, Reason.UNCHANGED)
            return
        page.changed_at = self._now
        if is_new:
            page.status, page.reason = PageStatus.PENDING, Reason.PENDING
        self._done(entry, page, frontier.NEW if is_new else frontier.UPDATED, Reason.SYNCED)
        self.kept_versions += 1

    def _state(self, page: Page, document: Document) -> str:
        """Whether a new text is indexed now, or once it is known what is new on every page."""
        if page.live_version is None:
            return page_versions.WAITING
        live = page_versions.get(self._session, page.live_version)
        if may_be_site_wide(document, live):
            return page_versions.LATER
        replaced = Replaced.of(live.markdown, document.markdown)
        is_another = replaced.is_another or replaced.is_emptied(self._settings.crawl.held_text_share)
        return page_versions.HELD if is_another and not page.excluded else page_versions.WAITING

    def _stage_text(self, entry: FrontierEntry, page: Page, outcome: Outcome, document: Document) -> None:
        """Keep a text that says something else entirely until all pages are known: many may say the same now."""
        self._session.flush()
        known = holding.known_text(self._session, page, document.text_hash)
        if known is not None and known.state == held_changes.REJECTED:
            self._close(entry, frontier.DECLINED, Reason.HELD)
            return
        page.fetched_at, page.etag, page.last_modified = outcome.fetched_at, None, None
        version_id = known.version_id if known is not None else None
        if version_id is None:
            page_versions.supersede_waiting(self._session, page.id)
            version = self._version(page, outcome, document, state=page_versions.HELD)
            version_id = version.id
            self._batch.keep_version(version)
        self._stage(page, held_changes.REPLACED, Reason.SYNCED, digest=document.text_hash, version_id=version_id)
        self._close(entry, frontier.UPDATED, Reason.SYNCED)

    def _stage(
        self,
        page: Page,
        kind: str,
        reason: Reason,
        *,
        digest: str,
        target: str | None = None,
        version_id: UUID | None = None,
    ) -> bool:
        self._session.flush()
        return holding.stage(
            self._session,
            self._crawl,
            page,
            kind=kind,
            reason=reason,
            digest=digest,
            now=self._now,
            target=target,
            version_id=version_id,
        )

    def _version(self, page: Page, outcome: Outcome, document: Document, *, state: str) -> PageVersion:
        html = outcome.html or b""
        return PageVersion(
            id=uuid4(),
            page_id=page.id,
            org_id=page.org_id,
            datasource_id=page.datasource_id,
            crawl_id=self._crawl.id,
            number=1 if self._batch.is_made(page) else page_versions.next_number(self._session, page.id),
            state=state,
            title=document.title,
            language=document.language,
            markdown=document.markdown,
            text_hash=document.text_hash,
            fact_hash=document.fact_hash,
            body_sha256=self._batch.keep_body(html),
            extractor=document.extractor,
            dropped=[[dropped.reason, dropped.text] for dropped in document.dropped],
            fetched_at=outcome.fetched_at,
            created_at=self._now,
        )

    def _keep_unmodified(self, entry: FrontierEntry, outcome: Outcome) -> None:
        page = self._page(entry, url=entry.url)
        page.missing_since, page.detail = None, None
        page.fetched_at = outcome.fetched_at
        self._crawl.not_modified_pages += outcome.http_status == HTTPStatus.NOT_MODIFIED
        holding.withdraw(self._session, page)
        self._done(entry, page, frontier.UNCHANGED, Reason.UNCHANGED)

    def _refuse(self, entry: FrontierEntry, outcome: Outcome) -> None:
        reason = outcome.reason or Reason.HTTP_ERROR
        entry.http_status, entry.detail = outcome.http_status, outcome.detail
        if reason in FOLDS:
            self._fold(entry, reason, target=outcome.final_url)
            return
        if reason == Reason.OFF_SITE:
            entry.target = outcome.final_url
        if reason == Reason.POISON:
            note_url(self._session, self._crawl, entry, now=self._now, problem=outcome.detail)
        self._doubt_or_decline(entry, self._page(entry, url=outcome.url), reason, outcome)

    def _doubt_or_decline(self, entry: FrontierEntry, page: Page, reason: Reason, outcome: Outcome) -> None:
        page.http_status, page.detail = outcome.http_status, outcome.detail
        if page.live_version is not None:
            self._doubt(entry, page, reason, outcome)
            return
        page.fetched_at = outcome.fetched_at
        if page.reason == Reason.GONE and outcome.http_status in GONE:
            self._decline(entry, page, Reason.GONE)
        elif reason in TEMPORARY:
            page.status, page.reason = PageStatus.ERROR, reason
            self._close(entry, frontier.FAILED, reason)
        else:
            self._decline(entry, page, reason)

    def _doubt(self, entry: FrontierEntry, page: Page, reason: Reason, outcome: Outcome) -> None:
        """A page that serves is not forgotten on one bad answer: only on a second 404 or 410, or when told to."""
        is_missing = outcome.http_status in GONE
        if is_missing and page.missing_since is not None:
            self._doubt_for_good(entry, page, held_changes.GONE, Reason.GONE, digest=page.missing_since.isoformat())
            return
        if reason == Reason.NOINDEX and not page.excluded:
            self._doubt_for_good(entry, page, held_changes.WITHDRAWN, reason, digest=reason)
            return
        if reason in holding.EMPTY and not is_missing:
            self._stage(page, held_changes.EMPTIED, reason, digest=reason)
        if reason in WITHDRAWN:
            self._reopen_twins(page)
            page.live_version = None
            self._decline(entry, page, reason)
            return
        if is_missing:
            page.missing_since = self._now
        self._close(entry, frontier.FAILED, reason)

    def _doubt_for_good(self, entry: FrontierEntry, page: Page, kind: str, reason: Reason, *, digest: str) -> None:
        """A page that is to leave does so at the end of the crawl, if few do; others may serve instead of it."""
        drop_waiting(self._session, page)
        if self._stage(page, kind, reason, digest=digest):
            self._reopen_twins(page)
            outcome = frontier.REMOVED if kind == held_changes.GONE else frontier.DECLINED
            self._close(entry, outcome, reason)
        else:
            self._close(entry, frontier.DECLINED, Reason.HELD)

    def _decline(self, entry: FrontierEntry, page: Page, reason: Reason) -> None:
        if reason in WITHDRAWN:
            drop_waiting(self._session, page)
        page.status, page.reason, page.target = PageStatus.EXCLUDED, reason, None
        self._close(entry, frontier.DECLINED, reason)

    def _fold(self, entry: FrontierEntry, reason: Reason, *, target: str | None) -> None:
        """Note where a URL leads. A page that serves goes on until its target does."""
        page = self._batch.page(entry.url_key)
        if page is not None:
            self._fold_page(entry, page, reason, target=target)
        else:
            entry.target = target
            self._close(entry, frontier.DECLINED, reason)

    def _fold_page(self, entry: FrontierEntry, page: Page, reason: Reason, *, target: str | None) -> None:
        entry.target, page.updated_at = target, self._now
        drop_waiting(self._session, page)
        if page.live_version is not None and not page.excluded:
            is_staged = self._stage(page, held_changes.FOLDED, reason, digest=f"{reason} {target}", target=target)
            self._close(entry, frontier.DECLINED, reason if is_staged else Reason.HELD)
            return
        page.target, page.reason = target, reason
        target_page = self._batch.page(url_key(target)) if target else None
        if page.live_version is None or (target_page is not None and target_page.live_version is not None):
            page.status, page.live_version = PageStatus.EXCLUDED, None
        self._close(entry, frontier.DECLINED, reason)

    def _reopen_twins(self, page: Page) -> None:
        """What was folded into `page` in this crawl is looked at again: `page` says something else now, or nothing."""
        self._session.flush()
        frontier.reopen_folded(self._session, self._crawl.id, target=page.url)

    def _note_fetch(self, page: Page, outcome: Outcome) -> None:
        page.fetched_at = outcome.fetched_at
        page.etag, page.last_modified = outcome.etag, outcome.last_modified

    def _done(self, entry: FrontierEntry, page: Page, outcome: str, reason: Reason) -> None:
        page.target = None
        if page.live_version is not None and not page.excluded:
            page.status, page.reason = PageStatus.SYNCED, Reason.SYNCED
        self._kept += 1
        self._close(entry, outcome, reason)

    def _close(self, entry: FrontierEntry, outcome: str, reason: Reason) -> None:
        entry.state, entry.outcome, entry.reason = frontier.DONE, outcome, reason
        entry.lease_token, entry.retry_at = None, None


def _rules_since(session: Session, crawl: Crawl) -> CrawlRules | None:
    """The rules of a website that somebody changed after its crawl began: its spider goes by those before."""
    source = session.get_one(Datasource, crawl.datasource_id, populate_existing=True)
    is_changed = crawl.started_at is not None and source.updated_at > crawl.started_at
    return rules_of(source) if is_changed else None


def fold_twins(session: Session, page: Page, *, crawl_id: UUID | None) -> None:
    """Of `page`, which serves now, and the pages that say the same, keep one; the others name it.

    A twin that goes before this page but does not serve yet folds it when its own turn comes: no
    reader ever finds neither.
    """
    twins = pages.twins(session, page, text_hash=page.text_hash or "")
    winner = min([page, *twins], key=_precedence)
    if winner.live_version is None:
        return
    for other in (page, *twins):
        if other is not winner:
            _fold_into(session, other, winner, crawl_id=crawl_id)


def retire_moved(session: Session, page: Page) -> None:
    """End the pages that led to `page` and served until it does, which is now."""
    for old in pages.moved(session, page.datasource_id):
        if old.target and url_key(old.target) == page.url_key and old.id != page.id:
            drop_waiting(session, old)
            old.live_version, old.status, old.updated_at = None, PageStatus.EXCLUDED, page.updated_at


def drop_waiting(session: Session, page: Page) -> None:
    """Take back the page's text that waits to be indexed. The same text will be new again."""
    if page_versions.supersede_waiting(session, page.id):
        _forget_text(page)


def set_aside(session: Session, version: PageVersion) -> None:
    """Park a text that ended its worker too often. What the page served before it serves on."""
    index_queue.park(session, version)
    page = pages.behind(session, version.page_id)
    _forget_text(page)
    if page.live_version is None:
        page.status, page.reason, page.detail = PageStatus.ERROR, Reason.POISON, version.problem
    entry = frontier.get(session, version.crawl_id, page.url_key) if version.crawl_id else None
    if entry is not None and entry.outcome in frontier.KEPT:
        entry.outcome, entry.reason, entry.detail = frontier.FAILED, Reason.POISON, version.problem


def _forget_text(page: Page) -> None:
    """Without these, the next fetch is unconditional and its text is compared with nothing."""
    page.text_hash = page.fact_hash = page.etag = page.last_modified = None


def _fold_into(session: Session, page: Page, winner: Page, *, crawl_id: UUID | None) -> None:
    drop_waiting(session, page)
    page.live_version, page.updated_at = None, max(page.updated_at, winner.updated_at)
    page.status, page.reason, page.target = PageStatus.EXCLUDED, Reason.DUPLICATE_OF, winner.url
    entry = frontier.get(session, crawl_id, page.url_key) if crawl_id else None
    if entry is not None and entry.state == frontier.DONE:
        entry.outcome, entry.reason, entry.target = frontier.DECLINED, Reason.DUPLICATE_OF, winner.url


def _precedence(page: Page) -> tuple[bool, int, str]:
    """Of twins, the one first in this order is kept: its own canonical, then the shortest URL, then the alphabet."""
    is_canonical = page.canonical_url is not None and url_key(page.canonical_url) == page.url_key
    return (not is_canonical, len(page.url), page.url)

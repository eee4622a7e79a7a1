"""What a crawl would take from pages that serve waits for its end; too much of it waits for a person.

A page that is gone, emptied, withdrawn, folded or says something else entirely serves as it did while its crawl goes
on. At the end all such changes are judged together: harm to a small share of the website is carried out, harm to
more is held. Everything is a row, decided in one transaction: a crawl that dies leaves the old knowledge.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from uuid import UUID

from pipeline.db import crawls, frontier, held_changes, outbox, page_versions, pages, site_blocks
from pipeline.db.crawls import Crawl
from pipeline.db.datasources import Datasource
from pipeline.db.engine import Session
from pipeline.db.held_changes import (
    EMPTIED,
    FOLDED,
    GONE,
    HELD,
    REJECTED,
    REPLACED,
    STAGED,
    TEXTS,
    WITHDRAWN,
    WORSE,
    HeldChange,
)
from pipeline.db.page_versions import PageVersion
from pipeline.db.pages import Page
from pipeline.logs import get_logger
from pipeline.model import PageStatus, Reason
from pipeline.services.harm import Replaced, least_harmed, worse
from pipeline.services.webhooks import announce_hold
from pipeline.settings import Settings
from pipeline.stages.chunk.repeats import repeatable
from pipeline.urls import url_key

EMPTY = (Reason.THIN, Reason.SOFT_404, Reason.LOGIN_WALL)
"""Reasons that say that a page shows no text of its own any more."""

TOLD = {
    GONE: "it would leave: the site said twice that it is gone",
    WITHDRAWN: "it would leave: it asks not to be indexed",
    FOLDED: "it would fold into another page",
    EMPTIED: "it would leave: it shows no text any more",
    REPLACED: "its text would be replaced by one that says little, or that many pages say",
    WORSE: "with its new text the golden questions were answered worse",
}
"""What would become of a held page."""

AT_A_TIME = 200
"""Pages whose rows, or texts, are read in one statement."""

log = get_logger(__name__)


def stage(
    session: Session,
    crawl: Crawl,
    page: Page,
    *,
    kind: str,
    reason: Reason,
    digest: str,
    now: datetime,
    target: str | None = None,
    version_id: UUID | None = None,
) -> bool:
    """Let a change of a page that serves wait for the end of the crawl. False when it was rejected before."""
    known = held_changes.get(session, page.id)
    if known is not None and known.state == REJECTED and (known.kind, known.digest) == (kind, digest):
        return False
    row: dict[str, object] = {
        "page_id": page.id,
        "org_id": page.org_id,
        "datasource_id": page.datasource_id,
        "crawl_id": crawl.id,
        "kind": kind,
        "state": STAGED,
        "reason": reason,
        "digest": digest,
        "target": target,
        "version_id": version_id,
        "created_at": now,
    }
    held_changes.put(session, row)
    page.reason = Reason.HELD
    return True


def known_text(session: Session, page: Page, text_hash: str) -> HeldChange | None:
    """The change to this very text that waits for a decision, or was rejected."""
    known = held_changes.get(session, page.id)
    return known if known is not None and known.kind in TEXTS and known.digest == text_hash else None


def withdraw(session: Session, page: Page) -> None:
    """The page is as it should be after all: nothing of it waits any more."""
    if page.reason == Reason.HELD:
        known = held_changes.get(session, page.id)
        if known is not None:
            _set_aside(session, known)
            held_changes.forget(session, [page.id])
        page.reason, page.detail = Reason.SYNCED, None


def give_up(session: Session, crawl: Crawl) -> None:
    """Forget what a crawl staged that ends before its time: it has not seen everything."""
    session.flush()
    for change in held_changes.of_crawl(session, crawl.id, state=STAGED):
        withdraw(session, session.get_one(Page, change.page_id))


def decide(session: Session, crawl: Crawl, settings: Settings, *, now: datetime) -> int:
    """Judge what a crawl staged, now that it has seen everything. Returns how many pages are held.

    Twice is the same as once: nothing is staged any more.
    """
    session.flush()
    staged = []
    for change in held_changes.in_datasource(session, crawl.datasource_id, state=STAGED):
        if change.crawl_id == crawl.id:
            staged.append(change)
        else:
            withdraw(session, session.get_one(Page, change.page_id))
    if not staged:
        return 0
    together = _rows_of(session, crawl, staged)
    serving = pages.count_kept(session, crawl.datasource_id)
    limits = settings.crawl
    least = least_harmed(serving, share=limits.held_share, least=limits.held_least_pages)
    harmful = _harmful(session, staged, settings, least=least)
    held = harmful if len(harmful) >= least else set()
    for change in sorted(staged, key=_folds_last):
        if change.page_id in held:
            _hold(session, crawl, change)
        elif change.kind == EMPTIED:
            _let_serve(session, change)
        else:
            _carry_out(session, change, now=now)
    if held:
        _tell(crawl, len(held), serving=serving)
        announce_hold(session, crawl, held_pages=len(held), now=now)
    session.flush()
    del together
    return len(held)


def approve(session: Session, crawl: Crawl, *, now: datetime) -> int:
    """Carry out what a crawl holds. Returns how many pages that changes."""
    held = held_changes.of_crawl(session, crawl.id, state=HELD)
    for change in sorted(held, key=_folds_last):
        _carry_out(session, change, now=now)
    return len(held)


def reject(session: Session, crawl: Crawl) -> int:
    """Keep what serves, and do not ask again about the same changes. Returns how many pages that keeps."""
    held = held_changes.of_crawl(session, crawl.id, state=HELD)
    for change in held:
        page = session.get_one(Page, change.page_id)
        _set_aside(session, change)
        change.state, change.version_id = REJECTED, None
        if page.live_version is not None:
            page.reason, page.detail = Reason.SYNCED, None
        _note(session, change, page, frontier.DECLINED, Reason.HELD)
    return len(held)


def reject_ahead(session: Session, page: Page, *, crawl_id: UUID, kind: str, digest: str, now: datetime) -> None:
    """Keep a page as somebody has just made it, until its website says something else than it did."""
    row: dict[str, object] = {
        "page_id": page.id,
        "org_id": page.org_id,
        "datasource_id": page.datasource_id,
        "crawl_id": crawl_id,
        "kind": kind,
        "state": REJECTED,
        "reason": Reason.HELD,
        "digest": digest,
        "target": None,
        "version_id": None,
        "created_at": now,
    }
    held_changes.put(session, row)


def told(session: Session, page: Page) -> str | None:
    """What would become of a held page, and who decides."""
    change = held_changes.get(session, page.id)
    if change is None or change.state == REJECTED:
        return None
    where = f", {change.target}" if change.target else ""
    if change.state == STAGED:
        return f"{TOLD[change.kind]}{where}; the crawl that saw it has not ended"
    return f"{TOLD[change.kind]}{where}; `sitewise jobs approve {change.crawl_id}` or `reject` decides"


def _rows_of(session: Session, crawl: Crawl, changes: Sequence[HeldChange]) -> list[object]:
    """The pages and URLs of these changes, read together: while they are kept, asking for one asks nobody."""
    known: list[object] = []
    for first in range(0, len(changes), AT_A_TIME):
        own = pages.by_id(session, [change.page_id for change in changes[first : first + AT_A_TIME]])
        known += [*own, *frontier.by_key(session, crawl.id, [page.url_key for page in own]).values()]
    return known


def _harmful(session: Session, staged: Sequence[HeldChange], settings: Settings, *, least: int) -> set[UUID]:
    """The pages that would be worse off: all that leave, and those whose new text says little or what many say."""
    folds = Counter(change.target for change in staged if change.kind == FOLDED)
    leave = {change.page_id for change in staged if change.kind in {GONE, WITHDRAWN, EMPTIED}}
    leave |= {change.page_id for change in staged if change.kind == FOLDED and folds[change.target] > 1}
    replaced = [change for change in staged if change.kind == REPLACED]
    texts = partial(_texts, session, replaced)
    are_worse = worse(texts, least=max(least, 2), share=settings.crawl.held_text_share)
    return leave | {change.page_id for change, is_worse in zip(replaced, are_worse, strict=True) if is_worse}


def _texts(session: Session, replaced: Sequence[HeldChange]) -> Iterator[Replaced]:
    """What each of these pages says, and would say: some at a time."""
    for first in range(0, len(replaced), AT_A_TIME):
        part = replaced[first : first + AT_A_TIME]
        live = {change.page_id: session.get_one(Page, change.page_id).live_version for change in part}
        ids = {found for found in (*live.values(), *(change.version_id for change in part)) if found is not None}
        said = {version_id: version.markdown for version_id, version in page_versions.by_id(session, list(ids)).items()}
        for change in part:
            pair = (live[change.page_id], change.version_id)
            yield Replaced.of(*(said.get(found, "") if found else "" for found in pair))


def _folds_last(change: HeldChange) -> tuple[bool, UUID]:
    """A page that leaves is no target any more."""
    return change.kind == FOLDED, change.page_id


def _hold(session: Session, crawl: Crawl, change: HeldChange) -> None:
    page = session.get_one(Page, change.page_id)
    change.state, page.reason, page.next_fetch_at = HELD, Reason.HELD, None
    entry = frontier.get(session, crawl.id, page.url_key)
    if entry is not None:
        entry.outcome, entry.reason, entry.detail = frontier.HELD, Reason.HELD, TOLD[change.kind]


def _let_serve(session: Session, change: HeldChange) -> None:
    """A page without text is no reason to forget it: what it said serves."""
    page = session.get_one(Page, change.page_id)
    page.reason = Reason.SYNCED
    held_changes.forget(session, [page.id])


def _carry_out(session: Session, change: HeldChange, *, now: datetime) -> None:
    page = session.get_one(Page, change.page_id)
    held_changes.forget(session, [page.id])
    if page.reason != Reason.HELD:
        return
    page.updated_at, page.detail = now, None
    reason = Reason(change.reason)
    if change.kind in TEXTS:
        page.reason = Reason.SYNCED
        if _release(session, page, change.version_id, now=now):
            _note(session, change, page, frontier.UPDATED, Reason.SYNCED)
    elif change.kind == FOLDED:
        _fold(session, page, reason, target=change.target)
        _note(session, change, page, frontier.DECLINED, reason)
    else:
        page.live_version, page.status, page.reason = None, PageStatus.EXCLUDED, reason
        outcome = frontier.DECLINED if change.kind == WITHDRAWN else frontier.REMOVED
        _note(session, change, page, outcome, reason)


def _release(session: Session, page: Page, version_id: UUID | None, *, now: datetime) -> bool:
    """Let the text that was held be indexed; it goes live when that is done."""
    version = page_versions.by_id(session, [version_id]).get(version_id) if version_id else None
    if version is None or version.state != page_versions.HELD:
        return False
    version.state, version.hint_at = page_versions.WAITING, None
    page.title, page.language = version.title, version.language
    page.text_hash, page.fact_hash, page.changed_at = version.text_hash, version.fact_hash, now
    site_blocks.note_all(session, [(page, repeatable(version.markdown))])
    outbox.put(session, outbox.INDEX, page.org_id, now=now)
    return True


def _fold(session: Session, page: Page, reason: Reason, *, target: str | None) -> None:
    """Name the page that goes on instead. Until that serves, this one does."""
    page.reason, page.target = reason, target
    session.flush()
    goes_on = pages.find(session, page.datasource_id, url_key(target)) if target else None
    if goes_on is not None and goes_on.live_version is not None:
        page.status, page.live_version = PageStatus.EXCLUDED, None


def _set_aside(session: Session, change: HeldChange) -> None:
    """The text that was held is not wanted: the same text will be new again."""
    version: PageVersion | None = None
    if change.version_id is not None:
        version = page_versions.by_id(session, [change.version_id]).get(change.version_id)
    if version is not None and version.state == page_versions.HELD:
        version.state = page_versions.SUPERSEDED


def _note(session: Session, change: HeldChange, page: Page, outcome: str, reason: Reason) -> None:
    entry = frontier.get(session, change.crawl_id, page.url_key)
    if entry is not None:
        entry.outcome, entry.reason, entry.detail = outcome, reason, None


def _tell(crawl: Crawl, count: int, *, serving: int) -> None:
    """Say to whoever looks: in the log, at the crawl, and at its website once the crawl ends."""
    crawl.error_message = (
        f"held: {count} of {serving} pages would leave or say nothing any more; the old text serves. "
        f"`sitewise jobs approve {crawl.id}` carries it out, `reject` keeps what serves"
    )
    log.warning("crawl held", crawl=str(crawl.id), pages=count, serving=serving)


def note_decision(session: Session, crawl: Crawl) -> None:
    """Nothing is asked about a crawl any more, neither at it nor at its website."""
    datasource = session.get_one(Datasource, crawl.datasource_id)
    if datasource.error_message == crawl.error_message:
        datasource.error_message = None
    crawl.error_message = None
    session.flush()
    progress = frontier.progress(session, crawl.id, page_limit=sys.maxsize)
    if progress.found:
        crawls.write_progress(crawl, replace(progress, limit_reached=crawl.limit_reached), url=None)
    crawl.held_pages = 0


def recount(session: Session, datasource_id: UUID) -> None:
    """Note how many pages ended crawls still hold: a later one may have found them well."""
    session.flush()
    told_so = crawls.holding(session, datasource_id)
    left = held_changes.count(session, [crawl.id for crawl in told_so])
    for crawl in told_so:
        crawl.held_pages = left.get(crawl.id, 0)
        crawl.error_message = crawl.error_message if crawl.held_pages else None

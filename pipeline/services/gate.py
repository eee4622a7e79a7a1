"""The publish gate: a crawl after which an org's golden questions are answered worse is held.

Pages go live one by one as they are indexed, so a crawl is scored as what it is: once all its pages are live, and
before it ends. When the score has dropped by more than the tolerance, every page that it changed answers with its
earlier text again, in one commit, and its new text waits for a decision like any other held change.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pipeline.db import (
    chunks,
    crawls,
    evaluations,
    frontier,
    golden_questions,
    held_changes,
    outbox,
    page_versions,
    pages,
    served_spans,
    site_blocks,
)
from pipeline.db import leases as row_leases
from pipeline.db.crawls import Crawl
from pipeline.db.engine import Session
from pipeline.db.page_versions import PageVersion
from pipeline.db.pages import Page
from pipeline.logs import get_logger
from pipeline.model import PageStatus, Reason
from pipeline.services.webhooks import announce_hold
from pipeline.settings import Settings
from pipeline.stages.chunk.repeats import repeatable

log = get_logger(__name__)

KINDS = {
    Reason.GONE: held_changes.GONE,
    Reason.NOINDEX: held_changes.WITHDRAWN,
    Reason.CANONICAL_TO: held_changes.FOLDED,
    Reason.DUPLICATE_OF: held_changes.FOLDED,
}
"""What took a page away, by the reason that it was given. A rule of the org's own is not in question."""


def awaited(session: Session, crawl_ids: Sequence[UUID], settings: Settings, *, now: datetime) -> set[UUID]:
    """Those of the crawls that must not end yet: their result is being scored, or is to be.

    Each is asked for once, and hinted at again while nobody takes it. One that could not be scored for as often as any
    work is tried does not keep its crawl from ending.
    """
    if not settings.evaluate.gate or not crawl_ids:
        return set()
    waiting = set()
    ending = crawls.about_to_end(session, crawl_ids)
    judged = golden_questions.orgs_with_some(session, [crawl.org_id for crawl in ending]) if ending else set()
    for crawl in ending:
        if crawl.org_id in judged and _is_awaited(session, crawl, settings, now=now):
            waiting.add(crawl.id)
    return waiting


def _is_awaited(session: Session, crawl: Crawl, settings: Settings, *, now: datetime) -> bool:
    row = evaluations.of_crawl(session, crawl.id)
    if row is None:
        if not served_spans.changed_since(session, crawl.datasource_id, crawl.created_at):
            return False
        evaluations.ask(session, crawl.id, org_id=crawl.org_id, now=now)
        row = evaluations.of_crawl(session, crawl.id)
    if row is None or row.state != evaluations.DUE:
        return False
    if row.lease_until is not None and row.lease_until >= now:
        return True
    if row.attempts >= settings.work.attempts:
        row.state = evaluations.FAILED
        log.error("crawl not scored", crawl=str(crawl.id), attempts=row.attempts)
        return False
    if row.hint_at is None or row.hint_at <= now:
        row.hint_at = row_leases.next_hint(row.hints, now=now, delays=settings.work.hint_delays)
        row.hints += 1
        outbox.put(session, outbox.INDEX, crawl.org_id, now=now)
    session.flush()
    return True


def take_back(session: Session, crawl: Crawl, *, told: str, now: datetime) -> int:
    """Let every page that a crawl changed answer as before it, and hold what it brought. Returns how many.

    A page whose earlier points are gone goes on as it is: it could not answer as before at once.
    """
    session.flush()
    before = served_spans.before(session, crawl.datasource_id, crawl.created_at)
    known = pages.known(session, crawl.datasource_id)
    ids = {found for page in known for found in (page.live_version, before.get(page.id)) if found is not None}
    texts = page_versions.by_id(session, sorted(ids))
    count = 0
    for page in known:
        old, new = texts.get(before.get(page.id, crawl.id)), texts.get(page.live_version or crawl.id)
        if page.excluded or old is new or (new is not None and new.crawl_id != crawl.id):
            continue
        if new is None and (page.last_crawl_id != crawl.id or page.reason not in KINDS):
            continue
        count += _hold(session, crawl, page, old, new, now=now)
    if count:
        crawl.error_message = (
            f"held: {told}; {count} pages answer as before. "
            f"`sitewise jobs approve {crawl.id}` lets the new texts answer, `reject` keeps what serves"
        )
        announce_hold(session, crawl, held_pages=count, now=now)
        log.warning("crawl held by its score", crawl=str(crawl.id), pages=count)
    session.flush()
    return count


def _hold(
    session: Session, crawl: Crawl, page: Page, old: PageVersion | None, new: PageVersion | None, *, now: datetime
) -> bool:
    """Let a page answer with its old text, or not at all, and note what it would say or become."""
    if old is not None and not chunks.touch_whole(session, old, now=now):
        log.warning("page not taken back", page=str(page.id), problem="its earlier points are gone")
        return False
    held_changes.put(session, _change(crawl, page, new, now=now))
    page_versions.supersede_waiting(session, page.id)
    if new is not None:
        page_versions.leave_as_cut(session, [new.id])
        session.refresh(new)
        new.state = page_versions.HELD
    page.live_version, page.updated_at, page.reason = (old.id if old else None), now, Reason.HELD
    page.status = PageStatus.SYNCED if old is not None else PageStatus.EXCLUDED
    page.etag = page.last_modified = page.next_fetch_at = page.target = page.detail = page.body_hash = None
    if old is not None:
        session.refresh(old)
        page.title, page.language = old.title, old.language
        page.text_hash, page.fact_hash = old.text_hash, old.fact_hash
        site_blocks.note_all(session, [(page, repeatable(old.markdown))])
    entry = frontier.get(session, crawl.id, page.url_key)
    if entry is not None:
        entry.outcome, entry.reason, entry.detail = frontier.HELD, Reason.HELD, "golden questions were answered worse"
    session.flush()
    return True


def _change(crawl: Crawl, page: Page, new: PageVersion | None, *, now: datetime) -> dict[str, object]:
    """What waits for a decision: a new text, or what took the page away, known again by its digest."""
    reason = Reason.SYNCED if new is not None else Reason(page.reason)
    kind = held_changes.WORSE if new is not None else KINDS[reason]
    digests = {
        held_changes.WORSE: new.text_hash if new is not None else "",
        held_changes.GONE: page.missing_since.isoformat() if page.missing_since is not None else "",
        held_changes.WITHDRAWN: reason.value,
        held_changes.FOLDED: f"{reason} {page.target}",
    }
    return {
        "page_id": page.id,
        "org_id": page.org_id,
        "datasource_id": page.datasource_id,
        "crawl_id": crawl.id,
        "kind": kind,
        "state": held_changes.HELD,
        "reason": reason,
        "digest": digests[kind],
        "target": page.target,
        "version_id": new.id if new is not None else None,
        "created_at": now,
    }

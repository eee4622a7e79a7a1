"""Pages leave the answers, and come back with a text that is stored, in the transaction of whoever decides it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from pipeline.db import chunks, outbox, page_versions, pages, served_spans, site_blocks
from pipeline.db.datasources import Datasource
from pipeline.db.engine import Session
from pipeline.db.page_versions import PageVersion
from pipeline.db.pages import Page
from pipeline.model import PageStatus, Reason
from pipeline.services import holding, sitewide
from pipeline.services.keeping import drop_waiting
from pipeline.services.websites import rules_of
from pipeline.settings import Settings
from pipeline.stages.chunk.repeats import repeatable
from pipeline.urls import split

AT_A_TIME = 200
"""Pages whose stored texts are read together."""


def apply_rules(session: Session, source: Datasource, settings: Settings, *, now: datetime) -> int:
    """Let exactly those pages answer that the website's rules allow, from this commit on. Returns how many changed.

    A page that comes back does so with the text it answered with last: at once while its vectors are there,
    else once they are computed again. Pages excluded by hand stay out either way.
    """
    rules = rules_of(source)
    known = pages.known(session, source.id)
    waiting = page_versions.waiting_pages(session, source.id, org_id=source.org_id)
    verdicts = {page.id: rules.excluded_by(split(page.url)) for page in known}
    out = [page for page in known if verdicts[page.id] and not page.excluded and page.reason != Reason.EXCLUDED_RULE]
    page_versions.leave_as_cut(session, [page.live_version for page in out])
    for page in out:
        _rule_out(session, page, now=now, detail=verdicts[page.id], has_waiting=page.id in waiting)
    back = [page for page in known if page.reason == Reason.EXCLUDED_RULE and not verdicts[page.id]]
    bring_back(session, back, now=now)
    if out or back:
        pages.wake(session, source.id)
        sitewide.decide(session, source.id, settings, now=now)
    return len(out) + len(back)


def rule_out(session: Session, page: Page, *, now: datetime, detail: str) -> None:
    """Stop answering from a page that a rule leaves out; `detail` names the rule."""
    page_versions.leave_as_cut(session, [page.live_version])
    _rule_out(session, page, now=now, detail=detail, has_waiting=True)


def _rule_out(session: Session, page: Page, *, now: datetime, detail: str | None, has_waiting: bool) -> None:
    if has_waiting:
        holding.withdraw(session, page)
        drop_waiting(session, page)
    page.live_version, page.target, page.updated_at = None, None, now
    page.status, page.reason, page.detail = PageStatus.EXCLUDED, Reason.EXCLUDED_RULE, detail


def bring_back(session: Session, back: Sequence[Page], *, now: datetime) -> None:
    """Let pages answer again with what they said last, if that is stored; others wait for the next crawl."""
    for first in range(0, len(back), AT_A_TIME):
        part = back[first : first + AT_A_TIME]
        texts = _stored_texts(session, [page.id for page in part])
        said = [(page, repeatable(texts[page.id].markdown)) for page in part if page.id in texts]
        site_blocks.note_all(session, said)
        with session.no_autoflush:
            are_whole = [_bring_back(session, page, texts.get(page.id), now=now) for page in part]
        if not all(are_whole):
            outbox.put(session, outbox.INDEX, part[0].org_id, now=now)
        session.flush()


def _bring_back(session: Session, page: Page, version: PageVersion | None, *, now: datetime) -> bool:
    """Let a page answer with this stored text. False when its vectors have to be computed first."""
    page.status, page.reason, page.detail, page.updated_at = PageStatus.PENDING, Reason.PENDING, None, now
    if page.excluded:
        page.status, page.reason = PageStatus.EXCLUDED, Reason.EXCLUDED_MANUALLY
    if version is None:
        return True
    page.title, page.language = version.title, version.language
    page.text_hash, page.fact_hash = version.text_hash, version.fact_hash
    if version.indexed_at is not None and chunks.touch_whole(session, version, now=now):
        make_live(session, page, version, now=now)
        return True
    page_versions.cut_anew(session, version)
    return False


def make_live(session: Session, page: Page, version: PageVersion, *, now: datetime) -> None:
    """Answer with this version, whose points are there, from this commit on."""
    page_versions.leave_as_cut(session, [page.live_version])
    page.live_version, page.updated_at, page.target, page.detail = version.id, now, None, None
    if not page.excluded:
        page.status, page.reason = PageStatus.SYNCED, Reason.SYNCED


def _stored_texts(session: Session, page_ids: Sequence[UUID]) -> Mapping[UUID, PageVersion]:
    """For each page, the text that answered last, else its newest."""
    chosen = page_versions.newest(session, page_ids) | served_spans.last(session, page_ids)
    versions = page_versions.by_id(session, list(chosen.values()))
    return {page_id: versions[one] for page_id, one in chosen.items() if one in versions}

"""Why a URL is, or is not, in the knowledge base: one answer for any URL, from the newest that is known of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from pipeline.addresses import check_url
from pipeline.db import crawls, frontier, pages
from pipeline.db.datasources import Datasource
from pipeline.db.engine import Session
from pipeline.db.frontier import FrontierEntry
from pipeline.db.pages import Page
from pipeline.errors import AddressRefused, InvalidUrl
from pipeline.model import Reason
from pipeline.rules import CrawlRules
from pipeline.services import holding, moving
from pipeline.settings import Settings
from pipeline.urls import canonical, split, url_key

MEANINGS = {
    Reason.SYNCED: "It is in the knowledge base.",
    Reason.UNCHANGED: "It is in the knowledge base; the last crawl found nothing new.",
    Reason.PENDING: "It was seen and waits its turn.",
    Reason.ROBOTS: "The site's robots.txt does not let us read it.",
    Reason.NOINDEX: "The page asks not to be indexed.",
    Reason.EXCLUDED_RULE: "An include or exclude rule of its datasource leaves it out.",
    Reason.EXCLUDED_MANUALLY: "Somebody excluded it.",
    Reason.OFF_SITE: "It is on another site than any datasource.",
    Reason.DEPTH: "It is too many links away from the start page, or its path goes in circles.",
    Reason.PAGE_LIMIT: "The crawl kept as many pages as it may before this one's turn, or its like said nothing new.",
    Reason.DUPLICATE_OF: "It leads to another address, or says the same as a page there; that one is read instead.",
    Reason.CANONICAL_TO: "It leads to another address, which is kept instead.",
    Reason.THIN: "It has hardly any text.",
    Reason.NOT_HTML: "It is not an HTML page.",
    Reason.TOO_LARGE: "It is larger than a page may be.",
    Reason.TOO_SLOW: "It took longer than a page may take.",
    Reason.TOO_COMPLEX: "It is nested too deep, or too long, to be read safely.",
    Reason.HTTP_ERROR: "The site did not deliver it.",
    Reason.SOFT_404: "The site says it does not exist, though with a success status.",
    Reason.LOGIN_WALL: "It asks for a login.",
    Reason.ADDRESS_REFUSED: "Its address is not on the public internet.",
    Reason.REDIRECT_LOOP: "It redirects without end.",
    Reason.POISON: "It ended its worker too often and was set aside.",
    Reason.GONE: "The site said twice that it no longer exists.",
    Reason.HELD: "A crawl would have changed too much; the old text serves until somebody decides.",
}

UNSEEN = "No crawl has come across it: no page and no sitemap names it."
"""What `pending` means of a URL that could be crawled and was never seen."""

TAKEN_BACK = "Somebody went back to an earlier crawl, which did not know it."
"""What `held` means of a page that does not serve."""

_WEBSITES = 3  # named to somebody who asks for another
_SCHEME = re.compile(r"\s*[a-z][a-z0-9+.\-]{1,30}:(?!\d+(?:/|$))\S", re.IGNORECASE)
_SERVING = (Reason.HELD, Reason.CANONICAL_TO, Reason.DUPLICATE_OF)
"""What a page may be called while its old text serves: until somebody decides, or its target serves."""


@dataclass(frozen=True, slots=True)
class Why:
    """Whether a URL is in the knowledge base, and why. `meaning` is the reason in words.

    `detail` is what was seen, at `seen_at`; `target` is where it leads; `known_as` is the spelling under
    which it is known, when that is another.
    """

    url: str
    is_known: bool
    reason: str
    meaning: str
    detail: str | None = None
    target: str | None = None
    http_status: int | None = None
    seen_at: datetime | None = None
    found_on: str | None = None
    page_id: UUID | None = None
    known_as: str | None = None


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What one datasource knows of a URL: its page, and what its newest crawls noted, the newest first."""

    page: Page | None
    entries: Sequence[FrontierEntry]

    @property
    def entry(self) -> FrontierEntry | None:
        """The newest note of what became of it, else that it waits."""
        ended = (entry for entry in self.entries if entry.outcome is not None)
        return next(ended, self.entries[0] if self.entries else None)

    @property
    def weight(self) -> tuple[bool, bool, bool]:
        """Of several datasources, the one that serves it goes first, then one that has looked at it."""
        serves = self.page is not None and self.page.live_version is not None and not self.page.excluded
        return serves, self.page is not None, self.entry is not None


def explain(url: str, sources: Sequence[Datasource], *, session: Session, settings: Settings, org_id: UUID) -> Why:
    """Why a URL is, or is not, known through one of these datasources.

    Raises:
        InvalidUrl: If it is no URL at all.
    """
    try:
        asked = canonical(url)
    except InvalidUrl as error:
        if not _SCHEME.match(url):
            raise
        return _answer(url.strip(), Reason.ADDRESS_REFUSED, detail=str(error.facts.get("problem")))
    moved = moving.now_at(asked, sources)
    if moved is None:
        return _explain(asked, sources, session=session, settings=settings, org_id=org_id)
    why = _explain(moved, sources, session=session, settings=settings, org_id=org_id)
    return replace(why, url=asked, known_as=why.known_as or moved)


def _explain(asked: str, sources: Sequence[Datasource], *, session: Session, settings: Settings, org_id: UUID) -> Why:
    key = url_key(asked)
    known = {page.datasource_id: page for page in pages.with_url_key(session, key, org_id=org_id)}
    found = [_Evidence(known.get(source.id), frontier.noted(session, source.id, key)) for source in sources]
    best = max(found, key=lambda one: one.weight, default=None)
    if best is None or not any(best.weight):
        return _by_rule(asked, sources, session, settings)
    if best.page is None:
        return _of_entry(asked, best.entry)
    why = _of_page(asked, best.page, best.entry)
    if why.reason != Reason.HELD:
        return why
    if best.page.live_version is None:
        return replace(why, meaning=TAKEN_BACK)
    return replace(why, detail=holding.told(session, best.page))


def _of_page(url: str, page: Page, entry: FrontierEntry | None) -> Why:
    """What is known of a page, by its row and what the newest crawl noted."""
    if page.live_version is None and entry is not None and _is_newer(entry, page):
        return replace(_of_entry(url, entry), page_id=page.id, is_known=False)
    is_known = page.live_version is not None and not page.excluded
    reason = _reason_of(page, entry)
    doubt = entry if entry is not None and is_known and entry.outcome in {frontier.FAILED, frontier.DECLINED} else None
    return Why(
        url=url,
        is_known=is_known,
        reason=reason,
        meaning=MEANINGS[reason],
        detail=_doubted(doubt) if doubt is not None and reason not in _SERVING else page.detail,
        target=page.target,
        http_status=page.http_status,
        seen_at=_latest(page.fetched_at, entry.seen_at if entry is not None and entry.outcome is not None else None),
        found_on=entry.found_on if entry is not None else None,
        page_id=page.id,
        known_as=_other_spelling(url, page.url),
    )


def _reason_of(page: Page, entry: FrontierEntry | None) -> Reason:
    if page.excluded:
        return Reason.EXCLUDED_MANUALLY
    reason = Reason(page.reason)
    if page.live_version is None or reason in _SERVING:
        return reason
    return Reason.UNCHANGED if entry is not None and entry.outcome == frontier.UNCHANGED else Reason.SYNCED


def _is_newer(entry: FrontierEntry, page: Page) -> bool:
    """Whether a later crawl left out, without a look, what an earlier one had looked at."""
    return entry.state == frontier.REFUSED and entry.seen_at > page.updated_at and not page.excluded


def _of_entry(url: str, entry: FrontierEntry | None) -> Why:
    """What is known of a URL that is no page, by what the newest crawl noted."""
    if entry is None:
        return _answer(url, Reason.PENDING)
    reason = Reason(entry.reason) if entry.reason and entry.outcome is not None else Reason.PENDING
    is_again = entry.outcome is None and entry.retry_at is not None
    return Why(
        url=url,
        is_known=False,
        reason=reason,
        meaning=MEANINGS[reason],
        detail=f"to be tried again: {entry.detail or entry.reason}" if is_again else entry.detail,
        target=entry.target,
        http_status=entry.http_status,
        seen_at=entry.seen_at,
        found_on=entry.found_on,
        known_as=_other_spelling(url, entry.url),
    )


def _by_rule(url: str, sources: Sequence[Datasource], session: Session, settings: Settings) -> Why:
    """What the rules say of a URL that no crawl has seen."""
    try:
        check_url(url, settings.crawl)
    except AddressRefused as refused:
        return _answer(url, Reason.ADDRESS_REFUSED, detail=str(refused.facts.get("why")))
    rules = [(source, _rules(source, settings)) for source in sources]
    own = [(source, one) for source, one in rules if one.is_ours(url)]
    if not own:
        names = ", ".join(source.url for source in sources[:_WEBSITES])
        return _answer(url, Reason.OFF_SITE, detail=f"websites here: {names}" if names else "there is no website yet")
    refusals = [(one.decide(url, 0), one) for _, one in own]
    if all(reason is not None for reason, _ in refusals):
        reason, one = refusals[0]
        return _answer(url, reason or Reason.PENDING, detail=one.excluded_by(split(url)))
    return replace(_answer(url, Reason.PENDING), meaning=UNSEEN, detail=_progress_of(own[0][0], session))


def _rules(source: Datasource, settings: Settings) -> CrawlRules:
    return CrawlRules.read(
        source.url,
        include=source.include_paths,
        exclude=source.exclude_paths,
        depth_limit=settings.crawl.depth_limit,
        subdomains=source.subdomains,
        extra_hosts=source.extra_hosts,
    )


def _progress_of(source: Datasource, session: Session) -> str | None:
    """How far this website was crawled, where that may be why a URL was never seen."""
    crawl = crawls.latest(session, source.id)
    if crawl is None:
        return f"{source.url} has not been crawled yet"
    if crawl.status in crawls.RUNNING:
        return f"a crawl of {source.url} is under way"
    if crawl.limit_reached:
        return "the last crawl reached its page limit, so it did not follow every link"
    return f"the last crawl ended as {crawl.status}" if crawl.status != "completed" else None


def _answer(url: str, reason: Reason, *, detail: str | None = None) -> Why:
    return Why(url=url, is_known=False, reason=reason, meaning=MEANINGS[reason], detail=detail)


def _doubted(entry: FrontierEntry) -> str:
    """That the last look at a page that serves did not go well."""
    return f"the last look at it met {entry.reason}: {entry.detail or entry.http_status or 'no answer'}"


def _other_spelling(asked: str, known: str) -> str | None:
    return known if known != asked else None


def _latest(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((moment for moment in (one, other) if moment is not None), default=None)

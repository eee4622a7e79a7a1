"""What a whole website shows is kept by one of its pages; on the others it is neither text nor change.

Nothing here is remembered beside the rows: which blocks those are is counted from the newest text of every page,
each time it is asked, so the order in which pages came and who asked first make no difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from uuid import UUID

from pipeline.db import crawls, datasources, frontier, outbox, page_versions, pages, site_blocks
from pipeline.db.engine import Session
from pipeline.db.page_versions import PageVersion
from pipeline.db.pages import Page
from pipeline.db.site_blocks import SiteBlocks
from pipeline.flow import PageText
from pipeline.model import Document, Reason
from pipeline.settings import Settings
from pipeline.stages.chunk import repeats
from pipeline.stages.extract.fingerprints import text_hash

AT_A_TIME = 100


def left_out(session: Session, texts: Sequence[PageText], settings: Settings) -> dict[UUID, frozenset[int]]:
    """For each version: the blocks that its chunks do without, as things stand."""
    repeated = {text.version_id: repeats.repeatable(text.markdown) for text in texts}
    found: dict[UUID, frozenset[int]] = {}
    for datasource_id in {text.datasource_id for text in texts}:
        own = [text for text in texts if text.datasource_id == datasource_id]
        among = set().union(*(repeated[text.version_id] for text in own))
        site = _site_wide(session, datasource_id, settings, among=among)
        for text in own:
            found[text.version_id] = frozenset(_surplus(text.markdown, site.elsewhere(text.page_id), settings))
    return found


def may_be_site_wide(document: Document, live: PageVersion) -> bool:
    """Whether a text differs from the one that serves only by blocks that every page may be getting, or losing."""
    if document.title != live.title or document.fact_hash != live.fact_hash:
        return False
    known = {part.fingerprint for part in repeats.read_parts(live.markdown)}
    new = repeats.repeatable(document.markdown) - known
    return _says(document.markdown, new | set(live.left_out)) == _says(live.markdown, set(live.left_out))


def decide(session: Session, datasource_id: UUID, settings: Settings, *, now: datetime) -> int:
    """Let pages be indexed that waited for the end of fetching, or whose chunks are not what they should be by now.

    A page that says nothing new of its own is unchanged, though its newest text is what is kept. Deciding
    twice is the same as once. While a crawl still fetches, only what serves is looked at. At most `AT_A_TIME`
    texts are let go in one transaction; a crawl does not end before all are. Returns how many were.
    """
    session.flush()
    site = _site_wide(session, datasource_id, settings)
    waiting = (
        []
        if crawls.is_fetching(session, datasource_id)
        else page_versions.later(session, datasource_id, limit=AT_A_TIME)
    )
    for version in waiting:
        _let_go(session, version, site, settings, now=now)
    again = _let_be_cut_anew(session, datasource_id, site, settings)
    if waiting or again:
        org_id = session.get_one(datasources.Datasource, datasource_id).org_id
        outbox.put(session, outbox.INDEX, org_id, now=now)
        session.flush()
    return len(waiting) + again


def decide_when_still(
    session: Session, datasource_id: UUID, settings: Settings, *, org_id: UUID, now: datetime
) -> None:
    """Decide once nothing of a website is under way: what was read before a text was cut may have changed since."""
    if crawls.running(session, datasource_id) is None and not page_versions.waits_in(
        session, datasource_id, org_id=org_id
    ):
        decide(session, datasource_id, settings, now=now)


def _site_wide(
    session: Session, datasource_id: UUID, settings: Settings, *, among: AbstractSet[int] | None = None
) -> SiteBlocks:
    cutting = settings.chunk
    return site_blocks.site_wide(
        session,
        datasource_id,
        least_pages=cutting.site_block_pages,
        least_share=cutting.site_block_share,
        among=among,
    )


def _surplus(markdown: str, elsewhere: AbstractSet[int], settings: Settings) -> set[int]:
    return repeats.surplus(markdown, elsewhere, least_words=settings.extract.minimum_words)


def _says(markdown: str, without: AbstractSet[int]) -> str:
    return text_hash(repeats.without(markdown, without).text)


def _let_go(session: Session, version: PageVersion, site: SiteBlocks, settings: Settings, *, now: datetime) -> None:
    page = pages.behind(session, version.page_id)
    version.state = page_versions.WAITING
    if not _is_news(session, page, version, site, settings):
        return
    page.changed_at = now
    entry = frontier.get(session, version.crawl_id, page.url_key) if version.crawl_id else None
    if entry is not None and entry.outcome == frontier.UNCHANGED:
        entry.outcome, entry.reason = frontier.UPDATED, Reason.SYNCED


def _is_news(session: Session, page: Page, version: PageVersion, site: SiteBlocks, settings: Settings) -> bool:
    """Whether the page says something else than before, but for what other pages say."""
    if page.live_version is None:
        return True
    live = page_versions.get(session, page.live_version)
    surplus = _surplus(version.markdown, site.elsewhere(page.id), settings)
    return _says(version.markdown, surplus) != _says(live.markdown, surplus | set(live.left_out))


def _let_be_cut_anew(session: Session, datasource_id: UUID, site: SiteBlocks, settings: Settings) -> int:
    """Queue the versions that serve with a block too many or too few."""
    having = site_blocks.on_pages(session, datasource_id, site.keepers)
    count = 0
    for page_id, version_id, known in page_versions.composed(session, datasource_id):
        elsewhere = site.elsewhere(page_id)
        if repeats.texts(having.get(page_id, set()) & elsewhere) == repeats.texts(known):
            continue
        version = page_versions.get(session, version_id)
        if _surplus(version.markdown, elsewhere, settings) != set(known):
            page_versions.cut_anew(session, version)
            count += 1
            if count == AT_A_TIME:
                break
    return count

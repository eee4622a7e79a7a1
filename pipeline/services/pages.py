"""Pages: list them, show one, exclude one, and say for any URL why it is, or is not, known."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pipeline.db import datasources, index_queue, page_versions, pages
from pipeline.db.engine import Database, Session
from pipeline.db.pages import Page
from pipeline.errors import InvalidInput, PageNotFound
from pipeline.model import OrgScope, PageStatus, Reason
from pipeline.retrieval.languages import base
from pipeline.services import sitewide
from pipeline.services.clock import Clock
from pipeline.services.reasons import Why, explain
from pipeline.services.serving import rule_out
from pipeline.services.websites import rules_of
from pipeline.settings import Settings
from pipeline.stages.chunk.repeats import excerpts
from pipeline.urls import canonical, split, url_key

SITE_WIDE = "on most pages of the site"
"""Why a block of the text is in none of the page's chunks."""

_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class PageView:
    """A page as the outside sees it."""

    id: UUID
    datasource_id: UUID
    url: str
    canonical_url: str | None
    title: str
    language: str | None
    status: str
    reason: str
    detail: str | None
    target: str | None
    http_status: int | None
    chunks: int
    version: int | None
    fetched_at: datetime | None
    changed_at: datetime | None
    next_fetch_at: datetime | None


@dataclass(frozen=True, slots=True)
class PageSlice:
    """Some pages of a list, and the cursor of those after them; None when there are none."""

    items: tuple[PageView, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class VersionView:
    """One text of a page."""

    number: int
    state: str
    is_live: bool
    title: str
    chunks: int
    embedded: int
    extractor: str
    fetched_at: datetime
    indexed_at: datetime | None


@dataclass(frozen=True, slots=True)
class PageDetail:
    """A page with its text, its versions, and what was kept out of the text."""

    page: PageView
    markdown: str | None
    dropped: tuple[tuple[str, str], ...]
    versions: tuple[VersionView, ...]


class PageService:
    """Reads and excludes pages of one org."""

    def __init__(self, database: Database, settings: Settings, clock: Clock) -> None:
        """Work on this database."""
        self._database = database
        self._settings = settings
        self._clock = clock

    def list_pages(
        self,
        *,
        scope: OrgScope,
        datasource_id: UUID | None = None,
        status: str | None = None,
        search: str | None = None,
        limit: int = 20,
    ) -> list[PageView]:
        """The org's first pages in URL order."""
        found = self.page_through(scope=scope, datasource_id=datasource_id, status=status, search=search, limit=limit)
        return list(found.items)

    def page_through(
        self,
        *,
        scope: OrgScope,
        datasource_id: UUID | None = None,
        status: str | None = None,
        search: str | None = None,
        language: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> PageSlice:
        """The org's pages in URL order, from where an earlier slice said.

        Raises:
            InvalidInput: If the cursor is none of ours.
        """
        after = _read_cursor(cursor) if cursor is not None else None
        with self._database.read() as session:
            found = pages.listing(
                session,
                org_id=scope.org_id,
                datasource_id=datasource_id,
                status=status,
                search=search,
                language=language and base(language),
                limit=limit + 1,
                after=after,
            )
            shown = found[:limit]
            live = page_versions.by_id(session, [page.live_version for page in shown if page.live_version])
            items = tuple(_view(page, live.get(page.live_version) if page.live_version else None) for page in shown)
            return PageSlice(items, _cursor(shown[-1]) if len(found) > limit else None)

    def count(self, *, scope: OrgScope, datasource_id: UUID | None = None) -> dict[str, int]:
        """How many pages stand where, by status."""
        with self._database.read() as session:
            return pages.count_by_status(session, org_id=scope.org_id, datasource_id=datasource_id)

    def count_waiting(self) -> int:
        """How many texts, of any org, wait to be indexed."""
        with self._database.read() as session:
            return index_queue.count_waiting(session)

    def show(self, url_or_id: str | UUID, *, scope: OrgScope) -> PageDetail:
        """A page with its text and versions, by its id or its URL in any spelling.

        Raises:
            PageNotFound: If the org has no such page.
            InvalidUrl: If it is neither an id nor an address.
        """
        with self._database.read() as session:
            page = find_page(session, url_or_id, scope=scope)
            history = page_versions.history(session, page.id)
            live = next((version for version in history if version.id == page.live_version), None)
            shown = live or (history[0] if history else None)
            versions = tuple(
                VersionView(
                    number=version.number,
                    state=version.state,
                    is_live=version.id == page.live_version,
                    title=version.title,
                    chunks=version.chunk_count,
                    embedded=version.embedded_count,
                    extractor=version.extractor,
                    fetched_at=version.fetched_at,
                    indexed_at=version.indexed_at,
                )
                for version in history
            )
            return PageDetail(
                page=_view(page, live),
                markdown=shown.markdown if shown else None,
                dropped=_kept_out(shown) if shown else (),
                versions=versions,
            )

    def show_of(self, datasource_id: UUID, page_id: UUID, *, scope: OrgScope) -> PageDetail:
        """A page of this website, with its text and versions.

        Raises:
            DatasourceNotFound: If the org has no such website.
            PageNotFound: If that has no such page.
        """
        with self._database.read() as session:
            datasources.get(session, datasource_id, org_id=scope.org_id)
        detail = self.show(page_id, scope=scope)
        if detail.page.datasource_id != datasource_id:
            raise PageNotFound(page=page_id)
        return detail

    def exclude(self, page_id: UUID, *, scope: OrgScope) -> None:
        """Stop answering from a page, from this commit on. Twice is the same as once.

        Raises:
            PageNotFound: If the org has no such page.
        """
        self._set_excluded(page_id, scope=scope, excluded=True)

    def include(self, page_id: UUID, *, scope: OrgScope) -> None:
        """Answer from an excluded page again, from this commit on.

        Raises:
            PageNotFound: If the org has no such page.
        """
        self._set_excluded(page_id, scope=scope, excluded=False)

    def why(self, url: str, *, scope: OrgScope, datasource_id: UUID | None = None) -> Why:
        """Why a URL is, or is not, in the knowledge base: one answer for any URL.

        Args:
            url: The URL, in any spelling.
            scope: Whose knowledge base.
            datasource_id: Asks of this website only.

        Raises:
            InvalidUrl: If it is no URL at all.
            DatasourceNotFound: If the org has no such website.
        """
        with self._database.read() as session:
            if datasource_id is None:
                sources = datasources.listing(session, org_id=scope.org_id)
            else:
                sources = [datasources.get(session, datasource_id, org_id=scope.org_id)]
            return explain(url, sources, session=session, settings=self._settings, org_id=scope.org_id)

    def _set_excluded(self, page_id: UUID, *, scope: OrgScope, excluded: bool) -> None:
        with self._database.write() as session:
            page = pages.get(session, page_id, org_id=scope.org_id)
            datasources.hold(session, [page.datasource_id])
            session.refresh(page)
            if page.excluded == excluded:
                return
            page.excluded, page.updated_at = excluded, self._clock()
            if excluded:
                page.status, page.reason = PageStatus.EXCLUDED, Reason.EXCLUDED_MANUALLY
            elif detail := rules_of(datasources.get(session, page.datasource_id, org_id=scope.org_id)).excluded_by(
                split(page.url)
            ):
                rule_out(session, page, now=page.updated_at, detail=detail)
            elif page.live_version is not None:
                page.status, page.reason = PageStatus.SYNCED, Reason.SYNCED
            else:
                page.status, page.reason = PageStatus.PENDING, Reason.PENDING
            pages.wake(session, page.datasource_id, folded_into=page.url)
            sitewide.decide(session, page.datasource_id, self._settings, now=page.updated_at)


def _cursor(page: Page) -> str:
    return urlsafe_b64encode(page.id.bytes + page.url_key.encode()).decode()


def _read_cursor(cursor: str) -> tuple[str, UUID]:
    """The folded URL and id of the page a list goes on after."""
    try:
        told = urlsafe_b64decode(cursor.encode())
        return told[_ID_BYTES:].decode(), UUID(bytes=told[:_ID_BYTES])
    except ValueError as error:
        raise InvalidInput(field="cursor", given=cursor[:80], allowed="the `next` of the list before") from error


def find_page(session: Session, url_or_id: str | UUID, *, scope: OrgScope) -> Page:
    """The org's page by its id or its URL in any spelling; of several, one that serves.

    Raises:
        PageNotFound: If the org has no such page.
        InvalidUrl: If it is neither an id nor an address.
    """
    if isinstance(url_or_id, UUID):
        return pages.get(session, url_or_id, org_id=scope.org_id)
    try:
        return pages.get(session, UUID(url_or_id), org_id=scope.org_id)
    except ValueError:
        found = pages.with_url_key(session, url_key(canonical(url_or_id)), org_id=scope.org_id)
    if not found:
        raise PageNotFound(url=url_or_id)
    return min(found, key=lambda page: page.live_version is None)


def _kept_out(version: page_versions.PageVersion) -> tuple[tuple[str, str], ...]:
    """What is no text of this page: what nobody sees, and what the whole website shows and another page keeps."""
    hidden = tuple((reason, text) for reason, text in version.dropped)
    repeated = tuple((SITE_WIDE, text) for text in excerpts(version.markdown, set(version.left_out)))
    return hidden + repeated


def _view(page: Page, live: page_versions.PageVersion | None) -> PageView:
    return PageView(
        id=page.id,
        datasource_id=page.datasource_id,
        url=page.url,
        canonical_url=page.canonical_url,
        title=page.title,
        language=page.language,
        status=page.status,
        reason=page.reason,
        detail=page.detail,
        target=page.target,
        http_status=page.http_status,
        chunks=live.chunk_count if live else 0,
        version=live.number if live else None,
        fetched_at=page.fetched_at,
        changed_at=page.changed_at,
        next_fetch_at=page.next_fetch_at,
    )

"""What the outcomes of one transaction touch, read together, and the rows they lead to, written together.

One statement for a batch costs little more than one for a page: a batch reads three times and writes five, however
many pages it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from uuid import UUID

from pipeline.db import bodies, frontier, pages, site_blocks
from pipeline.db.crawls import Crawl
from pipeline.db.engine import Session
from pipeline.db.frontier import FrontierEntry
from pipeline.db.page_versions import PageVersion
from pipeline.db.pages import Page
from pipeline.model import Discovered, Outcome


class Batch:
    """The rows at hand while a batch is kept. `write` must follow before anyone counts, or the transaction ends."""

    def __init__(self, session: Session, crawl: Crawl, outcomes: Sequence[Outcome], *, now: datetime) -> None:
        """Read what these outcomes of the crawl are about."""
        self._session = session
        self._crawl = crawl
        self._now = now
        keys = [outcome.url_key for outcome in outcomes]
        hashes = {outcome.document.text_hash for outcome in outcomes if outcome.document is not None}
        self._entries = frontier.by_key(session, crawl.id, keys)
        self._pages: dict[str, Page | None] = dict.fromkeys(keys)
        self._pages.update(pages.by_key(session, crawl.datasource_id, keys))
        self._alike = {page.id: page for page in pages.with_texts(session, crawl.datasource_id, sorted(hashes))}
        self._made: set[str] = set()
        self._discovered: list[Discovered] = []
        self._versions: list[PageVersion] = []
        self._bodies: list[bodies.NewBody] = []
        self._blocks: dict[UUID, tuple[Page, AbstractSet[int]]] = {}

    def entry(self, key: str) -> FrontierEntry | None:
        """One URL of the crawl."""
        return self._entries.get(key) or frontier.get(self._session, self._crawl.id, key)

    def page(self, key: str) -> Page | None:
        """The datasource's page at this folded URL, one just made included."""
        if key not in self._pages:
            self._pages[key] = pages.find(self._session, self._crawl.datasource_id, key)
        return self._pages[key]

    def make(self, page: Page) -> None:
        """Take up a page that nobody knew."""
        self._session.add(page)
        self._pages[page.url_key] = page
        self._made.add(page.url_key)

    def is_made(self, page: Page) -> bool:
        """Whether this batch made the page, so that it has no versions yet."""
        return page.url_key in self._made

    def twins(self, page: Page, *, text_hash: str) -> list[Page]:
        """Other pages with the same main text that serve, or are about to: what `pages.twins` finds, without asking."""
        known = self._alike | {other.id: other for other in self._pages.values() if other is not None}
        return [
            other
            for other in known.values()
            if other.text_hash == text_hash and other.id != page.id and pages.counts_as_twin(other)
        ]

    def discover(self, found: Iterable[Discovered]) -> None:
        """Add URLs to the frontier with the others; the first to name one stands."""
        self._discovered.extend(found)

    def keep_body(self, html: bytes) -> str:
        """Store HTML with the others. Returns its SHA-256, hexadecimal."""
        body = bodies.NewBody(html)
        self._bodies.append(body)
        return body.sha256

    def keep_version(self, version: PageVersion) -> None:
        """Store a version with the others, once its page is."""
        self._versions.append(version)

    def note_blocks(self, page: Page, fingerprints: AbstractSet[int]) -> None:
        """Store which blocks the newest text of a page has with the others, once their pages are."""
        self._blocks[page.id] = page, fingerprints

    def write_discovered(self) -> None:
        """Write the URLs found so far, for whoever looks at the frontier."""
        frontier.add(self._session, self._crawl.id, self._discovered, now=self._now)
        self._discovered.clear()

    def write(self) -> None:
        """Write everything, pages before their versions."""
        self.write_discovered()
        bodies.keep_all(self._session, self._bodies, org_id=self._crawl.org_id, now=self._now)
        self._bodies.clear()
        self._session.flush()
        self._session.add_all(self._versions)
        self._versions.clear()
        self._session.flush()
        site_blocks.note_all(self._session, list(self._blocks.values()))
        self._blocks.clear()

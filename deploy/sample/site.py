"""What the sample site answers to a path: pages, twins of pages, moved addresses, sitemaps and files."""

import hashlib
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

from deploy.sample import sitemap
from deploy.sample.layout import Wardrobe
from deploy.sample.pages import Page, read_pages

_HERE = Path(__file__).parent
_HTML = "text/html; charset=utf-8"
_FILES = {
    "/assets/site.css": "text/css; charset=utf-8",
    "/assets/lapwing.png": "image/png",
    "/assets/lapwing.svg": "image/svg+xml",
    "/downloads/lapwing-quick-start.pdf": "application/pdf",
}
_FOUNDED = datetime(2026, 9, 1, 9, tzinfo=UTC)  # the date of whatever is not a page
MOVED = {
    "/shop/wren": (301, "/products/wren"),
    "/shop/lapwing": (301, "/products/lapwing"),
    "/refunds": (301, "/policies/returns"),
    "/help/pairing": (308, "/help/pair-a-station"),
    "/support": (302, "/help/"),
    "/docs/v1": (301, "/docs/"),
    "/index.html": (301, "/"),
}
ROBOTS = "User-agent: *\nDisallow: /admin/\nDisallow: /basket\n\nSitemap: {base}/sitemap.xml\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back for one path: a body with its type and date, or where to go instead."""

    status: int
    content_type: str = _HTML
    body: bytes = b""
    changed: datetime = _FOUNDED
    location: str = ""

    @property
    def etag(self) -> str:
        """A strong validator: it changes whenever a byte does."""
        return f'"{hashlib.sha256(self.body).hexdigest()[:32]}"'


class Site:
    """The pages in memory and the answers made of them; safe to use from many threads."""

    def __init__(self, base: str, folder: Path = _HERE / "pages") -> None:
        self._base = base
        self._pages = read_pages(folder)
        self._missing = self._pages.pop("/not-found")
        self._wardrobe = Wardrobe()
        self._answers: dict[str, Answer] = {}
        self._lock = threading.Lock()

    @property
    def pages(self) -> dict[str, Page]:
        """Every page now served, by its address."""
        with self._lock:
            return dict(self._pages)

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace `old` by `new` in the text (or else the title) of the page at `path`, from the next request on.

        Raises:
            KeyError: If there is no such page.
            ValueError: If the page does not say `old`.
        """
        with self._lock:
            page = self._pages[path]
            now = datetime.now(UTC)
            if old in page.body:
                self._pages[path] = replace(page, body=page.body.replace(old, new), updated=now)
            elif old in page.title:
                self._pages[path] = replace(page, title=page.title.replace(old, new), updated=now)
            else:
                raise ValueError(f"{path} does not say {old!r}.")
            self._answers.clear()

    def remove(self, path: str) -> None:
        """Take the page away: 404 from the next request on; menus, lists and sitemaps forget it, links in texts stay.

        Raises:
            KeyError: If there is no such page.
        """
        with self._lock:
            del self._pages[path]
            self._answers.clear()

    def answer(self, path: str) -> Answer:
        """What a GET of `path` (no query) gets."""
        if path in MOVED:
            status, location = MOVED[path]
            return Answer(status, location=location)
        with self._lock:
            answer = self._answers.get(path) or self._make(path)
            if answer.status == HTTPStatus.OK:  # there is no end of paths that are not there
                self._answers[path] = answer
            return answer

    def _make(self, path: str) -> Answer:
        if page := self._page_at(path):
            return Answer(200, body=self._wardrobe.dress(page, self._pages, self._base).encode(), changed=page.updated)
        if path.startswith("/print/") and (page := self._page_at(path.removeprefix("/print"))) and page.printable:
            return Answer(200, body=self._wardrobe.strip(page).encode(), changed=page.updated)
        if path in _FILES:
            return Answer(200, _FILES[path], (_HERE / path[1:]).read_bytes())
        return self._machine_file(path) or self._not_found()

    def _machine_file(self, path: str) -> Answer | None:
        changed = max(page.updated for page in self._pages.values())
        if path == "/robots.txt":
            return Answer(200, "text/plain; charset=utf-8", ROBOTS.format(base=self._base).encode())
        if path == "/sitemap.xml":
            return Answer(200, "application/xml", sitemap.index(self._base), changed)
        if path == sitemap.SHOP:
            return Answer(200, "application/xml", sitemap.shop(self._pages, self._base), changed)
        if path == sitemap.HELP:
            return Answer(200, "application/gzip", sitemap.help_and_docs(self._pages, self._base), changed)
        return None

    def _page_at(self, path: str) -> Page | None:
        """The page at `path`, with or without the slash at its end."""
        return self._pages.get(path) or self._pages.get(path.removesuffix("/")) or self._pages.get(path + "/")

    def _not_found(self) -> Answer:
        return Answer(404, body=self._wardrobe.dress(self._missing, self._pages, self._base).encode())

"""Pages of the sample site: one file each, a few `key: value` lines and an HTML fragment.

A file's place is its address: `pages/help/index.html` is `/help/`, `pages/de/preise.html` is `/de/preise`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_PARTS = re.compile(r"\A---\n(?P<head>.*?)\n---\n(?P<body>.*)\Z", re.DOTALL)


class BadPage(Exception):
    """A page's file does not follow the form: `---`, `key: value` lines, `---`, HTML."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page as its author wrote it; the layout adds everything around it."""

    path: str
    title: str
    description: str
    layout: str
    updated: datetime
    body: str
    section: str = ""
    order: int = 0
    related: tuple[str, ...] = ()
    twin: str = ""  # on a German page: the English page it translates
    listed: bool = True  # named on the page above it
    in_sitemap: bool = True
    indexed: bool = True  # False: robots are told noindex
    printable: bool = False  # also served, without chrome, below /print
    sku: str = ""
    price: str = ""  # as "249.00 GBP"
    author: str = ""

    @property
    def language(self) -> str:
        """`de` below `/de/`, else `en`."""
        return "de" if self.path.startswith("/de/") else "en"

    @property
    def parent(self) -> str:
        """The address of the page above this one; the home page is above itself."""
        return self.path.rstrip("/").rpartition("/")[0] + "/"


def read_pages(folder: Path) -> dict[str, Page]:
    """Read every page below `folder`, by its address.

    Raises:
        BadPage: If a file has no head, a key nobody knows, or lacks a title, description or date.
    """
    pages = (_read(file, folder) for file in sorted(folder.rglob("*.html")))
    return {page.path: page for page in pages}


def twins(page: Page, pages: Mapping[str, Page]) -> dict[str, str]:
    """Every language the page exists in, its own included, with its address; empty for a page of one language."""
    original = page.twin or page.path
    found = {other.language: other.path for other in pages.values() if original in (other.path, other.twin)}
    return found if len(found) > 1 else {}


def children(page: Page, pages: Mapping[str, Page]) -> list[Page]:
    """The pages directly below `page` that it should name, by section, order and title."""
    below = (other for other in pages.values() if other.parent == page.path != other.path and other.listed)
    return sorted(below, key=lambda other: (other.order, other.title))


def by_section(pages: Iterable[Page]) -> dict[str, list[Page]]:
    """Group pages by their section, in the order in which the sections first appear."""
    groups: dict[str, list[Page]] = {}
    for page in pages:
        groups.setdefault(page.section, []).append(page)
    return groups


def ancestors(page: Page, pages: Mapping[str, Page]) -> list[Page]:
    """The pages above `page`, the home page of its language first."""
    above: list[Page] = []
    path = page.path
    while path not in ("/", "/de/"):
        path = path.rstrip("/").rpartition("/")[0] + "/"
        if path in pages:
            above.insert(0, pages[path])
    return above


def _read(file: Path, folder: Path) -> Page:
    parts = _PARTS.match(file.read_text(encoding="utf-8"))
    if parts is None:
        raise BadPage(f"{file} does not begin with a head between two lines of ---.")
    head = dict(_pair(line, file) for line in parts["head"].splitlines())
    try:
        page = Page(
            path=_address(file, folder),
            title=head.pop("title"),
            description=head.pop("description"),
            layout=head.pop("layout"),
            updated=datetime.fromisoformat(head.pop("updated")).replace(hour=9, tzinfo=UTC),
            body=parts["body"],
            section=head.pop("section", ""),
            order=int(head.pop("order", "0")),
            related=tuple(head.pop("related", "").split()),
            twin=head.pop("twin", ""),
            listed=head.pop("listed", "yes") == "yes",
            in_sitemap=head.pop("sitemap", "yes") == "yes",
            indexed=head.pop("indexed", "yes") == "yes",
            printable=head.pop("print", "no") == "yes",
            sku=head.pop("sku", ""),
            price=head.pop("price", ""),
            author=head.pop("author", ""),
        )
    except KeyError as missing:
        raise BadPage(f"{file} lacks {missing}.") from missing
    if head:
        raise BadPage(f"{file} has keys nobody knows: {', '.join(head)}.")
    return page


def _pair(line: str, file: Path) -> tuple[str, str]:
    key, colon, text = line.partition(":")
    if not colon:
        raise BadPage(f"{file}: {line!r} is not `key: value`.")
    return key.strip(), text.strip()


def _address(file: Path, folder: Path) -> str:
    name = file.relative_to(folder).with_suffix("").as_posix()
    return "/" + (name.removesuffix("index") if name.rpartition("/")[2] == "index" else name)

"""The sample site's sitemaps: an index of two, one plain and one gzipped, with dates and language twins."""

import gzip
from collections.abc import Iterable, Mapping

from deploy.sample.pages import Page, twins

SHOP = "/sitemaps/shop.xml"
HELP = "/sitemaps/help.xml.gz"
_PROLOGUE = '<?xml version="1.0" encoding="UTF-8"?>\n'
_SCHEMA = "http://www.sitemaps.org/schemas/sitemap/0.9"


def index(base: str) -> bytes:
    """The file at `/sitemap.xml`, naming the two others below `base`."""
    inner = "".join(f"<sitemap><loc>{base}{path}</loc></sitemap>\n" for path in (SHOP, HELP))
    return f'{_PROLOGUE}<sitemapindex xmlns="{_SCHEMA}">\n{inner}</sitemapindex>\n'.encode()


def shop(pages: Mapping[str, Page], base: str) -> bytes:
    """Everything but the help centre and the docs."""
    return _urlset((page for page in pages.values() if not _explains(page)), pages, base)


def help_and_docs(pages: Mapping[str, Page], base: str) -> bytes:
    """The help centre and the docs, gzipped; the same pages give the same bytes."""
    return gzip.compress(_urlset((page for page in pages.values() if _explains(page)), pages, base), mtime=0)


def _explains(page: Page) -> bool:
    return page.path.startswith(("/help/", "/docs/"))


def _urlset(some: Iterable[Page], pages: Mapping[str, Page], base: str) -> bytes:
    listed = sorted((page for page in some if page.in_sitemap and page.indexed), key=lambda page: page.path)
    inner = "".join(_url(page, twins(page, pages), base) for page in listed)
    space = f'xmlns="{_SCHEMA}" xmlns:xhtml="http://www.w3.org/1999/xhtml"'
    return f"{_PROLOGUE}<urlset {space}>\n{inner}</urlset>\n".encode()


def _url(page: Page, languages: Mapping[str, str], base: str) -> str:
    links = "".join(
        f'<xhtml:link rel="alternate" hreflang="{language}" href="{base}{path}"/>'
        for language, path in sorted(languages.items())
    )
    return f"<url><loc>{base}{page.path}</loc><lastmod>{page.updated.date().isoformat()}</lastmod>{links}</url>\n"

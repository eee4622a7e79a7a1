"""Dressing of a page: the layouts, and what stands around the text (menus, crumbs, twins, structured facts)."""

import html
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template

from deploy.sample.pages import Page, ancestors, by_section, children, twins

_FOLDER = Path(__file__).parent / "layouts"
_QUESTION = re.compile(r"<summary>(.*?)</summary>(.*?)</details>", re.DOTALL)
_HEADING = re.compile(r'<h2 id="([^"]+)">(.*?)</h2>', re.DOTALL)
_TAG = re.compile(r"<[^>]+>")
_CHILDREN = "<!-- children -->"
_NAV = {
    "en": ("/products/", "/pricing", "/help/", "/docs/", "/blog/", "/about"),
    "de": ("/de/produkte/", "/de/preise", "/de/hilfe/", "/de/ueber-uns"),
}
_FOOTER = {
    "en": ("/contact", "/faq", "/careers", "/status", "/policies/", "/policies/returns", "/account/sign-in"),
    "de": ("/de/kontakt", "/de/haeufige-fragen", "/de/rueckgabe", "/de/versand", "/de/garantie", "/de/datenschutz"),
}


class Wardrobe:
    """The layouts, read once, and the words they use in each language."""

    def __init__(self, folder: Path = _FOLDER) -> None:
        self._layouts = {file.stem: Template(file.read_text(encoding="utf-8")) for file in folder.glob("*.html")}
        self._words: dict[str, dict[str, str]] = json.loads((folder / "words.json").read_text(encoding="utf-8"))

    def dress(self, page: Page, pages: Mapping[str, Page], base: str) -> str:
        """The whole HTML document of `page`; `base` is the site's address without a slash at its end."""
        words = self._words[page.language]
        slots = words | _texts(page, pages) | _furniture(page, pages, words)
        inner = self._layouts[page.layout].substitute(slots)
        return self._layouts["frame"].substitute(slots, page=inner, **_head(page, pages, base))

    def strip(self, page: Page) -> str:
        """The bare document that stands below `/print`: same text, no chrome, no canonical link."""
        return self._layouts["print"].substitute(lang=page.language, title=html.escape(page.title), body=page.body)


def _texts(page: Page, pages: Mapping[str, Page]) -> dict[str, str]:
    amount, _, currency = page.price.partition(" ")
    return {
        "lang": page.language,
        "layout": page.layout,
        "title": html.escape(page.title),
        "description": html.escape(page.description),
        "body": page.body.replace(_CHILDREN, _catalogue(page, pages)),
        "updated": page.updated.date().isoformat(),
        "author": html.escape(page.author),
        "sku": page.sku,
        "price": {"GBP": f"£{amount}", "EUR": f"{amount.replace('.', ',')} €"}.get(currency, ""),
    }


def _furniture(page: Page, pages: Mapping[str, Page], words: Mapping[str, str]) -> dict[str, str]:
    print_link = f'<a href="/print{page.path}">{words["print"]}</a>' if page.printable else ""
    return {
        "updated_label": words["updated"],
        "price_label": words["price"],
        "by_label": words["by"],
        "print_link": print_link,
        "nav": _items(_NAV[page.language], pages),
        "footer": _items(_FOOTER[page.language], pages) + '<li><a href="/admin/">Staff</a></li>',
        "switch": _switch(page, pages, words["language"]),
        "crumbs": _crumbs(page, pages, words["front"]),
        "related_box": _related(page, pages, words["related"]),
        "tree": _tree(page, pages),
        "toc": _list(f'<a href="#{anchor}">{text}</a>' for anchor, text in _HEADING.findall(page.body)),
        "pager": _pager(page, pages, words),
    }


def _head(page: Page, pages: Mapping[str, Page], base: str) -> dict[str, str]:
    facts = [_as_script(fact) for fact in _structured(page, pages, base)]
    alternates = (
        f'<link rel="alternate" hreflang="{language}" href="{base}{path}">\n'
        for language, path in sorted(twins(page, pages).items())
    )
    return {
        "canonical": base + page.path,
        "alternates": "".join(alternates),
        "robots": "" if page.indexed else '<meta name="robots" content="noindex">\n',
        "structured": "".join(facts),
    }


def _structured(page: Page, pages: Mapping[str, Page], base: str) -> Iterable[dict[str, object]]:
    if page.path in {"/", "/de/"}:
        yield {"@type": "Organization", "name": "Larkmoor", "url": base + "/", "telephone": "+44 1632 960417"}
    if page.sku:
        amount, _, currency = page.price.partition(" ")
        offer = {"@type": "Offer", "price": amount, "priceCurrency": currency, "availability": "InStock"}
        yield {"@type": "Product", "name": page.title, "sku": page.sku, "offers": offer}
    if questions := _QUESTION.findall(page.body):
        yield {"@type": "FAQPage", "mainEntity": [_question(asked, answer) for asked, answer in questions]}
    if page.layout == "blog" and page.author:
        day = page.updated.date().isoformat()
        yield {"@type": "BlogPosting", "headline": page.title, "author": page.author, "datePublished": day}
    if above := ancestors(page, pages):
        places = [{"@type": "ListItem", "position": n, "name": p.title} for n, p in enumerate([*above, page], start=1)]
        yield {"@type": "BreadcrumbList", "itemListElement": places}


def _question(asked: str, answer: str) -> dict[str, object]:
    return {
        "@type": "Question",
        "name": _plain(asked),
        "acceptedAnswer": {"@type": "Answer", "text": _plain(answer)},
    }


def _as_script(fact: dict[str, object]) -> str:
    body = json.dumps({"@context": "https://schema.org"} | fact, ensure_ascii=False).replace("<", "\\u003c")
    return f'<script type="application/ld+json">{body}</script>\n'


def _catalogue(page: Page, pages: Mapping[str, Page]) -> str:
    """The pages below this one with what each is about; posts come newest first."""
    below = children(page, pages)
    if below and below[0].layout == "blog":
        below.sort(key=lambda post: post.updated, reverse=True)
    parts = []
    for section, members in by_section(below).items():
        heading = f"<h2>{html.escape(section)}</h2>" if section else ""
        parts.append(heading + _list(f"{_link(member)}: {html.escape(member.description)}" for member in members))
    return "\n".join(parts)


def _tree(page: Page, pages: Mapping[str, Page]) -> str:
    root = pages.get(page.path if page.path.endswith("/") else page.parent, page)
    parts = [f"<p>{_link(root)}</p>"]
    for section, members in by_section(children(root, pages)).items():
        parts.append(f"<p><strong>{html.escape(section)}</strong></p>{_list(_link(member) for member in members)}")
    return "\n".join(parts)


def _crumbs(page: Page, pages: Mapping[str, Page], front: str) -> str:
    links = [_link(above) for above in ancestors(page, pages)]
    home = "/de/" if page.language == "de" else "/"
    return " &gt; ".join([f'<a href="{home}">{front}</a>', *links[1:]])


def _related(page: Page, pages: Mapping[str, Page], title: str) -> str:
    if not page.related:
        return ""
    return f'<aside class="related"><h2>{title}</h2><ul>{_items(page.related, pages)}</ul></aside>'


def _pager(page: Page, pages: Mapping[str, Page], words: Mapping[str, str]) -> str:
    if page.path.endswith("/") or not page.listed:
        return ""
    row = [other for other in pages.values() if other.parent == page.parent != other.path and other.listed]
    row.sort(key=lambda other: (other.order, other.title))
    at = row.index(page)
    before = f"{words['previous']}: {_link(row[at - 1])}" if at else ""
    after = f"{words['next']}: {_link(row[at + 1])}" if at + 1 < len(row) else ""
    return f"<span>{before}</span> <span>{after}</span>"


def _switch(page: Page, pages: Mapping[str, Page], label: str) -> str:
    others = {language: path for language, path in twins(page, pages).items() if language != page.language}
    links = (
        f'<a href="{path}" hreflang="{language}" lang="{language}">{language}</a>' for language, path in others.items()
    )
    return f'<p class="language">{label}: {" ".join(links)}</p>' if others else ""


def _items(paths: Iterable[str], pages: Mapping[str, Page]) -> str:
    """Links to those of the paths that are still there."""
    return "".join(f"<li>{_link(pages[path])}</li>" for path in paths if path in pages)


def _list(items: Iterable[str]) -> str:
    inner = "".join(f"<li>{item}</li>" for item in items)
    return f"<ul>{inner}</ul>" if inner else ""


def _link(page: Page) -> str:
    return f'<a href="{page.path}">{html.escape(page.title)}</a>'


def _plain(markup: str) -> str:
    return " ".join(html.unescape(_TAG.sub(" ", markup)).split())

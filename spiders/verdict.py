"""Whether a page that was read belongs into the knowledge base, and if not, why not."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.errors import InvalidUrl
from pipeline.model import Document, Reason
from pipeline.urls import canonical, site_key, split, url_key
from pipeline.words import count_words

_SHORT = 150  # words; error pages say little else
_FORM_WORDS = 60  # words around a form for signing in: its labels, and what to do without an account
_LOGIN_PATH = re.compile(
    r"(?:^|[/_.-])(?:log[-_]?in|sign[-_]?in|log[-_]?on|sso|saml|oauth2?|authenticate|auth)(?:[/_.-]|$)", re.IGNORECASE
)
_SOFT_404 = re.compile(
    r"\b404\b|\b(?:page|file|document|article|content|product)\s+(?:was\s+|could\s+|can)?\s*(?:not|n.t)\s+(?:be\s+)?found\b"
    r"|\bnot\s+found\b|\b(?:page|article|product)\s+(?:does\s*n.t|does\s+not|no\s+longer)\s+exists?\b"
    r"|seite\s+(?:wurde\s+)?nicht\s+gefunden|page\s+(?:introuvable|non\s+trouv)|p[aá]gina\s+no\s+encontrada"
    r"|pagina\s+non\s+trovata|p[aá]gina\s+n[aã]o\s+encontrada",
    re.IGNORECASE,
)
_HEADING = re.compile(r"^#{1,2}\s+(.*)$", re.MULTILINE)
_LINK_HEADER = re.compile(r"<([^<>]{1,2048})>((?:\s*;\s*[\w*-]+\s*=\s*(?:\"[^\"]*\"|[^\s\",;]+))*)")
_REL = re.compile(r";\s*rel\s*=\s*\"?([^\";]+)\"?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a page is left out, what that rests on, and the URL to take instead."""

    reason: Reason
    detail: str | None = None
    instead: str | None = None
    follows_links: bool = True


def judge(
    document: Document,
    *,
    url: str,
    found_on: str | None,
    directives: frozenset[str],
    canonical_header: str | None,
    minimum_words: int,
    is_ours: Callable[[str], bool] | None = None,
) -> Verdict | None:
    """Why a page is left out; None when it is taken.

    Args:
        document: What was extracted.
        url: Where it was found in the end, in canonical form.
        found_on: The page that named it.
        directives: The words of its `X-Robots-Tag` headers.
        canonical_header: The canonical URL its `Link` header names.
        minimum_words: Words of main text below which a page is thin.
        is_ours: Whether a URL is of the crawled site, where that is more than the page's own host.
    """
    refresh = _other(document.refresh, url, is_ours)
    if refresh is not None:
        return Verdict(Reason.DUPLICATE_OF, f"refreshes to {refresh}", refresh)
    if document.noindex or "noindex" in directives:
        return Verdict(Reason.NOINDEX, "X-Robots-Tag" if "noindex" in directives else "robots meta tag")
    better = _other(canonical_header or document.canonical, url, is_ours)
    if better is not None and _is_believable(better, url, found_on):
        return Verdict(Reason.CANONICAL_TO, better, better)
    return _judge_text(document, minimum_words)


def _judge_text(document: Document, minimum_words: int) -> Verdict | None:
    words = count_words(document.markdown)
    if words < _FORM_WORDS and document.asks_password:
        return Verdict(Reason.LOGIN_WALL, "asks for a password")
    if words < _SHORT and _says_not_found(document):
        return Verdict(Reason.SOFT_404, document.title or None, follows_links=False)
    if words < minimum_words:
        return Verdict(Reason.THIN, f"{words} words")
    return None


def is_login(url: str) -> bool:
    """Whether an address is one where people sign in."""
    return _LOGIN_PATH.search(split(url).path) is not None


def links_of(values: list[str], relation: str) -> list[str]:
    """The targets of `Link` headers with this relation."""
    found = []
    for value in values:
        for target, parameters in _LINK_HEADER.findall(value[:8_192]):
            rel = _REL.search(parameters)
            if rel is not None and relation in rel[1].lower().split():
                found.append(target)
    return found


def _other(target: str | None, url: str, is_ours: Callable[[str], bool] | None) -> str | None:
    """A target on the same site under another key; None for anything else."""
    if not target:
        return None
    try:
        absolute = canonical(target, url)
        is_near = site_key(absolute) == site_key(url) or (is_ours is not None and is_ours(absolute))
        is_other = is_near and url_key(absolute) != url_key(url)
    except InvalidUrl:
        return None
    return absolute if is_other else None


def _is_believable(better: str, url: str, found_on: str | None) -> bool:
    """Two pages that name each other, or every page naming the front page, would lose both."""
    if found_on is not None and url_key(better) == url_key(found_on):
        return False
    parts = split(url_key(better))
    return parts.path != "/" or parts.query is not None or split(url_key(url)).path == "/"


def _says_not_found(document: Document) -> bool:
    heading = _HEADING.search(document.markdown)
    return bool(_SOFT_404.search(document.title) or (heading is not None and _SOFT_404.search(heading[1])))

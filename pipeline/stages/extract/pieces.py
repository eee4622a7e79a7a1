"""The pieces a page's body is cut into before it is decided which of them are its main text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import IntFlag, auto
from functools import lru_cache


class Hint(IntFlag):
    """What tag names, roles, classes and ids say about a part of a page."""

    MAIN = auto()
    ARTICLE = auto()
    NAVIGATION = auto()
    HEADER = auto()
    FOOTER = auto()
    ASIDE = auto()
    DIALOG = auto()
    COOKIE = auto()
    SHARE = auto()
    RELATED = auto()
    COMMENT = auto()
    PROMOTION = auto()
    NEWSLETTER = auto()
    BREADCRUMB = auto()
    PAGINATION = auto()
    CONTENT = auto()
    PRODUCT = auto()
    REVIEW = auto()
    CARD = auto()
    LIST = auto()
    META = auto()
    FORM = auto()
    FAQ = auto()
    CONTENTS = auto()
    POST = auto()
    HERO = auto()
    TAGS = auto()
    USER = auto()
    SKIP = auto()


_WORDS: tuple[tuple[Hint, str], ...] = (
    (Hint.NAVIGATION, r"nav(?!y)|menu|megamenu|topbar|toolbar|tabbar|sitemap"),
    (Hint.HEADER, r"header|masthead|\bhd\b|banner|\btop\b|logo"),
    (Hint.FOOTER, r"foot|copyright|colophon|\bft\b|legal|disclaimer"),
    (Hint.ASIDE, r"sidebar|side-?bar|aside|\bside\b|rail\b|widget"),
    (Hint.DIALOG, r"modal|popup|pop-up|dialog|overlay|lightbox|drawer|offcanvas|toast|tooltip"),
    (Hint.COOKIE, r"cookie|consent|gdpr|onetrust|ccpa"),
    (Hint.SHARE, r"share|sharing|social|addthis|follow-?us|sns"),
    (
        Hint.RELATED,
        r"relat|recommend|suggest|similar|more-?(?:from|posts|stor|articles|news|on)|you-?may|also|read-?(?:next|more)|upsell|cross-?sell|trending|popular|latest|recent|next-?up",
    ),
    (Hint.COMMENT, r"comment|disqus|respond|discussion"),
    (
        Hint.PROMOTION,
        r"promo|advert|\bad\b|\bads\b|adslot|sponsor|cta\b|call-?to-?action|banner|teaser|outbrain|taboola|donat",
    ),
    (Hint.NEWSLETTER, r"newsletter|subscri|sign-?up|mailing|opt-?in"),
    (Hint.BREADCRUMB, r"breadcrumb|\bbc\b|crumb"),
    (Hint.PAGINATION, r"pagination|pager|paging|page-?nav|prev|next\b|load-?more"),
    (
        Hint.CONTENT,
        r"content|article|entry|story|body|\btext\b|\bmain\b|prose|markdown|rich-?text|\brte\b|wysiwyg|copy\b",
    ),
    (Hint.PRODUCT, r"product|\bpdp\b|price|\bsku\b|spec|description|detail|feature|attribute"),
    (Hint.REVIEW, r"review|rating|testimonial|feedback|helpful"),
    (Hint.CARD, r"card|tile|thumb|item|grid|carousel|slider|swiper|slick|gallery"),
    (Hint.LIST, r"list|result|feed|archive|collection|categor|catalog|listing"),
    (Hint.META, r"meta|byline|author|date\b|timestamp|time\b|posted|publish|info|avatar|bio\b"),
    (Hint.FORM, r"form|search|filter|sort|facet|login|sign-?in|cart|checkout|basket|wishlist|select|option|quantity"),
    (Hint.FAQ, r"faq|accordion|collaps|question|answer|toggle|\btab"),
    (Hint.CONTENTS, r"\btoc\b|table-?of-?contents|contents-?list|on-?this-?page|anchor-?links"),
    (Hint.POST, r"post|message|thread|topic|reply|forum|\bqa\b|cooked|bbs"),
    (Hint.HERO, r"hero|jumbotron|intro|lead|headline|\btitle\b|subtitle|summary|excerpt|section"),
    (Hint.TAGS, r"\btags?\b|label|badge|chip|keyword|topics"),
    (Hint.USER, r"user|member|profile|account|signature|\bsig\b|avatar|vote|score|stats|views|likes|reaction"),
    (Hint.SKIP, r"skip|sr-only|visually-hidden|screen-?reader|noprint|no-print|print-only"),
)
_PATTERNS = tuple((hint.value, re.compile(pattern)) for hint, pattern in _WORDS)
_NUMBER = re.compile(r"[0-9]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")

TAG_HINTS: dict[str, int] = {
    "main": Hint.MAIN.value,
    "article": Hint.ARTICLE.value,
    "nav": Hint.NAVIGATION.value,
    "header": Hint.HEADER.value,
    "footer": Hint.FOOTER.value,
    "aside": Hint.ASIDE.value,
    "dialog": Hint.DIALOG.value,
    "form": Hint.FORM.value,
    "details": Hint.FAQ.value,
}
ROLE_HINTS: dict[str, int] = {
    "main": Hint.MAIN.value,
    "article": Hint.ARTICLE.value,
    "navigation": Hint.NAVIGATION.value,
    "banner": Hint.HEADER.value,
    "contentinfo": Hint.FOOTER.value,
    "complementary": Hint.ASIDE.value,
    "dialog": Hint.DIALOG.value,
    "alertdialog": Hint.DIALOG.value,
    "search": Hint.FORM.value,
    "menu": Hint.NAVIGATION.value,
    "menubar": Hint.NAVIGATION.value,
    "toolbar": Hint.NAVIGATION.value,
}


@lru_cache(maxsize=8_192)
def named_hints(names: str) -> int:
    """What the classes and id of one element, joined by spaces, say about it."""
    return _hints(_NUMBER.sub("0", names))


@lru_cache(maxsize=8_192)
def _hints(names: str) -> int:
    """As above, for names whose numbers are all the same: ids are often counted."""
    text = _CAMEL.sub("-", names[:400]).lower().replace("_", "-")
    found = 0
    for hint, pattern in _PATTERNS:
        if pattern.search(text):
            found |= hint
    return found


@dataclass(slots=True, eq=False)
class Place:
    """A container on the page, with what is inside it counted up."""

    tag: str
    hints: int
    parent: Place | None
    depth: int
    inherited: int = 0
    words: int = 0
    link_words: int = 0
    pieces: int = 0
    prose: int = 0
    headings: int = 0

    def count(self, piece: Piece) -> None:
        """Add a piece to this container and all around it."""
        place: Place | None = self
        is_prose = piece.words >= 12 and piece.link_words * 2 < piece.words  # noqa: PLR2004 - about a sentence
        is_heading = piece.kind == "heading"
        while place is not None:
            place.words += piece.words
            place.link_words += piece.link_words
            place.pieces += 1
            place.prose += is_prose
            place.headings += is_heading
            place = place.parent


@dataclass(slots=True, eq=False)
class Piece:
    """One block of visible text, with its Markdown and where it stands.

    kind is one of heading, paragraph, item, row, code, term, definition, caption, summary.
    `level` is the heading's level or the list's nesting; `group` numbers the table or list it is part of.
    """

    kind: str
    text: str
    place: Place
    words: int
    link_words: int
    level: int = 0
    marker: str = ""
    quote: int = 0
    group: int = 0
    cells: tuple[str, ...] = field(default=())
    is_header: bool = False

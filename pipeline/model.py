"""The values that pass between the parts: small, frozen, named in the field's words."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid5

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
"""One vector of shape `(dimension,)` or many of shape `(count, dimension)`."""

CHUNK_NAMESPACE = UUID("6f0d3c0e-6a3e-5d0c-9c1b-5a1f5e0b7d11")
"""The uuid5 namespace of chunk ids. Changing it re-embeds every knowledge base."""


class Reason(StrEnum):
    """Why a URL is, or is not, in the knowledge base. Stable: platforms store these words."""

    SYNCED = "synced"
    UNCHANGED = "unchanged"
    PENDING = "pending"
    ROBOTS = "robots"
    NOINDEX = "noindex"
    EXCLUDED_RULE = "excluded_rule"
    EXCLUDED_MANUALLY = "excluded_manually"
    OFF_SITE = "off_site"
    DEPTH = "depth"
    PAGE_LIMIT = "page_limit"
    DUPLICATE_OF = "duplicate_of"
    CANONICAL_TO = "canonical_to"
    THIN = "thin"
    NOT_HTML = "not_html"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    TOO_COMPLEX = "too_complex"
    HTTP_ERROR = "http_error"
    SOFT_404 = "soft_404"
    LOGIN_WALL = "login_wall"
    ADDRESS_REFUSED = "address_refused"
    REDIRECT_LOOP = "redirect_loop"
    POISON = "poison"
    GONE = "gone"
    HELD = "held"


class PageStatus(StrEnum):
    """Where a page stands, as a person reads it in a list."""

    SYNCED = "synced"
    PENDING = "pending"
    ERROR = "error"
    EXCLUDED = "excluded"


class CrawlStatus(StrEnum):
    """The life of a crawl: pending, scraping, then one of three ends."""

    PENDING = "pending"
    SCRAPING = "scraping"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class CrawlTrigger(StrEnum):
    """Who asked for a crawl."""

    API = "api"
    SCHEDULE = "schedule"
    MANUAL = "manual"


class DatasourceStatus(StrEnum):
    """Whether the schedule crawls a datasource."""

    ACTIVE = "active"
    PAUSED = "paused"


class ScenarioType(StrEnum):
    """Whether a scenario applies always, or when a matching question comes in."""

    BEHAVIORAL = "BEHAVIORAL"
    SCENARIO_SPECIFIC = "SCENARIO_SPECIFIC"


class Channel(StrEnum):
    """Where a conversation takes place."""

    WEB = "web"
    EMAIL = "email"
    PHONE_VOICE = "phone_voice"
    SLACK = "slack"
    SMS = "sms"
    WHATSAPP = "whatsapp"
    INSTAGRAM = "instagram"
    MESSENGER = "messenger"
    API = "api"
    WEB_VOICE = "web_voice"


@dataclass(frozen=True, slots=True)
class OrgScope:
    """The tenant a call works for. Nothing reads or writes knowledge without one."""

    org_id: UUID


# --- crawl ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CrawlPlan:
    """What a spider is asked to do. `token` fences its writes: a later holder makes them fail."""

    crawl_id: UUID
    org_id: UUID
    datasource_id: UUID
    token: UUID
    start_url: str
    page_limit: int
    include_paths: tuple[str, ...] = ()
    exclude_paths: tuple[str, ...] = ()
    sitemap_urls: tuple[str, ...] = ()
    render_js: str = "never"
    documents: bool = False
    subdomains: bool = False
    extra_hosts: tuple[str, ...] = ()
    sitemaps_first: bool = False


@dataclass(frozen=True, slots=True)
class FrontierUrl:
    """A URL leased to a spider, with what the last fetch of its page left to compare with.

    `attempts` counts how often this crawl took it, this time included.
    """

    url_key: str
    url: str
    depth: int
    found_on: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    attempts: int = 0
    body_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Discovered:
    """A URL seen on the way. With a `reason` it is refused without a fetch, and remembered as such.

    `detail` says more about the reason, as in `Outcome`. What a sitemap lists (`is_listed`) is no trap.
    """

    url_key: str
    url: str
    depth: int
    found_on: str | None = None
    lastmod: str | None = None
    reason: Reason | None = None
    detail: str | None = None
    is_listed: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one leased URL.

    A page that was read has a `document` and its raw `html`; a 304 has `not_modified`; anything
    else has a `reason` and says more in `detail`. `retry_at` puts the URL back until then;
    `untried` says that nobody was asked, so that it counts as no attempt.
    `final_url` is where redirects ended, or where a page that is folded leads.
    """

    url_key: str
    url: str
    fetched_at: datetime
    final_url: str | None = None
    http_status: int | None = None
    document: Document | None = None
    html: bytes | None = None
    etag: str | None = None
    last_modified: str | None = None
    not_modified: bool = False
    reason: Reason | None = None
    detail: str | None = None
    retry_at: datetime | None = None
    untried: bool = False
    discovered: tuple[Discovered, ...] = ()


@dataclass(frozen=True, slots=True)
class CrawlProgress:
    """Counts of one crawl so far, derived from its frontier: nothing is ever counted twice.

    found = waiting + fetched + refused + not_due. kept = new + updated + unchanged + not_due.
    """

    found: int = 0
    waiting: int = 0
    fetched: int = 0
    new: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0
    failed: int = 0
    removed: int = 0
    limit_reached: bool = False
    held: int = 0
    not_due: int = 0

    @property
    def kept(self) -> int:
        """Pages in the knowledge base after this crawl, so far."""
        return self.new + self.updated + self.unchanged + self.not_due


# --- extract -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Link:
    """A link found on a page, absolute, in the canonical form of `spiders`."""

    url: str
    nofollow: bool = False


@dataclass(frozen=True, slots=True)
class Dropped:
    """Text kept out of the knowledge base, with why: evidence for `sitewise page show`."""

    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """What extraction makes of one HTML page.

    `markdown` is the visible main text. `text_hash` is the SHA-256 of what of that text is the page's own
    and does not change by itself, white space folded; `fact_hash` covers what the page states for machines,
    shown or not. A page has changed when either has, or its title. `asks_password`: a field for one is
    seen where its main text would stand, and not in its header, its margins or a dialog.
    """

    url: str
    title: str
    markdown: str
    text_hash: str
    fact_hash: str
    language: str | None = None
    description: str | None = None
    published_at: str | None = None
    modified_at: str | None = None
    breadcrumbs: tuple[str, ...] = ()
    canonical: str | None = None
    refresh: str | None = None
    noindex: bool = False
    nofollow: bool = False
    asks_password: bool = False
    links: tuple[Link, ...] = ()
    alternates: tuple[tuple[str, str], ...] = ()
    dropped: tuple[Dropped, ...] = ()
    extractor: str = ""


# --- chunk ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a page's Markdown, small enough to embed whole.

    `text` is what a reader sees; `start` and `end` are character offsets into the Markdown.
    A repeated table header is part of `text` but lies outside `[start, end)`. `tokens` counts
    `embedded_text` with the embedding model's own tokenizer, special tokens included.
    """

    position: int
    heading_path: tuple[str, ...]
    text: str
    start: int
    end: int
    tokens: int

    @property
    def embedded_text(self) -> str:
        """The text the model sees: the heading path, an empty line, the chunk."""
        return embedded_text(self.heading_path, self.text)

    @property
    def text_hash(self) -> str:
        """SHA-256 of the embedded text, hexadecimal. Equal hashes share one vector."""
        return hashlib.sha256(self.embedded_text.encode()).hexdigest()

    def id(self, page_id: UUID, model: str) -> UUID:
        """The point's id: the same text on the same page under the same model keeps its point."""
        return uuid5(CHUNK_NAMESPACE, f"{page_id}\n{model}\n{self.text_hash}")


def embedded_text(heading_path: tuple[str, ...], text: str) -> str:
    """The text the model sees for a chunk under these headings."""
    return f"{' > '.join(heading_path)}\n\n{text}" if heading_path else text


# --- embed ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Everything that must be equal for two vectors to be comparable."""

    name: str
    revision: str
    dimension: int
    max_tokens: int
    pooling: str
    normalised: bool
    query_prompt: str
    document_prompt: str
    backend: str
    precision: str

    @property
    def fingerprint(self) -> str:
        """A short hash that changes when any vector would. `max_tokens` is not part of it."""
        parts = (
            self.name,
            self.revision,
            self.dimension,
            self.pooling,
            self.normalised,
            self.query_prompt,
            self.document_prompt,
            self.precision_class,
        )
        return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]

    @property
    def precision_class(self) -> str:
        """`int8` vectors never mix with others; fp32, bf16 and fp16 agree to 0.9999 and may."""
        return "int8" if self.precision == "int8" else "float"


# --- upsert and search ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SparseVector:
    """BM25 term weights: `indices` are term hashes (unsigned 32 bit), parallel to `values`."""

    indices: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """What the vector store holds of a chunk: vectors and filterable ids, no text."""

    id: UUID
    org_id: UUID
    datasource_id: UUID
    page_id: UUID
    language: str
    dense: Vector
    sparse: SparseVector


@dataclass(frozen=True, slots=True)
class PointRecord:
    """A stored point as `verify` sees it."""

    id: UUID
    org_id: UUID
    page_id: UUID
    norm: float


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """Which points of the org may be found. Empty means all.

    `url_prefix` and `fetched_after` are known to SQL alone: a vector store leaves them out.
    """

    datasource_ids: frozenset[UUID] = frozenset()
    languages: frozenset[str] = frozenset()
    url_prefix: str | None = None
    fetched_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """One candidate of one search, best first; `score` is cosine (dense) or BM25 (sparse)."""

    id: UUID
    score: float


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the vector store proposes for a query; SQL disposes."""

    dense: tuple[Hit, ...]
    sparse: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Verification:
    """The difference between SQL and the vector store. A healthy knowledge base is all zeros.

    missing: live chunks without a point. phantom: points without a chunk row.
    duplicate: a live version naming a chunk twice, or two points of one id.
    stale: points of chunks in no live or waiting version, past their time to be swept.
    zero: points whose dense vector has no length. foreign: points whose org is not the chunk's.
    """

    missing: int = 0
    phantom: int = 0
    duplicate: int = 0
    stale: int = 0
    zero: int = 0
    foreign: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether the vector store holds exactly what SQL says."""
        return self == Verification()


# --- retrieve ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Passage:
    """A live piece of the website that may hold the answer.

    `trust` is `website`, or `instruction_like` where the text speaks to an assistant instead of a reader.
    """

    id: UUID
    text: str
    title: str
    heading_path: tuple[str, ...]
    url: str
    language: str | None
    score: float
    page_version: int
    fetched_at: datetime
    trust: str = "website"
    source: str = "website"
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Behavior:
    """A scenario that applies to every conversation."""

    id: UUID
    title: str
    content: str
    version: int


@dataclass(frozen=True, slots=True)
class FiredScenario:
    """A scenario whose triggers mean what the customer asks."""

    id: UUID
    title: str
    content: str
    version: int
    score: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Briefing:
    """Everything an AI responder needs for one message. `degraded` names parts that it had to do without."""

    id: UUID
    answerable: bool
    profile: str
    behaviors: tuple[Behavior, ...]
    scenarios: tuple[FiredScenario, ...]
    passages: tuple[Passage, ...]
    prompt: str
    trace: Mapping[str, object] | None = field(default=None)
    degraded: tuple[str, ...] = ()

"""A knowledge base whose spider reads a dictionary instead of a website; all else is real."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from uuid import UUID

from sqlalchemy import Dialect, Engine

from pipeline.bootstrap import Services
from pipeline.db import index_queue
from pipeline.db.engine import Database
from pipeline.model import Briefing, Discovered, Document, FrontierUrl, OrgScope, Outcome, Reason
from pipeline.services.answers import Question
from pipeline.services.crawls import CrawlClaim, CrawlJob, NewDatasource
from pipeline.services.ledger import DatabaseLedger
from pipeline.settings import Settings
from pipeline.stages.extract import extract
from pipeline.urls import url_key
from tests.fakes.clock import SetClock
from tests.fakes.embedder import WordEmbedder
from tests.fakes.hints import RecordedHints
from tests.fakes.vector_store import MemoryStore

SITE = "https://shop.example/"

Answer = str | int | Reason
"""What the site says at a path: its main text as HTML, an HTTP status, or why the spider refuses it."""


class PreparedServices(Services):
    """Services whose statements are compiled once in this process, as they are where one database is all there is."""

    @cached_property
    def database(self) -> Database:
        """The database."""
        opened = super().database
        _share_statements(opened.engine)
        return opened


_dialects: dict[str, Dialect] = {}
_statements: dict[str, dict[object, object]] = {}


def _share_statements(engine: Engine) -> None:
    """Let an engine that has connected use what engines before it compiled: a quarter of what a test here costs."""
    kind = engine.dialect.name
    engine.dialect = _dialects.setdefault(kind, engine.dialect)
    engine.update_execution_options(compiled_cache=_statements.setdefault(kind, {}))


class Knowledge:
    """Services on a database, with a vector store, an embedder, hints and a clock a test can look into."""

    def __init__(
        self, data_dir: Path, *, database_url: str | None = None, busy_timeout: float = 30, **settings: object
    ) -> None:
        self.clock = SetClock()
        self.hints = RecordedHints()
        self.store = MemoryStore()
        self.embedder = WordEmbedder()
        database = {"url": database_url, "busy_timeout": busy_timeout}
        self.settings = Settings(data_dir=data_dir, database=database, **settings)  # type: ignore[arg-type] # pydantic reads the parts
        self.services = self.open()
        self.scope: OrgScope | None = None

    def open(self) -> Services:
        """Services as another process would have them: the same rows and points."""
        return PreparedServices(
            self.settings, hints=self.hints, store=self.store, embedder=self.embedder, clock=self.clock
        )

    def use_store(self, store: MemoryStore) -> None:
        """Keep points there from now on."""
        self.store = store
        self.services.close()
        self.services = self.open()

    def use_embedder(self, embedder: WordEmbedder) -> None:
        """Embed with that from now on."""
        self.embedder = embedder
        self.services.close()
        self.services = self.open()

    def use_hints(self, hints: RecordedHints) -> None:
        """Send hints there from now on."""
        self.hints = hints
        self.services.close()
        self.services = self.open()

    @property
    def org(self) -> OrgScope:
        """The one org."""
        if self.scope is None:
            self.scope = self.services.orgs.ensure()
        return self.scope

    def add_site(self, url: str = SITE, *, scope: OrgScope | None = None, page_limit: int = 100) -> UUID:
        """A datasource."""
        new = NewDatasource(url, page_limit=page_limit)
        return self.services.crawls.add(new, scope=scope or self.org).id

    def start(self, datasource_id: UUID, *, scope: OrgScope | None = None) -> tuple[DatabaseLedger, CrawlClaim]:
        """A crawl that a spider holds."""
        scope = scope or self.org
        job = self.services.crawls.start(datasource_id, scope=scope)
        return self.hold(job.id, scope=scope)

    def hold(self, crawl_id: UUID, *, scope: OrgScope | None = None) -> tuple[DatabaseLedger, CrawlClaim]:
        """The ledger of a crawl, for a new holder."""
        claim = self.services.crawls.claim(crawl_id, owner="spider")
        assert claim is not None
        return self.ledger(claim, scope=scope), claim

    def ledger(self, claim: CrawlClaim, *, scope: OrgScope | None = None) -> DatabaseLedger:
        """The rows of a crawl, for whoever holds it."""
        return DatabaseLedger(
            self.services.database,
            self.settings,
            self.hints,
            self.clock,
            crawl_id=claim.crawl_id,
            scope=scope or self.org,
            token=claim.token,
        )

    def crawl(
        self, site: Mapping[str, Answer], *, scope: OrgScope | None = None, page_limit: int = 100, index: bool = True
    ) -> CrawlJob:
        """Crawl the dictionary: its paths are all linked from the start page. Then index what waits."""
        scope = scope or self.org
        datasource_id = self.add_site(scope=scope, page_limit=page_limit)
        ledger, claim = self.start(datasource_id, scope=scope)
        walk(ledger, site, self.clock)
        if index:
            self.index()
        return self.services.crawls.job(claim.crawl_id, scope=scope)

    def index(self) -> int:
        """Index until nothing waits. Returns how many vectors were computed."""
        embedded = 0
        while True:
            report = self.services.index.index_waiting(limit=16, owner="indexer")
            embedded += report.embedded
            if not report.more:
                return embedded

    def take_texts(self, *, owner: str = "indexer", limit: int = 2) -> set[UUID]:
        """Take texts that wait, as an index worker does, and do nothing with them. Returns the versions' ids."""
        work = self.settings.work
        with self.services.database.write() as session:
            taken = index_queue.claim(
                session,
                self.org.org_id,
                limit=limit,
                now=self.clock.now,
                lease=work.index_lease,
                owner=owner,
                attempts=work.attempts,
            )
            return {version.id for version in taken}

    def ask(self, message: str, *, top_k: int | None = None) -> Briefing:
        """A briefing for the one org."""
        return self.services.answers.brief(Question(message, top_k=top_k), scope=self.org)


def walk(ledger: DatabaseLedger, site: Mapping[str, Answer], clock: SetClock, *, most: int | None = None) -> int:
    """Fetch up to `most` pages of the dictionary through the ledger; to the end, and finish, without it."""
    ledger.seed([Discovered(url_key(at(path)), at(path), depth=1) for path in site])
    fetched = 0
    while (most is None or fetched < most) and (taken := ledger.take(1 if most else 4)):
        ledger.record([outcome(url, site, clock) for url in taken])
        fetched += len(taken)
    if most is None:
        ledger.finish()
    return fetched


def outcome(url: FrontierUrl, site: Mapping[str, Answer], clock: SetClock) -> Outcome:
    """What a spider brings home from this URL."""
    path = "/" + url.url.removeprefix(SITE)
    answer = site.get(path, 404)
    if isinstance(answer, int):
        return Outcome(url.url_key, url.url, clock.now, http_status=answer, reason=Reason.HTTP_ERROR)
    if isinstance(answer, Reason):
        return Outcome(url.url_key, url.url, clock.now, http_status=200, reason=answer)
    html = page(path, answer).encode()
    return Outcome(
        url.url_key,
        url.url,
        clock.now,
        final_url=url.url,
        http_status=200,
        document=_read(html, url.url),
        html=html,
        etag=f'"{hash(answer)}"',
    )


@cache
def _read(html: bytes, url: str) -> Document:
    """What the extractor makes of it; the same every time, so once is enough."""
    return extract(html, url=url)


def at(path: str) -> str:
    """The URL of a path of the site."""
    return SITE + path.removeprefix("/")


def page(path: str, text: str) -> str:
    """An HTML page with this main text; a whole page stays as it is."""
    if text.startswith("<!doctype"):
        return text
    return (
        f"<!doctype html><html lang=en><head><title>Page {path}</title></head>"
        f"<body><nav>Home Shop Help</nav><main><h1>About {path}</h1>{text}</main></body></html>"
    )


def paragraphs(count: int, *, about: str = "topic") -> str:
    """That many paragraphs of different words, each with a heading of its own."""
    return "".join(
        f"<h2>{about} {number}</h2><p>{about} paragraph {number} tells of item{number} and "
        f"price{number * 7} with words{number * 13} that no other paragraph{number} has.</p>"
        for number in range(count)
    )

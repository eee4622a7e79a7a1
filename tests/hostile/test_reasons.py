"""Every stable reason has a page that gets it, and `why` tells it with when and what was seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from uuid import UUID

import pytest

from pipeline.bootstrap import Services
from pipeline.db import pages
from pipeline.errors import InvalidUrl
from pipeline.model import OrgScope, Reason, Vector
from pipeline.services.crawls import NewDatasource
from pipeline.services.ledger import DatabaseLedger
from pipeline.services.reasons import MEANINGS, Why
from pipeline.settings import Settings
from tests.fakes.embedder import WordEmbedder
from tests.fakes.hints import RecordedHints
from tests.fakes.knowledge import Answer, Knowledge, at
from tests.fakes.vector_store import MemoryStore
from tests.lab import LabSite, Reply
from tests.lab.crawl import crawl
from tests.lab.site import HTML, prose

LIMITS = {"SITEWISE_CRAWL__BODY_LIMIT": "200000", "SITEWISE_CRAWL__REQUEST_TIMEOUT": "5"}
PDF = [("Content-Type", "application/pdf")]

SEEN: dict[str, tuple[Reason, str, int | None]] = {
    "/kept": (Reason.SYNCED, "", 200),
    "/same-but-longer": (Reason.DUPLICATE_OF, "", 200),
    "/print": (Reason.CANONICAL_TO, "/kept", 200),
    "/private/x": (Reason.ROBOTS, "robots.txt of http", None),
    "/noindex": (Reason.NOINDEX, "robots meta tag", 200),
    "/blog/x": (Reason.EXCLUDED_RULE, "exclude_paths: /blog/*", None),
    "/outside": (Reason.OFF_SITE, "redirects to https://example.org/", 302),
    "/a/a/a/a": (Reason.DEPTH, "", None),
    "/thin": (Reason.THIN, " words", 200),
    "/file.pdf": (Reason.NOT_HTML, "PDF", 200),
    "/large": (Reason.TOO_LARGE, "200000 bytes", None),
    "/slow": (Reason.TOO_SLOW, "5 s", None),
    "/nested": (Reason.TOO_COMPLEX, "", 200),
    "/missing": (Reason.HTTP_ERROR, "answered 404", 404),
    "/lost": (Reason.SOFT_404, "Page not found", 200),
    "/login": (Reason.LOGIN_WALL, "asks for a password", 200),
    "/inner": (Reason.ADDRESS_REFUSED, "10.0.0.1", 302),
    "/loop": (Reason.REDIRECT_LOOP, "redirects to itself", 302),
}
"""What a crawl meets on the site: the reason, words of the detail, the HTTP status."""

UNSEEN: dict[str, tuple[Reason, str]] = {
    "{site}/nobody/names/it": (Reason.PENDING, ""),
    "{site}/blog/never-named": (Reason.EXCLUDED_RULE, "exclude_paths: /blog/*"),
    "{site}/b/b/b/b": (Reason.DEPTH, ""),
    "https://elsewhere.example/a": (Reason.OFF_SITE, "websites here: http://127.0.0.1"),
    "http://169.254.169.254/latest/": (Reason.ADDRESS_REFUSED, "metadata"),
    "file:///etc/hostname": (Reason.ADDRESS_REFUSED, "not http or https"),
    "http://me@127.0.0.1/": (Reason.ADDRESS_REFUSED, "names a user"),
    "mailto:me@example.com": (Reason.ADDRESS_REFUSED, "not http or https"),
}
"""What is said of URLs that no crawl came across."""

LATER: dict[str, Reason] = {
    "/": Reason.UNCHANGED,
    "/by-hand": Reason.EXCLUDED_MANUALLY,
    "/gone": Reason.GONE,
    "/held": Reason.HELD,
    "/new": Reason.PENDING,
    "/zz-last": Reason.PAGE_LIMIT,
}
"""What pages come to over several crawls, and by what happens between them."""


def build(site: LabSite, never: Event) -> None:
    """A site with a page for every reason that one crawl can meet."""
    site.page("/", text=" ".join(prose(f"Part {number}") for number in range(4)), links=[*SEEN, "/same"])
    site.page("/kept")
    for path in ("/same", "/same-but-longer"):
        site.page(path, title="The same", text=prose("the same"))
    site.page("/print", head='<link rel="canonical" href="/kept">')
    site.robots("User-agent: *\nDisallow: /private/\n")
    site.page("/noindex", head='<meta name="robots" content="noindex">')
    site.redirect("/outside", "https://example.org/", status=302)
    site.page("/thin", html="<title>T</title><p>One.")
    site.respond("/file.pdf", body=b"%PDF-1.7", headers=PDF)
    site.page("/large", text="word " * 50_000)
    site.answers("/slow", Reply(200, b"<title>Late</title>", (HTML,), hold=never))
    site.page("/nested", html="<title>Nested</title>" + "<div>" * 2_000 + prose("nested"))
    site.page("/lost", title="Page not found", text="We could not find it.")
    site.page("/login", html='<title>Sign in</title><form><input type="password" name="p"></form>')
    site.redirect("/inner", "http://10.0.0.1/", status=302)
    site.redirect("/loop", "/loop", status=302)


@dataclass(frozen=True, slots=True)
class Crawled:
    """A site, and the services of a knowledge base that crawled it once with the real spider."""

    site: LabSite
    services: Services
    scope: OrgScope
    began: datetime

    def why(self, url: str) -> Why:
        """The answer for a URL."""
        return self.services.pages.why(url, scope=self.scope)


@pytest.fixture(scope="module")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crawled]:
    """The site, crawled and indexed."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("kb"), crawl={"allowed_addresses": "127.0.0.0/8"})
    never, began = Event(), datetime.now(UTC)
    opened = Services(settings, hints=RecordedHints(), store=MemoryStore(), embedder=WordEmbedder())
    with LabSite() as site, opened as services:
        build(site, never)
        scope = services.orgs.ensure()
        new = NewDatasource(f"{site.url}/", exclude_paths=("/blog/*",))
        job = services.crawls.start(services.crawls.add(new, scope=scope).id, scope=scope)
        status = crawl(ledger_of(services, job.id, scope), settings=LIMITS)
        never.set()
        while services.index.index_waiting(limit=16, owner="indexer").more:
            pass
        assert status == 0
        yield Crawled(site, services, scope, began)


def ledger_of(services: Services, crawl_id: UUID, scope: OrgScope) -> DatabaseLedger:
    """The ledger of a crawl, claimed."""
    claim = services.crawls.claim(crawl_id, owner="spider")
    assert claim is not None
    return DatabaseLedger(
        services.database,
        services.settings,
        services.hints,
        services.clock,
        crawl_id=crawl_id,
        scope=scope,
        token=claim.token,
    )


class Refusing(WordEmbedder):
    """Ends with any text that speaks of poison."""

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        """Vectors, unless one text does."""
        if any("poison" in text for text in texts):
            raise ValueError("poison")
        return super().encode_documents(texts)


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Knowledge]:
    """A knowledge base after three crawls, the last of which is not indexed, and what people did between them."""
    knowledge = Knowledge(tmp_path_factory.mktemp("later"))
    things = {name: f"<p>This page of the shop tells of {name} things.</p>" for name in ("", "by-hand", "gone", "held")}
    site: dict[str, Answer] = {f"/{name}": text for name, text in things.items()}
    knowledge.crawl(site)
    show = knowledge.services.pages.show
    knowledge.services.pages.exclude(show(at("/by-hand"), scope=knowledge.org).page.id, scope=knowledge.org)
    for _ in range(2):
        knowledge.crawl({**site, "/gone": 404})  # gone after the second, and still gone after the third
    new: dict[str, Answer] = {"/new": "<p>This page of the shop tells of new things.</p>"}
    full = {**site, **new, "/gone": 404, "/zz-last": "<p>This page of the shop comes last of all pages.</p>"}
    knowledge.crawl(full, page_limit=4, index=False)
    with knowledge.services.database.write() as session:
        pages.get(
            session, show(at("/held"), scope=knowledge.org).page.id, org_id=knowledge.org.org_id
        ).reason = Reason.HELD
    yield knowledge
    knowledge.services.close()


@pytest.mark.parametrize(("path", "told"), SEEN.items(), ids=SEEN)
def test_what_a_crawl_met_is_told(crawled: Crawled, path: str, told: tuple[Reason, str, int | None]) -> None:
    """The reason, the status and words of what was seen, when it was, and the page that led there."""
    reason, words, status = told

    why = crawled.why(f"{crawled.site.url}{path}#part")

    assert (why.reason, why.http_status) == (reason, status)
    assert words in (why.detail or "")
    assert why.meaning == MEANINGS[reason]
    assert why.is_known is (reason is Reason.SYNCED)
    assert why.seen_at is not None
    assert crawled.began <= why.seen_at <= datetime.now(UTC)
    assert why.found_on == f"{crawled.site.url}/"


def test_a_folded_page_names_the_one_kept_instead(crawled: Crawled) -> None:
    """For twins by text, and for those that name another themselves."""
    base = crawled.site.url

    assert crawled.why(f"{base}/same-but-longer").target == f"{base}/same"
    assert crawled.why(f"{base}/print").target == f"{base}/kept"


def test_another_spelling_is_the_same_page(crawled: Crawled) -> None:
    """The spelling under which it is known is told."""
    why = crawled.why(f"{crawled.site.url}/kept/index.html?utm_source=mail")

    assert (why.is_known, why.known_as) == (True, f"{crawled.site.url}/kept")


@pytest.mark.parametrize(("url", "told"), UNSEEN.items(), ids=UNSEEN)
def test_what_no_crawl_met_is_judged_by_the_rules(crawled: Crawled, url: str, told: tuple[Reason, str]) -> None:
    """Address, hosts, patterns and paths decide, and the rule is named."""
    reason, words = told

    why = crawled.why(url.format(site=crawled.site.url))

    assert (why.reason, why.is_known, why.seen_at) == (reason, False, None)
    assert words in (why.detail or "")


@pytest.mark.parametrize("text", ["", "shop", "/docs", "example.com:8080/a", "a b c"])
def test_what_is_no_url_is_bad_input(crawled: Crawled, text: str) -> None:
    """There is no reason for it to be, or not to be, anywhere."""
    with pytest.raises(InvalidUrl):
        crawled.why(text)


@pytest.mark.parametrize(("path", "reason"), LATER.items(), ids=LATER)
def test_what_became_of_a_page_is_told(later: Knowledge, path: str, reason: Reason) -> None:
    """Read again, taken out, gone, held, waiting, set aside, or beyond the limit."""
    why = later.services.pages.why(at(path), scope=later.org)

    assert why.reason == reason
    assert why.is_known is (reason in {Reason.UNCHANGED, Reason.HELD})
    assert why.seen_at is not None


def test_every_reason_was_met() -> None:
    """No stable reason is without a page that gets it."""
    met = {told[0] for told in SEEN.values()} | {told[0] for told in UNSEEN.values()} | set(LATER.values())
    met.add(Reason.POISON)  # below

    assert met == set(Reason)
    assert set(MEANINGS) == set(Reason)


def test_a_text_that_ends_every_worker_is_poison(tmp_path: Path) -> None:
    """It is set aside, and what ended its worker is told."""
    knowledge = Knowledge(tmp_path)
    knowledge.use_embedder(Refusing())
    knowledge.crawl({"/": "<p>This page speaks of poison in the garden.</p>"})
    for _ in range(knowledge.settings.work.attempts + 3):
        knowledge.index()
        knowledge.services.upkeep.tick(schedules=False)

    why = knowledge.services.pages.why(at("/"), scope=knowledge.org)

    assert (why.is_known, why.reason) == (False, Reason.POISON)
    assert "poison" in (why.detail or "")
    knowledge.services.close()


def test_a_deleted_website_knows_nothing(tmp_path: Path) -> None:
    """Its pages are told as any other site's."""
    knowledge = Knowledge(tmp_path)
    knowledge.crawl({"/": "<p>Our shop sells lamps and chairs for the garden.</p>"})
    with knowledge.services.database.write() as session:
        for source in knowledge.services.crawls.list_datasources(scope=knowledge.org):
            session.merge(source).deleted_at = knowledge.clock.now

    why = knowledge.services.pages.why(at("/"), scope=knowledge.org)

    assert (why.is_known, why.reason) == (False, Reason.OFF_SITE)
    knowledge.services.close()


def test_a_page_that_serves_says_when_the_last_look_went_wrong(tmp_path: Path) -> None:
    """It stays known, with what was met."""
    knowledge = Knowledge(tmp_path)
    site: dict[str, Answer] = {"/": "<p>Our shop sells lamps and chairs for the garden.</p>"}
    knowledge.crawl(site)

    knowledge.crawl({"/": 500})

    why = knowledge.services.pages.why(at("/"), scope=knowledge.org)
    assert (why.is_known, why.reason, why.http_status) == (True, Reason.SYNCED, 500)
    assert "the last look at it met http_error" in (why.detail or "")
    knowledge.services.close()


def test_a_url_is_not_forgotten_while_a_crawl_is_under_way(tmp_path: Path) -> None:
    """What the last crawl noted stands until the running one has come so far."""
    knowledge = Knowledge(tmp_path)
    knowledge.crawl({"/": "<p>Our shop sells lamps and chairs for the garden.</p>", "/fold": Reason.CANONICAL_TO})
    knowledge.start(knowledge.add_site())

    why = knowledge.services.pages.why(at("/fold"), scope=knowledge.org)

    assert why.reason == Reason.CANONICAL_TO
    knowledge.services.close()

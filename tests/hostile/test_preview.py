"""A look at a site through the real spider: what a crawl would do, and what of it is stored: nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import pytest

from pipeline.bootstrap import open_services
from pipeline.errors import AddressRefused, GuardBypassed, HostUnreachable, InvalidInput
from pipeline.model import Reason
from pipeline.services.previewing import Preview
from pipeline.services.websites import NewDatasource
from pipeline.settings import Settings, read_settings
from tests.lab import LabClock, LabSite, Reply
from tests.lab.command import Sitewise

NOTHING_KEPT = 3
PAGES = 6
HELP = 40


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings that allow loopback, for a data directory nobody made."""
    folder = tmp_path_factory.mktemp("nothing") / "kb"
    return read_settings(data_dir=folder, crawl={"allowed_addresses": "127.0.0.0/8"}, extract={"processes": 1})


@dataclass(frozen=True, slots=True)
class Looked:
    """A site, and a preview of it."""

    site: LabSite
    found: Preview

    def reasons(self) -> dict[str, int]:
        """How many URLs would be left out, by reason."""
        return {refusal.reason: refusal.count for refusal in self.found.refusals}


def build(site: LabSite) -> None:
    """A help centre of forty pages, most of them named by its sitemap alone."""
    site.robots(f"User-agent: *\nDisallow: /private\nCrawl-delay: 0.2\nSitemap: {site.url}/help.xml\n")
    site.page("/", links=["/a-twin", "/a-twin-of-it", "/a.pdf", "/private", "/blog/x", "/blog/y", "/missing"])
    for path in ("/a-twin", "/a-twin-of-it"):
        site.page(path, title="Twin", text="Both of these pages say one and the same thing to whoever reads them.")
    site.respond("/a.pdf", body=b"%PDF-1.7", headers=[("Content-Type", "application/pdf")])
    site.sitemap([f"/help/{number:02}" for number in range(HELP)], path="/help.xml")
    for number in range(HELP):
        site.page(f"/help/{number:02}")


@pytest.fixture(scope="module")
def looked(settings: Settings) -> Iterator[Looked]:
    """The help centre, looked at once."""
    with LabSite() as site, open_services(settings) as services:
        build(site)
        new = NewDatasource(f"{site.url}/", page_limit=30, exclude_paths=("/blog/*",))
        yield Looked(site, services.previews.preview(new, pages=PAGES))


def test_the_first_pages_a_crawl_would_keep_are_shown(looked: Looked) -> None:
    """The start page, then in the order of a crawl, twins once, with their titles and words."""
    titles = {page.title for page in looked.found.pages}

    assert len(looked.found.pages) == PAGES
    assert {"Page /", "Twin"} < titles
    assert all(page.words > 5 for page in looked.found.pages)
    assert [page.url for page in looked.found.pages].count(f"{looked.site.url}/a-twin-of-it") == 0


def test_what_would_be_left_out_is_told_by_reason(looked: Looked) -> None:
    """With how many, and examples."""
    excluded = next(one for one in looked.found.refusals if one.reason == Reason.EXCLUDED_RULE)

    assert looked.reasons()[Reason.EXCLUDED_RULE] == 2
    assert looked.reasons()[Reason.DUPLICATE_OF] == 1
    assert looked.reasons()[Reason.NOT_HTML] == 1
    assert (excluded.examples[0].url, excluded.examples[0].detail) == (
        f"{looked.site.url}/blog/x",
        "exclude_paths: /blog/*",
    )


def test_sitemaps_and_robots_are_told(looked: Looked) -> None:
    """How many files name how many URLs, and how slowly the site wants to be read."""
    found = looked.found

    assert (found.sitemaps, found.sitemap_urls) == (1, HELP)
    assert (found.robots_status, found.crawl_delay) == (200, 0.2)


def test_pages_and_time_are_estimated(looked: Looked) -> None:
    """From what waits and the share of pages among what was read; the page limit caps both."""
    found = looked.found

    assert found.waiting > 0
    assert not found.is_exact
    assert (found.pages_expected, found.page_limit, found.limit_reached) == (30, 30, True)
    assert found.seconds_expected > 30 * 0.2


def test_a_look_is_bounded_and_polite(looked: Looked) -> None:
    """It asks for little more than it shows, never for what robots.txt forbids, and as slowly as asked."""
    times = [request.at for request in looked.site.requests if request.path.startswith("/help/")]

    assert len(looked.site.requests) <= 3 * PAGES + 5
    assert looked.site.count("/private") == 0
    assert looked.site.count("/blog/x") == 0
    assert times[-1] - times[0] >= 0.1 * (len(times) - 1)


def test_nothing_is_stored(looked: Looked, settings: Settings) -> None:
    """Not even the data directory is made."""
    assert looked.found.pages
    assert not settings.data_dir.exists()


def test_a_site_that_never_answers_ends_the_look_in_time(settings: Settings) -> None:
    """What was seen by then is told, and why it is nothing."""
    with LabSite(clock=LabClock(rate=0)) as site, open_services(settings) as services:
        site.serve(lambda request: Reply(200, request.target.encode(), delay=3_600))
        began = monotonic()

        found = services.previews.preview(NewDatasource(f"{site.url}/"), seconds=2)

    assert monotonic() - began < 30
    assert (found.pages, found.pages_expected) == ((), 0)
    assert "did not answer in time" in (found.problem or "")


def test_a_busy_site_is_left_alone(settings: Settings) -> None:
    """A host that wants a minute's rest is not asked again, and that is told."""
    with LabSite() as site, open_services(settings) as services:
        site.page("/", links=[f"/{number}" for number in range(20)])
        site.serve(
            lambda request: Reply(429, headers=(("Retry-After", "60"),)) if request.path != "/robots.txt" else None
        )

        found = services.previews.preview(NewDatasource(f"{site.url}/"))

    assert "asks to be left alone for 60 s" in (found.problem or "")
    assert len(site.requests) <= 12


@pytest.mark.parametrize(("pages", "seconds"), [(0, 10), (101, 10), (10, 0), (10, 121)])
def test_a_look_has_bounds(settings: Settings, pages: int, seconds: float) -> None:
    """Which part is wrong is said."""
    with open_services(settings) as services, pytest.raises(InvalidInput, match="allowed: 1 to 1"):
        services.previews.preview(NewDatasource("http://127.0.0.1/"), pages=pages, seconds=seconds)


def test_a_host_that_is_not_there_is_refused(settings: Settings) -> None:
    """Nobody listens, no such name, or a name that leads inside: each is told apart, and nothing is started."""
    guarded = settings.model_copy(update={"crawl": settings.crawl.model_copy(update={"allowed_addresses": ()})})
    with open_services(settings) as services, open_services(guarded) as strict:
        with pytest.raises(HostUnreachable, match="connection refused"):
            services.previews.vet(NewDatasource("http://127.0.0.1:1/"))
        with pytest.raises(HostUnreachable, match="no such host"):
            services.previews.vet(NewDatasource("http://nobody.invalid/"))
        with pytest.raises(AddressRefused):
            strict.previews.vet(NewDatasource("http://127.0.0.1/"))


def test_the_command_says_that_nothing_would_be_kept(tmp_path: Path) -> None:
    """A site that wants no robots: told as such, with an exit status of its own, and no data directory is made."""
    with LabSite() as site:
        site.robots("User-agent: *\nDisallow: /\n")
        site.page("/")

        finished = Sitewise(tmp_path / "kb").run("crawl", "--preview", f"{site.url}/", "--json")

    assert finished.status == NOTHING_KEPT
    assert finished.json()["pages_expected"] == 0
    assert "forbids it" in finished.json()["problem"]
    assert site.paths() == []
    assert not (tmp_path / "kb").exists()


def test_a_proxy_in_the_environment_ends_a_look(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look connects through the guard alone, as a crawl does."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")

    with open_services(settings) as services, pytest.raises(GuardBypassed, match="proxy"):
        services.previews.preview(NewDatasource("http://127.0.0.1/"), seconds=20)

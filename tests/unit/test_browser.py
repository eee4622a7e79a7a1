"""Which browser renders, how it is started, and which pages are given to it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest
from scrapy.settings import Settings as ScrapySettings

from pipeline.browser import PACKAGE, find_browser
from pipeline.errors import BrowserMissing, GuardBypassed
from pipeline.model import Document
from pipeline.services.websites import NewDatasource, check_datasource
from pipeline.settings import BrowserSettings, Settings
from spiders.browser_options import SEALED, launch_options
from spiders.configuration import scrapy_settings
from spiders.fetch import Answer
from spiders.guard import refuse_bypass
from spiders.rendering import Ask, Rendered, Rendering

NOWHERE = Path("/nowhere/chromium")
SHELL = b'<div id="app"></div><script src="/app.js"></script>'


class FakeRenderer:
    """Shows the same for every page."""

    async def render(self, answer: Answer, ask: Ask) -> Rendered:  # noqa: ARG002 - the port's signature
        """A page of one word."""
        return Rendered(b"<p>shown</p>", "https://example.org/next")

    async def close(self) -> None:
        """Nothing to end."""


def rendering(*, is_always: bool = False) -> Rendering:
    """A crawl that renders what has fewer than five words, or everything."""
    return Rendering(FakeRenderer(), is_always, 5)


def document(markdown: str, *, noindex: bool = False) -> Document:
    """A page as it reads without its scripts."""
    return Document("https://example.org/", "", markdown, "", "", noindex=noindex)


def test_a_program_that_is_not_there_is_named() -> None:
    """The setting wins over what is on the path."""
    with pytest.raises(BrowserMissing, match=r"(/nowhere/chromium|scrapy-playwright).*SITEWISE_BROWSER__EXECUTABLE"):
        find_browser(BrowserSettings(executable=NOWHERE))


@pytest.mark.needs("browser")
def test_the_program_named_is_taken() -> None:
    """Anything that can be run."""
    assert find_spec(PACKAGE) is not None
    assert find_browser(BrowserSettings(executable=Path(sys.executable))) == Path(sys.executable)


@pytest.mark.parametrize("when", ["auto", "always"])
def test_a_website_to_be_rendered_is_refused_where_nothing_can(when: str) -> None:
    """Before anything of it is stored."""
    settings = Settings(browser=BrowserSettings(executable=NOWHERE))

    with pytest.raises(BrowserMissing, match="leave render_js at never"):
        check_datasource(NewDatasource("https://www.example.com/", render_js=when), settings)


def test_a_website_that_is_not_rendered_needs_no_browser() -> None:
    """As is the default."""
    settings = Settings(browser=BrowserSettings(executable=NOWHERE))

    assert check_datasource(NewDatasource("https://www.example.com/"), settings) == "https://www.example.com/"


def test_the_browser_starts_sealed_and_knows_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told nothing of our environment but what a program needs to run."""
    monkeypatch.setenv("SITEWISE_DATABASE__URL", "postgresql://secret")

    options = launch_options(Path("/usr/bin/chromium"), Path("/tmp/home"))  # noqa: S108 - an example

    arguments, variables = options["args"], options["env"]
    assert isinstance(arguments, list)
    assert set(SEALED) <= set(arguments)
    assert isinstance(variables, dict)
    assert variables["HOME"] == "/tmp/home"  # noqa: S108 - an example
    assert not any(name.startswith("SITEWISE_") for name in variables)


@pytest.mark.parametrize(
    "other",
    [
        {"PLAYWRIGHT_CDP_URL": "http://127.0.0.1:9222"},
        {"PLAYWRIGHT_CONNECT_URL": "ws://browsers.example/"},
        {"PLAYWRIGHT_LAUNCH_OPTIONS": {"args": []}},
        {"DOWNLOAD_HANDLERS": {"https": "scrapy_playwright.handler.ScrapyPlaywrightDownloadHandler"}},
    ],
)
def test_another_way_to_a_browser_is_a_way_round_the_guard(other: Mapping[str, object]) -> None:
    """A spider set up so does not start."""
    settings = ScrapySettings({**scrapy_settings(Settings()), **other})

    with pytest.raises(GuardBypassed):
        refuse_bypass(settings, {})


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("", SHELL),
        ("Loading", SHELL),
        ("You need to enable JavaScript to run this app.", SHELL),
    ],
)
def test_auto_renders_what_says_nothing_without_scripts(markdown: str, html: bytes) -> None:
    """A plea to switch scripts on says nothing."""
    assert rendering().wants(document(markdown), html)


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("", b"<p></p>"),
        ("The shop is open from nine to five.", SHELL),
        ("How to enable JavaScript. " + "Open the settings of your browser and look for scripts. " * 5, SHELL),
        ("", b"%PDF-1.7 <script>"),
    ],
)
def test_auto_leaves_the_rest_alone(markdown: str, html: bytes) -> None:
    """A page without scripts has nothing to run; one about scripts says something; a document is no page."""
    assert not rendering().wants(document(markdown), html)


def test_always_renders_all_but_what_is_left_out_anyway() -> None:
    """Pages that ask not to be indexed, or lead elsewhere at once."""
    always = rendering(is_always=True)

    assert always.wants(document("The shop is open from nine to five."), b"<p>The shop</p>")
    assert not always.wants(document("", noindex=True), SHELL)
    assert not always.wants(Document("", "", "", "", "", refresh="https://example.org/next"), SHELL)


async def nothing(_: str, __: Mapping[str, str]) -> None:
    """Answer nothing."""


def test_a_rendered_page_is_utf_8_and_has_no_validators() -> None:
    """They speak of the page without its scripts, and would hide that what it shows has changed."""
    headers = {"etag": ['"1"'], "content-type": ["text/html; charset=latin-1"], "x-robots-tag": ["nofollow"]}
    answer = Answer("https://example.org/", 200, SHELL, headers)
    coroutine = rendering().render(answer, nothing)

    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)

    page, leads_to = ended.value.value
    assert (page.body, leads_to) == (b"<p>shown</p>", "https://example.org/next")
    assert page.headers == {"content-type": ["text/html; charset=utf-8"], "x-robots-tag": ["nofollow"]}

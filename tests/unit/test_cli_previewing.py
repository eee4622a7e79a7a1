"""What a person reads of a preview."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.cli.previewing import show
from pipeline.preview import PreviewExample, PreviewPage, PreviewRefusal
from pipeline.services.previewing import Preview

FOUND = Preview(
    url="https://www.example.com/",
    page_limit=100,
    pages=(PreviewPage("https://www.example.com/", "Example", 120),),
    refusals=(
        PreviewRefusal("noindex", 3, (PreviewExample("https://www.example.com/thanks", "robots meta tag", 200),)),
    ),
    found=44,
    visited=20,
    waiting=24,
    sitemaps=2,
    sitemap_urls=40,
    robots_status=200,
    crawl_delay=2.0,
    pages_expected=40,
    seconds_expected=83.0,
    limit_reached=False,
    is_exact=False,
    is_growing=False,
    problem=None,
    seconds=3.25,
)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (FOUND, "would keep about 40 pages in about 83 s."),
        (replace(FOUND, seconds_expected=600.0), "in about 10 minutes."),
        (replace(FOUND, is_growing=True), "would keep at least 40 pages in about"),
        (replace(FOUND, is_exact=True, pages_expected=1), "would keep 1 page in about"),
        (replace(FOUND, limit_reached=True), "40 pages (the page limit; there are more, and --page-limit raises it)"),
        (replace(FOUND, pages=(), pages_expected=0), "would keep nothing."),
        (FOUND, "20 of 44 addresses looked at in 3.2 s"),
        (FOUND, "2 sitemaps with 40 addresses"),
        (replace(FOUND, sitemaps=0), "no sitemap found"),
        (FOUND, "robots.txt answered 200, and asks for 2 s between two requests"),
        (replace(FOUND, robots_status=None), "robots.txt gave no answer that says what is allowed"),
        (FOUND, "3 noindex: The page asks not to be indexed."),
        (FOUND, "  https://www.example.com/thanks  robots meta tag"),
    ],
)
def test_a_preview_is_told_in_plain_words(found: Preview, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Pages and time with how sure that is, where it comes from, and what is left out."""
    show(found)

    assert said in " ".join(capfd.readouterr().out.split("\n"))


def test_a_problem_is_said_beside_the_result(capfd: pytest.CaptureFixture[str]) -> None:
    """And always that nothing was stored."""
    show(replace(FOUND, problem="the site did not answer in time"))

    shown = capfd.readouterr().err
    assert "The site did not answer in time." in shown
    assert "Nothing was stored" in shown

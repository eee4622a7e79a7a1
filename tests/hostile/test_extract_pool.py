"""The real extractor in its children, against real and hostile pages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from pipeline.adapters.parser_pool import ParserPool
from pipeline.errors import ExtractionFailed, PageTooComplex
from pipeline.settings import ExtractSettings
from pipeline.stages.extract import extract

URL = "https://www.example.com/"
GOOD = (
    b"<html lang=en><main><h1>Pumps</h1><p>The pump is delivered with a hose of three metres and a filter.</p></main>"
)


@pytest.fixture(scope="module")
def pool() -> Iterator[ParserPool]:
    """One child with the limits of production."""
    with ParserPool(ExtractSettings(processes=1, timeout=timedelta(seconds=60))) as children:
        yield children


def test_a_child_gives_what_the_stage_gives(pool: ParserPool) -> None:
    """A document is the same from a child as from a call."""
    assert pool.extract(GOOD, url=URL, content_type="text/html") == extract(GOOD, url=URL)


@pytest.mark.parametrize(
    "html",
    [
        b"<div>" * 170_000,
        b"<p " + b" ".join(b"a%d" % number for number in range(100_000)) + b">",
    ],
    ids=["nested", "attributes"],
)
def test_a_bomb_keeps_its_reason_across_the_pipe(pool: ParserPool, html: bytes) -> None:
    """`PageTooComplex` arrives as itself, and the child goes on."""
    with pytest.raises(PageTooComplex):
        pool.extract(html, url=URL)

    assert "The pump" in pool.extract(GOOD, url=URL).markdown


@pytest.mark.parametrize(
    "html",
    [
        b"",
        b"\x00" * 1_000,
        bytes(range(256)) * 1_000,
        b"%PDF-1.7\n" + bytes(range(256)) * 1_000,
        b"<a href=/x>" * 300_000,
    ],
    ids=["empty", "nul", "binary", "pdf", "links"],
)
def test_no_page_ends_the_pool(pool: ParserPool, html: bytes) -> None:
    """Whatever is served as HTML gives a document or a named failure, and the next page is read."""
    try:
        pool.extract(html, url=URL)
    except ExtractionFailed as failure:
        assert str(failure)  # noqa: PT017 - either outcome is right, and a failure must say something

    assert "The pump" in pool.extract(GOOD, url=URL).markdown

"""The page at `/docs` shows the whole document, and needs nobody else to be shown."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from deploy.setup.openapi import DOCUMENT
from pipeline.api.page import render


class Read(HTMLParser):
    """What a page loads, links to, and names."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.loaded: list[str] = []
        self.links: set[str] = set()
        self.ids: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        given = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        self.loaded += [given["src"]] if "src" in given else []
        self.loaded += [given["href"]] if tag == "link" else []
        self.links |= {given["href"]} if tag == "a" else set()
        self.ids += [given["id"]] if "id" in given else []


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The committed document."""
    read: dict[str, Any] = json.loads(DOCUMENT.read_text())
    return read


@pytest.fixture(scope="module")
def page(document: dict[str, Any]) -> str:
    """Its page."""
    return render(document)


def test_nothing_is_loaded(page: str) -> None:
    """No script, no style, no picture of somebody else's: it is whole without an internet."""
    read = Read(page)

    assert read.loaded == []
    assert not read.tags & {"script", "iframe", "img", "link", "object"}


def test_every_call_is_shown(page: str, document: dict[str, Any]) -> None:
    """With its method, its path, and how to make it."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert f'<section id="{operation["operationId"]}">' in page
            assert f'<span class="verb">{method.upper()}</span>{path}</div>' in page


def test_every_link_leads_somewhere(page: str) -> None:
    """Objects, failures and calls are on the page; the document beside it."""
    read = Read(page)

    assert {link.removeprefix("#") for link in read.links} - set(read.ids) == {"openapi.json"}
    assert len(read.ids) == len(set(read.ids))


def test_a_call_is_typed_as_it_works(page: str) -> None:
    """The example names the fields that are needed."""
    assert """--json '{"url": "https://docs.example.com/"}'""" in page.replace("&quot;", '"').replace("&#x27;", "'")


def test_text_of_the_document_is_text() -> None:
    """What stands in a description is shown, whatever it looks like."""
    hostile = "<script>alert(1)</script> `a<b` **strong**"
    document = {
        "info": {"title": hostile, "summary": hostile, "description": hostile, "version": "1"},
        "paths": {
            "/x": {
                "get": {
                    "operationId": "x",
                    "summary": hostile,
                    "tags": ["t"],
                    "responses": {"200": {"description": hostile}},
                }
            }
        },
        "components": {"schemas": {"A": {"properties": {hostile: {"default": hostile}}}}, "responses": {}},
    }

    page = render(document)

    assert "script" not in Read(page).tags
    assert re.search(r"<code>a&lt;b</code> <strong>strong</strong>", page)

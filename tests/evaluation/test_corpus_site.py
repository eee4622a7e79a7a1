"""A question set's site is served as it was."""

from __future__ import annotations

import httpx

from tests.evaluation.corpus_site import CorpusSite
from tests.evaluation.datasets import SourcePage

PAGES = (
    SourcePage("a", "https://help.example/one/", "One", "", '<a href="https://help.example/two/">Two</a>', None),
    SourcePage("b", "https://help.example/two/", "Two", "", "<p>Second</p>", None),
)


def test_pages_stand_at_their_paths_and_link_to_this_server() -> None:
    """Links to the pages' own host lead to the server; an unknown path is a 404."""
    with CorpusSite(PAGES) as site, httpx.Client(base_url=site.url, trust_env=False) as web:
        first, unknown = web.get("/one/"), web.get("/three/")

    assert first.text == f'<a href="{site.url}/two/">Two</a>'
    assert unknown.status_code == 404


def test_every_page_is_named_at_the_door() -> None:
    """The start page, which stays out of the index, and the sitemap name all pages."""
    with CorpusSite(PAGES) as site, httpx.Client(base_url=site.url, trust_env=False) as web:
        door, sitemap = web.get("/").text, web.get("/sitemap.xml").text

    assert "noindex" in door
    assert all(f'href="{path}"' in door and f"{site.url}{path}" in sitemap for path in ("/one/", "/two/"))


def test_an_address_leads_back_to_its_page() -> None:
    """With or without the final slash; an address of no page leads nowhere."""
    with CorpusSite(PAGES) as site:
        found = [site.page_id(site.url + path) for path in ("/one/", "/one", "/", "/three/")]

    assert found == ["a", "a", None, None]

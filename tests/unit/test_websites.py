"""What may be said of a website."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.errors import AddressRefused, InvalidInput, InvalidPattern, InvalidUrl
from pipeline.services.websites import NewDatasource, check_datasource
from pipeline.settings import Settings

SITE = "https://shop.example/"


@pytest.mark.parametrize(
    ("given", "error", "field"),
    [
        ({"url": "http://127.0.0.1/"}, AddressRefused, "url"),
        ({"url": "http://localhost/"}, AddressRefused, "url"),
        ({"url": "ftp://shop.example/"}, InvalidUrl, "url"),
        ({"sitemap_urls": ("http://10.0.0.1/sitemap.xml",)}, AddressRefused, "sitemap_urls"),
        ({"sitemap_urls": ("nonsense",)}, InvalidUrl, "sitemap_urls"),
        ({"page_limit": 5_001}, InvalidInput, "page_limit"),
        ({"crawl_interval_hours": 23}, InvalidInput, "crawl_interval_hours"),
        ({"crawl_interval_hours": 2**40}, InvalidInput, "crawl_interval_hours"),
        ({"render_js": "sometimes"}, InvalidInput, "render_js"),
        ({"exclude_paths": ("re:(",)}, InvalidPattern, "exclude_paths"),
        ({"include_paths": ("/a",) * 51}, InvalidPattern, "include_paths"),
    ],
)
def test_what_cannot_be_is_refused_by_field(given: dict[str, Any], error: type[InvalidInput], field: str) -> None:
    """Nothing is connected to for that."""
    with pytest.raises(error) as refused:
        check_datasource(NewDatasource(**{"url": SITE, **given}), Settings())

    assert refused.value.facts["field"] == field


def test_an_address_is_taken_in_its_canonical_form() -> None:
    """However it was spelt."""
    assert check_datasource(NewDatasource("HTTPS://Shop.Example:443"), Settings()) == SITE

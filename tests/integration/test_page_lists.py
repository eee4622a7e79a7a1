"""Lists of pages, slice by slice."""

from __future__ import annotations

import pytest

from pipeline.errors import InvalidInput
from pipeline.services.crawls import NewDatasource
from tests.fakes.knowledge import SITE, Answer, Knowledge, at, walk

SHOP: dict[str, Answer] = {
    f"/{name}": f"<p>This page of the shop tells of {name or 'all'} things and of nothing else.</p>"
    for name in ("", "chairs", "lamps", "tables")
}


def test_a_list_in_slices_is_the_whole_list(knowledge: Knowledge) -> None:
    """Also where two websites have pages of the same URL: no page is told twice, and none is passed over."""
    knowledge.crawl(SHOP)
    second = knowledge.services.crawls.add(NewDatasource(SITE + "chairs"), scope=knowledge.org)
    ledger, _ = knowledge.start(second.id)
    walk(ledger, SHOP, knowledge.clock)
    knowledge.index()
    whole = [page.id for page in knowledge.services.pages.list_pages(scope=knowledge.org, limit=100)]

    for limit in (1, 2, 3):
        found, cursor, more = [], None, True
        while more:
            part = knowledge.services.pages.page_through(scope=knowledge.org, limit=limit, cursor=cursor)
            found += [page.id for page in part.items]
            cursor, more = part.next, part.next is not None

        assert found == whole

    assert len(set(whole)) == len(whole) == 2 * len(SHOP)


def test_a_list_is_narrowed_by_language(knowledge: Knowledge) -> None:
    """Pages of other languages are left out."""
    knowledge.crawl(SHOP)

    assert len(knowledge.services.pages.page_through(scope=knowledge.org, language="en").items) == len(SHOP)
    assert len(knowledge.services.pages.page_through(scope=knowledge.org, language="en-US").items) == len(SHOP)
    assert knowledge.services.pages.page_through(scope=knowledge.org, language="de").items == ()


@pytest.mark.parametrize("cursor", ["", "next", at("/"), "\u00fc"])
def test_a_cursor_is_one_of_ours(knowledge: Knowledge, cursor: str) -> None:
    """Anything else is bad input."""
    with pytest.raises(InvalidInput, match="cursor"):
        knowledge.services.pages.page_through(scope=knowledge.org, cursor=cursor)

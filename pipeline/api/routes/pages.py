"""Pages of a website: listed, looked at, and what may be done to them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from pipeline.api.acts import AChange, Act
from pipeline.api.caller import AServices, org_caller, org_of
from pipeline.api.models.crawls import LONGEST_URL
from pipeline.api.models.pages import BulkBody, BulkDone, PageBody, PageDetailBody, PageVersionBody, WhyBody
from pipeline.api.paging import DEFAULT, MOST, Page
from pipeline.bootstrap import Services
from pipeline.model import OrgScope, PageStatus
from pipeline.services.keys import Caller
from pipeline.services.page_actions import PageAction, PageChoice
from pipeline.services.pages import PageDetail, PageView

router = APIRouter(prefix="/crawl/{datasource_id}", tags=["pages"])

Reader = Annotated[Caller, Depends(org_caller("crawl:read"))]
Writer = Annotated[Caller, Depends(org_caller("crawl:write"))]

LONGEST_CURSOR = 12_000
"""A list in the order of addresses goes on after an address, which may be long."""


@router.get("/pages", summary="List pages")
def list_pages(
    *,
    datasource_id: UUID,
    caller: Reader,
    services: AServices,
    status: Annotated[PageStatus | None, Query(description="Only pages that stand so.")] = None,
    q: Annotated[str | None, Query(max_length=300, description="Only with this in the URL or the title.")] = None,
    language: Annotated[str | None, Query(max_length=35, description="Only in this language.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST, description="How many at most.")] = DEFAULT,
    cursor: Annotated[
        str | None,
        Query(max_length=LONGEST_CURSOR, description="`next` of the page before; none: from the start."),
    ] = None,
) -> Page[PageBody]:
    """The website's pages in the order of their addresses, with why each is, or is not, in the knowledge base."""
    scope = org_of(caller)
    services.datasources.check(datasource_id, scope=scope)
    found = services.pages.page_through(
        scope=scope,
        datasource_id=datasource_id,
        status=status,
        search=q,
        language=language,
        limit=limit,
        cursor=cursor,
    )
    return Page(items=[_page(page) for page in found.items], next=found.next)


@router.get("/why", summary="Tell why a URL is known or not")
def why(
    datasource_id: UUID,
    url: Annotated[str, Query(min_length=1, max_length=LONGEST_URL, description="Any URL, in any spelling.")],
    caller: Reader,
    services: AServices,
) -> WhyBody:
    """One answer for any URL: whether it is in the knowledge base, and if not, why not."""
    return WhyBody.model_validate(services.pages.why(url, scope=org_of(caller), datasource_id=datasource_id))


@router.post("/pages/bulk", summary="Do something to many pages")
def act_on_many(datasource_id: UUID, body: BulkBody, caller: Writer, act: AChange, services: AServices) -> BulkDone:
    """Exclude, include, read again or delete pages: all of them, or none."""
    scope = org_of(caller)
    choice = PageChoice(tuple(body.page_ids or ()))
    if body.filter is not None:
        choice = PageChoice(status=body.filter.status, search=body.filter.q, language=body.filter.language)
    count = act.change(
        lambda: services.page_actions.act(body.action, datasource_id, choice, scope=scope),
        action=f"pages.{body.action}",
        object_id=datasource_id,
    )
    return BulkDone(action=body.action, pages=count)


@router.get("/pages/{page_id}", summary="Show a page")
def show_page(datasource_id: UUID, page_id: UUID, caller: Reader, services: AServices) -> PageDetailBody:
    """A page with its extracted text and its versions."""
    return _detail(services.pages.show_of(datasource_id, page_id, scope=org_of(caller)))


@router.post("/pages/{page_id}/exclude", summary="Exclude a page")
def exclude_page(datasource_id: UUID, page_id: UUID, caller: Writer, act: AChange, services: AServices) -> PageBody:
    """Stop answering from it, from now on; later crawls leave it excluded."""
    return _acted(PageAction.EXCLUDE, datasource_id, page_id, org_of(caller), act, services)


@router.post("/pages/{page_id}/include", summary="Include a page again")
def include_page(datasource_id: UUID, page_id: UUID, caller: Writer, act: AChange, services: AServices) -> PageBody:
    """Answer from it again, unless a rule of the website leaves it out."""
    return _acted(PageAction.INCLUDE, datasource_id, page_id, org_of(caller), act, services)


@router.post("/pages/{page_id}/resync", status_code=202, summary="Read a page again")
def resync_page(datasource_id: UUID, page_id: UUID, caller: Writer, act: AChange, services: AServices) -> PageBody:
    """Have it read anew: by the crawl that runs, else by one that looks at what is due."""
    return _acted(PageAction.RESYNC, datasource_id, page_id, org_of(caller), act, services)


@router.delete("/pages/{page_id}", status_code=204, summary="Delete a page")
def delete_page(datasource_id: UUID, page_id: UUID, caller: Writer, act: AChange, services: AServices) -> None:
    """Forget it, text and all. A later crawl that finds it keeps it as new: exclude what shall stay out."""
    scope = org_of(caller)
    act.change(
        lambda: services.page_actions.act(PageAction.DELETE, datasource_id, PageChoice((page_id,)), scope=scope),
        action="page.delete",
        object_id=page_id,
    )


def _acted(  # noqa: PLR0917 - what each of three routes has at hand
    action: PageAction, datasource_id: UUID, page_id: UUID, scope: OrgScope, act: Act, services: Services
) -> PageBody:
    def do() -> PageView:
        services.page_actions.act(action, datasource_id, PageChoice((page_id,)), scope=scope)
        return services.pages.show_of(datasource_id, page_id, scope=scope).page

    return _page(act.change(do, action=f"page.{action}", object_id=page_id))


def _page(view: PageView) -> PageBody:
    return PageBody.model_validate(view)


def _detail(detail: PageDetail) -> PageDetailBody:
    return PageDetailBody(
        **_page(detail.page).model_dump(),
        markdown=detail.markdown,
        versions=[PageVersionBody.model_validate(version) for version in detail.versions],
    )

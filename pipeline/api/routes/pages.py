"""Pages of a website: listed, looked at, and what may be done to them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from pipeline.api.acts import AChange, Act
from pipeline.api.caller import AServices, org_caller, org_of
from pipeline.api.models.crawls import LONGEST_URL, RolledBackBody
from pipeline.api.models.moments import Moment
from pipeline.api.models.pages import (
    BulkBody,
    BulkDone,
    KeptOutBody,
    PageBody,
    PageDetailBody,
    PageHistoryBody,
    PageRollbackBody,
    PageVersionBody,
    SaidBody,
    SaidOnBody,
    ServedBody,
    WhyBody,
)
from pipeline.api.paging import DEFAULT, MOST, Page
from pipeline.bootstrap import Services
from pipeline.model import OrgScope, PageStatus
from pipeline.services.history import PageHistory, RolledBack
from pipeline.services.keys import Caller
from pipeline.services.page_actions import PageAction, PageChoice
from pipeline.services.pages import PageDetail, PageView

router = APIRouter(prefix="/crawl/{datasource_id}", tags=["pages"])

Reader = Annotated[Caller, Depends(org_caller("crawl:read"))]
Writer = Annotated[Caller, Depends(org_caller("crawl:write"))]

LONGEST_CURSOR = 12_000
"""A list in the order of addresses goes on after an address, which may be long."""

Status = Annotated[PageStatus | None, Query(description="Only pages that stand so.")]
Search = Annotated[str | None, Query(max_length=300, description="Only with this in the URL or the title.")]
Language = Annotated[
    str | None, Query(max_length=35, description="Only in this language; its country is not compared.")
]
Limit = Annotated[int, Query(ge=1, le=MOST, description="How many at most.")]
Cursor = Annotated[
    str | None, Query(max_length=LONGEST_CURSOR, description="`next` of the page before; none: from the start.")
]


@router.get("/pages", summary="List pages")
def list_pages(
    *,
    datasource_id: UUID,
    caller: Reader,
    services: AServices,
    status: Status = None,
    q: Search = None,
    language: Language = None,
    limit: Limit = DEFAULT,
    cursor: Cursor = None,
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


@router.get("/pages/{page_id}/history", summary="List what a page said")
def show_history(datasource_id: UUID, page_id: UUID, caller: Reader, services: AServices) -> PageHistoryBody:
    """Every text of the page, newest first, and when each answered."""
    scope = org_of(caller)
    services.pages.show_of(datasource_id, page_id, scope=scope)
    return _history(services.history.of_page(page_id, scope=scope))


@router.get("/pages/{page_id}/said", summary="Tell what a page said on a day")
def show_said(
    datasource_id: UUID,
    page_id: UUID,
    on: Annotated[Moment, Query(description="The moment, with its time zone.", examples=["2027-01-31T09:00:00Z"])],
    caller: Reader,
    services: AServices,
) -> SaidOnBody:
    """The text that answered then; a `number` of null says that none did."""
    scope = org_of(caller)
    services.pages.show_of(datasource_id, page_id, scope=scope)
    return SaidOnBody.model_validate(services.history.said_on(page_id, on, scope=scope))


@router.post("/pages/{page_id}/rollback", summary="Go back to what a page said")
def roll_back_page(
    datasource_id: UUID, page_id: UUID, body: PageRollbackBody, *, caller: Writer, act: AChange, services: AServices
) -> RolledBackBody:
    """Answer with an earlier text, from now on, until the website says something new."""
    scope = org_of(caller)

    def roll_back() -> RolledBack:
        services.pages.show_of(datasource_id, page_id, scope=scope)
        return services.history.roll_back_page(page_id, body.version, scope=scope, indexes=False)

    return RolledBackBody.model_validate(act.change(roll_back, action="page.rollback", object_id=page_id))


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


everywhere = APIRouter(prefix="/pages", tags=["pages"])


@everywhere.get("", summary="List pages of all websites")
def list_all_pages(
    *,
    caller: Reader,
    services: AServices,
    status: Status = None,
    q: Search = None,
    language: Language = None,
    limit: Limit = DEFAULT,
    cursor: Cursor = None,
) -> Page[PageBody]:
    """The org's pages in the order of their addresses, whichever website they are of."""
    found = services.pages.page_through(
        scope=org_of(caller), status=status, search=q, language=language, limit=limit, cursor=cursor
    )
    return Page(items=[_page(page) for page in found.items], next=found.next)


@everywhere.get("/find", summary="Find a page by its URL")
def find_page(
    url: Annotated[str, Query(min_length=1, max_length=LONGEST_URL, description="Its URL in any spelling, or its id.")],
    caller: Reader,
    services: AServices,
) -> PageDetailBody:
    """A page with its text and its versions; of several websites' that have it, one that answers."""
    return _detail(services.pages.show(url, scope=org_of(caller)))


@everywhere.get("/why", summary="Tell why a URL is known or not to any website")
def why_of_all(
    url: Annotated[str, Query(min_length=1, max_length=LONGEST_URL, description="Any URL, in any spelling.")],
    caller: Reader,
    services: AServices,
) -> WhyBody:
    """One answer for any URL, from whichever of the org's websites knows most of it."""
    return WhyBody.model_validate(services.pages.why(url, scope=org_of(caller)))


def _history(found: PageHistory) -> PageHistoryBody:
    return PageHistoryBody(
        page_id=found.page_id,
        url=found.url,
        moved_from=list(found.moved_from),
        versions=[
            SaidBody(
                number=said.number,
                state=said.state,
                title=said.title,
                fetched_at=said.fetched_at,
                words=said.words,
                crawl_id=said.crawl_id,
                served=[ServedBody(since=since, until=until) for since, until in said.served],
            )
            for said in found.versions
        ],
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
        dropped=[KeptOutBody(reason=reason, text=text) for reason, text in detail.dropped],
    )

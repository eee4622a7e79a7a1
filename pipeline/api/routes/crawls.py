"""Websites and their crawls."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from pipeline.api.acts import AChange, ACreation
from pipeline.api.caller import AServices, org_caller, org_of
from pipeline.api.models.crawls import (
    AcceptedBody,
    DatasourceBody,
    DatasourceChangeBody,
    JobBody,
    NewDatasourceBody,
    PreviewBody,
    PreviewShown,
    RolledBackBody,
)
from pipeline.api.paging import APiece, Page, page_of
from pipeline.api.previews import APreviewRoom
from pipeline.model import CrawlTrigger, DatasourceStatus
from pipeline.services.crawls import CrawlJob
from pipeline.services.datasources import DatasourceView
from pipeline.services.history import RolledBack
from pipeline.services.keys import Caller
from pipeline.services.websites import DatasourceChange, NewDatasource

router = APIRouter(prefix="/crawl", tags=["crawl"])

Reader = Annotated[Caller, Depends(org_caller("crawl:read"))]
Writer = Annotated[Caller, Depends(org_caller("crawl:write"))]

LISTS = ("include_paths", "exclude_paths", "sitemap_urls", "extra_hosts")


@router.post("", status_code=201, response_model=DatasourceBody, summary="Add a website")
def create_datasource(body: NewDatasourceBody, caller: Writer, act: ACreation, services: AServices) -> Response:
    """Add a website and crawl it now, unless `auto_start_crawl` is false. One address is added once."""
    scope, new = org_of(caller), _new(body)

    def make() -> DatasourceBody:
        services.limits.check_room("datasources", lambda: services.datasources.count(scope=scope), scope=scope)
        return _shown(services.datasources.add(new, scope=scope, starts=body.auto_start_crawl))

    return act.create(make, action="datasource.create")


@router.get("", summary="List websites")
def list_datasources(caller: Reader, services: AServices, piece: APiece) -> Page[DatasourceBody]:
    """The org's websites, oldest first."""
    return page_of(
        services.datasources.page_through(scope=org_of(caller), limit=piece.limit, after=piece.after), _shown
    )


@router.post("/preview", summary="Look at a website before it is added")
async def preview(body: PreviewBody, caller: Writer, services: AServices, room: APreviewRoom) -> PreviewShown:
    """What a crawl would do: its first pages, why others are left out, how many there are. Nothing is stored."""
    org_of(caller)
    found = await room.run(
        lambda: services.previews.preview(_new(body), pages=body.pages, seconds=body.seconds), seconds=body.seconds
    )
    return PreviewShown.model_validate(found)


@router.get("/{datasource_id}", summary="Show a website")
def show_datasource(datasource_id: UUID, caller: Reader, services: AServices) -> DatasourceBody:
    """A website, its pages by status, and the crawl that runs now."""
    return _shown(services.datasources.get(datasource_id, scope=org_of(caller)))


@router.patch("/{datasource_id}", summary="Change a website")
def change_datasource(
    datasource_id: UUID, body: DatasourceChangeBody, caller: Writer, act: AChange, services: AServices
) -> DatasourceBody:
    """Set what is given. A page that new rules leave out stops answering at once, and comes back when they go."""
    scope, change = org_of(caller), _change(body)
    changed = act.change(
        lambda: services.datasources.change(datasource_id, change, scope=scope),
        action="datasource.change",
        object_id=datasource_id,
    )
    return _shown(changed)


@router.delete("/{datasource_id}", status_code=202, summary="Delete a website")
def delete_datasource(datasource_id: UUID, caller: Writer, act: AChange, services: AServices) -> AcceptedBody:
    """Nothing of it answers from now on; its rows and points follow."""
    scope = org_of(caller)
    act.change(
        lambda: services.datasources.delete(datasource_id, scope=scope),
        action="datasource.delete",
        object_id=datasource_id,
    )
    return AcceptedBody(id=datasource_id, status="deleting")


@router.post("/{datasource_id}/crawls", status_code=202, response_model=JobBody, summary="Start a crawl")
def start_crawl(datasource_id: UUID, caller: Writer, act: ACreation, services: AServices) -> Response:
    """Crawl it now. While a crawl runs there is no second one: 409, with the id of the one that does."""
    scope = org_of(caller)
    return act.create(
        lambda: _job(services.crawls.start(datasource_id, scope=scope, trigger=CrawlTrigger.API)),
        action="crawl.start",
        status=202,
    )


@router.get("/{datasource_id}/crawls", summary="List crawls")
def list_crawls(datasource_id: UUID, caller: Reader, services: AServices, piece: APiece) -> Page[JobBody]:
    """The website's crawls, newest first."""
    found = services.crawls.page_through(datasource_id, scope=org_of(caller), limit=piece.limit, after=piece.after)
    return page_of(found, _job)


@router.get("/{datasource_id}/crawls/{job_id}", summary="Show a crawl")
def show_crawl(datasource_id: UUID, job_id: UUID, caller: Reader, services: AServices) -> JobBody:
    """How a crawl stands."""
    return _job(services.crawls.job_of(datasource_id, job_id, scope=org_of(caller)))


@router.post("/{datasource_id}/crawls/{job_id}/cancel", status_code=202, summary="End a crawl")
def cancel_crawl(datasource_id: UUID, job_id: UUID, caller: Writer, act: AChange, services: AServices) -> JobBody:
    """End it; what it kept so far stays. One that is over stays as it is."""
    scope = org_of(caller)

    def cancel() -> CrawlJob:
        services.crawls.job_of(datasource_id, job_id, scope=scope)
        return services.crawls.cancel(job_id, scope=scope)

    return _job(act.change(cancel, action="crawl.cancel", object_id=job_id))


@router.post("/{datasource_id}/crawls/{job_id}/approve", summary="Carry out what a crawl holds")
def approve_crawl(datasource_id: UUID, job_id: UUID, caller: Writer, act: AChange, services: AServices) -> JobBody:
    """Let the website's changes take effect that were held back."""
    scope = org_of(caller)

    def approve() -> CrawlJob:
        services.crawls.job_of(datasource_id, job_id, scope=scope)
        services.history.approve(job_id, scope=scope)
        return services.crawls.job(job_id, scope=scope)

    return _job(act.change(approve, action="crawl.approve", object_id=job_id))


@router.post("/{datasource_id}/crawls/{job_id}/reject", summary="Keep what serves instead")
def reject_crawl(datasource_id: UUID, job_id: UUID, caller: Writer, act: AChange, services: AServices) -> JobBody:
    """Keep the old knowledge, and do not ask again about the same changes."""
    scope = org_of(caller)

    def reject() -> CrawlJob:
        services.crawls.job_of(datasource_id, job_id, scope=scope)
        services.history.reject(job_id, scope=scope)
        return services.crawls.job(job_id, scope=scope)

    return _job(act.change(reject, action="crawl.reject", object_id=job_id))


@router.post("/{datasource_id}/crawls/{job_id}/rollback", summary="Go back to a crawl")
def roll_back_to_crawl(
    datasource_id: UUID, job_id: UUID, caller: Writer, act: AChange, services: AServices
) -> RolledBackBody:
    """Answer as when this crawl ended, for every page of its website. It must have ended, and no other may run."""
    scope = org_of(caller)

    def roll_back() -> RolledBack:
        services.crawls.job_of(datasource_id, job_id, scope=scope)
        return services.history.roll_back_to(job_id, scope=scope, indexes=False)

    return RolledBackBody.model_validate(act.change(roll_back, action="crawl.rollback", object_id=job_id))


jobs_router = APIRouter(prefix="/jobs", tags=["crawl"])


@jobs_router.get("", summary="List crawls of all websites")
def list_jobs(caller: Reader, services: AServices, piece: APiece) -> Page[JobBody]:
    """The org's crawls, of all its websites, newest first."""
    return page_of(services.crawls.page_through_org(scope=org_of(caller), limit=piece.limit, after=piece.after), _job)


@jobs_router.get("/{job_id}", summary="Show a crawl of any website")
def show_job(job_id: UUID, caller: Reader, services: AServices) -> JobBody:
    """How a crawl stands, whichever of the org's websites it is of."""
    return _job(services.crawls.job(job_id, scope=org_of(caller)))


def _new(body: NewDatasourceBody) -> NewDatasource:
    return NewDatasource(
        url=body.url,
        display_name=body.display_name,
        page_limit=body.page_limit,
        include_paths=tuple(body.include_paths),
        exclude_paths=tuple(body.exclude_paths),
        crawl_interval_hours=body.crawl_interval_hours,
        render_js=body.render_js,
        documents=body.documents,
        sitemap_urls=tuple(body.sitemap_urls),
        subdomains=body.subdomains,
        extra_hosts=tuple(body.extra_hosts),
    )


def _change(body: DatasourceChangeBody) -> DatasourceChange:
    given = body.model_dump(exclude_unset=True)
    status = given.pop("status", None)
    fields = {name: tuple(value) if name in LISTS else value for name, value in given.items()}
    return DatasourceChange(fields, is_paused=None if status is None else status == DatasourceStatus.PAUSED)


def _shown(view: DatasourceView) -> DatasourceBody:
    return DatasourceBody.model_validate(view)


def _job(view: CrawlJob) -> JobBody:
    return JobBody.model_validate(view)

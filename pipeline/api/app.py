"""The app: every router, what stands around them, and the document that describes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib.metadata import version
from typing import Any

from anyio.to_thread import current_default_thread_limiter
from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.telemetry import TelemetryConfig
from starlette.types import Message, Scope

from pipeline.api import failures
from pipeline.api.caller import Callers
from pipeline.api.document import describe
from pipeline.api.limits import Allowances, limited
from pipeline.api.models.errors import ErrorBody
from pipeline.api.page import POLICY, render
from pipeline.api.previews import PreviewRoom
from pipeline.api.requests import Requests
from pipeline.api.routes import (
    crawls,
    evaluation,
    operations,
    organisation,
    pages,
    partner,
    retrieval,
    standing,
    training,
    webhooks,
)
from pipeline.api.watch import DatabaseWatch
from pipeline.bootstrap import Services

ROUTERS: tuple[APIRouter, ...] = (
    partner.router,
    organisation.router,
    crawls.router,
    crawls.jobs_router,
    pages.router,
    pages.everywhere,
    standing.router,
    training.router,
    evaluation.router,
    retrieval.router,
    webhooks.router,
)
"""What takes a key and is limited."""

OPEN_ROUTERS: tuple[APIRouter, ...] = (operations.router,)
"""What anybody may ask."""

FAILURES: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "The body is not JSON."},
    401: {"model": ErrorBody, "description": "No key, a bad or revoked key, or an inactive partner."},
    403: {"model": ErrorBody, "description": "The key is good but lacks the scope, or is of the other kind."},
    404: {"model": ErrorBody, "description": "There is no such thing, or it is another's."},
    409: {"model": ErrorBody, "description": "It is there already, or under way; `details` has its id."},
    413: {"model": ErrorBody, "description": "The body is larger than 1 MiB."},
    422: {"model": ErrorBody, "description": "A field is wrong; `details` names each."},
    429: {"model": ErrorBody, "description": "A rate or a quota is used up; `Retry-After` says when to ask again."},
    503: {"model": ErrorBody, "description": "A part this needs is away; nothing was accepted."},
}
"""What any route may answer."""


NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""FastAPI's own would tell queries and the messages of errors to whatever collector the environment names."""


async def _lay_out(app: FastAPI) -> None:
    """Ask for something before anybody does: FastAPI reads every route's types with the first request."""
    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": "/healthz",
        "raw_path": b"/healthz",
        "query_string": b"",
        "headers": [(b"content-length", b"0")],
        "http_version": "1.1",
        "scheme": "http",
        "root_path": "",
        "client": None,
        "server": None,
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        del message

    await app(scope, receive, send)


@asynccontextmanager
async def _bounded(app: FastAPI) -> AsyncIterator[None]:
    """As many threads as the settings say, since each may hold a database connection; and a watch on the database."""
    services: Services = app.state.services
    watch: DatabaseWatch | None = app.state.watch
    current_default_thread_limiter().total_tokens = services.settings.api.threads
    watching = None if watch is None else asyncio.create_task(watch.run())
    await _lay_out(app)
    yield
    if watching is not None:
        watching.cancel()


def _add_page(app: FastAPI) -> None:
    """Serve the document as a page at `/docs`, made when somebody first looks, and lead whoever asks for `/` there."""
    page = cache(lambda: HTMLResponse(render(app.openapi()), headers={"Content-Security-Policy": POLICY}))
    app.add_api_route("/docs", page, include_in_schema=False, response_class=HTMLResponse)
    app.add_api_route("/", lambda: RedirectResponse("docs"), include_in_schema=False, response_class=RedirectResponse)


def create_app(services: Services) -> FastAPI:
    """The app on these services. It opens nothing itself, and leaves them open."""
    app = FastAPI(
        title="Sitewise",
        summary="Reads a website, keeps what it learned current, and briefs an AI support agent.",
        version=version("sitewise"),
        openapi_url="/openapi.json",
        docs_url=None,  # FastAPI's own loads its scripts from elsewhere: without an internet it is blank
        redoc_url=None,
        lifespan=_bounded,
        responses=FAILURES,
        generate_unique_id_function=lambda route: route.name,
        telemetry=NO_TELEMETRY,
    )
    app.state.services = services
    app.state.callers = Callers(lambda text: services.keys.caller(text))  # noqa: PLW0108 - the database opens with the first call
    app.state.allowances = Allowances(lambda wanted: services.limits.draw(wanted))  # noqa: PLW0108 - likewise
    app.state.previews = PreviewRoom()
    is_file = services.settings.database.url is None
    app.state.watch = None if is_file else DatabaseWatch(lambda: services.database.ping())  # noqa: PLW0108 - likewise
    failures.listen(app)
    limits = [Depends(limited)]
    for router in ROUTERS:
        app.include_router(router, dependencies=limits)
    for router in OPEN_ROUTERS:
        app.include_router(router)
    describe(app)
    _add_page(app)
    app.add_middleware(Requests, watch=app.state.watch)
    return app

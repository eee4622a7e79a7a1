"""While the database is away, requests are refused at once and not left waiting."""

from __future__ import annotations

import asyncio
from threading import Event

from httpx import ASGITransport, AsyncClient, Response
from starlette.types import Receive, Scope, Send

from pipeline.api.requests import Requests
from pipeline.api.watch import DatabaseWatch
from pipeline.errors import DatabaseUnavailable

PATIENCE_SECONDS = 30


class HangingApp:
    """An app whose answer waits until it may come."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.ended = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, late."""
        self.began.set()
        await self.may_answer.wait()
        await Response200()(scope, receive, send)
        self.ended.set()


class Response200:
    """An empty answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def test_a_request_under_way_is_refused_when_the_database_goes() -> None:
    """It is answered with 503 while its work still hangs, which is let end by itself."""

    async def story() -> Response:
        app, watch = HangingApp(), DatabaseWatch(lambda: None)
        async with AsyncClient(transport=ASGITransport(Requests(app, watch=watch)), base_url="http://lab") as client:
            asking = asyncio.create_task(client.get("/crawl"))
            await app.began.wait()
            watch.away.set()
            answer = await asyncio.wait_for(asking, PATIENCE_SECONDS)
            app.may_answer.set()
            await asyncio.wait_for(app.ended.wait(), PATIENCE_SECONDS)
            return answer

    answer = asyncio.run(story())

    assert answer.status_code == 503
    assert answer.json()["code"] == "database_unavailable"
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["x-request-id"]


def test_health_is_told_without_a_database() -> None:
    """Whoever watches the process must not think that it is dead."""

    async def story() -> list[int]:
        watch = DatabaseWatch(lambda: None)
        watch.away.set()
        around = Requests(Response200(), watch=watch)
        async with AsyncClient(transport=ASGITransport(around), base_url="http://lab") as client:
            return [(await client.get(path)).status_code for path in ("/healthz", "/readyz")]

    assert asyncio.run(story()) == [200, 200]


def test_a_database_that_says_nothing_is_away_until_it_answers() -> None:
    """A frozen server does not refuse: its silence is noticed, and so is its first word."""
    frozen, asked = Event(), Event()

    def ping() -> None:
        asked.set()
        assert frozen.wait(PATIENCE_SECONDS)

    async def story() -> None:
        watch = DatabaseWatch(ping, late_after=0.05)
        running = asyncio.create_task(watch.run())
        await asyncio.wait_for(watch.away.wait(), PATIENCE_SECONDS)
        frozen.set()
        while watch.away.is_set():  # noqa: ASYNC110 - an event tells when it is set, not when it is cleared
            await asyncio.sleep(0.01)
        running.cancel()

    asyncio.run(asyncio.wait_for(story(), PATIENCE_SECONDS))

    assert asked.is_set()


def test_a_database_that_refuses_is_away() -> None:
    """So is one whose server is not started."""

    def ping() -> None:
        raise DatabaseUnavailable

    async def story() -> None:
        watch = DatabaseWatch(ping)
        running = asyncio.create_task(watch.run())
        await asyncio.wait_for(watch.away.wait(), PATIENCE_SECONDS)
        running.cancel()

    asyncio.run(story())

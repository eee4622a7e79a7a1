"""`sitewise --server … crawl`: a deployment elsewhere reads a website, and this command watches."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from pipeline.cli import interrupts
from pipeline.cli.crawling import exit_status, kept_pages, report
from pipeline.cli.output import err, say
from pipeline.cli.pace import Pace
from pipeline.cli.remote.views import view_of
from pipeline.cli.remote.websites import fields_of
from pipeline.cli.watching import Watched, live, plain
from pipeline.client import Client, ServerRefused, crawls
from pipeline.services.crawls import CrawlJob
from pipeline.services.reasons import Why
from pipeline.services.websites import PAGE_LIMIT_MAXIMUM

if TYPE_CHECKING:
    from pipeline.client.answers import Job
    from pipeline.services.websites import NewDatasource

LOOK_EVERY_SECONDS = 1.0


def crawl_there(client: Client, new: NewDatasource, *, as_json: bool, look_every: float = LOOK_EVERY_SECONDS) -> int:
    """Add the website, or change the one at this address; crawl it, and wait. Returns the exit status."""
    began = time.monotonic()
    website = _website(client, new)
    job = view_of(CrawlJob, _started(client, website))
    pace, pause = Pace(new.page_limit or PAGE_LIMIT_MAXIMUM), threading.Event()
    with live() if err.is_terminal else plain() as show:
        while not job.has_ended:
            show(job, pace)
            pause.wait(look_every)
            interrupts.check()
            job = view_of(CrawlJob, client.send(crawls.any_job(str(job.id))))
            pace.look(job, time.monotonic())
        show(job, pace)
    start = None if kept_pages(job) else view_of(Why, client.send(crawls.why(website, new.url)))
    report(Watched(job, time.monotonic() - began, pace.fetching.per_second), start, as_json=as_json)
    return exit_status(job)


def _website(client: Client, new: NewDatasource) -> str:
    rules = fields_of(new)
    try:
        return client.send(crawls.add(new.url, auto_start_crawl=False, **rules))["id"]
    except ServerRefused as refused:
        there = _fact(refused, "datasource")
        if refused.code != "datasource_exists" or there is None:
            raise
    return client.send(crawls.change(there, rules))["id"]


def _started(client: Client, website: str) -> Job:
    try:
        return client.send(crawls.start(website))
    except ServerRefused as refused:
        running = _fact(refused, "crawl")
        if refused.code != "crawl_already_running" or running is None:
            raise
    say("A crawl of this website was under way; it goes on.")
    return client.send(crawls.job(website, running))


def _fact(refused: ServerRefused, name: str) -> str | None:
    """A fact of a failure."""
    return next((str(fact["given"]) for fact in refused.details if fact.get("field") == name), None)

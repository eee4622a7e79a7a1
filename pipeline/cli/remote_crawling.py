"""`sitewise --server … crawl`: a deployment elsewhere reads a website, and this command watches."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from pipeline.cli import interrupts
from pipeline.cli.output import print_json, print_line, say
from pipeline.client import Client, ServerRefused, crawls

if TYPE_CHECKING:
    from pipeline.client.answers import Job
    from pipeline.services.websites import NewDatasource

ENDED = ("completed", "failed", "cancelled")
LOOK_EVERY_SECONDS = 1.0
NOTHING_KEPT = 3


def crawl_there(client: Client, new: NewDatasource, *, as_json: bool, look_every: float = LOOK_EVERY_SECONDS) -> int:
    """Add the website, or change the one at this address; crawl it, and wait. Returns the exit status."""
    website = _website(client, new)
    job = _started(client, website)
    pause = threading.Event()
    while job["status"] not in ENDED:
        pause.wait(look_every)
        interrupts.check()
        job = client.send(crawls.job(website, job["id"]))
    kept = job["new_pages"] + job["updated_pages"] + job["unchanged_pages"]
    if as_json:
        print_json(job)
    else:
        counts = f"{job['new_pages']} new, {job['updated_pages']} updated, {job['unchanged_pages']} unchanged"
        print_line(f"{job['status'].capitalize()}.\n  {job['total_pages']} found\n  {kept} kept: {counts}")
        print_line(f"  {job['removed_pages']} removed, {job['failed_pages']} failed")
    if job["error_message"]:
        say(job["error_message"])
    if job["status"] != "completed":
        return 1
    return 0 if kept else NOTHING_KEPT


def _website(client: Client, new: NewDatasource) -> str:
    rules: dict[str, Any] = {
        "page_limit": new.page_limit,
        "include_paths": list(new.include_paths),
        "exclude_paths": list(new.exclude_paths),
        "crawl_interval_hours": new.crawl_interval_hours,
        "render_js": new.render_js,
    }
    if new.display_name is not None:
        rules["display_name"] = new.display_name
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

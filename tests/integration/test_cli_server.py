"""Commands against a deployment elsewhere show what they show where Sitewise runs."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from pipeline.cli.app import app
from pipeline.cli.remote.crawling import crawl_there
from pipeline.cli.session import chosen
from pipeline.client import Client, ServerRefused
from pipeline.errors import InvalidInput
from pipeline.model import OrgScope
from pipeline.services.websites import NewDatasource
from tests.fakes.knowledge import SITE, at, paragraphs
from tests.lab import LabSite, Reply
from tests.lab.api import ApiLab, LabOrg

SHOP = {"/": paragraphs(2, about="home"), "/returns": "<p>Send it back within thirty days and get your money.</p>"}


@pytest.fixture(scope="module")
def org(lab: ApiLab) -> LabOrg:
    """An org whose website was crawled."""
    made = lab.org("Elsewhere")
    lab.knowledge.crawl(SHOP, scope=OrgScope(made.id))
    return made


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """What one command was told is not told to the next test."""
    before = (chosen.data_dir, chosen.org, chosen.server, chosen.key)
    yield
    chosen.data_dir, chosen.org, chosen.server, chosen.key = before


def sitewise(lab: ApiLab, org: LabOrg, *words: str) -> Any:  # noqa: ANN401 - whatever JSON there is
    """What a command prints as JSON, asked of the server."""
    done = CliRunner().invoke(app, ["--server", lab.url, "--key", org.key, *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout) if "--json" in words else done.stdout


def test_questions_are_answered_there(lab: ApiLab, org: LabOrg) -> None:
    """With the passages of that deployment; the briefing can be read again."""
    asked = sitewise(lab, org, "ask", "Can I send it back within thirty days?", "--before", "Hello", "--json")
    again = sitewise(lab, org, "briefing", asked["id"], "--json")

    assert asked["passages"][0]["url"] == at("/returns")
    assert again["briefing"]["prompt"] == asked["prompt"]


def test_pages_and_crawls_are_listed_there(lab: ApiLab, org: LabOrg) -> None:
    """As the commands show them here."""
    pages = sitewise(lab, org, "page", "list", "--json")["items"]
    few = sitewise(lab, org, "page", "list", "--limit", "1", "--json")
    shown = sitewise(lab, org, "page", "show", at("/returns"), "--json")
    why = sitewise(lab, org, "why", at("/nowhere"), "--json")
    jobs = sitewise(lab, org, "jobs", "list", "--json")["items"]
    job = sitewise(lab, org, "jobs", "show", jobs[0]["id"], "--json")
    table = sitewise(lab, org, "jobs", "list")

    assert [page["url"] for page in pages] == [at("/"), at("/returns")]
    assert (len(few["items"]), few["next"] is None) == (1, False)
    assert "thirty days" in shown["markdown"]
    assert why["is_known"] is False
    assert (job["status"], job["new_pages"]) == ("completed", 2)
    assert jobs[0]["id"] in table


def test_scenarios_are_written_there(lab: ApiLab, org: LabOrg) -> None:
    """Added, listed, rolled back, published, removed."""
    words = [
        "training",
        "add",
        "--title",
        "Refunds",
        "--content",
        "Ask for the number.",
        "--trigger",
        "I want my money",
        "--json",
    ]
    made = sitewise(lab, org, *words, "--directory", "Money")
    sitewise(lab, org, "training", "rollback", made["id"], "1", "--json")
    published = sitewise(lab, org, "training", "publish", made["id"], "--json")
    versions = sitewise(lab, org, "training", "versions", made["id"], "--json")["items"]
    listed = sitewise(lab, org, "training", "list", "--json")["items"]
    sitewise(lab, org, "training", "delete", made["id"])

    assert [one["title"] for one in listed] == ["Refunds"]
    assert (published["current_version"], [one["number"] for one in versions]) == (2, [2, 1])
    assert sitewise(lab, org, "training", "list", "--json")["items"] == []


def test_a_website_is_crawled_there(lab: ApiLab) -> None:
    """Added, or changed where it is known, crawled and watched to its end."""
    made = lab.org("Crawled elsewhere")
    stop = threading.Event()

    def work() -> None:
        """Cancel what was started: how it ends is told."""
        while not stop.wait(0.02):
            for job in lab.services.crawls.list_running(scope=OrgScope(made.id)):
                lab.services.crawls.cancel(job.id, scope=OrgScope(made.id))

    worker = threading.Thread(target=work)
    worker.start()
    try:
        with Client(lab.url, made.key) as client:
            ends = [
                crawl_there(client, NewDatasource(SITE, page_limit=limit), as_json=True, look_every=0.02)
                for limit in (5, 7)
            ]
    finally:
        stop.set()
        worker.join()

    (website,) = lab.services.datasources.page_through(scope=OrgScope(made.id)).items
    assert (ends, website.page_limit) == ([1, 1], 7)


def test_a_website_is_looked_at_there(lab: ApiLab, org: LabOrg) -> None:
    """By the deployment, which refuses what it may not read."""
    words = ["--server", lab.url, "--key", org.key, "crawl", "http://10.0.0.1/", "--preview", "--json"]

    refused = CliRunner().invoke(app, words).exception

    assert isinstance(refused, ServerRefused)
    assert refused.code == "address_refused"


def test_who_waits_for_a_server_is_told_so(lab: ApiLab) -> None:
    """Once, on stderr, and why; what is printed in the end is the answer alone."""
    listed = json.dumps({"items": [], "next": None}).encode()
    with LabSite() as away:
        away.answers("/evaluation/questions", Reply(reset=True), Reply(503), Reply(200, listed))
        done = CliRunner().invoke(app, ["--server", away.url, "--key", lab.partner_key, "evaluate", "list", "--json"])

    assert done.exit_code == 0, done.exception
    assert done.stderr.count(f"No answer from {away.url} yet") == 1
    assert "Asking again" in done.stderr
    assert json.loads(done.stdout)["items"] == []


def test_a_server_needs_a_key(lab: ApiLab) -> None:
    """It is asked for by name."""
    with pytest.raises(InvalidInput, match="SITEWISE_KEY"):
        CliRunner().invoke(app, ["--server", lab.url, "jobs", "list"], catch_exceptions=False, env={"SITEWISE_KEY": ""})

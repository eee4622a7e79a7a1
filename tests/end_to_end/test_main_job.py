"""The main job: a website becomes a knowledge base, stays current, and answers with its sources."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from pipeline.bootstrap import open_services
from pipeline.services.answers import Question
from pipeline.settings import read_settings
from tests.lab.waiting import eventually

if TYPE_CHECKING:
    from pipeline.bootstrap import Services
    from pipeline.model import OrgScope
    from tests.end_to_end.conftest import Shop

SAMPLE = Path(__file__).parents[2] / "deploy" / "sample"
QUESTIONS = json.loads((SAMPLE / "questions.json").read_text())
JOB = {
    *("id", "datasource_id", "status", "trigger", "started_at", "completed_at", "total_pages", "completed_pages"),
    *("new_pages", "updated_pages", "removed_pages", "unchanged_pages", "failed_pages", "held_pages"),
    *("limit_reached", "error_message", "created_at", "updated_at", "embedded_chunks", "seconds"),
}
HEAVY = {"alembic", "celery", "kombu", "qdrant_client", "scrapy", "sentence_transformers", "torch", "transformers"}
BRIEFING = {"id", "answerable", "profile", "behaviors", "scenarios", "passages", "prompt", "trace", "degraded"}
PASSAGE = {
    *("id", "text", "title", "heading_path", "url", "language", "score", "page_version", "fetched_at", "trust"),
    *("source", "changed_at"),
}


@contextmanager
def answering(shop: Shop) -> Iterator[tuple[Services, OrgScope]]:
    """Services beside the owner, as any other process has them."""
    crawl = {"allowed_addresses": ["127.0.0.0/8"]}
    with open_services(read_settings(data_dir=shop.sitewise.data_dir, crawl=crawl)) as services:
        yield services, services.orgs.ensure()


def test_one_command_makes_a_knowledge_base(shop: Shop) -> None:
    """A crawl keeps the site's pages, embeds them, and prints its job as JSON and nothing else."""
    job = shop.first.json()

    assert job.keys() >= JOB
    assert job["status"] == "completed"
    assert job["new_pages"] == job["completed_pages"] >= 95
    assert job["embedded_chunks"] > job["new_pages"]
    assert job["failed_pages"] == 0
    assert job["seconds"] > 0
    assert job["pages_per_second"] > 0


def test_up_serves_the_api(shop: Shop) -> None:
    """Beside the workers, from the same command: every part answers, and a key opens it."""
    with answering(shop) as (services, org):
        key = services.keys.for_org(org.org_id, name="test", partner_id=None).shown
    url = f"http://127.0.0.1:{shop.port}"
    shop.owner.until_said("api started")

    def parts() -> dict[str, str] | None:
        found: dict[str, str] = httpx.get(f"{url}/readyz", timeout=60, trust_env=False).json()["parts"]
        return found if found["database"] == "ok" else None

    ready = eventually(parts, what="database ready")
    asked = httpx.post(
        f"{url}/retrieve",
        json={"message": QUESTIONS[0]["question"]},
        headers={"Authorization": f"Bearer {key}"},
        timeout=60,
        trust_env=False,
    )

    assert (ready or {}).keys() == {"database", "broker", "vectors", "model"}
    assert asked.status_code == 200
    assert asked.json()["passages"]


def test_a_pipe_gets_plain_lines(shop: Shop) -> None:
    """Without a terminal, progress is a few plain lines on stderr, each of which says something new."""
    lines = shop.first.err.splitlines()

    assert any("found · " in line for line in lines)
    assert len(set(lines)) == len(lines)
    assert "\x1b" not in shop.first.err
    assert '"level": "info"' not in shop.first.err


@pytest.mark.parametrize("asked", QUESTIONS, ids=lambda asked: asked["pages"][0])
def test_the_page_with_the_answer_comes_up(shop: Shop, asked: dict[str, object]) -> None:
    """For each question of the demo, a page that answers it is among the passages."""
    pages = {shop.site.address(page) for page in asked["pages"]}  # type: ignore[attr-defined] # our own file

    with answering(shop) as (services, scope):
        briefing = services.answers.brief(Question(str(asked["question"])), scope=scope)

    assert briefing.answerable
    assert pages & {passage.url for passage in briefing.passages}


def test_a_briefing_is_printed_as_its_contract_says(shop: Shop) -> None:
    """`ask --json` has the fields of the HTTP contract, and provenance with every passage."""
    asked = shop.sitewise.run("ask", "What does the Grower plan cost?", "--top-k", "3", "--json")

    briefing = asked.json()
    assert asked.status == 0
    assert briefing.keys() == BRIEFING
    assert 1 <= len(briefing["passages"]) <= 3
    for passage in briefing["passages"]:
        assert passage.keys() == PASSAGE
        assert passage["url"].startswith(shop.site.url)
        assert passage["heading_path"]
    assert asked.err == ""


def test_a_question_loads_nothing_it_does_not_need(shop: Shop) -> None:
    """Asking brings no crawler, broker client, training library or migration with it."""
    asked = shop.sitewise.run("ask", "Where are you?", "--json", settings={"PYTHONPROFILEIMPORTTIME": "1"})

    loaded = {line.rpartition("|")[2].strip() for line in asked.err.splitlines()}
    assert "openvino" in loaded
    assert loaded & HEAVY == set()


def test_behaviour_is_always_there_and_a_scenario_when_it_matches(shop: Shop) -> None:
    """What is taught on the command line is in the next briefing."""
    taught = [
        shop.sitewise.run("training", "add", "--type", "BEHAVIORAL", "--title", "Tone", "--content", "Be brief."),
        shop.sitewise.run(
            *("training", "add", "--title", "Somebody wants a refund", "--content", "Ask for the order number."),
            *("--trigger", "I want my money back", "--json"),
        ),
    ]
    listed = shop.sitewise.run("training", "list", "--json").json()

    with answering(shop) as (services, scope):
        about_refunds = services.answers.brief(Question("I want my money back please"), scope=scope)
        about_snow = services.answers.brief(Question("How deep is the snow in Ambleford?"), scope=scope)

    assert [command.status for command in taught] == [0, 0]
    assert {"Tone", "Somebody wants a refund"} <= {item["title"] for item in listed["items"]}
    assert "Tone" in [behavior.title for behavior in about_refunds.behaviors]
    assert "Somebody wants a refund" in [scenario.title for scenario in about_refunds.scenarios]
    assert "Tone" in [behavior.title for behavior in about_snow.behaviors]
    assert about_snow.scenarios == ()


def test_a_second_crawl_costs_nothing(shop: Shop) -> None:
    """Nothing changed: every page is unchanged, and no vector is computed."""
    kept = shop.first.json()["new_pages"]

    again = shop.crawl().json()

    assert again["unchanged_pages"] == kept
    assert (again["new_pages"], again["updated_pages"], again["embedded_chunks"]) == (0, 0, 0)


def test_an_edited_page_costs_its_changed_chunks(shop: Shop) -> None:
    """One sentence changed: one page is updated, at most two vectors are computed, and the answer is the new one."""
    shop.site.edit("/contact", "Monday", "Wednesday")

    job = shop.crawl().json()
    with answering(shop) as (services, scope):
        shown = services.pages.show(shop.site.address("/contact"), scope=scope)

    assert job["updated_pages"] == 1
    assert 1 <= job["embedded_chunks"] <= 2
    assert "Wednesday" in (shown.markdown or "")


def test_every_address_has_a_reason(shop: Shop) -> None:
    """Whether an address is known, and why not, is said for any."""
    told = shop.sitewise.run("why", shop.site.address("/admin/"), "--json").json()
    with answering(shop) as (services, scope):
        found = [
            services.pages.why(url, scope=scope)
            for url in (
                shop.site.address("/account/sign-in"),
                shop.site.address("/pricing"),
                shop.site.address("/nowhere"),
                "https://elsewhere.example/",
            )
        ]

    assert (told["reason"], told["is_known"]) == ("robots", False)
    assert found[1].reason in {"synced", "unchanged"}
    assert [why.reason for why in (found[0], *found[2:])] == ["noindex", "pending", "off_site"]
    assert [why.is_known for why in found] == [False, True, False, False]
    assert "No crawl has come across it" in found[2].meaning


def test_a_command_uses_the_owner_that_runs(shop: Shop) -> None:
    """While `sitewise up` owns the data directory, other commands work beside it and start nothing of their own."""
    status = shop.sitewise.run("status", "--json").json()
    verified = shop.sitewise.run("verify", "--json")

    assert status["owner"]["pid"] == shop.owner.pid
    assert status["datasources"][0]["page_stats"]["synced"] >= 95
    assert verified.status == 0
    assert set(verified.json().values()) == {0}

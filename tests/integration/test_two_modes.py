"""The main job, embedded and on servers: the same pages, chunks and answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from qdrant_client import QdrantClient

from deploy.sample.serve import SampleSite
from pipeline.bootstrap import Services
from pipeline.cli.session import opened_with_store
from pipeline.model import OrgScope
from pipeline.services.answers import Question
from pipeline.settings import read_settings

QUESTIONS = Path(__file__).parents[2] / "deploy" / "sample" / "questions.json"
SECTIONS = ("/", "/docs/*", "/help/*", "/de/*")
PATIENCE_SECONDS = 240
TOLD = ("url", "status", "reason", "title", "language", "chunks", "version")


class Deployment:
    """The product on one set of servers, or none. `settings` are those of its every process."""

    def __init__(self, data_dir: Path, **variables: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SITEWISE_")}
        own = {
            "SITEWISE_CRAWL__ALLOWED_ADDRESSES": "127.0.0.0/8",
            "SITEWISE_DATA_DIR": str(data_dir),
            "SITEWISE_WORK__SWEEP_AFTER": "0",
            "SITEWISE_WORK__INDEX_PROCESSES": "1",
            "SITEWISE_EXTRACT__PROCESSES": "1",
            **variables,
        }
        self.environment = {**kept, **own}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in own.items():
                patch.setenv(name, value)
            self.settings = read_settings()

    def crawl(self, url: str) -> dict[str, Any]:
        """What `sitewise crawl --json` prints."""
        sections = [word for section in SECTIONS for word in ("--include", section)]
        words = ["crawl", url, *sections, "--json"]
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "pipeline.cli", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        job: dict[str, Any] = json.loads(done.stdout)
        return job

    @contextmanager
    def workers(self) -> Iterator[None]:
        """Worker processes as they run on any machine."""
        command = [sys.executable, "-m", "workers.run", "--queues", "crawl,index,upkeep", "--beat"]
        with subprocess.Popen(command, env=self.environment, stderr=subprocess.PIPE) as workers:  # noqa: S603 - our own
            try:
                yield
            finally:
                workers.terminate()
                workers.communicate(timeout=30)


@pytest.fixture
def collection(qdrant_url: str) -> Iterator[str]:
    """A collection name of this test's own."""
    name = f"test-{uuid4().hex[:12]}"
    yield name
    client = QdrantClient(url=qdrant_url, check_compatibility=False)
    client.delete_collection(name)
    client.close()


@pytest.mark.needs("postgres", "redis", "qdrant")
def test_both_modes_know_and_answer_the_same(
    tmp_path: Path, migrated_postgres_url: str, redis_url: str, qdrant_url: str, collection: str
) -> None:
    """One site, crawled by both: equal pages, equal chunks, equal passages in equal order."""
    embedded = Deployment(tmp_path / "embedded")
    served = Deployment(
        tmp_path / "served",
        SITEWISE_DATABASE__URL=migrated_postgres_url,
        SITEWISE_BROKER__URL=redis_url,
        SITEWISE_UPSERT__QDRANT_URL=qdrant_url,
        SITEWISE_UPSERT__COLLECTION=collection,
    )

    with SampleSite() as site:
        known_embedded = knowledge_of(embedded, site)
        with served.workers():
            known_served = knowledge_of(served, site)

    assert known_embedded["pages"] == known_served["pages"]
    for one, other in zip(known_embedded["answers"], known_served["answers"], strict=True):
        assert one == other


def knowledge_of(deployment: Deployment, site: SampleSite) -> dict[str, Any]:
    """What a deployment makes of the site, without ids and times."""
    job = deployment.crawl(site.url)
    assert job["failed_pages"] == 0
    questions = [question["question"] for question in json.loads(QUESTIONS.read_text())]
    with opened_with_store(deployment.settings) as (services, scope):
        pages = services.pages.list_pages(scope=scope, limit=1_000)
        services.upkeep.tick(schedules=False)  # sweeps twins that were indexed before they were seen to be twins
        answers = [answer(services, question, scope=scope) for question in questions]
        assert services.verification.verify(scope=scope).is_clean
    return {"pages": [tuple(getattr(page, name) for name in TOLD) for page in pages], "answers": answers}


def answer(services: Services, question: str, *, scope: OrgScope) -> tuple[object, ...]:
    """A briefing without ids."""
    briefing = services.answers.brief(Question(question), scope=scope)
    passages = [(round(row.score, 4), row.url, row.heading_path, row.text) for row in briefing.passages]
    return (briefing.answerable, *passages)

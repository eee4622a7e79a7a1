"""What `sitewise rederive` prints, over a small knowledge base on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from pipeline.cli import rederiving
from pipeline.cli.session import chosen
from pipeline.db.page_versions import PageVersion
from pipeline.services.orgs import DEFAULT_ORG
from tests.fakes.knowledge import Knowledge


@pytest.fixture(autouse=True)
def shop(tmp_path: Path) -> Iterator[Knowledge]:
    """A page whose text an older extractor made, in the data directory that the commands are told of."""
    knowledge = Knowledge(tmp_path)
    knowledge.crawl({"/": "<p>A shop that sells lamps and chairs to everybody.</p>"})
    with knowledge.services.database.write() as session:
        session.execute(update(PageVersion).values(extractor="an older one"))
    chosen.data_dir, chosen.org = tmp_path, DEFAULT_ORG
    yield knowledge
    chosen.data_dir = None
    knowledge.services.close()


def test_reading_again_is_started_watched_and_cancelled(capsys: pytest.CaptureFixture[str]) -> None:
    """Each command tells how far it is."""
    rederiving.start()
    started = capsys.readouterr().out
    rederiving.status(as_json=True)
    watched = json.loads(capsys.readouterr().out)
    rederiving.cancel()
    cancelled = capsys.readouterr().out

    assert started.startswith("running since ")
    assert "1 pages answer; of 1 another extractor made the text" in started
    assert (watched["live"], watched["outdated"], watched["left"], watched["derived"]) == (1, 1, 0, 0)
    assert cancelled.startswith("not running")


def test_an_index_worker_reads_with_the_real_extractor(shop: Knowledge, capsys: pytest.CaptureFixture[str]) -> None:
    """In a child that can be killed; the text is the same, so that only its maker's name changes."""
    rederiving.start()
    shop.services.rereading.work(owner="indexer")
    capsys.readouterr()

    rederiving.status()

    shown = capsys.readouterr().out
    assert shown.startswith("not running")
    assert "1 pages answer; of 0 another extractor made the text" in shown

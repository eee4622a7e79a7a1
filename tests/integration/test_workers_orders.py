"""Other services ask for crawls by messages of documented names, from programs that know nothing of this code."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from uuid import uuid4

import pytest

from pipeline.adapters.celery import broker_url
from pipeline.errors import DatasourceExists, InvalidInput, OrgNotFound
from pipeline.model import CrawlStatus, CrawlTrigger
from pipeline.services.audit import AuditView
from tests.fakes.knowledge import SITE, Knowledge
from tests.lab import LabSite
from tests.lab.embedded import Embedded
from tests.lab.waiting import eventually

STRANGER = """
import sys
from celery import Celery
app = Celery(broker=sys.argv[1])
for url in sys.argv[3:]:
    app.send_task("sitewise.v1.add_website", kwargs={"org_id": sys.argv[2], "url": url}, queue="upkeep")
assert not any(name.split(".")[0] in {"pipeline", "workers", "spiders"} for name in sys.modules)
"""

STARTER = """
import sys
from celery import Celery
app = Celery(broker=sys.argv[1])
for datasource_id in sys.argv[3:]:
    fields = {"org_id": sys.argv[2], "datasource_id": datasource_id}
    app.send_task("sitewise.v1.start_crawl", kwargs=fields, queue="upkeep")
assert not any(name.split(".")[0] in {"pipeline", "workers", "spiders"} for name in sys.modules)
"""


@pytest.fixture
def site() -> Iterator[LabSite]:
    """One page."""
    with LabSite() as lab:
        lab.page("/", text="Birch and Tide sells kayaks, paddles and dry bags to people who like cold water.")
        yield lab


def audit_of(knowledge: Knowledge | Embedded) -> list[AuditView]:
    """What was done in the org, newest first."""
    scope = knowledge.org if isinstance(knowledge, Knowledge) else knowledge.scope
    return list(knowledge.services.audit.of_org(scope=scope).items)


def test_a_program_that_knows_nothing_of_us_has_a_website_crawled(
    site: LabSite, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Its message has the effect of the request; sent twice, or wrong, it is refused, and the audit says so."""
    with Embedded(tmp_path_factory.mktemp("sitewise")) as sitewise:
        urls = [site.url, site.url, "ftp://files.example.org/"]
        command = [sys.executable, "-c", STRANGER, broker_url(sitewise.settings), str(sitewise.scope.org_id), *urls]
        subprocess.run(command, check=True, cwd="/")  # noqa: S603 - our own words

        eventually(lambda: len(audit_of(sitewise)) == len(urls))
        (source,) = sitewise.services.crawls.list_datasources(scope=sitewise.scope)
        (crawl,) = sitewise.services.crawls.list_jobs(scope=sitewise.scope)
        ended = sitewise.until_ended(crawl)
        results = sorted(entry.result for entry in audit_of(sitewise))
        asked = [str(source.id), str(uuid4())]
        command = [sys.executable, "-c", STARTER, broker_url(sitewise.settings), str(sitewise.scope.org_id), *asked]
        subprocess.run(command, check=True, cwd="/")  # noqa: S603 - as above
        eventually(lambda: len(audit_of(sitewise)) == len(urls) + len(asked))
        again = sitewise.until_ended(sitewise.services.crawls.list_jobs(scope=sitewise.scope)[0])
        started = sorted(entry.result for entry in audit_of(sitewise) if entry.action == "crawl.start")

    assert source.url == f"{site.url}/"
    assert (ended.status, ended.trigger, ended.completed_pages) == (CrawlStatus.COMPLETED, CrawlTrigger.API, 1)
    assert results == ["datasource_exists", "done", "invalid_url"]
    assert (again.status, again.trigger, again.id == ended.id) == (CrawlStatus.COMPLETED, CrawlTrigger.API, False)
    assert started == ["datasource_not_found", "done"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "url"),
        ({"url": SITE, "page_limit": "ten"}, "page_limit"),
        ({"url": SITE, "page_limit": 0}, "page_limit"),
        ({"url": SITE, "secret": 1}, "secret"),
        ({"url": SITE, "auto_start_crawl": "perhaps"}, "auto_start_crawl"),
        ({"url": SITE, "org_id": "mine"}, "org_id"),
    ],
)
@pytest.mark.parametrize("knowledge", ["sqlite"], indirect=True)
def test_a_wrong_field_is_named_and_nothing_is_added(
    knowledge: Knowledge, fields: dict[str, object], field: str
) -> None:
    """The checks are those of the HTTP API."""
    given = {"org_id": str(knowledge.org.org_id)} | fields

    with pytest.raises(InvalidInput) as refused:
        knowledge.services.orders.add_website(given)

    assert refused.value.facts["field"] == field
    assert knowledge.services.crawls.list_datasources(scope=knowledge.org) == []


def test_an_order_is_carried_out_once_and_written_down(knowledge: Knowledge) -> None:
    """Website, crawl and audit entry are one transaction; another org's website is not found."""
    orders, org = knowledge.services.orders, str(knowledge.org.org_id)

    source = orders.add_website({"org_id": org, "url": SITE, "auto_start_crawl": False, "include_paths": ["/help/*"]})
    crawl = orders.start_crawl({"org_id": org, "datasource_id": str(source)})
    with pytest.raises(DatasourceExists):
        orders.add_website({"org_id": org, "url": SITE})
    with pytest.raises(OrgNotFound):
        orders.start_crawl({"org_id": str(uuid4()), "datasource_id": str(source)})

    told = {(entry.action, entry.result, entry.object_id) for entry in audit_of(knowledge)}
    assert knowledge.services.crawls.job(crawl, scope=knowledge.org).datasource_id == source
    assert told == {
        ("datasource.create", "done", str(source)),
        ("crawl.start", "done", str(crawl)),
        ("datasource.create", "datasource_exists", None),
    }

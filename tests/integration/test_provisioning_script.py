"""The scripts of the README take a customer from nothing to an answer, and make nothing twice."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from deploy.examples.provision import provision
from pipeline.errors import LeaseLost
from pipeline.model import CrawlStatus, OrgScope
from tests.architecture.source import ROOT
from tests.fakes.knowledge import SITE, Knowledge, paragraphs, walk
from tests.lab.api import ApiLab, served

SHOP = {
    "/": paragraphs(2, about="home"),
    "/returns": "<p>Send an order back within thirty days and get the money back by the same way you paid.</p>",
}
Run = Callable[[ApiLab, str], dict[str, Any]]


@pytest.fixture(scope="module")
def lab(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiLab]:
    """A served API whose crawls are done as they are started."""
    data_dir = tmp_path_factory.mktemp("provisioning")
    shutil.copytree(sqlite_template, data_dir, dirs_exist_ok=True)
    with served(data_dir) as opened:
        opened.services.orgs.ensure()
        stop = threading.Event()
        worker = threading.Thread(target=_work, args=(opened.knowledge, stop))
        worker.start()
        yield opened
        stop.set()
        worker.join()


def _work(knowledge: Knowledge, stop: threading.Event) -> None:
    """Be the workers: crawl what was started."""
    done: set[UUID] = set()
    while not stop.wait(0.05):
        for crawl_id in {target for kind, target in knowledge.hints.sent if kind == "crawl"} - done:
            done.add(crawl_id)
            _crawl(knowledge, crawl_id)


def _crawl(knowledge: Knowledge, crawl_id: UUID) -> None:
    from pipeline.db.crawls import Crawl  # noqa: PLC0415 - of this one look into a row

    with knowledge.services.database.read() as session:
        scope = OrgScope(session.get_one(Crawl, crawl_id).org_id)
    try:
        ledger, _ = knowledge.hold(crawl_id, scope=scope)
        walk(ledger, SHOP, knowledge.clock)
    except LeaseLost:
        return
    knowledge.index()


def in_python(lab: ApiLab, customer: str) -> dict[str, Any]:
    """What the Python script shows."""
    done = provision(lab.url, lab.partner_key, customer=customer, website=SITE, look_every=0.05)
    assert isinstance(done["briefing"], dict)
    return done["briefing"]


def in_curl(lab: ApiLab, customer: str) -> dict[str, Any]:
    """What the shell script shows."""
    environment = {"SITEWISE_SERVER": lab.url, "SITEWISE_KEY": lab.partner_key, "LOOK_EVERY": "0.1"}
    done = subprocess.run(  # noqa: S603 - our own script
        ["/bin/sh", str(ROOT / "deploy/examples/provision.sh"), customer, SITE],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )
    briefing: dict[str, Any] = json.loads(done.stdout)
    return briefing


@pytest.mark.parametrize("run", [in_python, in_curl])
@pytest.mark.parametrize("name", ["cus_", 'Zoë "Q" O\'Neil & Sons, 100% #1 + $HOME/?a=b\\n '])
def test_a_customer_is_provisioned_once(lab: ApiLab, run: Run, name: str) -> None:
    """Org, key, website, crawl, two scenarios, an answer; run again, the same ones; whatever the customer is called."""
    customer = f"{name}{uuid4().hex}"

    briefings = [run(lab, customer) for _ in range(2)]

    (org,) = lab.partner.get("/partner/v1/orgs", params={"external_id": customer}).json()["items"]
    assert (org["name"], org["external_id"]) == (customer, customer)
    keys = lab.partner.get(f"/partner/v1/orgs/{org['id']}/api-keys").json()["items"]
    scope = OrgScope(UUID(org["id"]))
    websites = lab.services.datasources.page_through(scope=scope).items
    jobs = lab.services.crawls.list_jobs(scope=scope)
    assert len(keys) == len(websites) == 1
    assert [job.status for job in jobs] == [CrawlStatus.COMPLETED]
    assert {row.title for row in lab.services.training.list_scenarios(scope=scope)} == {"Tone of voice", "Refunds"}
    assert len(lab.services.training.list_scenarios(scope=scope)) == 2
    for briefing in briefings:
        assert [behavior["title"] for behavior in briefing["behaviors"]] == ["Tone of voice"]
        assert any("thirty days" in passage["text"] for passage in briefing["passages"])

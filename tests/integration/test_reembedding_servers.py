"""Another model takes over on real servers, while workers are killed, pages change and readers never stop asking."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil
import pytest
from qdrant_client import QdrantClient

from pipeline.bootstrap import Services, open_services
from pipeline.db.generations import KEPT, SERVING
from pipeline.errors import SitewiseError
from pipeline.model import CrawlStatus, Verification
from pipeline.services.answers import Question
from tests.chaos.deployment import Deployment, settings_for
from tests.chaos.site import Running, site
from tests.chaos.storms import Machines
from tests.lab.tiny_bert import write_tiny_bert
from tests.lab.waiting import eventually

pytestmark = pytest.mark.needs("postgres", "redis", "qdrant")

PAGES = 80
ASKED = 57
QUESTION = f"Which leaflet is no{ASKED}, and what is its price?"
PATIENCE_SECONDS = 180


@pytest.fixture
def shop() -> Iterator[Running]:
    """A website of small pages, in a process of its own."""
    with site(PAGES) as running:
        yield running


@pytest.fixture
def deployment(tmp_path: Path, migrated_postgres_url: str, redis_url: str, qdrant_url: str) -> Iterator[Deployment]:
    """Settings of a Sitewise on these servers, its tables made; no worker runs yet."""
    servers = {"postgres": migrated_postgres_url, "redis": redis_url, "qdrant": qdrant_url}
    settings = settings_for(tmp_path, servers, index_batch=4)
    with Deployment(tmp_path, settings) as deployed:
        yield deployed
    client = QdrantClient(url=qdrant_url, check_compatibility=False)
    for collection in client.get_collections().collections:
        if collection.name.startswith(settings.upsert.collection):
            client.delete_collection(collection.name)
    client.close()


@pytest.fixture
def set_anew(deployment: Deployment) -> Iterator[Services]:
    """A process of the same deployment whose settings name a model of another width."""
    model = write_tiny_bert(deployment.folder / "wider", max_tokens=512, dimension=48, seed=2)
    embed = deployment.settings.embed.model_copy(update={"model": str(model)})
    services = open_services(deployment.settings.model_copy(update={"embed": embed}))
    yield services
    services.close()


class Reader:
    """Asks the same thing over and over while it is entered, in a process's stead, and keeps what was wrong."""

    def __init__(self, deployment: Deployment, services: Services) -> None:
        self._scope = deployment.scope
        self._services = services
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)
        self.asked = 0
        self.wrong: list[object] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.01):
            try:
                found = self._services.answers.brief(Question(QUESTION), scope=self._scope)
            except SitewiseError as error:
                self.wrong.append(error)
                continue
            self.asked += 1
            urls = [passage.url.rpartition("/")[2] for passage in found.passages]
            if found.degraded or str(ASKED) not in urls:
                self.wrong.append((found.degraded, urls))


def kill_index_workers(deployment: Deployment, until: threading.Event) -> int:
    """Kill one each time the new model has some more pages, and one more; returns how many were killed."""
    killed, seen = 0, None
    while not until.wait(0.05):
        filling = [view for view in deployment.services.reembedding.under_way() if view.missing]
        if filling and filling[0].missing != seen and killed < 4:
            seen = filling[0].missing
            for process in deployment.processes().get("index", [])[:1]:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
                    killed += 1
    return killed


def states(deployment: Deployment) -> dict[int, str]:
    """Every generation that is not gone, and how it stands."""
    return {view.number: view.state for view in deployment.services.reembedding.under_way()}


def test_a_model_takes_over_on_servers_amid_kills_and_changes(
    deployment: Deployment, set_anew: Services, shop: Running
) -> None:
    """Index workers are killed as they fill and every page changes meanwhile: no answer lacks anything.

    In the end both generations have every point, none too many, and the way back is as good.
    """
    machines = Machines(deployment, 2)
    first = deployment.until_ended(deployment.start_crawl(shop.url), seconds=PATIENCE_SECONDS)
    with Reader(deployment, deployment.services) as before, Reader(deployment, set_anew) as anew:
        set_anew.reembedding.start()
        shop.edit()
        second = deployment.start_crawl(shop.url)
        changed = threading.Event()
        killer = threading.Thread(target=lambda: kills.append(kill_index_workers(deployment, changed)))
        kills: list[int] = []
        killer.start()
        eventually(lambda: states(deployment) == {2: SERVING, 1: KEPT}, seconds=PATIENCE_SECONDS, what="the change")
        changed.set()
        killer.join()
        second = deployment.until_ended(second, seconds=PATIENCE_SECONDS)
        asked = before.asked, anew.asked
        eventually(lambda: before.asked > asked[0] and anew.asked > asked[1], what="answers after the change")
        reports = [deployment.services.verification.verify(scope=deployment.scope, generation=one) for one in (1, 2)]
        points = [deployment.services.store().at(one).count(scope=deployment.scope) for one in (1, 2)]
        set_anew.reembedding.roll_back()
        eventually(lambda: states(deployment) == {2: KEPT, 1: SERVING}, seconds=PATIENCE_SECONDS, what="the way back")
    machines.stop()

    assert (first.status, second.status) == (CrawlStatus.COMPLETED, CrawlStatus.COMPLETED)
    assert (first.new_pages, second.updated_pages) == (PAGES, PAGES)
    assert kills
    assert kills[0] > 0
    assert before.wrong == anew.wrong == []
    assert reports == [Verification(), Verification()]
    assert min(points) > PAGES
    assert deployment.services.verification.verify(scope=deployment.scope) == Verification()

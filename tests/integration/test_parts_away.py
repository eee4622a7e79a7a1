"""A server is gone, or frozen: the API answers in time all the same, in server mode, and says what is the matter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import httpx
import pytest
from qdrant_client import QdrantClient

from pipeline.bootstrap import open_services
from pipeline.model import ScenarioType
from pipeline.owner.environment import environment_of
from pipeline.services.training import NewScenario
from pipeline.settings import Settings, read_settings
from tests.chaos.proxy import Proxy
from tests.conftest import postgres_database
from tests.lab import LabSite
from tests.lab.api_process import api_process
from tests.lab.tiny_bert import write_tiny_bert
from tests.lab.waiting import eventually

pytestmark = pytest.mark.needs("postgres", "redis", "qdrant")

PROMISED_SECONDS = 2.0
ROUNDS = 3
"""A machine that does much else may be late once, but not every time."""

ANSWER_SECONDS = 60
WEIGHTS = "model.safetensors"
QUESTION = {"message": "What does Birch and Tide sell?"}
Outage = Callable[[Proxy], None]
OUTAGES: dict[str, Outage] = {"gone": Proxy.leave, "frozen": Proxy.freeze}


@dataclass(frozen=True, slots=True)
class Deployed:
    """The API in a process of its own, before each server a proxy, and workers that go past all but the broker's."""

    settings: Settings
    http: httpx.Client
    site: LabSite
    datasource: str
    database: Proxy
    broker: Proxy
    vectors: Proxy

    def ready(self) -> None:
        """Wait until nothing is lacking."""
        for proxy in (self.database, self.broker, self.vectors):
            proxy.mend()
        eventually(lambda: self.http.get("/readyz").json()["status"] == "ok", what="every part is there")
        eventually(lambda: self.http.get("/crawl").status_code == 200, what="database is seen to be back")
        eventually(self._is_whole, what="a briefing that lacks nothing")

    def _is_whole(self) -> bool:
        answer = self.http.post("/retrieve", json=QUESTION)
        return answer.status_code == 200 and answer.json()["degraded"] == []


def proxied(url: str, proxy: Proxy) -> str:
    """The same address, by way of the proxy."""
    parts = urlsplit(url)
    account = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{account}{'@' if account else ''}127.0.0.1:{proxy.port}"))


def before(url: str) -> Proxy:
    """A proxy before the server at this address."""
    parts = urlsplit(url)
    return Proxy(parts.hostname or "127.0.0.1", parts.port or 0)


@contextmanager
def workers(settings: Settings) -> Iterator[None]:
    """Workers as on any machine."""
    command = [sys.executable, "-m", "workers.run", "--beat"]
    with subprocess.Popen(command, env=environment_of(settings), stderr=subprocess.DEVNULL) as running:  # noqa: S603 - our own
        try:
            yield
        finally:
            running.terminate()
            running.wait(ANSWER_SECONDS)


@pytest.fixture(scope="module")
def deployed(
    postgres_template: str, redis_url: str, qdrant_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    """A website that was crawled, one scenario, and everything there."""
    folder = tmp_path_factory.mktemp("deployed")
    model = write_tiny_bert(folder / "model", max_tokens=512)
    collection = f"test-{uuid4().hex[:12]}"
    with ExitStack() as opened:
        opened.callback(drop, qdrant_url, collection)
        postgres = opened.enter_context(postgres_database(template=postgres_template))
        database, broker, vectors = (opened.enter_context(before(url)) for url in (postgres, redis_url, qdrant_url))
        settings = read_settings(
            data_dir=folder / "data",
            cache_dir=folder / "cache",
            database={"url": postgres},
            broker={"url": proxied(redis_url, broker)},
            upsert={"qdrant_url": qdrant_url, "collection": collection},
            embed={"model": str(model), "backend": "openvino", "precision": "fp32"},
            crawl={"allowed_addresses": "127.0.0.0/8"},
            extract={"processes": 1},
            work={"tick": "PT0.5S", "hint_delays": ["PT0.5S", "PT1S"]},
        )
        asked = settings.model_copy(
            update={
                "database": settings.database.model_validate({"url": proxied(postgres, database)}),
                "upsert": settings.upsert.model_copy(update={"qdrant_url": proxied(qdrant_url, vectors)}),
            }
        )
        services = opened.enter_context(open_services(settings))
        scope = services.orgs.ensure()
        services.training.add(NewScenario("Tone", "Be kind.", type=ScenarioType.BEHAVIORAL), scope=scope)
        key = services.keys.for_org(scope.org_id, name="lab", partner_id=None).shown
        site = opened.enter_context(LabSite())
        site.page("/", text="Birch and Tide sells kayaks, paddles and dry bags to people who like cold water.")
        opened.enter_context(workers(settings))
        url = opened.enter_context(api_process(asked, folder / "api.log"))
        headers = {"Authorization": f"Bearer {key}"}
        client = opened.enter_context(
            httpx.Client(base_url=url, headers=headers, timeout=ANSWER_SECONDS, trust_env=False)
        )
        eventually(lambda: client.get("/crawl").status_code == 200, what="database is seen to be there")
        added = client.post("/crawl", json={"url": site.url}).json()["id"]
        eventually(lambda: is_crawled(client, added), what="website crawled")
        yield Deployed(asked, client, site, added, database, broker, vectors)


def drop(qdrant_url: str, collection: str) -> None:
    """Forget what was stored."""
    client = QdrantClient(url=qdrant_url, check_compatibility=False)
    client.delete_collection(collection)
    client.close()


def is_crawled(client: httpx.Client, datasource: str) -> bool:
    """Whether the newest crawl of a website is done."""
    answer = client.get(f"/crawl/{datasource}/crawls")
    items = answer.json()["items"] if answer.status_code == 200 else []
    return bool(items) and items[0]["status"] == "completed"


def soonest(ask: Callable[[], httpx.Response], begin: Callable[[], None], again: Callable[[], None]) -> httpx.Response:
    """The answer of the first round that came in time; of the last, if none did. Each round begins a new outage."""
    for _ in range(ROUNDS):
        again()
        begin()
        began = time.monotonic()
        answer = ask()
        took = time.monotonic() - began
        if took < PROMISED_SECONDS:
            break
    assert took < PROMISED_SECONDS, f"{took:.2f} s"
    return answer


@pytest.mark.parametrize("outage", OUTAGES)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/crawl"), ("POST", "/crawl"), ("POST", "/training"), ("POST", "/retrieve")]
)
def test_without_the_database_a_request_is_refused_in_time(
    deployed: Deployed, outage: str, method: str, path: str
) -> None:
    """The first one after it went, too. It is 503, and says so; nothing of it happens once the database is back."""
    bodies = {"/crawl": {"url": deployed.site.url}, "/training": {"title": "T", "content": "C"}, "/retrieve": QUESTION}
    body = None if method == "GET" else bodies[path]

    answer = soonest(
        lambda: deployed.http.request(method, path, json=body),
        lambda: OUTAGES[outage](deployed.database),
        deployed.ready,
    )
    deployed.ready()

    assert answer.status_code == 503
    assert answer.json()["code"] == "database_unavailable"
    assert deployed.http.get("/crawl").status_code == 200
    assert [row["title"] for row in deployed.http.get("/training").json()["items"]] == ["Tone"]


@pytest.mark.parametrize("outage", OUTAGES)
def test_without_the_broker_a_crawl_is_accepted_in_time_and_runs_when_it_is_back(
    deployed: Deployed, outage: str
) -> None:
    """202, because the row is all that counts; the hint waits beside it."""
    path = f"/crawl/{deployed.datasource}/crawls"

    def settled() -> None:
        deployed.ready()
        eventually(lambda: is_crawled(deployed.http, deployed.datasource), what="crawl before")

    answer = soonest(lambda: deployed.http.post(path), lambda: OUTAGES[outage](deployed.broker), settled)
    eventually(lambda: deployed.http.get("/readyz").json()["parts"]["broker"] != "ok", what="readiness says so")
    deployed.ready()

    job = f"{path}/{answer.json()['id']}"
    eventually(lambda: deployed.http.get(job).json()["status"] == "completed", what="crawl ran")
    assert answer.status_code == 202
    assert deployed.http.get(job).json()["total_pages"] == 1


@pytest.mark.parametrize("outage", OUTAGES)
def test_without_the_vector_store_a_briefing_says_so_in_time(deployed: Deployed, outage: str) -> None:
    """Behaviour is told all the same."""
    answer = soonest(
        lambda: deployed.http.post("/retrieve", json=QUESTION),
        lambda: OUTAGES[outage](deployed.vectors),
        deployed.ready,
    )
    deployed.ready()

    assert answer.status_code == 200
    assert answer.json()["degraded"] == ["vector_store"]
    assert [row["title"] for row in answer.json()["behaviors"]] == ["Tone"]
    assert deployed.http.post("/retrieve", json=QUESTION).json()["passages"]


@pytest.mark.parametrize("outage", OUTAGES)
def test_without_the_vector_store_a_search_says_so_in_time(deployed: Deployed, outage: str) -> None:
    """Training is found all the same."""
    answer = soonest(
        lambda: deployed.http.post("/training/search", json={"query": "kind"}),
        lambda: OUTAGES[outage](deployed.vectors),
        deployed.ready,
    )
    deployed.ready()

    assert answer.status_code == 200
    assert answer.json()["degraded"] == ["vector_store"]
    assert [row["kind"] for row in answer.json()["items"]] == ["scenario"]


@contextmanager
def away(weights: Path, *, is_frozen: bool) -> Iterator[None]:
    """A model whose weights are missing, or on a disk that does not answer: who opens them waits for ever."""
    kept = weights.rename(weights.with_suffix(".kept"))
    if is_frozen:
        os.mkfifo(weights)
    try:
        yield
    finally:
        weights.unlink(missing_ok=True)
        kept.rename(weights)


@pytest.mark.parametrize("is_frozen", [False, True])
@pytest.mark.parametrize("is_set", [True, False])
def test_without_the_model_a_briefing_says_so_in_time(
    deployed: Deployed, tmp_path: Path, *, is_frozen: bool, is_set: bool
) -> None:
    """Passages are found by their words; where another model is set than the one that answers, too."""
    deployed.ready()
    answering = Path(deployed.settings.embed.model)
    model = answering if is_set else shutil.copytree(answering, tmp_path / "model")
    settings = deployed.settings.model_copy(
        update={"embed": deployed.settings.embed.model_copy(update={"model": str(model)})}
    )

    with (
        away(answering / WEIGHTS, is_frozen=is_frozen),
        away(model / WEIGHTS, is_frozen=is_frozen) if model != answering else nullcontext(),
        api_process(settings, tmp_path / "api.log") as url,
        httpx.Client(base_url=url, headers=deployed.http.headers, timeout=ANSWER_SECONDS, trust_env=False) as client,
    ):
        briefing = soonest(lambda: client.post("/retrieve", json=QUESTION), nothing, nothing)
        search = soonest(lambda: client.post("/training/search", json={"query": "kind"}), nothing, nothing)

    assert briefing.status_code == 200
    assert briefing.json()["degraded"] == ["model"]
    assert [row["title"] for row in briefing.json()["behaviors"]] == ["Tone"]
    assert briefing.json()["passages"]
    assert search.status_code == 503
    assert search.json()["code"] in {"embedder_unavailable", "model_not_found"}


def nothing() -> None:
    """It is away from the beginning."""

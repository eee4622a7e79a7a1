"""Settings of a Qdrant server, measured one by one: memory, CPU of a search, and the recall each costs.

`python -m tests.benchmarks.vector_settings --qdrant PROGRAM [--points N] [--only NAME …]` starts a server of its own
for every variant, fills it, starts it again and asks. Orgs are as unequal as customers are: one has 40 % of all points,
four have 25 % together, the others are small. With `SITEWISE_EVAL_DATA` vectors vary around those of the `mtrag`
passages as these vary among each other, and questions are real ones; without, both are drawn around random centres.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from uuid import UUID

import httpx
import numpy as np
import psutil

from pipeline.adapters.embedder import open_embedder
from pipeline.model import Vector
from pipeline.settings import read_settings
from tests.benchmarks.retrieve_points import AS_JSON, settle
from tests.benchmarks.retrieve_rows import WORDS, Terms, words_of
from tests.evaluation import datasets
from tests.evaluation.report import say

COLLECTION = "bench"
QUESTIONS = 100
FIRST, ALL = 10, 60
AT_A_TIME = 256
READY_SECONDS = 120
LETTERS = 700
"""Of a passage, so much is embedded."""

VARIED = 0.6
"""How far a drawn vector lies from a real one, as a share of how far real ones lie apart."""

Body = dict[str, object]

WIDE: Body = {"hnsw_ef": 256}
FORCED: Body = {"full_scan_threshold": 10}
"""Kilobytes from which a graph is walked: so that small tenants show what it costs as well."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A collection's settings, and how it is searched."""

    name: str
    graph: Body
    vectors: Body
    quantisation: Body | None = None
    search: Body | None = None
    sparse: Body | None = None
    on_disk_payload: bool = True
    is_parted: bool = False
    """Whether the largest org has a shard of its own, which only a server that is a cluster can give it."""


INT8: Body = {"scalar": {"type": "int8", "quantile": 0.99, "always_ram": True}}
ON_DISK: Body = {"on_disk": True}
TENANTS: Body = {"m": 0, "payload_m": 16, "ef_construct": 128}
NO_GRAPH: Body = {"m": 0, "payload_m": 0}


def _rescored(oversampling: float | None, *, rescore: bool = True) -> Body:
    chosen: Body = {"rescore": rescore}
    return {**WIDE, "quantization": chosen if oversampling is None else {**chosen, "oversampling": oversampling}}


VARIANTS = (
    Variant("tenants, payload_m 16", TENANTS, {}, search=WIDE),
    Variant("payload_m 8", {**TENANTS, "payload_m": 8}, {}, search=WIDE),
    Variant("payload_m 32", {**TENANTS, "payload_m": 32}, {}, search=WIDE),
    Variant("no graph", NO_GRAPH, {}),
    Variant("one graph, m 16", {"m": 16, "ef_construct": 128}, {}, search=WIDE),
    Variant("vectors on disk", TENANTS, ON_DISK, search=WIDE),
    Variant("vectors and words on disk", TENANTS, ON_DISK, search=WIDE, sparse={"on_disk": True}),
    Variant("payload in memory", TENANTS, {}, search=WIDE, on_disk_payload=False),
    Variant("a shard of its own for the largest", TENANTS, {}, search=WIDE, is_parted=True),
    Variant("int8 not rescored", TENANTS, ON_DISK, INT8, _rescored(None, rescore=False)),
    Variant("int8 rescored", TENANTS, ON_DISK, INT8, _rescored(None)),
    Variant("int8 rescored of twice", TENANTS, ON_DISK, INT8, _rescored(2.0)),
)


@dataclass(frozen=True, slots=True)
class Stock:
    """What is stored and asked: vectors of all orgs one after another, and where each org begins."""

    dense: Vector
    questions: Vector
    begins: tuple[int, ...]

    def of(self, org: int) -> Vector:
        """The vectors of one org."""
        return self.dense[self.begins[org] : self.begins[org + 1]]


def draw(points: int, *, seed: int = 3) -> Stock:
    """Points of orgs of unequal size, and questions."""
    rng = np.random.default_rng(seed)
    sizes = [points * 4 // 10, *[points // 16] * 4]
    small = max(points // 1_000, 50)
    sizes += [small] * ((points - sum(sizes)) // small)
    passages, questions = _real() or _drawn(rng)
    near = rng.integers(0, len(passages), (3, sum(sizes)))
    dense = passages[near[0]] + VARIED * (passages[near[1]] - passages[near[2]])
    return Stock(_unit(dense), questions[:QUESTIONS], tuple(np.cumsum([0, *sizes]).tolist()))


@cache
def _real() -> tuple[Vector, Vector] | None:
    """Vectors of the `mtrag` passages and questions, where they are."""
    place = datasets.root()
    if place is None:
        return None
    settings = read_settings()
    embedder = open_embedder(settings.embed, cache_dir=settings.cache_dir)
    found = datasets.read("mtrag", place)
    passages = embedder.encode_queries([page.text[:LETTERS] for page in found.pages])
    return passages, embedder.encode_queries([question.text for question in found.questions])


def _drawn(rng: np.random.Generator) -> tuple[Vector, Vector]:
    centres = rng.standard_normal((200, 384), dtype=np.float32)
    drawn = centres[rng.integers(0, 200, 3_000)] + rng.standard_normal((3_000, 384), dtype=np.float32)
    return _unit(drawn[QUESTIONS:]), _unit(drawn[:QUESTIONS])


def _unit(vectors: Vector) -> Vector:
    found: Vector = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return found


def shard_of(org: int) -> Body:
    """What names an org's shard in a request."""
    return {"shard_key": "largest" if org == 0 else "others"}


def write(url: str, variant: Variant, stock: Stock, requests: Sequence[tuple[int, bytes]]) -> None:
    """Make the collection with its indexes, and write every point."""
    made: Body = {
        "vectors": {"dense": {"size": stock.dense.shape[1], "distance": "Cosine", **variant.vectors}},
        "sparse_vectors": {"sparse": {"modifier": "idf", "index": variant.sparse or {}}},
        "hnsw_config": {**variant.graph, **FORCED},
        "optimizers_config": {"indexing_threshold": 10},
        "on_disk_payload": variant.on_disk_payload,
        "quantization_config": variant.quantisation,
        **({"sharding_method": "custom", "shard_number": 1} if variant.is_parted else {}),
    }
    with httpx.Client(base_url=f"{url}/collections/{COLLECTION}", timeout=600) as client:
        client.put("", json=made).raise_for_status()
        for org in range(2 if variant.is_parted else 0):
            client.put("/shards", json=shard_of(org)).raise_for_status()
        tenant = {"field_name": "org_id", "field_schema": {"type": "keyword", "is_tenant": True}}
        client.put("/index?wait=true", json=tenant).raise_for_status()
        for org, points in requests:
            shard = AS_JSON.dump_json(shard_of(org))[1:-1] + b", " if variant.is_parted else b""
            client.put("/points?wait=true", content=b"{" + shard + points[1:]).raise_for_status()
    settle(url, COLLECTION)


def requests_of(stock: Stock) -> list[tuple[int, bytes]]:
    """The requests that write every point, each with the number of its first org; the largest shares none."""
    rng, terms = np.random.default_rng(5), Terms()
    requests = []
    largest = stock.begins[1]
    for first in (*range(0, largest, AT_A_TIME), *range(largest, len(stock.dense), AT_A_TIME)):
        part = stock.dense[first : min(first + AT_A_TIME, largest if first < largest else len(stock.dense))]
        orgs = np.searchsorted(stock.begins, np.arange(first, first + len(part)), side="right") - 1
        sparse = terms.of(words_of((len(part), WORDS), rng))
        points = [
            {
                "id": str(UUID(int=first + number)),
                "vector": {"dense": dense, "sparse": {"indices": indices, "values": weights}},
                "payload": {"org_id": str(UUID(int=org)), "page_id": str(UUID(int=first // 30)), "language": "en"},
            }
            for number, (dense, org, (indices, weights)) in enumerate(
                zip(part.astype(float).round(6).tolist(), orgs.tolist(), sparse, strict=True)
            )
        ]
        requests.append((int(orgs[0]), AS_JSON.dump_json({"points": points})))
    return requests


@dataclass(frozen=True, slots=True)
class Asked:
    """Of one org: shares of the best 10 and 60 that were found, and the server's CPU for one search, in ms."""

    first: float
    every: float
    cpu: float


def ask(url: str, server: psutil.Process, stock: Stock, org: int, variant: Variant) -> Asked:
    """Ask every question of one org."""
    dense = stock.of(org)
    first, every = [], []
    with httpx.Client(base_url=f"{url}/collections/{COLLECTION}", timeout=60) as client:
        began = _cpu(server)
        for question in stock.questions:
            body = {
                "query": question.tolist(),
                "using": "dense",
                "limit": ALL + 1,
                "filter": {"must": [{"key": "org_id", "match": {"value": str(UUID(int=org))}}]},
                "params": variant.search,
                **(shard_of(org) if variant.is_parted else {}),
            }
            said = client.post("/points/query", json=body).json()["result"]["points"]
            best = (np.argsort(-(dense @ question))[:ALL] + stock.begins[org]).tolist()
            found = [UUID(point["id"]).int for point in said[:ALL]]
            first.append(len(set(found[:FIRST]) & set(best[:FIRST])) / FIRST)
            every.append(len(set(found) & set(best)) / len(best))
        cpu = (_cpu(server) - began) / len(stock.questions)
    return Asked(float(np.mean(first)), float(np.mean(every)), 1_000 * cpu)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def server(program: Path, folder: Path, *, peer: int | None) -> Iterator[tuple[str, psutil.Process]]:
    """A server of its own over a folder: its address and process; a cluster of one where it has a port for peers."""
    ports = free_port(), free_port()
    variables = {
        "QDRANT__SERVICE__HOST": "127.0.0.1",
        "QDRANT__SERVICE__HTTP_PORT": str(ports[0]),
        "QDRANT__SERVICE__GRPC_PORT": str(ports[1]),
        "QDRANT__STORAGE__STORAGE_PATH": str(folder / "storage"),
        "QDRANT__STORAGE__SNAPSHOTS_PATH": str(folder / "snapshots"),
        "QDRANT__TELEMETRY_DISABLED": "true",
    }
    command = [str(program)]
    if peer is not None:
        variables |= {"QDRANT__CLUSTER__ENABLED": "true", "QDRANT__CLUSTER__P2P__PORT": str(peer)}
        command += ["--uri", f"http://127.0.0.1:{peer}"]
    url = f"http://127.0.0.1:{ports[0]}"
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=folder, stdout=quiet, stderr=quiet, env=variables) as process:  # noqa: S603 - the program that was named
        transport = httpx.HTTPTransport(retries=READY_SECONDS)
        with httpx.Client(transport=transport, timeout=READY_SECONDS) as client:
            client.get(f"{url}/readyz")
        yield url, psutil.Process(process.pid)
        process.terminate()


def free_port() -> int:
    """A port of this machine's own that nobody has."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def measure(program: Path, variant: Variant, stock: Stock, requests: Sequence[tuple[int, bytes]]) -> None:
    """One line of the table."""
    peer = free_port() if variant.is_parted else None
    with tempfile.TemporaryDirectory(prefix="sitewise-") as name:
        folder = Path(name)
        with server(program, folder, peer=peer) as (url, process):
            write(url, variant, stock, requests)
            building = _cpu(process)
        disk = sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())
        with server(program, folder, peer=peer) as (url, process):
            settle(url, COLLECTION)
            asked = [ask(url, process, stock, org, variant) for org in (0, 1, len(stock.begins) - 2)]
            held = _held(process)
    figures = [f"{one.first:.3f} / {one.every:.3f} / {one.cpu:.1f}" for one in asked]
    memory = [f"{amount / 2**20:.0f}" for amount in (*held, disk)]
    say("| " + " | ".join([variant.name, *figures, *memory, f"{building:.0f}"]) + " |")


def _held(process: psutil.Process) -> tuple[int, int]:
    """Bytes that only this process has, and of files that it has mapped and read."""
    maps = process.memory_maps()
    mapped = sum(one.rss for one in maps if one.path.startswith("/") and "storage" in one.path)
    return process.memory_info().rss - mapped, mapped


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.vector_settings", description=__doc__)
    parser.add_argument("--qdrant", type=Path, required=True, help="the server's program")
    parser.add_argument("--points", type=int, default=50_000)
    parser.add_argument("--only", nargs="+", help="names of variants")
    options = parser.parse_args()
    stock = draw(options.points)
    requests = requests_of(stock)
    sizes = [stock.begins[org + 1] - stock.begins[org] for org in (0, 1, len(stock.begins) - 2)]
    heads = [f"org of {size:,}: @10 / @60 / CPU ms" for size in sizes]
    say("| " + " | ".join(["variant", *heads, "memory MB", "mapped MB", "disk MB", "building CPU s"]) + " |")
    say("|" + "---|" * 8)
    for variant in VARIANTS:
        if not options.only or variant.name in options.only:
            measure(options.qdrant.resolve(), variant, stock, requests)


if __name__ == "__main__":
    main()

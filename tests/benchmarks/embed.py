"""Embedding, measured: stock sentence-transformers and each of our backends on the same chunks, in turn.

`python -m tests.benchmarks.embed [--seconds N] [--accelerator cuda:1] [--json PATH]`. The chunks are the sample
site's, cut by the product; `SITEWISE_EVAL_DATA` adds those of the `vahelp` pages. Rates count CPU time
of the whole process, all threads, because that is what a deployment pays for.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from sentence_transformers import SentenceTransformer

from deploy.sample.site import Site
from pipeline.adapters.embedder import open_embedder, open_tokenizer
from pipeline.adapters.embedder.direct import computes_bf16
from pipeline.adapters.embedder.opening import device_of
from pipeline.adapters.embedder.sources import find
from pipeline.model import Vector
from pipeline.settings import ChunkSettings, EmbedSettings
from pipeline.stages.chunk import chunk
from pipeline.stages.extract import extract
from tests.evaluation import datasets

BLOCK = 64
"""Chunks every backend embeds before the next one has its turn."""

STOCK = "stock SentenceTransformer.encode"
COLD = """
import time
from pathlib import Path
{code}
cpu = time.process_time()
status = Path("/proc/self/status")
peak = [line.split()[1] for line in status.read_text().splitlines() if "VmHWM" in line] if status.exists() else [0]
print(cpu, int(peak[0]) / 1024)
"""
COLD_OURS = """
from pipeline.adapters.embedder import open_embedder
from pipeline.settings import EmbedSettings
open_embedder(EmbedSettings(device="cpu", precision="{precision}"), cache_dir=Path("{cache}")).encode_query("hello")
"""
COLD_STOCK = 'from sentence_transformers import SentenceTransformer; SentenceTransformer("{path}").encode("hello")'


@dataclass
class Runner:
    """One way to embed, and what it took so far. `threads` is what torch is set to on its turn."""

    name: str
    encode: Callable[[list[str]], Vector]
    threads: int
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    vectors: list[Vector] = field(default_factory=list)

    def take(self, texts: list[str]) -> None:
        """Embed a block and note CPU and wall seconds."""
        torch.set_num_threads(self.threads)
        cpu, wall = time.process_time(), time.perf_counter()
        vectors = self.encode(texts)
        self.cpu.append(time.process_time() - cpu)
        self.wall.append(time.perf_counter() - wall)
        self.vectors.append(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def runners(cache: Path, accelerator: str | None) -> list[Runner]:
    """Stock first: the others are compared with it. An accelerator computes in half precision, many texts a pass."""
    cores = torch.get_num_threads()
    folder = str(find("all-MiniLM-L6-v2", revision=None, cache_dir=cache).path)
    stock = SentenceTransformer(folder)
    found = [Runner(STOCK, lambda texts: np.asarray(stock.encode(texts), np.float32), cores)]
    choices = [("openvino", "fp32"), ("openvino", "bf16"), ("openvino", "int8"), ("torch", "fp32"), ("torch", "bf16")]
    for backend, precision in choices:
        if precision == "bf16" and not computes_bf16():
            continue
        found.append(Runner(f"{backend} {precision}", _open(cache, backend, precision, "cpu"), 1))
    if accelerator is not None:
        names = {kind: f"torch {kind} on {accelerator}" for kind in ("bf16", "fp16")}
        found += [Runner(name, _open(cache, "torch", kind, accelerator), cores) for kind, name in names.items()]
    return found


def accelerator_here() -> str | None:
    """The device that `auto` would take, where it is no CPU."""
    found = device_of(EmbedSettings())
    return None if found == "cpu" else found


def _open(cache: Path, backend: str, precision: str, device: str) -> Callable[[list[str]], Vector]:
    values = {"backend": backend, "precision": precision, "device": device}
    return open_embedder(EmbedSettings.model_validate(values), cache_dir=cache).encode_documents


def sample_chunks(cache: Path) -> dict[str, list[str]]:
    """The texts to embed, by where they come from."""
    tokenizer = open_tokenizer(EmbedSettings(), cache_dir=cache)
    limit = ChunkSettings().max_tokens
    site = Site("http://sample.example")
    bodies = [(f"http://sample.example{path}", site.answer(path).body) for path in site.pages]
    found = {"sample site": bodies}
    if (root := datasets.root()) is not None:
        found["vahelp"] = [(page.url, page.html.encode()) for page in datasets.read("vahelp", root).pages]
    texts = {}
    for name, pages in found.items():
        documents = [extract(body, url=url) for url, body in pages]
        chunks = [
            piece
            for document in documents
            for piece in chunk(document.markdown, title=document.title, tokenizer=tokenizer, max_tokens=limit)
        ]
        texts[name] = sorted({piece.embedded_text for piece in chunks})
    return texts


def measure(ways: Sequence[Runner], texts: list[str], *, seconds: float) -> int:
    """Rounds of blocks until the time is up; each round begins with another runner. Returns the rounds."""
    order = np.random.default_rng(1).permutation(len(texts))
    for way in ways:
        way.encode([texts[place] for place in order[:8]])
    end = time.monotonic() + seconds
    rounds = 0
    while rounds < 2 or time.monotonic() < end:
        block = [
            texts[place % len(texts)]
            for place in np.take(order, range(rounds * BLOCK, (rounds + 1) * BLOCK), mode="wrap")
        ]
        for turn in range(len(ways)):
            ways[(rounds + turn) % len(ways)].take(block)
        rounds += 1
    return rounds


def summarise(ways: Sequence[Runner], rounds: int) -> list[dict[str, object]]:
    """One row a runner: chunks per CPU-second, the median ratio to stock round by round, and exactness."""
    stock = ways[0]
    reference = np.concatenate(stock.vectors)
    rows: list[dict[str, object]] = []
    for way in ways:
        cosine = (np.concatenate(way.vectors) * reference).sum(axis=1)
        ratios = np.array(stock.cpu) / np.array(way.cpu)
        row: dict[str, object] = {
            "name": way.name,
            "chunks_per_cpu_second": round(rounds * BLOCK / sum(way.cpu), 1),
            "chunks_per_second": round(rounds * BLOCK / sum(way.wall), 1),
            "ratio": round(float(np.median(ratios)), 2),
            "ratio_low": round(float(ratios.min()), 2),
            "ratio_high": round(float(ratios.max()), 2),
            "mean_cosine": round(float(cosine.mean()), 6),
            "least_cosine": round(float(cosine.min()), 6),
        }
        rows.append(row)
    for way in ways:
        way.cpu, way.wall, way.vectors = [], [], []
    return rows


def cold_starts(cache: Path) -> dict[str, dict[str, float]]:
    """CPU seconds and peak MB (0 where the system does not tell) from a new process to its first vector."""
    path = find("all-MiniLM-L6-v2", revision=None, cache_dir=cache).path
    codes = {STOCK: COLD_STOCK.format(path=path)}
    codes |= {f"openvino {kind}": COLD_OURS.format(precision=kind, cache=cache) for kind in ("auto", "int8")}
    found = {}
    for name, code in codes.items():
        command = [sys.executable, "-c", COLD.format(code=code)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - the code above
        cpu, peak = map(float, output.split()[-2:])
        found[name] = {"cpu_seconds": round(cpu, 2), "peak_mb": round(peak)}
    return found


def show(name: str, part: dict[str, Any], console: Console) -> None:
    """One corpus as a table."""
    title = f"{name}: {part['chunks']} chunks, {part['mean_tokens']} tokens on average, {part['rounds']} rounds"
    table = Table(title=title, title_justify="left")
    for column in part["rows"][0]:
        table.add_column(column.replace("_", " "), justify="left" if column == "name" else "right")
    for row in part["rows"]:
        table.add_row(*map(str, row.values()))
    console.print(table)


def main() -> None:
    """Measure and print; `--json` also writes."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.embed", description=main.__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="time for each corpus")
    parser.add_argument(
        "--accelerator", help="measure this device too, such as cuda:1 [default: a GPU, if there is one]"
    )
    parser.add_argument("--json", type=Path, help="write the report here too")
    options = parser.parse_args()
    console = Console(width=140)
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        started = cold_starts(cache)
        for name, figures in started.items():
            console.print("cold start:", name, figures)
        tokenizer = open_tokenizer(EmbedSettings(), cache_dir=cache)
        ways = runners(cache, options.accelerator or accelerator_here())
        corpora: dict[str, Any] = {}
        for name, texts in sample_chunks(cache).items():
            rounds = measure(ways, texts, seconds=options.seconds)
            mean_tokens = round(float(np.mean(tokenizer.count(texts))))
            rows = summarise(ways, rounds)
            corpora[name] = {"chunks": len(texts), "mean_tokens": mean_tokens, "rounds": rounds, "rows": rows}
            show(name, corpora[name], console)
    if options.json:
        report = {
            "machine": {"processor": platform.processor() or platform.machine(), "bf16": computes_bf16()},
            "versions": {name: version(name) for name in ("torch", "sentence-transformers", "openvino", "tokenizers")},
            "corpora": corpora,
            "cold_start": started,
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

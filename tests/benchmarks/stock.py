"""The same job from stock parts in one script: Scrapy, trafilatura, sentence-transformers, local qdrant-client."""

from __future__ import annotations

import json
import sys
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import trafilatura
from qdrant_client import QdrantClient, models
from scrapy import Spider
from scrapy.crawler import CrawlerProcess
from scrapy.http import TextResponse
from scrapy.linkextractors import LinkExtractor
from sentence_transformers import SentenceTransformer

from pipeline.adapters.embedder.sources import find

WORDS = 150
"""Words of a chunk: what fits the model's 256 tokens."""


class Stock(Spider):
    """Follows every link of the host, extracts, embeds and upserts each page as it comes."""

    name = "stock"

    def __init__(self, start: str, limit: str, folder: str, model: str, **_: str) -> None:
        super().__init__()
        self.start_urls = [start]
        self.host = urlsplit(start).netloc
        self.limit = int(limit)
        self.links = LinkExtractor(allow_domains=[self.host])
        self.model = SentenceTransformer(model, device="cpu")
        self.store = QdrantClient(path=folder)
        size = models.VectorParams(size=384, distance=models.Distance.COSINE)
        self.store.create_collection("stock", vectors_config=size)
        self.pages = self.chunks = 0

    def parse(self, response: Any, **_: Any) -> Any:  # noqa: ANN401 - Scrapy's own
        """One page."""
        if not isinstance(response, TextResponse) or self.pages >= self.limit:
            return
        self.pages += 1
        words = (trafilatura.extract(response.text) or "").split()
        texts = [" ".join(words[first : first + WORDS]) for first in range(0, len(words), WORDS)]
        if texts:
            self.chunks += len(texts)
            vectors = self.model.encode(texts)
            points = [
                models.PointStruct(
                    id=str(uuid.uuid4()), vector=vector.tolist(), payload={"url": response.url, "text": text}
                )
                for text, vector in zip(texts, vectors, strict=True)
            ]
            self.store.upsert("stock", points)
        for link in self.links.extract_links(response):
            yield response.follow(link.url.partition("#")[0])


def main(start: str, limit: int, folder: Path) -> None:
    """Crawl up to `limit` pages, and print what was done as JSON."""
    model = find("all-MiniLM-L6-v2", revision=None, cache_dir=folder).path
    began = time.monotonic()
    crawl = CrawlerProcess({"LOG_LEVEL": "ERROR", "TELNETCONSOLE_ENABLED": False, "CLOSESPIDER_ITEMCOUNT": 0})
    crawler = crawl.create_crawler(Stock)
    crawl.crawl(crawler, start=start, limit=str(limit), folder=str(folder / "qdrant"), model=str(model))
    crawl.start()
    spider: Any = crawler.spider
    done = {"pages": spider.pages, "chunks": spider.chunks, "seconds": time.monotonic() - began}
    sys.stdout.write(json.dumps(done) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))

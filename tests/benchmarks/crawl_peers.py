"""What others build a crawl from: Scrapy following links, and the same with trafilatura in its callback.

`python -m tests.benchmarks.crawl_peers links|trafilatura START PAGES` prints JSON.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import trafilatura
from scrapy import Spider
from scrapy.crawler import CrawlerProcess
from scrapy.http import TextResponse
from scrapy.linkextractors import LinkExtractor


class Peer(Spider):
    """Follows every link of the host. With `extracts`, each page is also turned into text as it comes."""

    name = "peer"

    def __init__(self, start: str, limit: str, extracts: str, **_: str) -> None:
        super().__init__()
        self.start_urls = [start]
        self.limit = int(limit)
        self.extracts = extracts == "yes"
        self.links = LinkExtractor(allow_domains=[urlsplit(start).netloc])
        self.pages = self.characters = 0
        self.first = self.last = 0.0

    def parse(self, response: Any, **_: Any) -> Any:  # noqa: ANN401 - Scrapy's own
        """One page."""
        if not isinstance(response, TextResponse) or self.pages >= self.limit:
            return
        self.pages += 1
        self.first = self.first or time.monotonic()
        if self.extracts:
            text = trafilatura.extract(response.text) or ""
            self.characters += len(text)
        for link in self.links.extract_links(response):
            yield response.follow(link.url.partition("#")[0])
        self.last = time.monotonic()


def main(kind: str, start: str, limit: str) -> None:
    """Crawl up to `limit` pages. `seconds` begin when everything is imported, `steady_seconds` with the first page."""
    began = time.monotonic()
    process = CrawlerProcess({"LOG_LEVEL": "ERROR", "TELNETCONSOLE_ENABLED": False})
    crawler = process.create_crawler(Peer)
    process.crawl(crawler, start=start, limit=limit, extracts="yes" if kind == "trafilatura" else "no")
    process.start()
    spider: Any = crawler.spider
    seconds, steady = time.monotonic() - began, spider.last - spider.first
    sys.stdout.write(json.dumps({"pages": spider.pages, "seconds": seconds, "steady_seconds": steady}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Scrapy, reduced to what this crawler uses: its engine, its downloader, its throttle."""

from __future__ import annotations

from pipeline.settings import Settings
from spiders.guard import DOWNLOADER, RESOLVER, SETTINGS_KEY


def scrapy_settings(settings: Settings) -> dict[str, object]:
    """Scrapy's settings for one crawl.

    Everything that costs time or opens a door is off: middlewares, the telnet console, remote
    control, other schemes, cookies, retries and redirects (the visit decides those itself).
    """
    crawl = settings.crawl
    return {
        SETTINGS_KEY: crawl,
        "BOT_NAME": "sitewise",
        "TWISTED_REACTOR_ENABLED": True,
        "TWISTED_DNS_RESOLVER": RESOLVER,
        "REACTOR_THREADPOOL_MAXSIZE": 4,
        "DOWNLOAD_HANDLERS_BASE": {},
        "DOWNLOAD_HANDLERS": {"http": DOWNLOADER, "https": DOWNLOADER},
        "DOWNLOADER_MIDDLEWARES_BASE": {},
        "SPIDER_MIDDLEWARES_BASE": {},
        "ITEM_PIPELINES_BASE": {},
        "EXTENSIONS_BASE": {"scrapy.extensions.throttle.AutoThrottle": 0},
        "TELNETCONSOLE_ENABLED": False,
        "REMOTE_CONTROL_ENABLED": False,
        "HTTPPROXY_ENABLED": False,
        "COOKIES_ENABLED": False,
        "RETRY_ENABLED": False,
        "REDIRECT_ENABLED": False,
        "ROBOTSTXT_OBEY": False,
        "DOWNLOAD_VERIFY_CERTIFICATES": True,
        "DOWNLOAD_TIMEOUT": crawl.request_timeout.total_seconds(),
        "DOWNLOAD_MAXSIZE": crawl.body_limit,
        "DOWNLOAD_WARNSIZE": 0,
        "DOWNLOAD_DELAY": 0,  # the pace keeps it, for all crawls together
        "DOWNLOAD_DELAY_JITTER": 0,
        "CONCURRENT_REQUESTS": crawl.concurrency,
        "CONCURRENT_REQUESTS_PER_DOMAIN": crawl.concurrency,
        "AUTOTHROTTLE_ENABLED": True,
        "AUTOTHROTTLE_START_DELAY": 0,
        "AUTOTHROTTLE_MAX_DELAY": 60.0,
        "AUTOTHROTTLE_TARGET_CONCURRENCY": float(crawl.concurrency),
        "USER_AGENT": crawl.user_agent,
        "LOG_INSTALL_ROOT_HANDLER": False,
        "STATS_DUMP": False,
        "STATS_CLASS": "scrapy.statscollectors.DummyStatsCollector",
    }

"""Every setting, with its unit, its default and its reason. Read from `SITEWISE_…` and nowhere else."""

from pipeline.settings.crawling import PRODUCT_TOKEN, BrowserSettings, CrawlSettings, ExtractSettings
from pipeline.settings.kinds import IPNetwork
from pipeline.settings.knowledge import ChunkSettings, EmbedSettings, EvaluateSettings, RetrieveSettings, UpsertSettings
from pipeline.settings.running import BrokerSettings, DatabaseSettings, LimitSettings, WorkSettings
from pipeline.settings.serving import ApiSettings, MetricsSettings, TracingSettings, WebhookSettings
from pipeline.settings.whole import Settings, read_settings

__all__ = [
    "PRODUCT_TOKEN",
    "ApiSettings",
    "BrokerSettings",
    "BrowserSettings",
    "ChunkSettings",
    "CrawlSettings",
    "DatabaseSettings",
    "EmbedSettings",
    "EvaluateSettings",
    "ExtractSettings",
    "IPNetwork",
    "LimitSettings",
    "MetricsSettings",
    "RetrieveSettings",
    "Settings",
    "TracingSettings",
    "UpsertSettings",
    "WebhookSettings",
    "WorkSettings",
    "read_settings",
]

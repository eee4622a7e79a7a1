"""All settings of one process, and how they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from pipeline.errors import InvalidSettings
from pipeline.settings.crawling import BrowserSettings, CrawlSettings, ExtractSettings
from pipeline.settings.knowledge import ChunkSettings, EmbedSettings, EvaluateSettings, RetrieveSettings, UpsertSettings
from pipeline.settings.running import BrokerSettings, DatabaseSettings, LimitSettings, WorkSettings
from pipeline.settings.serving import ApiSettings, MetricsSettings, TracingSettings, WebhookSettings


class Settings(BaseSettings):
    """All settings of one process."""

    model_config = SettingsConfigDict(
        env_prefix="SITEWISE_", env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    data_dir: Path = Field(Path(".sitewise"), description="Where an embedded Sitewise keeps everything.")
    cache_dir: Annotated[Path, AfterValidator(Path.expanduser)] = Field(
        Path("~/.cache/sitewise"),
        validate_default=True,
        description="Where prepared models are kept, for every data directory of this user.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level logged.")
    log_format: Literal["auto", "plain", "json"] = Field(
        "auto", description="Log lines for people or machines; auto: people on a terminal."
    )
    database: DatabaseSettings = DatabaseSettings()
    broker: BrokerSettings = BrokerSettings()
    crawl: CrawlSettings = CrawlSettings()
    browser: BrowserSettings = BrowserSettings()
    extract: ExtractSettings = ExtractSettings()
    chunk: ChunkSettings = ChunkSettings()
    embed: EmbedSettings = EmbedSettings()
    upsert: UpsertSettings = UpsertSettings()
    retrieve: RetrieveSettings = RetrieveSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    work: WorkSettings = WorkSettings()
    api: ApiSettings = ApiSettings()
    webhooks: WebhookSettings = WebhookSettings()
    limits: LimitSettings = LimitSettings()
    metrics: MetricsSettings = MetricsSettings()
    tracing: TracingSettings = TracingSettings()

    @property
    def is_embedded(self) -> bool:
        """Whether vectors live in the data directory, owned by one process."""
        return self.upsert.qdrant_url is None


def read_settings(**overrides: object) -> Settings:
    """Settings from the environment, with command line options above it.

    Raises:
        InvalidSettings: If one has a value that cannot work, or a group has no such setting; no value is shown.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        problem = "there is no such setting" if first["type"] == "extra_forbidden" else first["msg"]
        raise InvalidSettings(setting=_variable(first["loc"]), problem=problem) from error
    except SettingsError as error:
        raise InvalidSettings(problem=str(error)) from None


def _variable(place: tuple[int | str, ...]) -> str:
    """The environment variable behind a place in the settings."""
    return "SITEWISE_" + "__".join(part.upper() for part in place if isinstance(part, str))

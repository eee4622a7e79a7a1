"""Every setting, with its unit, its default and its reason. Read from `SITEWISE_…` and nowhere else."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from pipeline.errors import InvalidSettings

IPNetwork = IPv4Network | IPv6Network

PRODUCT_TOKEN = "SitewiseBot"  # noqa: S105 - a name that robots.txt files know us by, no secret
"""The name that robots.txt, meta tags and headers know this crawler by, in any case."""


def _split(value: object) -> object:
    """Accept a comma-separated list where the environment gives text."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _seconds(value: object) -> object:
    """Accept a plain number of seconds where the environment gives text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _reachable(value: str) -> str:
    """Refuse what nobody can write to, or what would break the header it stands in."""
    if not value.startswith(("https://", "http://", "mailto:")) or not value.isascii() or set(value) & set(" ()<>"):
        raise ValueError("give a web address or mailto:, without spaces and brackets")
    if not value.isprintable():
        raise ValueError("there is a character that no address has")
    return value


def _web_address(value: str) -> str:
    """Refuse what cannot be sent to over HTTP, and a name or password that log lines would repeat."""
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("give an address such as http://host:4318")
    if "@" in parts.netloc:
        raise ValueError("give keys in OTEL_EXPORTER_OTLP_HEADERS, not in the address")
    return value


Span = Annotated[timedelta, Field(ge=timedelta(0)), BeforeValidator(_seconds)]
"""A time, written in seconds or as an ISO 8601 duration; it may be none."""

PositiveSpan = Annotated[timedelta, Field(gt=timedelta(0)), BeforeValidator(_seconds)]
"""A time that must be some: a lease of none is over as it begins, a tick of none never rests."""

Networks = Annotated[tuple[IPNetwork, ...], NoDecode, BeforeValidator(_split)]


class Group(BaseModel):
    """Settings of one subject. A name it does not know is refused: a typo must not pass in silence."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class DatabaseSettings(Group):
    """Where the truth is kept."""

    url: SecretStr | None = Field(
        None,
        description="SQLAlchemy address, such as postgresql+psycopg://user@host/sitewise; "
        "empty: SQLite in the data directory.",
    )
    pool_size: int = Field(5, ge=1, le=100, description="Connections a process keeps open (PostgreSQL).")
    statement_timeout: PositiveSpan = Field(timedelta(seconds=30), description="Longest statement (PostgreSQL).")
    busy_timeout: Span = Field(timedelta(seconds=30), description="How long a writer waits for another (SQLite).")


class BrokerSettings(Group):
    """Where hints travel. Losing them is harmless."""

    url: SecretStr | None = Field(
        None,
        description="Celery broker, such as redis://host:6379/0 or amqp://host; empty: an embedded one.",
    )
    publish_timeout: PositiveSpan = Field(
        timedelta(seconds=2), description="A hint not taken by then stays in the outbox."
    )


class CrawlSettings(Group):
    """How far and how politely a crawl goes."""

    contact: Annotated[str, AfterValidator(_reachable)] = Field(
        "https://sitewise.example/bot",
        max_length=200,
        description="Where a site owner reaches you, a web or mailto address: every request names it. Set your own.",
    )
    allowed_addresses: Networks = Field(
        (),
        description="Networks that may be crawled although they are not public, such as 127.0.0.0/8; "
        "any port inside them is allowed.",
    )
    allowed_ports: Annotated[tuple[int, ...], NoDecode, BeforeValidator(_split)] = Field(
        (80, 443), description="Ports that may be crawled on public addresses."
    )
    page_limit_maximum: int = Field(5_000, ge=1, description="Pages a crawl keeps when it names no limit.")
    depth_limit: int = Field(10, ge=0, description="Links followed from the start page.")
    concurrency: int = Field(
        8, ge=1, le=64, description="Requests in flight per crawl, and to one host from all crawls together."
    )
    delay: Span = Field(timedelta(0), description="Least time between two requests to a host, of all crawls together.")
    host_patience: Span = Field(
        timedelta(hours=6), description="A crawl that would wait longer for a busy host, in all, goes on without it."
    )
    page_timeout: PositiveSpan = Field(
        timedelta(seconds=20),
        description="A page that takes longer is given up: its requests and its parsing, without waiting for a turn.",
    )
    request_timeout: PositiveSpan = Field(timedelta(seconds=18), description="A request that takes longer is given up.")
    body_limit: int = Field(10 * 2**20, description="Bytes of a decoded body; longer pages are refused.")
    held_share: float = Field(
        0.2,
        gt=0,
        le=1,
        description="Share of a website's pages that a crawl may remove or empty; more wait until somebody decides.",
    )
    held_least_pages: int = Field(
        3, ge=1, description="Fewer removed or emptied pages than this are never held, unless they are all there are."
    )
    held_text_share: float = Field(
        0.3, ge=0, le=1, description="A page is emptied when less than this share of its words is left."
    )
    shortest_revisit: float = Field(
        0.25,
        gt=0,
        le=1,
        description="A page that changes all the time is looked at again after this share of its website's interval.",
    )
    longest_revisit: float = Field(
        8.0, ge=1, description="A page that never changes is looked at again after this many intervals."
    )
    robots_lifetime: Span = Field(timedelta(days=1), description="How long robots.txt is believed.")
    lease: PositiveSpan = Field(timedelta(seconds=30), description="A worker silent this long has lost its crawl.")
    frontier_batch: int = Field(32, ge=1, le=256, description="URLs a spider takes from the frontier at a time.")
    commit_batch: int = Field(32, ge=1, le=256, description="Pages written in one transaction.")
    commit_every: Span = Field(timedelta(milliseconds=500), description="Pages wait no longer than this to be written.")

    @property
    def user_agent(self) -> str:
        """Who we are, with an address where a site owner reaches us: the same on every request."""
        return f"{PRODUCT_TOKEN}/1.0 (+{self.contact})"


class BrowserSettings(Group):
    """The browser for websites whose pages need JavaScript."""

    executable: Path | None = Field(None, description="Chromium or Chrome; empty: the first one found on the path.")
    tabs: int = Field(4, ge=1, le=32, description="Pages a crawl renders at a time.")
    settle: PositiveSpan = Field(
        timedelta(seconds=10), description="A page that never comes to rest is read after this."
    )
    request_limit: int = Field(200, ge=1, description="Requests one page may make; more are not answered.")
    memory_limit: int = Field(
        600 * 2**20, ge=100 * 2**20, description="Bytes one process of the browser may use; it is ended beyond."
    )


class ExtractSettings(Group):
    """The limits inside which a page is parsed."""

    processes: int = Field(2, ge=1, le=64, description="Parsing children per crawl.")
    timeout: PositiveSpan = Field(timedelta(seconds=15), description="A page that takes longer is `too_slow`.")
    memory_limit: int = Field(
        300 * 2**20, description="Bytes a parsing child may use above its start, which takes about 60 MB."
    )
    minimum_words: int = Field(5, ge=0, description="Pages with fewer words of main text are `thin`.")


class ChunkSettings(Group):
    """How a page is cut."""

    max_tokens: int = Field(
        254, ge=32, description="Tokens of a chunk, headings and special tokens included; the model's limit caps it."
    )
    overlap_tokens: int = Field(0, ge=0, description="Tokens a chunk repeats of the one before it.")
    site_block_pages: int = Field(
        5, ge=2, description="Pages a block of text stands on before it may count as the whole website's."
    )
    site_block_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of a website's pages from which on a block is kept by one page alone: "
        "what most pages say tells none of them apart; what fewer say may be a fact about each.",
    )


class EmbedSettings(Group):
    """Which model turns text into vectors, and how."""

    model: str = Field("all-MiniLM-L6-v2", description="A packaged model's name, a folder, or a hub name.")
    revision: str | None = Field(None, description="Hub revision; empty: the one installed.")
    backend: Literal["auto", "openvino", "onnx", "torch"] = Field(
        "auto",
        description="What runs the model; auto: the fastest exact one here. onnx needs an export beside the weights.",
    )
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = Field(
        "auto", description="Number format; auto: bf16 where the machine computes in it, else fp32."
    )
    device: str = Field("auto", description="cpu, cuda, cuda:1, mps; auto: a GPU when there is one.")
    batch_tokens: int = Field(
        2_048, ge=256, description="Tokens, padding included, in one forward pass; on a GPU 32 times as many."
    )
    threads: int = Field(1, ge=0, description="Threads of one embedding process; 0: all cores.")
    languages: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        (),
        description="Languages the model reads, as codes, * for every one; in others BM25 decides. "
        "Empty: English for models known to be taught it alone, else every one.",
    )
    query_prompt: str = Field(
        "", description="Put before every question; empty: what the model's own configuration says, if anything."
    )
    document_prompt: str = Field(
        "", description="Put before every chunk; empty: what the model's own configuration says, if anything."
    )


class UpsertSettings(Group):
    """Where vectors are kept."""

    qdrant_url: str | None = Field(
        None, description="Qdrant server, such as http://host:6333; empty: Qdrant Edge in the data directory."
    )
    qdrant_api_key: SecretStr | None = Field(None, description="Key of the Qdrant server.")
    collection: str = Field("sitewise", pattern=r"^[a-z0-9_-]{1,64}$", description="Collection name.")
    vectors: Literal["whole", "int8"] = Field(
        "whole",
        description="What a Qdrant server holds in memory of collections made from now on: whole vectors, or a byte a "
        "number, the whole ones on disk to score what was found.",
    )
    batch: int = Field(256, ge=1, le=4_096, description="Points written at a time.")
    timeout: PositiveSpan = Field(timedelta(seconds=10), description="A store silent this long is unavailable.")


class RetrieveSettings(Group):
    """How a briefing is put together."""

    top_k: int = Field(8, ge=1, le=50, description="Passages in a briefing.")
    candidates: int = Field(60, ge=1, le=500, description="Hits asked of each half of the search.")
    per_page: int = Field(2, ge=1, description="Passages one page may give.")
    per_host: int = Field(
        50, ge=1, description="Passages one host may give; lower it where not every website is trusted alike."
    )
    join_tokens: int = Field(
        400,
        ge=0,
        description="Tokens up to which a passage takes in neighbours that continue it and were found too; 0: none.",
    )
    instruction_like: Literal["lower", "flag"] = Field(
        "lower",
        description="What becomes of a passage that speaks to an assistant: lower halves its score, flag only says so.",
    )
    keep_briefings: Span = Field(
        timedelta(days=30), description="How long a briefing can be read again; 0: none is stored."
    )
    max_tokens: int = Field(3_000, ge=100, description="Tokens of the rendered prompt.")
    patience: PositiveSpan = Field(
        timedelta(milliseconds=750),
        description="How long an answer over HTTP waits for the model, or the vector store, before it goes without.",
    )
    rerank_model: str | None = Field(None, description="A cross-encoder: a folder or a hub name; empty: none.")
    rerank_revision: str | None = Field(None, description="Its hub revision; empty: the one installed.")
    rerank_candidates: int = Field(20, ge=1, le=50, description="Passages it reads for an answer, the best found.")
    rerank_budget: PositiveSpan = Field(
        timedelta(milliseconds=500),
        description="How long an answer waits for it; then the order of the search stays, and the trace says so.",
    )
    rerank_calibration: Annotated[tuple[float, float] | None, NoDecode, BeforeValidator(_split)] = Field(
        None,
        description="Slope and constant, comma-separated, of the logistic function that makes of its best logit how "
        "sure it is that there is an answer; empty: it has no say in that.",
    )
    answerable_threshold: float = Field(
        0.4, ge=0, le=1, description="How sure it must be that the knowledge answers a question, from 0 to 1."
    )


class EvaluateSettings(Group):
    """How an org's golden questions guard what it publishes."""

    gate: bool = Field(
        default=True,
        description="Whether a crawl after which golden questions are answered worse is held until somebody decides.",
    )
    tolerance: float = Field(
        0.05, ge=0, le=1, description="How much of the score, from 0 to 1, a crawl may cost without being held."
    )


class WorkSettings(Group):
    """How work is shared, kept and taken back."""

    index_lease: PositiveSpan = Field(
        timedelta(seconds=60), description="A worker silent this long has lost its pages."
    )
    index_batch: int = Field(16, ge=1, le=1_000, description="Pages chunked and embedded together.")
    index_processes: int = Field(
        0,
        ge=0,
        le=64,
        description="Index workers of an embedded Sitewise, each with a model of about 300 MB; "
        "0: one for each core, at most 4.",
    )
    attempts: int = Field(5, ge=1, description="Failures before work is poison; a worker that vanished counts half.")
    tick: PositiveSpan = Field(timedelta(seconds=5), description="How often due and orphaned work is looked for.")
    hint_delays: Annotated[tuple[PositiveSpan, ...], NoDecode, BeforeValidator(_split)] = Field(
        (timedelta(seconds=5), timedelta(seconds=15), timedelta(seconds=60), timedelta(minutes=5)),
        min_length=1,
        description="Waits between hints for the same row, comma-separated; the last one stays.",
    )
    sweep_after: Span = Field(
        timedelta(minutes=5), description="Points of replaced versions are kept this long for running searches."
    )
    keep_history: PositiveSpan = Field(
        timedelta(days=365), description="How long a text that serves no more can be looked up and brought back."
    )
    keep_generation: Span = Field(
        timedelta(days=1),
        description="How long the vectors of the model before are kept, and kept current, once another model answers: "
        "the time in which `sitewise reembed rollback` goes back at once.",
    )
    org_crawls: int = Field(4, ge=0, description="Crawls of one org that run at a time, more wait; 0: no limit.")
    org_pages_per_day: int = Field(
        0,
        ge=0,
        description="Pages of one org that are asked for in a day (UTC); its crawls then pause; 0: no limit.",
    )
    interval_floor_hours: int = Field(24, ge=1, description="Least hours between scheduled crawls.")


class LimitSettings(Group):
    """How much a key or an org may ask for. An org may have limits of its own; 0: no limit."""

    key_requests_per_minute: int = Field(1_200, ge=0, description="Requests of one API key in a minute.")
    org_requests_per_minute: int = Field(2_400, ge=0, description="Requests of one org's keys together in a minute.")
    retrievals_per_minute: int = Field(
        1_200, ge=0, description="Briefings of one org in a minute; each golden question that is asked is one."
    )
    orgs: int = Field(10_000, ge=0, description="Orgs of one partner.")
    datasources: int = Field(100, ge=0, description="Websites of one org.")
    scenarios: int = Field(2_000, ge=0, description="Training scenarios of one org.")


class ApiSettings(Group):
    """Where and how the HTTP API is served."""

    host: str = Field("127.0.0.1", min_length=1, description="The address it listens on.")
    port: int = Field(8_000, ge=0, le=65_535, description="The port it listens on; 0: any that is free.")
    threads: int = Field(
        12, ge=1, le=200, description="Requests carried out at a time; each may hold a database connection."
    )
    tls_certificate: Path | None = Field(None, description="A PEM file: serve https with it.")
    tls_key: Path | None = Field(None, description="The PEM file of its private key.")
    trusted_proxies: Networks = Field(
        (), description="Networks of proxies whose X-Forwarded-For says where a request came from, for the audit."
    )
    plain_http_in_public: bool = Field(
        default=False,
        description="Serve http on an address that others reach, because something before it ends TLS. "
        "Without this word, and without a certificate, such an address is refused: keys would travel unprotected.",
    )


class WebhookSettings(Group):
    """How receivers are told of what happens."""

    key: SecretStr | None = Field(
        None,
        min_length=32,
        description="What signing secrets are made from, the same in every process; losing it ends them all. "
        "Empty: a file in the data directory, where the database is there too.",
    )
    timeout: PositiveSpan = Field(timedelta(seconds=10), description="A receiver that takes longer has failed.")
    retry_delays: Annotated[tuple[PositiveSpan, ...], NoDecode, BeforeValidator(_split)] = Field(
        tuple(timedelta(seconds=s) for s in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)),
        min_length=1,
        description="Waits before a message is sent again, comma-separated; after the last it is given up.",
    )
    disable_after: PositiveSpan = Field(
        timedelta(days=5), description="A receiver that has taken nothing for so long is told no more."
    )
    overlap: Span = Field(
        timedelta(hours=24), description="How long messages are signed with the secret before, too, once it is rotated."
    )
    keep_log: PositiveSpan = Field(timedelta(days=30), description="How long deliveries can be looked up and replayed.")
    per_org: int = Field(20, ge=0, description="Webhooks an org may have.")


class MetricsSettings(Group):
    """Where Prometheus reads a process."""

    host: str = Field("127.0.0.1", min_length=1, description="The address that metrics are served on.")
    port: int = Field(
        0,
        ge=0,
        le=65_000,
        description="The port that metrics are served on; 0: none. Of several workers started together each takes the "
        "next one, and the API, where it is served with them, the first.",
    )


class TracingSettings(Group):
    """Where OpenTelemetry traces go. Needs the extra `tracing`.

    What stands here goes above the standard OTEL_ variables; those for headers, certificates, proxies, batches and
    resource attributes are obeyed.
    """

    endpoint: Annotated[str, AfterValidator(_web_address)] | None = Field(
        None,
        description="OTLP/HTTP collector, such as http://collector:4318; empty: nothing is traced.",
    )
    service_name: str | None = Field(
        None, min_length=1, description="What traces call this deployment; empty: OTEL_SERVICE_NAME, else sitewise."
    )
    sample_ratio: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of traces that are sent, chosen by their id; give every process the same. Of traces that "
        "callers began, none is sent that they do not keep.",
    )
    timeout: PositiveSpan = Field(
        timedelta(seconds=2), description="How long a collector may take for a batch; what it does not take is dropped."
    )


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

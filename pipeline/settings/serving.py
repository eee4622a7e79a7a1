"""Settings of what answers others, or tells them: the API, webhooks, metrics, traces."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from pipeline.settings.kinds import Group, Networks, PositiveSpan, Span, split_list


def _web_address(value: str) -> str:
    """Refuse what cannot be sent to over HTTP, and a name or password that log lines would repeat."""
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("give an address such as http://host:4318")
    if "@" in parts.netloc:
        raise ValueError("give keys in OTEL_EXPORTER_OTLP_HEADERS, not in the address")
    return value


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
    retry_delays: Annotated[tuple[PositiveSpan, ...], NoDecode, BeforeValidator(split_list)] = Field(
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

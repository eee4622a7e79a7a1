"""What the HTTP API is not served with."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from pipeline.api.app import create_app
from pipeline.api.serving import Server
from pipeline.bootstrap import open_services
from pipeline.cli.running import address, serving_settings
from pipeline.errors import PortInUse, UnsafeSettings
from pipeline.owner.safety import check_safe, is_local
from pipeline.settings import Settings, read_settings

PUBLIC = {"host": "0.0.0.0", "plain_http_in_public": True}  # noqa: S104 - that is what is tested


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_this_machine_is_served_as_it_is(host: str) -> None:
    """Nobody else hears it."""
    check_safe(read_settings(api={"host": host}))

    assert is_local(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "api.example.com"])  # noqa: S104 - as above
def test_others_are_not_served_without_tls(host: str) -> None:
    """Keys would travel unprotected; a certificate, or an explicit word, changes that."""
    with pytest.raises(UnsafeSettings, match="unprotected"):
        check_safe(read_settings(api={"host": host}))

    check_safe(read_settings(api={"host": host, "plain_http_in_public": True}))
    check_safe(read_settings(api={"host": host, "tls_certificate": "c.pem", "tls_key": "k.pem"}))


def test_half_a_certificate_is_refused() -> None:
    """Else it would be served without."""
    with pytest.raises(UnsafeSettings, match="TLS_KEY"):
        check_safe(read_settings(api={"tls_certificate": "c.pem"}))


@pytest.mark.parametrize(
    "given",
    [
        {"database": {"url": "postgresql://sitewise:sitewise@db/sitewise"}},
        {"database": {"url": "postgresql://sitewise:@db/sitewise"}},
        {"broker": {"url": "amqp://guest:guest@broker"}},
    ],
)
def test_passwords_that_everybody_knows_are_refused(given: dict[str, object]) -> None:
    """Where others reach the API; the message does not repeat them."""
    settings = read_settings(api=PUBLIC, **given)

    with pytest.raises(UnsafeSettings, match="everybody knows") as refused:
        check_safe(settings)

    assert "guest" not in str(refused.value)
    check_safe(read_settings(**given))
    check_safe(read_settings(api=PUBLIC, database={"url": "postgresql://sitewise:cR7-long-one@db/sitewise"}))


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    """So is an address this machine does not have."""
    with socket.socket() as other, open_services(read_settings(data_dir=tmp_path)) as services:
        other.bind(("127.0.0.1", 0))
        other.listen()
        app = create_app(services)

        for api in ({"port": other.getsockname()[1]}, {"host": "192.0.2.1", "plain_http_in_public": True}):
            with pytest.raises(PortInUse):
                Server(app, read_settings(api=api))


def test_options_stand_above_settings() -> None:
    """What is typed counts; what is not stays as it is set."""
    settings: Settings = read_settings(api={"port": 9_000})

    moved = serving_settings(settings, host="::1", port=None)

    assert address(moved) == "http://[::1]:9000"
    assert address(serving_settings(settings, host=None, port=1_234)) == "http://127.0.0.1:1234"

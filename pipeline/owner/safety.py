"""What an HTTP API must not be served with."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from pipeline.errors import UnsafeSettings
from pipeline.settings import Settings

KNOWN_PASSWORDS = frozenset({"", "admin", "changeme", "guest", "password", "postgres", "secret", "sitewise"})
"""Of examples and of servers as they come."""


def check_safe(settings: Settings) -> None:
    """Refuse to serve others without TLS unless that is said to be meant, or with a password that everybody knows.

    Raises:
        UnsafeSettings: Naming the setting.
    """
    api = settings.api
    if (api.tls_certificate is None) != (api.tls_key is None):
        raise UnsafeSettings(setting="SITEWISE_API__TLS_CERTIFICATE", problem="it needs SITEWISE_API__TLS_KEY too")
    if is_local(api.host):
        return
    if api.tls_certificate is None and not api.plain_http_in_public:
        raise UnsafeSettings(setting="SITEWISE_API__HOST", problem="API keys would travel unprotected")
    for setting, url in (("DATABASE", settings.database.url), ("BROKER", settings.broker.url)):
        password = urlsplit(url.get_secret_value()).password if url is not None else None
        if password is not None and password.lower() in KNOWN_PASSWORDS:
            raise UnsafeSettings(setting=f"SITEWISE_{setting}__URL", problem="its password is one that everybody knows")


def is_local(host: str) -> bool:
    """Whether only programs of this machine reach this address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

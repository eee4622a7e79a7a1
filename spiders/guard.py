"""No connection leaves a spider except to an address the rule allows.

The check sits in the reactor's name resolver, which every connection asks: pages, redirects,
robots.txt, sitemaps, names and literals alike. It judges the very addresses the connection then
uses, so a name that answers differently the second time gains nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

from twisted.internet.interfaces import IHostnameResolver, IResolutionReceiver
from zope.interface import implementer  # type: ignore[import-untyped]

from pipeline.addresses import IPAddress, check_address, own_addresses, refuse_proxies
from pipeline.errors import AddressRefused, GuardBypassed
from pipeline.settings import CrawlSettings
from spiders.browser_options import refuse_open_browser
from spiders.resolving import Address, Receiver, Resolution, Resolver, Resolving

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from scrapy.settings import BaseSettings

SETTINGS_KEY = "SITEWISE_CRAWL_SETTINGS"
"""The Scrapy setting under which `CrawlSettings` travel."""

RESOLVER = "spiders.guard.AddressGuard"
DOWNLOADER = "spiders.download.BoundedDownload"


@implementer(IHostnameResolver)
class AddressGuard:
    """A name resolver that hands on only addresses the rule allows.

    One refused address refuses the whole name: a site has no reason to mix public addresses with
    inner ones, an attacker has.
    """

    def __init__(self, reactor: Resolving, settings: CrawlSettings, own: frozenset[IPAddress]) -> None:
        """Stand before the reactor's own resolver."""
        self._reactor = reactor
        self._inner: Resolver = reactor.nameResolver
        self._settings = settings
        self._own = own
        self._refusals: dict[str, AddressRefused] = {}

    @classmethod
    def from_crawler(cls, crawler: Crawler, reactor: Resolving) -> Self:
        """Scrapy makes its resolver through this."""
        return cls(reactor, crawler.settings[SETTINGS_KEY], own_addresses())

    def install_on_reactor(self) -> None:
        """Take the resolver's place, before any connection."""
        self._reactor.installNameResolver(self)

    def refusal(self, host: str) -> AddressRefused | None:
        """Why the last connection to `host` was refused; None when it was not."""
        return self._refusals.get(host)

    def check(self, host: str, port: int, addresses: Sequence[Address]) -> list[Address]:
        """The addresses a connection may use: all of them, or none."""
        try:
            for address in addresses:
                check_address(
                    address.host,
                    port,
                    allowed=self._settings.allowed_addresses,
                    ports=self._settings.allowed_ports,
                    own=self._own,
                )
        except AddressRefused as refused:
            self._refusals[host] = refused
            return []
        self._refusals.pop(host, None)
        return list(addresses)

    def resolveHostName(  # noqa: N802 - the interface's name
        self,
        resolutionReceiver: Receiver,  # noqa: N803 - the interface's name
        hostName: str,  # noqa: N803 - the interface's name
        portNumber: int = 0,  # noqa: N803 - the interface's name
        addressTypes: Sequence[type[Address]] | None = None,  # noqa: N803 - the interface's name
        transportSemantics: str = "TCP",  # noqa: N803 - the interface's name
    ) -> Resolution:
        """Resolve as the reactor would, and pass on only what the rule allows."""
        checked = _Checked(self, resolutionReceiver, hostName, portNumber)
        return self._inner.resolveHostName(checked, hostName, portNumber, addressTypes, transportSemantics)


@implementer(IResolutionReceiver)
class _Checked:
    """Holds a name's addresses back until all are known and judged."""

    def __init__(self, guard: AddressGuard, receiver: Receiver, host: str, port: int) -> None:
        self._guard = guard
        self._receiver = receiver
        self._host = host
        self._port = port
        self._addresses: list[Address] = []

    def resolutionBegan(self, resolution: Resolution) -> None:  # noqa: N802 - the interface's name
        self._receiver.resolutionBegan(resolution)

    def addressResolved(self, address: Address) -> None:  # noqa: N802 - the interface's name
        self._addresses.append(address)

    def resolutionComplete(self) -> None:  # noqa: N802 - the interface's name
        for address in self._guard.check(self._host, self._port, self._addresses):
            self._receiver.addressResolved(address)
        self._receiver.resolutionComplete()


def refuse_bypass(settings: BaseSettings, environment: Mapping[str, str]) -> None:
    """Refuse a Scrapy set-up in which a connection could be made without the guard.

    Raises:
        GuardBypassed: Naming what would by-pass it.
    """
    if not settings.getbool("TWISTED_REACTOR_ENABLED"):
        raise GuardBypassed(cause="Scrapy without a reactor resolves names by itself")
    if settings["TWISTED_DNS_RESOLVER"] != RESOLVER:
        raise GuardBypassed(cause=f"the resolver is {settings['TWISTED_DNS_RESOLVER']}")
    handlers = {scheme: path for scheme, path in settings.getwithbase("DOWNLOAD_HANDLERS").items() if path}
    if handlers != {"http": DOWNLOADER, "https": DOWNLOADER}:
        raise GuardBypassed(cause=f"other download handlers are on: {handlers}")
    refuse_open_browser(settings)
    middlewares = settings.getwithbase("DOWNLOADER_MIDDLEWARES")
    if any("proxy" in str(path).lower() for path, order in middlewares.items() if order is not None):
        raise GuardBypassed(cause="a proxy middleware is on, and would connect in our place")
    refuse_proxies(environment)


def require_guard(reactor: Resolving) -> AddressGuard:
    """The guard in force.

    Raises:
        GuardBypassed: If another resolver took its place.
    """
    resolver = reactor.nameResolver
    if not isinstance(resolver, AddressGuard):
        raise GuardBypassed(cause=f"names are resolved by {type(resolver).__name__}")
    return resolver

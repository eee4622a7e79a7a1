"""Which network addresses Sitewise connects to: the public internet, and what the operator allows.

`ipaddress.is_global` is not enough: it lets through the cloud host service, 6to4 relays, multicast
and the ranges that carry an IPv4 address inside an IPv6 one. The rule is therefore a table.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import pairwise
from pathlib import Path

from pipeline.errors import AddressRefused, GuardBypassed
from pipeline.settings import CrawlSettings, IPNetwork
from pipeline.urls import split

IPAddress = IPv4Address | IPv6Address

PUBLIC_PORTS = (80, 443)

PROXY_VARIABLES = frozenset({"http_proxy", "https_proxy", "all_proxy", "socks_proxy", "ftp_proxy"})
"""Environment variables, in lower case, by which programs are told of a proxy; browsers obey them too."""

DENIED: tuple[tuple[IPNetwork, str], ...] = tuple(
    (ip_network(network), why)
    for network, why in (
        ("0.0.0.0/8", "this host"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier NAT"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "cloud host service"),
        ("169.254.0.0/16", "link-local, cloud metadata"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.31.196.0/24", "AS112"),
        ("192.52.193.0/24", "multicast tunnels"),
        ("192.88.99.0/24", "6to4 relays"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "AS112"),
        ("198.18.0.0/15", "benchmarks"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved, broadcast"),
        ("::/96", "IPv4 inside IPv6, unspecified, loopback"),
        ("::ffff:0:0:0/96", "IPv4 inside IPv6"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "local NAT64"),
        ("100::/64", "discard"),
        ("100:0:0:1::/64", "dummy prefix"),
        ("2001::/23", "protocol assignments, Teredo"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("2620:4f:8000::/48", "AS112"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "segment routing"),
        ("fc00::/7", "unique local"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
"""Networks never connected to, with why."""

_GLOBAL_IPV6 = IPv6Network("2000::/3")  # everything else in IPv6 is not assigned to the public internet
_LOCAL_NAMES = ("localhost", "localdomain", "ip6-localhost", "ip6-loopback", "local", "internal")


def check_address(
    address: IPAddress | str,
    port: int,
    *,
    allowed: Sequence[IPNetwork] = (),
    ports: Collection[int] = PUBLIC_PORTS,
    own: Collection[IPAddress] = (),
) -> None:
    """Let an address pass, or say why not.

    Args:
        address: Where a connection would go; an IPv4 address inside an IPv6 one counts as itself.
        port: Its port.
        allowed: Networks that may be reached although they are not public, on any port.
        ports: Ports that may be reached on public addresses.
        own: Addresses of this machine, refused even when public.

    Raises:
        AddressRefused: With the address and why.
    """
    ip = unwrapped(ip_address(address) if isinstance(address, str) else address)
    if any(ip in network for network in allowed):
        return
    why = "this machine" if ip in own else denial(ip)
    if why is not None:
        raise AddressRefused(address=str(address), why=why)
    if port not in ports:
        raise AddressRefused(address=f"{address} port {port}", why=f"only ports {_listed(ports)} are crawled")


@lru_cache(maxsize=4_096)
def denial(ip: IPAddress) -> str | None:
    """Why an address is not of the public internet; None when it is."""
    for network, why in DENIED:
        if ip in network:
            return why
    if isinstance(ip, IPv6Address) and (ip not in _GLOBAL_IPV6 or ip.scope_id):
        return "not assigned to the public internet"
    if not ip.is_global:
        return "not public"
    return None


def unwrapped(ip: IPAddress) -> IPAddress:
    """The IPv4 address a v4-mapped IPv6 address stands for; any other is itself."""
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return mapped if mapped is not None else ip


def check_url(url: str, settings: CrawlSettings) -> None:
    """Refuse a URL that names an address we would never connect to, before anything is resolved.

    A name may still turn out to lead somewhere refused: the connection itself is checked again.

    Raises:
        InvalidUrl: If it is not an http or https URL, or names a user.
        AddressRefused: If its host is a refused address or a local name, or its port is refused.
    """
    parts = split(url)
    literal = _literal(parts.host)
    if literal is not None:
        check_address(literal, parts.port, allowed=settings.allowed_addresses, ports=settings.allowed_ports)
        return
    if settings.allowed_addresses:
        return  # the name may lead into an allowed network; the connection decides
    if parts.host.rpartition(".")[2] in _LOCAL_NAMES:
        raise AddressRefused(address=parts.host, why="a name of this machine or its network")
    if parts.port not in settings.allowed_ports:
        raise AddressRefused(
            address=f"{parts.host} port {parts.port}", why=f"only ports {_listed(settings.allowed_ports)} are crawled"
        )


def refuse_proxies(environment: Mapping[str, str]) -> None:
    """Refuse an environment that names a proxy: whatever obeyed it would connect where no check of ours is.

    Raises:
        GuardBypassed: Naming the variables.
    """
    proxies = sorted(name for name, value in environment.items() if name.lower() in PROXY_VARIABLES and value)
    if proxies:
        raise GuardBypassed(cause="a proxy would connect in our place", unset=", ".join(proxies))


def own_addresses(root: Path = Path("/proc/net")) -> frozenset[IPAddress]:
    """Addresses of this machine's interfaces; empty where the system does not list them."""
    return frozenset(_own_ipv4(root / "fib_trie")) | frozenset(_own_ipv6(root / "if_inet6"))


def _own_ipv4(table: Path) -> list[IPAddress]:
    """The kernel's routing tree names a local address on the line before `/32 host LOCAL`."""
    if not table.is_file():
        return []
    lines = table.read_text().splitlines()
    return [
        ip_address(line.split()[-1]) for line, following in pairwise(lines) if following.strip() == "/32 host LOCAL"
    ]


def _own_ipv6(table: Path) -> list[IPAddress]:
    if not table.is_file():
        return []
    return [IPv6Address(int(line.split()[0], 16)) for line in table.read_text().splitlines()]


def _literal(host: str) -> IPAddress | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _listed(ports: Collection[int]) -> str:
    return " and ".join(map(str, sorted(ports)))

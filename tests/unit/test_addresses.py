"""The table of networks a crawl never connects to."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from pipeline.addresses import DENIED, check_address, check_url, denial
from pipeline.errors import AddressRefused, InvalidUrl
from pipeline.settings import CrawlSettings

REFUSED = (
    "0.0.0.0",  # noqa: S104 - an example of what is refused
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.31.255.254",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::7f00:1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
)
PUBLIC = (
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "::ffff:8.8.8.8",
    "2606:4700::1111",
)


@pytest.mark.parametrize("address", REFUSED)
def test_an_inner_address_is_refused_with_the_reason(address: str) -> None:
    """Every kind of address that is not of the public internet is refused."""
    with pytest.raises(AddressRefused) as refused:
        check_address(address, 80)

    assert refused.value.facts["address"] == address
    assert refused.value.facts["why"]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_passes(address: str) -> None:
    """The neighbours of refused networks are not refused with them."""
    check_address(address, 443)


@pytest.mark.parametrize("network", [network for network, _ in DENIED], ids=str)
def test_both_ends_of_a_denied_network_are_denied(network: object) -> None:
    """The table means whole networks."""
    whole = ip_network(str(network))

    assert denial(whole[0]) is not None
    assert denial(whole[-1]) is not None


def test_only_web_ports_of_public_addresses_are_reached() -> None:
    """A public mail or cache server is no website."""
    for port in (22, 25, 6379, 8080):
        with pytest.raises(AddressRefused):
            check_address("8.8.8.8", port)

    check_address("8.8.8.8", 8080, ports=(80, 443, 8080))


def test_an_allowed_network_may_be_reached_on_any_port() -> None:
    """An intranet listed by the operator is crawled, and nothing beside it."""
    allowed = (ip_network("10.0.0.0/24"),)

    check_address("10.0.0.7", 8080, allowed=allowed)
    check_address("::ffff:10.0.0.7", 8080, allowed=allowed)

    with pytest.raises(AddressRefused):
        check_address("10.0.1.7", 80, allowed=allowed)


def test_this_machines_own_public_address_is_refused() -> None:
    """A crawler must not reach the services beside it, by whatever address."""
    with pytest.raises(AddressRefused):
        check_address("8.8.8.8", 80, own={ip_address("8.8.8.8")})


@pytest.mark.parametrize(
    "url",
    [
        "http://127.1/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://[::ffff:7f00:1]/",
        "http://localhost/",
        "http://LOCALHOST./",
        "http://printer.local/",
        "http://metadata.google.internal/",
        "http://example.com:22/",
        "http://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/",
        "http://lo\u200bcalhost/",
    ],
)
def test_a_url_that_names_an_inner_host_is_refused_before_resolving(url: str) -> None:
    """Every spelling of a local address or name is seen through."""
    with pytest.raises(AddressRefused):
        check_url(url, CrawlSettings())


def test_with_an_allowed_network_names_are_left_to_the_connection() -> None:
    """A name may lead into the allowed network; a literal is judged at once."""
    settings = CrawlSettings(allowed_addresses=(ip_network("127.0.0.0/8"),))

    check_url("http://localhost:8000/", settings)
    check_url("http://127.0.0.1:8000/", settings)

    with pytest.raises(AddressRefused):
        check_url("http://10.0.0.1/", settings)


@pytest.mark.needs("eval_data")
def test_no_spelling_of_the_shared_table_passes(resolved: Callable[[str], None]) -> None:
    """Every address of the table is refused, by name where it is a name that resolves inwards."""
    table = Path(os.environ["SITEWISE_EVAL_DATA"], "addresses.tsv").read_text(encoding="utf-8")
    passed = []
    for line in table.splitlines():
        if not line.startswith("#"):
            url = ast.literal_eval(line.split("\t")[0])
            try:
                check_url(url, CrawlSettings())
                resolved(url)
                passed.append(url)
            except (AddressRefused, InvalidUrl):
                continue

    assert passed == []


@pytest.fixture
def resolved() -> Callable[[str], None]:
    """Judges a name by the inner address it resolves to in the end."""

    def check(url: str) -> None:
        answers = {"rebind.test": "127.0.0.1", "both.test": "fd00::1"}
        check_address(answers[url.split("/")[2]], 80)

    return check

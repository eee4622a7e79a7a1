"""How odd spellings of an address are read, and why others are refused."""

from __future__ import annotations

import pytest

from pipeline.errors import InvalidUrl
from pipeline.urls import canonical


@pytest.mark.parametrize(
    ("typed", "fetched"),
    [
        ("http://\u2460\u2461.example/", "http://12.example/"),
        ("http://\u2167.example/", "http://viii.example/"),
        ("http://\uff10x7f.1/", "http://127.0.0.1/"),
        ("http://%E4%BD%A0.example/", "http://xn--6qq.example/"),
        ("http://ex%61mple.com/", "http://example.com/"),
        ("https://example.com/a/b/..", "https://example.com/a/"),
        ("https://example.com/a/%2E", "https://example.com/a/"),
        ("https://example.com/..", "https://example.com/"),
    ],
)
def test_spellings_browsers_fold_are_folded(typed: str, fetched: str) -> None:
    """Circled, wide and escaped letters of a host are its plain letters; dots at the end leave a folder."""
    assert canonical(typed) == fetched


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("http://[zz]/", "zz is not an IPv6 address"),
        ("http://[::1%25eth0]/", "no host"),
        ("http://a%FF.example/", "a%FF.example is not a host name"),
        ("http://\u2488example/", "\u2488example is not a host name"),
        ("http://\u2603.example/", "\u2603.example is not a host name"),
        ("http://-\u2460.example/", "-\u2460.example is not a host name"),
        ("http://1.2.3.256/", "1.2.3.256 is not an IPv4 address"),
        ("http://example.com:70000/", "70000 is not a port"),
    ],
)
def test_a_refused_address_says_what_is_wrong_with_it(typed: str, problem: str) -> None:
    """The reason names the part that cannot be read."""
    with pytest.raises(InvalidUrl) as refused:
        canonical(typed)

    assert refused.value.facts["problem"] == problem


@pytest.mark.parametrize("link", ["//[", "//[x]/a", "http://["])
def test_a_link_that_names_no_host_is_refused(link: str) -> None:
    """Brackets that hold no address are no link, also beside a good base."""
    with pytest.raises(InvalidUrl):
        canonical(link, "https://example.com/docs/a")

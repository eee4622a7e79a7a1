"""One reading of URLs: the address to fetch, and the key twins share."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InvalidUrl
from pipeline.urls import MAXIMUM_LENGTH, beginning, canonical, site_key, split, url_key


@pytest.mark.parametrize(
    ("typed", "fetched"),
    [
        ("HTTP://Example.COM", "http://example.com/"),
        ("https://example.com:443/a", "https://example.com/a"),
        ("http://example.com:8080/a", "http://example.com:8080/a"),
        (" https://example.com/a\n", "https://example.com/a"),
        ("https://example.com/a/./b/../c", "https://example.com/a/c"),
        ("https://example.com/%2e%2e/a", "https://example.com/a"),
        ("https://example.com/a?utm_source=x#top", "https://example.com/a?utm_source=x"),
        ("https://example.com/%7euser/Über?q=ä b", "https://example.com/%7euser/%C3%9Cber?q=%C3%A4%20b"),
        ("https://münchen.de/", "https://xn--mnchen-3ya.de/"),
        ("https://example.com./", "https://example.com/"),
        ("https://my_shop.example.com/", "https://my_shop.example.com/"),
        ("http:\\\\example.com\\a", "http://example.com/a"),
        ("http:///example.com/a", "http://example.com/a"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("http://2130706433/", "http://127.0.0.1/"),
        ("http://127\u30020\u30020\u30021/", "http://127.0.0.1/"),
        ("http://[::FFFF:7f00:1]:80/", "http://[::ffff:7f00:1]/"),
        ("https://example.com/100%", "https://example.com/100%25"),
    ],
)
def test_a_url_is_fetched_as_the_site_spells_it_with_the_host_made_plain(typed: str, fetched: str) -> None:
    """Host, port, dots and unsafe characters become plain; path and query keep their spelling."""
    assert canonical(typed) == fetched


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "example.com",
        "/docs",
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:text/html,hello",
        "http://",
        "http://user:pw@example.com/",
        "http://example.com@127.0.0.1/",
        "http://exa mple.com/",
        "http://example.com:0/",
        "http://example.com:99999/",
        "http://example.com:80x/",
        "http://example.com:٨٠/",
        "http://256.1.1.1/",
        "http://1.2.3.4.5/",
        "http://09/",
        "http://[::1/",
        "http://[fe80::1%25eth0]/",
        "http://a..b/",
        "http://-a.example/",
        f"http://{'a' * 64}.example/",
        f"https://example.com/{'a' * MAXIMUM_LENGTH}",
        "https://example.com/" + "a" * 100_000,
    ],
)
def test_what_is_no_web_address_is_refused(typed: str) -> None:
    """Other schemes, users, bad hosts and ports, and over-long addresses are no URLs to crawl."""
    with pytest.raises(InvalidUrl):
        canonical(typed)


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("b", "https://example.com/docs/b"),
        ("/b", "https://example.com/b"),
        ("//other.example/b", "https://other.example/b"),
        ("?page=2", "https://example.com/docs/a?page=2"),
        ("#part", "https://example.com/docs/a"),
        ("../../../b", "https://example.com/b"),
        ("\n /b\t", "https://example.com/b"),
        ("http://other.example", "http://other.example/"),
    ],
)
def test_a_link_is_read_against_its_page(link: str, target: str) -> None:
    """Relative links resolve as browsers resolve them."""
    assert canonical(link, "https://example.com/docs/a") == target


@pytest.mark.parametrize(
    "twin",
    [
        "https://example.com/docs/a?b=1&c=2",
        "http://example.com/docs/a?b=1&c=2",
        "https://www.example.com/docs/a?b=1&c=2",
        "https://EXAMPLE.com:443/docs/a?b=1&c=2#part",
        "https://example.com/docs/a/?b=1&c=2",
        "https://example.com/docs/a/index.html?c=2&b=1",
        "https://example.com/docs/x/../a?c=2&b=1",
        "https://example.com/%64ocs/a?b=1&c=2&utm_campaign=spring&gclid=x&fbclid=y",
        "https://example.com/docs/a;jsessionid=0123456789ABCDEF?b=1&c=2",
        "https://example.com/(S(abc123))/docs/a?b=1&c=2",
        "https://example.com/docs/a?PHPSESSID=0123456789abcdef&b=1&c=2",
        "https://example.com/docs/a?sid=0123456789abcdef0123&b=1&c=2",
    ],
)
def test_twins_share_a_key(twin: str) -> None:
    """Scheme, www, default ports, index pages, slashes, order, tracking and sessions make no page."""
    assert url_key(twin) == "https://example.com/docs/a?b=1&c=2"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://example.com/a", "https://example.com/A"),
        ("https://example.com/a?id=1", "https://example.com/a?id=2"),
        ("https://example.com/a", "https://docs.example.com/a"),
        ("https://example.com/a", "https://example.com:8443/a"),
        ("https://example.com/a%2Fb", "https://example.com/a/b"),
        ("https://example.com/s?s=shoes", "https://example.com/s?s=boots"),
        ("https://example.com/a?tag=1&tag=2", "https://example.com/a?tag=2&tag=1"),
    ],
)
def test_different_pages_have_different_keys(one: str, other: str) -> None:
    """What may be another page keeps a key of its own."""
    assert url_key(one) != url_key(other)


def test_a_site_is_its_host_and_its_www_twin() -> None:
    """Scheme and www do not make another site; a subdomain or a port does."""
    assert site_key("http://www.example.com/a") == site_key("https://example.com/")
    assert site_key("https://docs.example.com/") != site_key("https://example.com/")
    assert site_key("https://example.com:8443/") != site_key("https://example.com/")


def test_parts_name_the_origin_and_what_rules_see() -> None:
    """robots.txt speaks for the origin; patterns see path and query."""
    parts = split("https://[2606:4700::1111]:8443/a?b=1#c")

    assert parts.origin == "https://[2606:4700::1111]:8443"
    assert parts.target == "/a?b=1"


URLS = st.one_of(
    st.text(max_size=60),
    st.builds(
        "{}://{}{}/{}{}".format,
        st.sampled_from(["http", "HTTPS", "ftp", "http:/", "https:///"]),
        st.sampled_from(["example.com", "www.www.Example.com", "127.1", "[::1]", "bücher.de", "a_b.example", "x..y"]),
        st.sampled_from(["", ":80", ":443", ":8080", ":", ":0080"]),
        st.text(alphabet="aAü%2eE/.;()SiI ndexhtml\\?&=#\n\x00'\"<>|~", max_size=40),
        st.sampled_from(["", "?", "?b=1&a=2", "?a&&b", "?%41=%zz", "/index.html", "/index.php/index.html", ";sid=1"]),
    ),
)


@given(URLS)
def test_canonicalising_twice_is_the_same_as_once(url: str) -> None:
    """A canonical URL is its own canonical form, whatever it was made of."""
    try:
        once = canonical(url)
    except InvalidUrl:
        return

    assert canonical(once) == once
    assert once.isascii()
    assert len(once) <= MAXIMUM_LENGTH


@pytest.mark.parametrize(
    ("typed", "begins"),
    [
        ("HTTPS://Docs.", "https://docs."),
        ("https://SHOP.example", "https://shop.example"),
        ("https://SHOP.example:443/Help", "https://shop.example/Help"),
        ("https://shop.example/a/../über", "https://shop.example/%C3%BCber"),
        ("https://shop.example/help?", "https://shop.example/help?"),
        ("https://shop.example/help?page=#x", "https://shop.example/help?page="),
    ],
)
def test_a_beginning_is_spelled_as_addresses_are_and_stays_one(typed: str, begins: str) -> None:
    """A host in capitals, a port of its own and letters that are escaped find what they mean; nothing is added."""
    assert beginning(typed) == begins


@given(URLS)
def test_a_key_is_its_own_key(url: str) -> None:
    """Folding a folded URL changes nothing, and folding the canonical form is folding the URL."""
    try:
        key = url_key(url)
    except InvalidUrl:
        return

    assert url_key(key) == key
    assert url_key(canonical(url)) == key


@given(st.text(max_size=80), st.sampled_from(["https://example.com/a/b?c", "http://[::1]:8080/"]))
def test_any_link_is_a_url_or_refused(link: str, base: str) -> None:
    """No link text makes the reader fail in another way."""
    with suppress(InvalidUrl):
        assert canonical(link, base).startswith(("http://", "https://"))


@pytest.mark.parametrize("start", ["http://example.com/", "https://example.com/", "http://www.-a.com/?q="])
def test_whatever_may_be_fetched_has_a_key_that_is_its_own(start: str) -> None:
    """The key of an `http` address is one character longer, and no address is taken whose key would be too long."""
    longest = start + "q" * (MAXIMUM_LENGTH - len(start.replace("http:", "https:")))

    key = url_key(canonical(longest))

    assert url_key(key) == key
    with pytest.raises(InvalidUrl):
        canonical(longest + "q")

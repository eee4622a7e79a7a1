"""Whether a page that was read is kept, what a host asks for, and where redirects end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.model import Document, Reason
from spiders.fetch import Answer
from spiders.redirects import MAXIMUM_REDIRECTS, Redirects
from spiders.verdict import Verdict, is_login, judge, links_of

URL = "https://example.com/a"
PAGE = Document(url=URL, title="A page", markdown="word " * 50, text_hash="", fact_hash="")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def judged(
    document: Document, *, url: str = URL, found_on: str | None = None, header: str | None = None
) -> Verdict | None:
    """The verdict on a document without robots headers."""
    return judge(
        document,
        url=url,
        found_on=found_on,
        directives=frozenset(),
        canonical_header=header,
        minimum_words=5,
    )


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (PAGE, None),
        (replace(PAGE, canonical=URL + "/?utm_source=x"), None),
        (replace(PAGE, canonical="https://example.com/b"), Reason.CANONICAL_TO),
        (replace(PAGE, canonical="/b"), Reason.CANONICAL_TO),
        (replace(PAGE, canonical="https://example.org/b"), None),
        (replace(PAGE, canonical="https://example.com/"), None),
        (replace(PAGE, canonical="http://["), None),
        (replace(PAGE, refresh="/b"), Reason.DUPLICATE_OF),
        (replace(PAGE, refresh=URL), None),
        (replace(PAGE, noindex=True), Reason.NOINDEX),
        (replace(PAGE, asks_password=True), Reason.LOGIN_WALL),
        (replace(PAGE, markdown="word " * 100, asks_password=True), None),
        (replace(PAGE, title="404 - Page not found"), Reason.SOFT_404),
        (replace(PAGE, title="Seite nicht gefunden"), Reason.SOFT_404),
        (replace(PAGE, markdown="# Page not found\n\nSorry, nothing is here at all."), Reason.SOFT_404),
        (replace(PAGE, title="What to do when a file is not found", markdown="word " * 400), None),
        (replace(PAGE, markdown="one two"), Reason.THIN),
        (replace(PAGE, markdown="# 退货政策\n\n收到商品后三十天内可以免费退货。"), None),
        (replace(PAGE, markdown="退货政策很简单" * 60, asks_password=True), None),
    ],
)
def test_a_page_is_kept_or_has_a_reason(document: Document, reason: Reason | None) -> None:
    """Canonicals, refreshes, forms, errors in disguise and empty pages are told apart from pages."""
    verdict = judged(document)

    assert (verdict.reason if verdict else None) is reason


def test_the_links_beside_a_login_form_are_followed() -> None:
    """Whoever has no account finds the rest of a site there."""
    verdict = judged(replace(PAGE, asks_password=True))

    assert verdict is not None
    assert verdict.follows_links


def test_two_pages_that_name_each_other_are_not_both_lost() -> None:
    """The one found through the other's canonical is kept."""
    document = replace(PAGE, canonical="https://example.com/b")

    assert judged(document, found_on="https://example.com/b") is None


def test_a_canonical_in_the_header_counts_as_one_in_the_page() -> None:
    """And it goes before it."""
    verdict = judged(replace(PAGE, canonical=URL), header="https://example.com/c")

    assert verdict is not None
    assert verdict.instead == "https://example.com/c"


@pytest.mark.parametrize(
    ("url", "login"),
    [
        ("https://example.com/login", True),
        ("https://example.com/account/sign-in?next=/a", True),
        ("https://example.com/oauth2/authorize", True),
        ("https://example.com/blog/login-page-design", True),
        ("https://example.com/blog/logins", False),
        ("https://example.com/authors/anna", False),
    ],
)
def test_an_address_where_people_sign_in_is_known_by_its_path(url: str, *, login: bool) -> None:
    """Words for signing in, as parts of the path of their own."""
    assert is_login(url) is login


def test_link_headers_are_read() -> None:
    """Several links in one header, relations quoted or not."""
    values = ['</a?p=2>; rel="next", </a>; rel=canonical', '<https://example.com/x>; title="a, b"; rel="prev next"']

    assert links_of(values, "next") == ["/a?p=2", "https://example.com/x"]
    assert links_of(values, "canonical") == ["/a"]
    assert links_of(["nonsense <"], "next") == []


@pytest.mark.parametrize(
    ("value", "asked"),
    [
        ("120", timedelta(seconds=120)),
        ("Fri, 02 Jan 2026 03:05:05 GMT", timedelta(seconds=60)),
        ("Thu, 01 Jan 2026 00:00:00 GMT", timedelta(0)),
        ("Fri, 02 Jan 2026 03:05:05", timedelta(seconds=60)),
        ("9" * 500, timedelta(seconds=10**8)),
        ("soon", None),
        ("Fri, 02 Jan 2026 03:05:05 +" + "9" * 30, None),
        ("Fri, 02 Jan " + "9" * 400 + " 03:05:05 GMT", None),
        ("", None),
        ("-5", None),
        ("٣", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, asked: timedelta | None) -> None:
    """Anything else says nothing."""
    assert Answer(URL, 503, b"", {"retry-after": [value]}).retry_after(NOW) == asked


def test_a_date_is_measured_by_the_hosts_own_clock() -> None:
    """Ours, or theirs, may be wrong; the difference between its two dates is what it means."""
    headers = {"retry-after": ["Fri, 02 Jan 2026 04:00:30 GMT"], "date": ["Fri, 02 Jan 2026 04:00:00 GMT"]}

    assert Answer(URL, 503, b"", headers).retry_after(NOW) == timedelta(seconds=30)


def test_a_circle_of_redirects_ends() -> None:
    """The step that would close it is refused."""
    redirects = Redirects()

    assert redirects.follow("a", "b")
    assert redirects.follow("b", "c")
    assert not redirects.follow("c", "a")
    assert not redirects.follow("d", "d")


def test_a_chain_of_redirects_ends() -> None:
    """Five hops are followed, a sixth is not."""
    redirects = Redirects()
    steps = [redirects.follow(str(hop), str(hop + 1)) for hop in range(MAXIMUM_REDIRECTS + 1)]

    assert steps == [True] * MAXIMUM_REDIRECTS + [False]

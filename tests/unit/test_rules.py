"""Include and exclude rules, the site's borders, and paths that go in circles."""

from __future__ import annotations

from contextlib import suppress
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InvalidHost, InvalidInput, InvalidPattern, InvalidUrl
from pipeline.model import Reason
from pipeline.rules import CrawlRules, PathPattern, SiteHosts, read_patterns, refuse_hopeless, repeats_itself
from pipeline.urls import split

SITE = "https://www.example.com/"


@pytest.mark.parametrize(
    ("pattern", "target", "matches"),
    [
        ("/docs/*", "/docs/", True),
        ("/docs/*", "/docs/a/b?c=1", True),
        ("/docs/*", "/docs", False),
        ("/docs/*", "/en/docs/a", False),
        ("*/en-us/*", "/hc/en-us/articles", True),
        ("/pricing", "/pricing", True),
        ("/pricing", "/pricing?ref=mail", True),
        ("/pricing", "/pricing/old", False),
        ("*?page=*", "/list?page=2", True),
        ("*?page=*", "/list", False),
        ("/a.b", "/axb", False),
        ("/über/*", "/%C3%BCber/uns", True),
        ("/a**b", "/a/x/b", True),
        ("re:^/(de|fr)/", "/de/preise", True),
        ("re:^/(de|fr)/", "/en/de/", False),
        (r"re:[?&]print=1\b", "/a?x=1&print=1", True),
    ],
)
def test_a_pattern_means_path_and_query(pattern: str, target: str, matches: bool) -> None:  # noqa: FBT001 - a table's column
    """Globs match whole paths, with or without the query; expressions are searched for."""
    assert PathPattern.read(pattern).matches(split(f"https://example.com{target}")) is matches


@pytest.mark.parametrize("pattern", ["", "  ", "re:(", "re:(?<=a)b", r"re:(a)\1", "re:a{2000}{2000}", "x" * 501])
def test_a_bad_pattern_is_named(pattern: str) -> None:
    """What RE2 cannot read is refused, and the message says which pattern it was."""
    with pytest.raises(InvalidPattern) as refused:
        PathPattern.read(pattern)

    assert str(refused.value.facts["pattern"])[:3] == pattern[:3]


def test_a_datasource_has_at_most_fifty_patterns() -> None:
    """The fifty-first pattern is refused."""
    assert len(read_patterns(["/a"] * 50)) == 50

    with pytest.raises(InvalidPattern):
        read_patterns(["/a"] * 51)


def test_exclude_wins_over_include() -> None:
    """A URL that both name is left out."""
    rules = CrawlRules.read(SITE, include=["/docs/*"], exclude=["/docs/old/*"])

    assert rules.decide("https://example.com/docs/new/a", 1) is None
    assert rules.decide("https://example.com/docs/old/a", 1) is Reason.EXCLUDED_RULE
    assert rules.decide("https://example.com/blog/a", 1) is Reason.EXCLUDED_RULE


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.com/a", None),
        ("https://www.example.com/a", None),
        ("https://docs.example.com/a", Reason.OFF_SITE),
        ("https://example.org/a", Reason.OFF_SITE),
        ("https://example.com:8443/a", Reason.OFF_SITE),
        ("https://example.com/a/a/a/a", Reason.DEPTH),
    ],
)
def test_a_crawl_stays_on_its_site(url: str, reason: Reason | None) -> None:
    """The start host and its www twin are the site."""
    assert CrawlRules.read(SITE).decide(url, 1) is reason


def test_links_are_followed_to_the_depth_limit() -> None:
    """The limit itself is still inside."""
    rules = CrawlRules.read(SITE, depth_limit=2)

    assert rules.decide("https://example.com/a", 2) is None
    assert rules.decide("https://example.com/a", 3) is Reason.DEPTH


def test_a_start_that_is_no_url_has_no_rules() -> None:
    """Rules of nothing are refused at once."""
    with pytest.raises(InvalidUrl):
        CrawlRules.read("not a url")


@pytest.mark.parametrize(
    ("path", "repeats"),
    [
        ("/a/a/a", True),
        ("/x/a/b/a/b/a/b", True),
        ("/a/b/a/b", False),
        ("/2026/11/20", False),
        ("/a/b/c/d/e/f", False),
        ("/", False),
    ],
)
def test_a_path_that_goes_in_circles_is_a_trap(path: str, repeats: bool) -> None:  # noqa: FBT001 - a table's column
    """Saying the same thing three times in a row is what broken relative links do."""
    assert repeats_itself(path) is repeats


def test_a_pattern_cannot_take_long() -> None:
    """Patterns that blow up elsewhere are linear here."""
    pattern = PathPattern.read("re:^/(a+)+$")
    began = process_time()

    assert not pattern.matches(split("https://example.com/" + "a" * 2_000 + "!"))

    assert process_time() - began < 1


@given(st.text(max_size=60), st.booleans())
def test_any_text_is_a_host_or_refused(text: str, wide: bool) -> None:  # noqa: FBT001 - drawn
    """What is taken for a host is one: nothing of a path, a user or a query is in it."""
    with suppress(InvalidHost):
        hosts = SiteHosts.read(SITE, extra=[f"*.{text}" if wide else text])
        assert all(set(host).isdisjoint("/?#@ ") for host in (*hosts.others, *hosts.domains))
        assert hosts.has(hosts.start)


def test_the_rule_that_excludes_is_named() -> None:
    """The exclude rule that matches, or that no include rule does."""
    rules = CrawlRules.read(SITE, include=["/docs/*"], exclude=["/docs/old/*"])

    told = [rules.excluded_by(split(f"https://example.com{path}")) for path in ("/docs/old/a", "/blog", "/docs/a")]

    assert told == ["exclude_paths: /docs/old/*", "no include_paths rule matches", None]


@pytest.mark.parametrize("pattern", ["/*", "*", "re:", "re:.", "re:^/"])
def test_rules_that_leave_nothing_are_refused(pattern: str) -> None:
    """Excluding everything is nobody's wish."""
    with pytest.raises(InvalidInput, match="matches every page"):
        refuse_hopeless(CrawlRules.read(SITE, exclude=["/old/*", pattern]))


@pytest.mark.parametrize("pattern", ["/a*", "*.pdf", "*?*", "re:[?]", "re:^/[a-z]*$", "/"])
def test_rules_that_leave_something_stand(pattern: str) -> None:
    """However much they exclude."""
    refuse_hopeless(CrawlRules.read(SITE, exclude=[pattern]))


@given(st.text(max_size=100))
def test_any_text_is_a_pattern_or_refused(text: str) -> None:
    """No pattern makes the reader fail in another way."""
    parts = split("https://example.com/a/b?c=d")
    for source in (text, f"re:{text}"):
        with suppress(InvalidPattern):
            assert PathPattern.read(source).matches(parts) in {True, False}

"""What each answer to robots.txt permits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protego import Protego

from pipeline.model import Reason
from pipeline.settings import PRODUCT_TOKEN, CrawlSettings
from pipeline.stages.extract import extract
from spiders.feed import LedgerCalls
from spiders.fetch import Answer, FetchFailed
from spiders.gate import NoRobots, RobotsGate
from spiders.pace import Pace
from spiders.robots import RobotsRules, header_directives, product_token, read_robots
from tests.fakes.ledger import FakeLedger, make_plan
from tests.lab import LabSite, Reply
from tests.lab.crawl import crawl

ORIGIN = "https://example.com"
FORBIDDEN = b"User-agent: *\nDisallow: /private\n"
AGENT = "SitewiseBot/1.0 (+https://sitewise.example/bot)"


@dataclass
class ScriptedFetcher:
    """Answers URLs from a table, as `Fetcher` does."""

    answers: Mapping[str, Answer | FetchFailed]
    asked: list[str] = field(default_factory=list)

    async def get(self, url: str, *, body_limit: int | None = None) -> Answer:
        """The scripted answer."""
        del body_limit
        self.asked.append(url)
        answer = self.answers[url]
        if isinstance(answer, FetchFailed):
            raise answer
        return answer


def ask(answers: Mapping[str, Answer | FetchFailed], ledger: FakeLedger | None = None) -> tuple[RobotsRules, list[str]]:
    """The rules a gate makes of these answers, and what it asked for."""
    fetcher = ScriptedFetcher(answers)

    async def rules() -> RobotsRules:
        with ThreadPoolExecutor(1) as thread:
            calls = LedgerCalls(ledger or FakeLedger(make_plan(ORIGIN)), thread)
            gate = RobotsGate(fetcher, calls, Pace(calls), user_agent=AGENT)
            await gate.rules(f"{ORIGIN}/private")
            return await gate.rules(f"{ORIGIN}/private")

    return asyncio.run(rules()), fetcher.asked


def single(status: int, body: bytes = b"", **headers: str) -> dict[str, Answer | FetchFailed]:
    """One answer to robots.txt."""
    named = {name.replace("_", "-"): [value] for name, value in headers.items()}
    return {f"{ORIGIN}/robots.txt": Answer(f"{ORIGIN}/robots.txt", status, body, named)}


def chain(hops: int, body: bytes) -> dict[str, Answer | FetchFailed]:
    """A robots.txt behind so many redirects."""
    urls = [f"{ORIGIN}/robots.txt", *(f"{ORIGIN}/r{hop}" for hop in range(1, hops + 1))]
    answers: dict[str, Answer | FetchFailed] = {
        url: Answer(url, 301, b"", {"location": [following]}) for url, following in pairwise(urls)
    }
    return answers | {urls[-1]: Answer(urls[-1], 200, body)}


PADDING = b"#" + b"x" * 1_000 + b"\n"


FINAL = [
    pytest.param(single(200, FORBIDDEN), False, id="200"),
    pytest.param(single(200, b""), True, id="200 empty"),
    pytest.param(single(200, b"<!doctype html><title>Home</title><p>Disallow everything"), True, id="200 HTML"),
    pytest.param(single(200, b"\xef\xbb\xbf" + FORBIDDEN), False, id="200 with BOM"),
    pytest.param(single(200, FORBIDDEN.decode().encode("utf-16")), False, id="200 UTF-16"),
    pytest.param(single(200, FORBIDDEN.replace(b"/private", b"/pri\x00vate")), False, id="200 with NUL"),
    pytest.param(single(200, b"x" * 2**20 + b"\n" + FORBIDDEN), True, id="200, one 1 MB line first"),
    pytest.param(single(200, FORBIDDEN + PADDING * 600), False, id="200, 600 KiB, rule first"),
    pytest.param(single(200, PADDING * 600 + FORBIDDEN), True, id="200, 600 KiB, rule past the limit"),
    pytest.param(single(200, FORBIDDEN.replace(b"\n", b"\r")), False, id="200, old line ends"),
    pytest.param(single(200, b"User-agent: SitewiseBot\nDisallow: /\n"), False, id="200 naming us"),
    pytest.param(single(200, b"User-agent: OtherBot\nDisallow: /\n"), True, id="200 naming another"),
    pytest.param(single(200, FORBIDDEN + b"User-agent: sitewisebot\nAllow: /\n"), True, id="200, our group before all"),
    pytest.param(
        single(200, b"User-agent: sitewisebot\nDisallow: /x\n\nUser-agent: SitewiseBot\nDisallow: /private\n"),
        False,
        id="200, our group twice",
    ),
    pytest.param(single(200, b"User-agent: *\nDisallow: /\nAllow: /private\n"), True, id="200, the longer rule wins"),
    pytest.param(chain(5, FORBIDDEN), False, id="five redirects"),
    pytest.param(chain(6, FORBIDDEN), True, id="six redirects"),
    pytest.param(single(301, b"", location="ftp://example.com/robots.txt"), True, id="redirect to no web address"),
    pytest.param(single(301), True, id="redirect without a target"),
    pytest.param(single(204), True, id="204"),
    pytest.param(single(401, FORBIDDEN), True, id="401"),
    pytest.param(single(403, FORBIDDEN), True, id="403"),
    pytest.param(single(404, FORBIDDEN), True, id="404 with rules in the body"),
    pytest.param(single(410), True, id="410"),
]
TEMPORARY = [
    pytest.param(single(429), Reason.ROBOTS, id="429"),
    pytest.param(single(429, retry_after="30"), Reason.ROBOTS, id="429 with Retry-After"),
    pytest.param(single(500, FORBIDDEN), Reason.ROBOTS, id="500"),
    pytest.param(single(503), Reason.ROBOTS, id="503"),
    pytest.param(FetchFailed(Reason.TOO_SLOW, "slow", is_unreachable=True), Reason.ROBOTS, id="timeout"),
    pytest.param(
        FetchFailed(Reason.HTTP_ERROR, "reset", is_temporary=True, is_unreachable=True),
        Reason.HTTP_ERROR,
        id="reset",
    ),
    pytest.param(
        FetchFailed(Reason.HTTP_ERROR, "certificate error", is_unreachable=True), Reason.HTTP_ERROR, id="TLS error"
    ),
    pytest.param(FetchFailed(Reason.TOO_LARGE, "bomb"), Reason.ROBOTS, id="a bomb"),
    pytest.param(FetchFailed(Reason.ADDRESS_REFUSED, "inner"), Reason.ADDRESS_REFUSED, id="an inner address"),
]


@pytest.mark.parametrize(("answers", "allowed"), FINAL)
def test_a_final_answer_is_obeyed(answers: dict[str, Answer | FetchFailed], *, allowed: bool) -> None:
    """2xx is read, 4xx and endless redirects allow everything; either way it is asked once."""
    rules, asked = ask(answers)

    assert rules.allows(f"{ORIGIN}/private") is allowed
    assert asked == list(dict.fromkeys(asked))


AGENT_LINES = [
    "User-agent: {}",
    "user-agent {}",
    "User Agent: {} # x",
    " USERAGENT :{}",
    "User-agent {}: x",
    "User-agent:",
]
NAMES = ["*", "SitewiseBot", "sitewise", "Site*wiseBot", "s", "bot", "OtherBot", "**", "SitewiseBot/1.0", ""]
OTHER_LINES = ["Disallow: /a", "Allow: /a/b", "Disallow:", "Crawl-delay: 3", "Sitemap: /s.xml", "# note", "", "Host: x"]
OTHER_LINES += ["Unknown: /a", "Disallow /c", "nothing", "Disallow: /", "Allow: /b$"]
A_LINE = st.builds(str.format, st.sampled_from(AGENT_LINES), st.sampled_from(NAMES)) | st.sampled_from(OTHER_LINES)


@given(st.lists(A_LINE, max_size=14))
def test_leaving_other_agents_out_changes_no_verdict(lines: list[str]) -> None:
    """Only the group that is for us is kept, and it says what it said in the whole file."""
    text = "\n".join(lines)
    whole = RobotsRules(Protego.parse(text), PRODUCT_TOKEN)

    ours = read_robots(200, text.encode(), PRODUCT_TOKEN)

    paths = ("/", "/a", "/a/b", "/a/c", "/b", "/b/c", "/c")
    assert [ours.allows(ORIGIN + path) for path in paths] == [whole.allows(ORIGIN + path) for path in paths]
    assert (ours.delay, ours.sitemaps) == (whole.delay, whole.sitemaps)


def test_many_agents_cost_no_more_than_one() -> None:
    """Rules are kept once, however many names their group has."""
    agents = [f"User-agent: {name}" for number in range(300) for name in (f"a{number}", "s" + "*" * number)]

    rules = read_robots(200, "\n".join([*agents, *["Disallow: /x"] * 300]).encode(), PRODUCT_TOKEN)

    assert rules.parsed is not None
    assert len(rules.parsed._user_agents) == 1  # noqa: SLF001 - what it costs is seen nowhere else
    assert not rules.allows(f"{ORIGIN}/x")


@pytest.mark.parametrize(("answers", "reason"), TEMPORARY)
def test_without_an_answer_nobody_may_crawl(
    answers: dict[str, Answer | FetchFailed] | FetchFailed, reason: Reason
) -> None:
    """429, server errors and silence forbid everything for now, and say why."""
    table = {f"{ORIGIN}/robots.txt": answers} if isinstance(answers, FetchFailed) else answers

    with pytest.raises(NoRobots) as closed:
        ask(table)

    assert closed.value.reason is reason


def test_the_page_for_site_owners_tells_of_every_answer() -> None:
    """Each row of its table is a test here, each test is a row, and they agree on what follows."""
    page = (
        (Path(__file__).parents[2] / "deploy" / "manners.md")
        .read_text()
        .partition("| robots.txt answers | then |\n|---|---|\n")[2]
    )
    rows = dict(line.strip("|").split("|", 1) for line in page.partition("\n\n")[0].splitlines())
    told = {answer.strip(): then.strip() for answer, then in rows.items()}

    tested = {str(case.id): case.values[0] for case in FINAL + TEMPORARY}

    assert set(told) == set(tested)
    for answer in TEMPORARY:
        assert told[str(answer.id)].startswith("nothing is fetched")
    for answer in FINAL:
        is_read = told[str(answer.id)].startswith("read")
        assert is_read != told[str(answer.id)].startswith("everything is allowed")
        assert is_read or answer.values[1] is True


def test_how_long_the_host_wants_to_be_left_alone_is_passed_on() -> None:
    """`Retry-After` of robots.txt decides when its site is tried again."""
    with pytest.raises(NoRobots) as closed:
        ask(single(503, retry_after="45"))

    assert closed.value.asked == timedelta(seconds=45)


def test_a_stored_answer_is_believed() -> None:
    """What another crawl was told is not asked again, and ours is stored for the next."""
    ledger = FakeLedger(make_plan(ORIGIN), stored_robots={ORIGIN: (200, FORBIDDEN)})

    rules, asked = ask({}, ledger)

    assert asked == []
    assert not rules.allows(f"{ORIGIN}/private")


def test_an_answer_is_stored_for_everyone() -> None:
    """Temporary answers are not stored, final ones are."""
    ledger = FakeLedger(make_plan(ORIGIN))

    ask(single(404, FORBIDDEN), ledger)

    assert ledger.stored_robots == {ORIGIN: (404, b"")}


@pytest.mark.parametrize(
    ("asked", "kept"), [("0.5", 0.5), ("7", 7), ("3600", 30), ("-1", 0), ("soon", 0), ("1e308", 30), ("nan", 0)]
)
def test_a_crawl_delay_is_kept_up_to_thirty_seconds(asked: str, kept: float) -> None:
    """More than that would be a refusal in another form."""
    rules = read_robots(200, f"User-agent: *\nCrawl-delay: {asked}\n".encode(), "SitewiseBot")

    assert rules.delay == timedelta(seconds=kept)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["noindex"], {"noindex"}),
        (["NoIndex, nofollow"], {"noindex", "nofollow"}),
        (["none"], {"none", "noindex", "nofollow"}),
        (["otherbot: noindex"], set()),
        (["SitewiseBot: noindex"], {"noindex"}),
        (["noarchive", "nofollow"], {"noarchive", "nofollow"}),
        (["otherbot: noindex, nofollow"], set()),
        (["otherbot: noindex, SITEWISEBOT : nofollow"], {"nofollow"}),
        (["noindex, otherbot: nofollow"], {"noindex"}),
        (["noindex", "sitewisebot: nofollow"], {"noindex", "nofollow"}),
        (["max-snippet: 5, NOINDEX"], {"max-snippet: 5", "noindex"}),
        (
            ["unavailable_after: 25 Jun 2030 15:00:00 GMT, noindex"],
            {"unavailable_after: 25 jun 2030 15:00:00 gmt", "noindex"},
        ),
        (["*: none"], {"none", "noindex", "nofollow"}),
    ],
)
def test_robots_headers_for_us_are_obeyed(values: list[str], words: set[str]) -> None:
    """Headers that name another crawler are not for us."""
    assert header_directives(values, "SitewiseBot") == words


@pytest.mark.parametrize(
    ("meta", "noindex", "nofollow"),
    [
        ('<meta name="robots" content="noindex">', True, False),
        ('<meta name="SitewiseBot" content="noindex, nofollow">', True, True),
        ('<meta name="otherbot" content="none">', False, False),
        ('<meta name="robots" content="nofollow"><meta name="sitewisebot" content="index, follow">', False, True),
        ('<META NAME="ROBOTS" CONTENT="NONE">', True, True),
    ],
)
def test_robots_meta_tags_for_us_are_obeyed(meta: str, *, noindex: bool, nofollow: bool) -> None:
    """Those for all and those for us add up; those for others are not for us."""
    html = f"<!doctype html><title>Page</title>{meta}<main><p>Some words that a page says.</p></main>"

    document = extract(html.encode(), url=f"{ORIGIN}/")

    assert (document.noindex, document.nofollow) == (noindex, nofollow)


def test_our_product_token_is_the_name_before_the_slash() -> None:
    """robots.txt files name crawlers, not versions."""
    assert product_token(AGENT) == product_token(CrawlSettings().user_agent) == PRODUCT_TOKEN
    assert product_token("") == "*"


def test_a_site_whose_robots_txt_recovers_is_crawled() -> None:
    """A 503 on robots.txt delays the crawl, and nothing is fetched in between."""
    with LabSite() as site:
        site.answers("/robots.txt", Reply(503), Reply(200, FORBIDDEN))
        site.page("/", links=["/a", "/private"])
        site.page("/a")
        ledger = FakeLedger(make_plan(f"{site.url}/"))

        status = crawl(ledger)

        assert status == 0
        assert ledger.kept() == {f"{site.url}/", f"{site.url}/a"}
        assert site.requests[0].path == "/robots.txt"
        assert site.count("/robots.txt") == 2

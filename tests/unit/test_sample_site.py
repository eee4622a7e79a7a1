"""The sample site: whole, without a broken link, and answering as a well-kept web server does."""

import gzip
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from email.message import Message
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urldefrag, urljoin, urlsplit

import pytest

from deploy.sample.pages import BadPage, read_pages
from deploy.sample.serve import Request, SampleSite, main

FOLDER = Path(__file__).parents[2] / "deploy" / "sample"
LINK = re.compile(r'<(?:a|link|img)\b[^>]*?\s(?:href|src)="([^"]+)"')
LOC = "{http://www.sitemaps.org/schemas/sitemap/0.9}loc"


VOID = {"br", "hr", "img", "input", "link", "meta"}


class Nesting(HTMLParser):
    """Notes every end tag that does not close the tag opened last, and what is never closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(text)
        self.wrong += self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a tag; no attribute may stand in it twice."""
        names = [name for name, _ in attrs]
        self.wrong += [name for name in names if names.count(name) > 1]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close a tag."""
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"{tag} in line {self.getpos()[0]}")


class Reply(NamedTuple):
    """What came back for one request."""

    status: int
    headers: Message
    body: bytes

    @property
    def text(self) -> str:
        """The body, as UTF-8."""
        return self.body.decode()


def ask(site: SampleSite, path: str, method: str = "GET", **headers: str) -> Reply:
    """Make one request; `If_None_Match` stands for `If-None-Match`."""
    connection = http.client.HTTPConnection(urlsplit(site.url).netloc, timeout=10)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
        reply = connection.getresponse()
        return Reply(reply.status, reply.headers, reply.read())
    finally:
        connection.close()


def links_of(site: SampleSite, path: str) -> set[str]:
    """The paths on this site to which a page links, queries kept, fragments cut."""
    found = (urldefrag(urljoin(site.address(path), link)).url for link in LINK.findall(ask(site, path).text))
    return {url.removeprefix(site.url.rstrip("/")) for url in found if url.startswith(site.url)}


def sitemap_paths(site: SampleSite) -> list[str]:
    """Every path that the two sitemaps list."""
    index = ET.fromstring(ask(site, "/sitemap.xml").text)  # noqa: S314 - the document is our own
    bodies = {loc.text or "": ask(site, urlsplit(loc.text or "").path).body for loc in index.iter(LOC)}
    plain = [gzip.decompress(body) if name.endswith(".gz") else body for name, body in bodies.items()]
    entries = [loc.text or "" for body in plain for loc in ET.fromstring(body).iter(LOC)]  # noqa: S314 - as above
    return [urlsplit(entry).path for entry in entries]


@pytest.fixture(scope="module")
def shown() -> Iterator[SampleSite]:
    """A site that no test changes."""
    with SampleSite() as site:
        yield site


@pytest.fixture
def site() -> Iterator[SampleSite]:
    """A site of the test's own."""
    with SampleSite() as site:
        yield site


@pytest.fixture(scope="module")
def web(shown: SampleSite) -> dict[str, set[str]]:
    """Every page that links lead to from the home page, with its own links."""
    seen: dict[str, set[str]] = {}
    waiting = ["/"]
    while waiting:
        path = waiting.pop()
        if path not in seen and ask(shown, path, "HEAD").headers["Content-Type"].startswith("text/html"):
            seen[path] = links_of(shown, path)
            waiting.extend(seen[path] - set(seen))
    return seen


def test_no_link_is_broken(shown: SampleSite, web: dict[str, set[str]]) -> None:
    """Every internal link, image and stylesheet answers 200 itself, without a detour."""
    targets = set().union(*web.values())

    broken = {path for path in targets if ask(shown, path, "HEAD").status != 200}

    assert broken == set()


def test_the_site_is_large_enough(shown: SampleSite, web: dict[str, set[str]]) -> None:
    """At least sixty pages can be reached by links, sixteen of them German, over every kind of layout."""
    pages = read_pages(FOLDER / "pages")

    reached = set(web) & set(shown.paths)

    assert len(reached) >= 60
    assert len([path for path in reached if path.startswith("/de/")]) >= 16
    assert {pages[path].layout for path in reached} == {"semantic", "soup", "help", "product", "docs", "blog"}


def test_sitemaps_list_only_what_is_there(shown: SampleSite) -> None:
    """Each page in a sitemap answers 200, is listed once, and may be indexed."""
    listed = sitemap_paths(shown)

    replies = [ask(shown, path) for path in listed]

    assert len(listed) == len(set(listed)) > 60
    assert {reply.status for reply in replies} == {200}
    assert not [reply for reply in replies if "noindex" in reply.text]


def test_links_and_sitemaps_differ(shown: SampleSite, web: dict[str, set[str]]) -> None:
    """One page is only in a sitemap, one is only linked: a crawler needs both."""
    listed = set(sitemap_paths(shown))

    assert listed - set(web) == {"/help/legacy-wren-1"}
    assert "/blog/open-day-2026" in set(web) - listed


def test_twins_name_each_other(shown: SampleSite) -> None:
    """A page and its German twin carry the same two hreflang links, and both lead to a page."""
    pages = read_pages(FOLDER / "pages")
    alternate = re.compile(r'<link rel="alternate" hreflang="(\w+)" href="([^"]+)">')
    german = [page for page in pages.values() if page.language == "de"]

    pairs = [(page, pages[page.twin]) for page in german]

    assert len(pairs) >= 12
    for page, twin in pairs:
        expected = {"de": shown.address(page.path), "en": shown.address(twin.path)}
        assert dict(alternate.findall(ask(shown, page.path).text)) == expected
        assert dict(alternate.findall(ask(shown, twin.path).text)) == expected


def test_tags_are_closed_where_they_were_opened(shown: SampleSite) -> None:
    """Every page is well-formed: each tag is closed, in order."""
    wrong = {path: Nesting(ask(shown, path).text).wrong for path in shown.paths}

    assert {path: faults for path, faults in wrong.items() if faults} == {}


def test_no_anchor_leads_nowhere(shown: SampleSite) -> None:
    """A link to a place in its own page finds that place, and no id stands twice."""
    for path in shown.paths:
        text = ask(shown, path).text
        ids = re.findall(r'\sid="([^"]+)"', text)
        assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids), path
        assert len(ids) == len(set(ids)), path


def test_every_page_says_something() -> None:
    """No page is empty, and whatever is neither a list, a form nor the 404 page has fifty words and more."""
    pages = read_pages(FOLDER / "pages")

    words = {path: len(re.sub(r"<[^>]+>", " ", page.body).split()) for path, page in pages.items()}

    assert min(words.values()) >= 10
    short = {path for path, count in words.items() if count < 50 and not path.endswith("/")}
    assert short == {"/account/sign-in", "/not-found"}


def test_titles_and_descriptions_are_their_own() -> None:
    """No two pages of one language share a title or a description."""
    pages = read_pages(FOLDER / "pages").values()

    titles = [(page.language, page.title) for page in pages]
    descriptions = [page.description for page in pages]

    assert len(set(titles)) == len(titles)
    assert len(set(descriptions)) == len(descriptions)


def test_structured_facts_parse(shown: SampleSite) -> None:
    """Every JSON-LD script is valid; the FAQ's says all of its questions, a product's its price."""
    script = re.compile(r'<script type="application/ld\+json">(.*?)</script>', re.DOTALL)

    facts = {path: [json.loads(text) for text in script.findall(ask(shown, path).text)] for path in shown.paths}

    faq = next(fact for fact in facts["/faq"] if fact["@type"] == "FAQPage")
    product = next(fact for fact in facts["/products/wren"] if fact["@type"] == "Product")
    assert len(faq["mainEntity"]) == ask(shown, "/faq").text.count("<summary>") >= 18
    assert product["offers"]["price"] == "89.00"


def test_demo_questions_have_their_pages() -> None:
    """The pages that answer the questions exist, and the German question is answered in German."""
    pages = read_pages(FOLDER / "pages")
    demo = json.loads((FOLDER / "questions.json").read_text(encoding="utf-8"))
    lines = (FOLDER / "evaluation.jsonl").read_text(encoding="utf-8").splitlines()
    evaluation = [json.loads(line) for line in lines]

    named = {path for asked in demo + evaluation for path in asked["pages"]}

    assert named <= set(pages)
    assert len(demo) == 5
    assert len(evaluation) >= 25
    assert len([asked for asked in evaluation if not asked["pages"]]) >= 5
    assert any(path.startswith("/de/") for asked in demo for path in asked["pages"])


def test_training_is_one_behaviour_and_one_scenario() -> None:
    """The demo's training has one of each type, in the fields of the API; only the scenario has triggers."""
    training = json.loads((FOLDER / "training.json").read_text(encoding="utf-8"))

    triggers = {entry["type"]: len(entry["triggers"]) for entry in training}

    assert [set(entry) for entry in training] == [{"type", "title", "content", "triggers"}] * 2
    assert triggers["BEHAVIORAL"] == 0
    assert triggers["SCENARIO_SPECIFIC"] >= 5


@pytest.mark.parametrize(
    "path", ["/", "/pricing", "/robots.txt", "/sitemap.xml", "/sitemaps/help.xml.gz", "/assets/lapwing.png"]
)
def test_an_unchanged_page_is_not_sent_again(shown: SampleSite, path: str) -> None:
    """Either validator alone brings 304 without a body; a foreign ETag outweighs a fitting date."""
    first = ask(shown, path)
    tag, date = first.headers["ETag"], first.headers["Last-Modified"]

    by_tag = ask(shown, path, If_None_Match=f'"other", W/{tag}')
    by_date = ask(shown, path, If_Modified_Since=date)
    foreign = ask(shown, path, If_None_Match='"other"', If_Modified_Since=date)
    nonsense = ask(shown, path, If_Modified_Since="yesterday")

    assert [by_tag.status, by_date.status, foreign.status, nonsense.status] == [304, 304, 200, 200]
    assert by_tag.body == by_date.body == b""
    assert by_tag.headers["ETag"] == tag


def test_head_is_get_without_the_body(shown: SampleSite) -> None:
    """HEAD has GET's status, length and validators."""
    whole = ask(shown, "/faq")

    head = ask(shown, "/faq", "HEAD")

    assert head.status == 200
    assert head.body == b""
    assert (head.headers["Content-Length"], head.headers["ETag"]) == (str(len(whole.body)), whole.headers["ETag"])


def test_an_edit_changes_what_is_served(site: SampleSite) -> None:
    """After an edit the ETag, the date and the sitemap's date are new, and the files are as before."""
    file = FOLDER / "pages" / "policies" / "returns.html"
    before, source = ask(site, "/policies/returns"), file.read_bytes()
    sitemap = ask(site, "/sitemaps/shop.xml")

    site.edit("/policies/returns", "45 days", "60 days")

    after = ask(site, "/policies/returns", If_None_Match=before.headers["ETag"])
    assert after.status == 200
    assert "60 days" in after.text
    assert after.headers["Last-Modified"] != before.headers["Last-Modified"]
    assert ask(site, "/sitemaps/shop.xml").headers["ETag"] != sitemap.headers["ETag"]
    assert file.read_bytes() == source


def test_a_title_can_be_edited(site: SampleSite) -> None:
    """Text that stands in the title alone is found there; text that stands nowhere is an error."""
    site.edit("/status", "Service status", "How we are")

    assert "<h1>How we are</h1>" in ask(site, "/status").text
    with pytest.raises(ValueError, match="does not say"):
        site.edit("/status", "Service status", "x")


def test_a_removed_page_is_gone(site: SampleSite) -> None:
    """It answers 404 with a page of its own, and neither lists nor sitemaps name it."""
    assert "/blog/snow" in links_of(site, "/blog/")

    site.remove("/blog/snow")

    reply = ask(site, "/blog/snow")
    assert reply.status == 404
    assert "Page not found" in reply.text
    assert "/blog/snow" not in links_of(site, "/blog/")
    assert "/blog/snow" not in sitemap_paths(site)


def test_any_page_can_be_removed(site: SampleSite) -> None:
    """Taking pages away one after another never breaks those that remain."""
    for path in ["/help/", "/docs/", "/pricing", "/faq", "/de/preise", "/policies/returns"]:
        site.remove(path)

    statuses = {ask(site, path).status for path in site.paths}

    assert statuses == {200}


@pytest.mark.parametrize(
    ("path", "status", "target"),
    [
        ("/refunds", 301, "/policies/returns"),
        ("/support", 302, "/help/"),
        ("/help/pairing", 308, "/help/pair-a-station"),
    ],
)
def test_old_addresses_lead_on(shown: SampleSite, path: str, status: int, target: str) -> None:
    """A moved page names its new place, which is there."""
    moved = ask(shown, path)

    assert (moved.status, moved.headers["Location"]) == (status, target)
    assert ask(shown, target).status == 200


def test_one_page_has_many_addresses(shown: SampleSite) -> None:
    """Slash twins and tracking parameters give the same bytes, which name one canonical address."""
    replies = [ask(shown, path) for path in ["/pricing", "/pricing/", "/pricing?utm_source=blog&utm_medium=post"]]

    assert len({reply.body for reply in replies}) == 1
    assert f'<link rel="canonical" href="{shown.address("/pricing")}">' in replies[0].text


def test_print_pages_double_their_originals(shown: SampleSite) -> None:
    """A print page has the same text and no canonical link; pages without one answer 404 there."""
    printed = ask(shown, "/print/policies/returns")

    assert printed.status == 200
    assert "5 working days" in printed.text
    assert "canonical" not in printed.text
    assert ask(shown, "/print/faq").status == 404


def test_robots_are_told(shown: SampleSite) -> None:
    """robots.txt closes the staff desk and names the sitemap; the sign-in page asks not to be indexed."""
    robots = ask(shown, "/robots.txt").text

    assert "Disallow: /admin/" in robots
    assert f"Sitemap: {shown.address('/sitemap.xml')}" in robots
    assert "quicksilver-heptagon" in ask(shown, "/admin/").text
    assert '<meta name="robots" content="noindex">' in ask(shown, "/account/sign-in").text


def test_files_are_what_they_say(shown: SampleSite) -> None:
    """The image and the PDF begin as such files begin."""
    image, sheet = ask(shown, "/assets/lapwing.png"), ask(shown, "/downloads/lapwing-quick-start.pdf")

    assert (image.headers["Content-Type"], image.body[:4]) == ("image/png", b"\x89PNG")
    assert (sheet.headers["Content-Type"], sheet.body[:5]) == ("application/pdf", b"%PDF-")


def test_the_read_me_tells_the_truth(shown: SampleSite) -> None:
    """Whatever address the README names is answered, and whatever file it names is there."""
    named = re.findall(r"`([^`\s]*/[^`\s]*|\w+\.jsonl?)`", (FOLDER / "README.md").read_text(encoding="utf-8"))

    missing = [path for path in named if path[0] == "/" and path != "/print" and ask(shown, path).status >= 400]
    lost = [path for path in named if path[0] != "/" and not (FOLDER / path).exists()]

    assert (missing, lost) == ([], [])


def test_forms_are_scenery(shown: SampleSite) -> None:
    """The basket takes nothing: a POST is answered 405."""
    assert ask(shown, "/basket", "POST").status == 405


def test_requests_are_logged(site: SampleSite) -> None:
    """The log has each request in order, with its query and status."""
    ask(site, "/faq?x=1")
    ask(site, "/nowhere", "HEAD")

    assert site.requests == [Request("GET", "/faq?x=1", 200), Request("HEAD", "/nowhere", 404)]


def test_a_client_may_go_away(site: SampleSite, capsys: pytest.CaptureFixture[str]) -> None:
    """Clients that hang up, or say nonsense, disturb nobody and leave no traceback."""
    address = urlsplit(site.url)
    for words in [b"", b"GET /faq HTTP/1.1\r\nHost: x\r\n\r\n" * 50, b"\x16\x03nonsense\r\n\r\n"]:
        with socket.create_connection((address.hostname, address.port), timeout=5) as client:
            client.sendall(words)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # close with a reset

    assert ask(site, "/faq").status == 200
    assert "Traceback" not in capsys.readouterr().err


def test_leaving_does_not_wait_for_idle_clients() -> None:
    """A kept-alive connection on which nothing happens does not hold the site open."""
    with SampleSite() as site:
        client = http.client.HTTPConnection(urlsplit(site.url).netloc, timeout=10)
        client.request("GET", "/status")
        client.getresponse().read()

    assert client.sock.recv(1) == b""
    client.close()


def test_the_same_port_gives_the_same_bytes() -> None:
    """A site started twice on one port answers with the same ETags: a second crawl finds nothing changed."""
    with SampleSite() as first:
        port = urlsplit(first.url).port or 0
        tags = [ask(first, path).headers["ETag"] for path in ["/", "/blog/", "/sitemap.xml"]]

    with SampleSite(port=port) as second:
        again = [ask(second, path).headers["ETag"] for path in ["/", "/blog/", "/sitemap.xml"]]

    assert again == tags


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_told_to_stop(number: signal.Signals) -> None:
    """It prints its address, serves, and ends with 0 and without a word on SIGTERM and Ctrl-C."""
    command = [sys.executable, "-m", "deploy.sample.serve", "--port", "0"]
    with subprocess.Popen(  # noqa: S603 - our own command
        command, cwd=FOLDER.parents[1], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        address = urlsplit(server.stdout.readline().strip())
        client = http.client.HTTPConnection(address.netloc, timeout=10)
        client.request("GET", "/")
        status = client.getresponse().status
        client.close()

        server.send_signal(number)
        rest, errors = server.communicate(timeout=10)

    assert status == 200
    assert (server.returncode, rest, errors) == (0, "", "")


def test_a_taken_port_is_said_plainly(shown: SampleSite) -> None:
    """Where the port is in use the command says which, and what to try."""
    port = str(urlsplit(shown.url).port)

    with pytest.raises(SystemExit, match=f"Cannot listen on 127.0.0.1:{port}.*Try another --port"):
        main(["--port", port])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("<p>No head.</p>", "does not begin with a head"),
        ("---\ntitle: A\n---\n<p>B</p>", "lacks 'description'"),
        ("---\ntitle A\n---\n", "is not `key: value`"),
        ("---\ntitle: A\ndescription: B\nlayout: help\nupdated: 2026-01-01\nmood: good\n---\n", "nobody knows: mood"),
    ],
)
def test_a_badly_written_page_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    """An author who forgets a line is told which file and what is wrong."""
    (tmp_path / "a.html").write_text(text, encoding="utf-8")

    with pytest.raises(BadPage, match=complaint):
        read_pages(tmp_path)

"""Pages that need JavaScript, in a real browser; and what a hostile page can do with one."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from pipeline.model import Outcome, Reason
from tests.fakes.ledger import FakeLedger, make_plan
from tests.lab import LabRequest, LabSite, Reply
from tests.lab.crawl import crawl
from tests.lab.site import HTML, prose

pytestmark = pytest.mark.needs("browser")

SETTINGS = {
    "SITEWISE_CRAWL__ALLOWED_ADDRESSES": "127.0.0.1/32",
    "SITEWISE_CRAWL__BODY_LIMIT": "1000000",
    "SITEWISE_BROWSER__SETTLE": "4",
    "SITEWISE_BROWSER__TABS": "2",
}
NAMES = {
    "outer.test": [["127.0.0.1"]],
    "inner.test": [["127.0.0.2"]],
    "both.test": [["127.0.0.1", "127.0.0.2"]],
    "rebind.test": [["127.0.0.1"], ["127.0.0.2"]],
}
JS = ("Content-Type", "text/javascript")
APP = """
fetch("/api" + location.pathname).then(answer => answer.json()).then(page => {
  document.getElementById("app").innerHTML = `<main><h1>${page.title}</h1><p>${page.text}</p></main>`;
  for (const link of page.links) document.body.append(Object.assign(document.createElement("a"), {href: link}));
});
"""
SAY = "document.body.innerHTML = '<main><h1>Said</h1><p>%s</p></main>';"
COMPONENT = """
customElements.define("x-card", class extends HTMLElement {
  connectedCallback() {
    this.attachShadow({mode: "open"}).innerHTML = "<main><h1>Card</h1><slot></slot></main>";
  }
});
document.body.innerHTML = "<x-card><p>%s</p></x-card>";
"""
MARKING = ("/marks/1", "/marks/2", "/marks/3")
MARK = "localStorage.been = 'yes'; document.cookie = 'been=yes; path=/'"
REPEAT = "if (been) document.querySelector('h1').textContent = 'Been here'"
ATTEMPTS = """
const hosts = %s; // every spelling by fetch and socket, those that begin with 127. by every means
for (const host of hosts) {
  fetch("http://" + host + "/fetch", {mode: "no-cors"}).catch(() => 0);
  import("http://" + host + "/module.js").catch(() => 0);
  try { new WebSocket("ws://" + host + "/socket"); } catch {}
  if (!host.startsWith("127.")) continue;
  try { new EventSource("http://" + host + "/events"); } catch {}
  navigator.sendBeacon("http://" + host + "/beacon", "x");
  new Image().src = "http://" + host + "/image";
  for (const [tag, name] of [["iframe", "src"], ["script", "src"], ["link", "href"], ["object", "data"]]) {
    const element = document.createElement(tag);
    element.rel = "stylesheet";
    element[name] = "http://" + host + "/" + tag;
    document.body.append(element);
  }
  for (const rel of ["dns-prefetch", "preconnect", "prefetch", "preload", "modulepreload", "prerender", "icon"]) {
    document.head.append(Object.assign(document.createElement("link"), {rel, href: "http://" + host + "/" + rel}));
  }
  const work = `fetch("http://${host}/worker", {mode: "no-cors"}); new WebSocket("ws://${host}/worker")`;
  const script = URL.createObjectURL(new Blob([work], {type: "text/javascript"}));
  new Worker(script);
  new SharedWorker(script);
  open("http://" + host + "/popup");
}
const peers = document.createElement("iframe");
document.body.append(peers);
for (const Peer of [window.RTCPeerConnection, peers.contentWindow.RTCPeerConnection].filter(Boolean)) {
  const servers = [{urls: "stun:%s"}, {urls: "turn:%s?transport=tcp", username: "a", credential: "b"}];
  const peer = new Peer({iceServers: servers});
  peer.createDataChannel("x");
  peer.createOffer().then(offer => peer.setLocalDescription(offer));
}
navigator.serviceWorker.register("/service.js").catch(() => 0);
fetch("/to-inner").catch(() => 0);
document.getElementById("app").innerHTML = "<main><h1>Tried</h1><p>%s</p></main>";
"""


@dataclass(frozen=True)
class Crawled:
    """A site that was crawled with a browser, and the servers nobody may reach."""

    site: LabSite
    inner: LabSite
    ledger: FakeLedger
    datagrams: int

    def outcome(self, path: str) -> Outcome:
        """What became of a page."""
        return self.ledger.outcome(f"{self.site.url}{path}")

    def text(self, path: str) -> str:
        """The main text of a page that was kept."""
        document = self.outcome(path).document
        assert document is not None, self.outcome(path)
        return document.markdown


@pytest.fixture(scope="module")
def crawled() -> Iterator[Crawled]:
    """One crawl of every page below: a browser takes seconds to start."""
    with (
        LabSite() as site,
        LabSite("127.0.0.2") as inner,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        inner.serve(lambda _: Reply(200, b"User-agent: *\nAllow: /\n"))
        datagrams.bind(("127.0.0.2", inner.port))
        datagrams.settimeout(0)
        build(site, inner)
        ledger = FakeLedger(make_plan(f"{site.url}/", render_js="auto"))

        status = crawl(ledger, settings=SETTINGS, names=NAMES)

        assert status == 0
        yield Crawled(site, inner, ledger, received(datagrams))


def build(site: LabSite, inner: LabSite) -> None:
    """A site whose pages say nothing without their scripts."""
    script(site, "/late", f'app.innerText = "Loading"; setTimeout(() => {{ {SAY % prose("late")} }}, 700)')
    script(site, "/component", COMPONENT % prose("component"))
    script(site, "/restless", f"{SAY % prose('restless')} setInterval(() => document.body.append('x'), 50)")
    script(site, "/spins", "while (true) {}")
    for path in MARKING:
        script(site, path, f"const been = localStorage.been || document.cookie; {MARK}; {SAY % prose(path)}; {REPEAT}")
    site.page("/last", links=["/spins", *MARKING])
    script(site, "/away", "location.href = 'http://elsewhere.example/'")
    script(site, "/inward", f"location.href = '{inner.url}/'")
    script(site, "/moved", "location.replace('/plain')")
    script(site, "/heavy", "for (let n = 0; n < 3; n++) fetch('/blob/' + n)")
    script(
        site,
        "/obeys",
        f"import('/private/app.js'); fetch('/form', {{method: 'POST', body: 'x'}}); {SAY % prose('obeys')}",
    )
    script(site, "/tries", attempts(inner))
    site.page("/", shell("Shop"), etag='"shell"')
    site.page("/plain", head='<script src="/never.js"></script>')
    site.robots("User-agent: *\nDisallow: /private/\n")
    site.redirect("/to-inner", f"{inner.url}/redirected")
    site.respond("/app.js", body=APP, headers=[JS])
    site.serve(blob)
    pages = [
        "/plain",
        "/late",
        "/component",
        "/restless",
        "/last",
        "/away",
        "/inward",
        "/moved",
        "/heavy",
        "/obeys",
        "/tries",
    ]
    site.respond("/api/", body=json.dumps({"title": "Shop", "text": prose("Shop"), "links": pages}))


def shell(title: str) -> str:
    """A page that its script fills in."""
    return (
        f"<!doctype html><title>{title}</title><noscript>Please enable JavaScript to see this page.</noscript>"
        '<div id="app"></div><script src="/app.js"></script>'
    )


def script(site: LabSite, path: str, code: str) -> None:
    """A page with nothing but a script."""
    html = f'<!doctype html><title>{path}</title><body><div id="app"></div><script>{code}</script>'
    site.page(path, html)


def blob(request: LabRequest) -> Reply | None:
    """Four hundred kilobytes."""
    return Reply(200, b"x" * 400_000, (HTML,)) if request.path.startswith("/blob/") else None


def attempts(inner: LabSite) -> str:
    """A script that tries to reach the inner server, in many spellings and by every means a page has."""
    port = inner.port
    spelled = ("127.0.0.2", "127.2", "2130706434", "0x7f000002", "0177.0.0.2", "[::ffff:127.0.0.2]", "[::ffff:7f00:2]")
    hosts = [f"{name}:{port}" for name in (*spelled, "inner.test", "both.test", "rebind.test", "localhost")]
    return ATTEMPTS % (json.dumps(hosts), f"127.0.0.2:{port}", f"127.0.0.2:{port}", prose("tries"))


def received(datagrams: socket.socket) -> int:
    """How many datagrams came."""
    count = 0
    while True:
        try:
            datagrams.recv(2_048)
        except BlockingIOError:
            return count
        count += 1


def test_a_shell_is_filled_in_and_its_links_are_followed(crawled: Crawled) -> None:
    """What scripts show is the page. It was fetched once; its validators speak of the shell, and are not kept."""
    front = crawled.outcome("/")

    assert prose("Shop") in crawled.text("/")
    assert crawled.site.count("/") == 1
    assert front.html is not None
    assert prose("Shop").encode() in front.html
    assert front.etag is None
    assert f"{crawled.site.url}/plain" in crawled.ledger.kept()


def test_auto_leaves_alone_what_says_something_by_itself(crawled: Crawled) -> None:
    """The scripts of a page with a main text are never run."""
    assert crawled.text("/plain")
    assert crawled.site.count("/never.js") == 0


def test_text_that_comes_late_is_waited_for(crawled: Crawled) -> None:
    """A word that stands in for the text is not the text."""
    assert prose("late") in crawled.text("/late")


def test_what_components_keep_to_themselves_is_read(crawled: Crawled) -> None:
    """An open shadow tree stands where it is shown, with what it was given in its slots."""
    assert crawled.text("/component") == f"# Card\n\n{prose('component')}"


def test_nothing_passes_from_page_to_page(crawled: Crawled) -> None:
    """A page finds no cookie and no storage of another, though three share two tabs."""
    for path in MARKING:
        assert crawled.text(path).startswith("# Said")


def test_a_page_that_never_rests_is_read_all_the_same(crawled: Crawled) -> None:
    """Waiting for rest has an end."""
    assert prose("restless") in crawled.text("/restless")


@pytest.mark.parametrize(
    ("path", "reason", "words"),
    [
        ("/spins", Reason.TOO_SLOW, "never pause"),
        ("/away", Reason.OFF_SITE, "elsewhere.example"),
        ("/moved", Reason.DUPLICATE_OF, "/plain"),
        ("/heavy", Reason.TOO_LARGE, "1000000 bytes"),
    ],
)
def test_each_ends_with_its_own_reason(crawled: Crawled, path: str, reason: Reason, words: str) -> None:
    """A page that spins, leads away or loads too much is left out and told why."""
    outcome = crawled.outcome(path)

    assert outcome.reason is reason
    assert words in (outcome.detail or "")


def test_a_script_that_leads_inward_is_a_refused_redirect(crawled: Crawled) -> None:
    """Nothing is asked of where it leads."""
    assert crawled.outcome("/inward").reason in {Reason.ADDRESS_REFUSED, Reason.OFF_SITE}


def test_what_a_page_asks_for_obeys_robots_and_is_only_read(crawled: Crawled) -> None:
    """A script under a forbidden path is not fetched, and no form is sent."""
    assert prose("obeys") in crawled.text("/obeys")
    assert crawled.site.count("/private/app.js") == 0
    assert crawled.site.count("/form") == 0
    assert {request.method for request in crawled.site.requests} == {"GET"}


def test_no_means_a_page_has_reaches_a_guarded_server(crawled: Crawled) -> None:
    """Fetches, sockets, frames, workers, popups, hints and peers, in every spelling: no connection, no datagram."""
    assert crawled.site.count("/to-inner") == 1, "the script ran to its end"
    assert crawled.inner.connections == 0
    assert crawled.datagrams == 0
